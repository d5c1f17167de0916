import TuffHost
package import TuffModel

/// NFS servers and what is mounted from them. A share that is mounted at a directory is what is in it; what lies
/// beneath comes back when it is unmounted.
extension FakeFiles {
    package struct Mount: Equatable, Sendable {
        /// `SERVER:/EXPORT`.
        package var source: String
        /// It is mounted in another way than Tuff does: the end of a sentence about the directory.
        package var fault: String?
        /// Somebody has files open there, so that it cannot be unmounted.
        package var isBusy = false
    }

    /// A server begins to export a directory.
    package mutating func addExport(_ source: String, size: ByteCount = ByteCount(1 << 40)) {
        exports[source] = Directory(size: size)
    }

    /// `mount SOURCE PATH`, by whomever.
    package mutating func mount(_ source: String, at path: String, fault: String? = nil) {
        guard mounts[path] == nil, let export = exports.removeValue(forKey: source) else { return }
        beneath[path] = directories[path] ?? Directory(size: ByteCount(1 << 30))
        directories[path] = export
        mounts[path] = Mount(source: source, fault: fault)
    }

    /// `umount PATH`.
    package mutating func unmount(_ path: String) {
        guard let mount = mounts.removeValue(forKey: path) else { return }
        exports[mount.source] = directories[path]
        directories[path] = beneath.removeValue(forKey: path)
    }

    /// Every directory that holds something, by the place that it has for good: a share by its source.
    package var places: [(home: String, directory: Directory)] {
        func home(_ source: String) -> String { "/net/\(source)" }
        return directories.map { (mounts[$0.key].map { home($0.source) } ?? $0.key, $0.value) }
            + exports.map { (home($0.key), $0.value) } + beneath.map { ($0.key, $0.value) }
    }

    /// The content of a directory of this host itself, whatever is mounted on it.
    package func local(_ path: String) -> Directory? { mounts[path] == nil ? directories[path] : beneath[path] }

    func observe(_ share: NFSShare, at path: String) -> ObservedMount {
        let state: ObservedMount.State
        if let mount = mounts[path] {
            if mount.source != share.source {
                state = .foreign("has \(mount.source) mounted on it, not \(share.source)")
            } else {
                state = mount.fault.map { .differing($0) } ?? .mounted
            }
        } else {
            state = .absent(directories[path].map { $0.entries.isEmpty ? .empty : .filled } ?? .missing)
        }
        return ObservedMount(share: share, state: state)
    }

    /// The rule of the real machine: nothing is done in the directory of a share that is not mounted there.
    func demand(_ share: NFSShare, at path: String) throws(HostError) {
        let mount = observe(share, at: path)
        guard !mount.isUsable else { return }
        throw HostError(.preconditionFailed, "nothing was done: \(mount.fault(at: path) ?? "")", subject: path)
    }

    mutating func carryOut(mounting share: NFSShare, at path: String, anew: Bool) throws(HostError) {
        switch observe(share, at: path).state {
        case .mounted: return
        case .foreign(let fault): throw HostError(.preconditionFailed, "\(path) \(fault)", subject: path)
        case .differing(let fault):
            guard anew else { throw HostError(.preconditionFailed, "\(path) \(fault)", subject: path) }
            try carryOut(unmounting: share, at: path)
        case .absent(.filled): throw HostError(.preconditionFailed, "\(path) is not empty", subject: path)
        case .absent, .hidden: break
        }
        asked.insert(share.source)
        guard let export = exports[share.source] else {
            throw HostError(.unreachable, "the server exports no \(share.source)", subject: share.source)
        }
        if let failure = export.failure { throw failure }
        mount(share.source, at: path)
    }

    mutating func carryOut(unmounting share: NFSShare, at path: String) throws(HostError) {
        guard let mount = mounts[path] else { return }
        guard mount.source == share.source else {
            throw HostError(.preconditionFailed, "\(path) has \(mount.source) mounted on it", subject: path)
        }
        guard !mount.isBusy else { throw HostError(.busy, "somebody has files open in \(path)", subject: path) }
        unmount(path)
    }
}
