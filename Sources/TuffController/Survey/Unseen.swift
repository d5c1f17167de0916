package import TuffModel

extension ObservedState {
    /// Sources that could not be looked at. A stack that is not installed or loaded is none: whatever needs it says so
    /// on its own line, and a host with directory pools alone has no reason to hear of LVM.
    package var unseen: [(source: String, error: HostError)] {
        var found: [(String, HostError)] = []
        if let error = volumeGroups.unlisted, error.code != .notFound { found.append(("lvm", error)) }
        for (name, entry) in volumeGroups.entries.inKeyOrder {
            if case .unknown(let error) = entry { found.append(("volume group \(name)", error)) }
        }
        for (path, entry) in devices.entries.inKeyOrder {
            if case .unknown(let error) = entry { found.append(("device \(path)", error)) }
        }
        if let error = jobs?.unlisted { found.append(("running jobs", error)) }
        for (name, entry) in (jobs?.entries ?? [:]).inKeyOrder {
            if case .unknown(let error) = entry { found.append(("job \(name)", error)) }
        }
        for (name, entry) in (repositories?.entries ?? [:]).inKeyOrder {
            if case .unknown(let error) = entry { found.append(("backup repository \(name)", error)) }
        }
        for (path, entry) in directories.entries.inKeyOrder {
            if case .unknown(let error) = entry { found.append(("directory \(path)", error)) }
        }
        if let unseen = targets.value?.unseen {
            for (iqn, error) in unseen.targets.inKeyOrder {
                found.append(("target \(iqn)", error))
            }
            for (name, error) in unseen.backstores.inKeyOrder {
                found.append(("backstore \(name)", error))
            }
            if let error = unseen.unlisted { found.append(("backstores", error)) }
        }
        if case .unknown(let error) = targets, error.code != .notFound { found.append(("targets", error)) }
        return found
    }
}
