import TuffDrivers
import TuffHost
package import TuffModel

/// Everything there is outside the controller: a machine's storage, target stacks, files and secrets. A value, so that
/// an oracle keeps copies and compares them.
package struct FakeWorld: Equatable, Sendable {
    package var lvm: FakeLVM
    /// LVM's uuid of what was wiped for the growth of the volume with this uid.
    private var wipedExtents: [UID: String] = [:]
    package var files = FakeFiles()
    package var targets = FakeTargetTree()
    package var tgt = FakeTgt()
    /// Text of secret files by path, as `HostAction.writeSecret` reads them: without the trailing newline.
    package var secrets: [String: String] = [:]
    /// Secret files that others may read: refused.
    package var exposedSecrets: Set<String> = []
    /// LVM's metadata profiles, by file name.
    package var profiles: [String: String] = [:]
    /// Tools that are not installed.
    package var missingTools: Set<String> = []
    /// Sizes of files and devices that are neither logical volumes nor in a directory pool.
    package var otherDevices: [String: ByteCount] = [:]
    /// Disk images by path.
    package var images: [String: FakeImage] = [:]
    /// Restore points that the controller made since it was started, by the base that was read.
    package internal(set) var listed: [UID: ObservedPoint] = [:]
    /// Repositories of backups by their sites.
    package var repositories: [String: FakeRepository] = [:]
    /// Number of repositories that were ever made.
    package var madeRepositories = 0
    /// The device mapper's names of those of them that are its devices.
    package var otherDeviceUUIDs: [String: String] = [:]

    /// Jobs that processes of this machine run.
    package var jobs = ObservationMap<RunningJob>()

    package init(lvm: FakeLVM = .sample()) { self.lvm = lvm }

    /// One volume's data as an oracle sees it: remade or overwritten data has another `content`.
    package struct Data: Equatable, Sendable {
        package var size: ByteCount
        package var content: UInt64
        package var tags: [String]
    }

    /// All data there is, by LVM uuid or by the path of the file. Sidecars are not data.
    package func data() -> [String: Data] {
        var result: [String: Data] = [:]
        for group in lvm.groups {
            for volume in group.volumes.values {
                result[volume.uuid] = Data(size: volume.size, content: volume.content, tags: volume.tags)
            }
        }
        for (path, directory) in files.directories {
            for (name, entry) in directory.entries {
                guard case .file(let file) = entry, file.text == nil else { continue }
                result["\(path)/\(name)"] = Data(size: file.size, content: file.content, tags: [])
            }
        }
        return result
    }

    /// Size of the device or file at an absolute path, nil where nothing can be opened.
    package func deviceSize(_ path: String) -> ByteCount? {
        if let size = otherDevices[path] { return size }
        for group in lvm.groups where path.hasPrefix("/dev/\(group.name)/") {
            let volume = group.volumes[String(path.dropFirst("/dev/\(group.name)/".count))]
            if case .copyOnWrite(let origin)? = volume?.kind, volume?.active == true {
                return group.volumes[origin]?.size
            }
            return volume.flatMap { $0.active ? $0.size : nil }
        }
        for (directory, _) in files.directories where path.hasPrefix(directory + "/") {
            if let file = files[directory, String(path.dropFirst(directory.count + 1))] { return file.size }
        }
        return nil
    }

    /// Minor number of the logical volume at an absolute path, 0 for other devices and files.
    func minor(_ path: String) -> Int {
        for group in lvm.groups where path.hasPrefix("/dev/\(group.name)/") {
            return group.volumes[String(path.dropFirst("/dev/\(group.name)/".count))]?.minor ?? 0
        }
        return 0
    }

    /// Minor numbers of volumes that target stacks hold open, whatever they are called by now.
    func exportedMinors() -> Set<Int> {
        targets.openMinors.union(tgt.targets.values.flatMap { $0.units.values.map(\.minor) }).subtracting([0])
    }

    /// Paths of the logical volumes that target stacks hold open, as they are called now.
    package func exportedVolumes() -> Set<String> {
        let minors = exportedMinors()
        return Set(
            lvm.groups.flatMap { group in
                group.volumes.values.filter { minors.contains($0.minor) }.map { "/dev/\(group.name)/\($0.name)" }
            })
    }

    /// The device mapper's name of the device at a path; nil where there is none.
    package func deviceUUID(_ path: String) -> String? {
        if let uuid = otherDeviceUUIDs[path] { return uuid }
        for group in lvm.groups where path.hasPrefix("/dev/\(group.name)/") {
            let volume = group.volumes[String(path.dropFirst("/dev/\(group.name)/".count))]
            return volume.flatMap { $0.active ? DeviceMapper.uuid(group: group.uuid, volume: $0.uuid) : nil }
        }
        return nil
    }

    /// The device mapper's name of the volume of a group that carries a uid; nil without exactly one.
    func device(of uid: UID, in group: String) -> String? {
        guard let group = lvm[group] else { return nil }
        let ours = group.volumes.values.filter { $0.tags.contains("tuff:uid=\(uid)") }
        return ours.count == 1 ? DeviceMapper.uuid(group: group.uuid, volume: ours[0].uuid) : nil
    }

    /// True if somebody holds the volume open: a target stack, whoever `opens` stands for, or for an active pool its
    /// own volumes.
    package func isOpen(_ group: String, _ volume: FakeLVM.Volume) -> Bool {
        if case .thinPool = volume.kind { return volume.active }
        return volume.opens > 0 || exportedMinors().contains(volume.minor)
    }

    /// Power off and on: configfs is empty, tgtd knows nothing, nothing is active. Disks and files keep what they hold.
    package mutating func reboot() {
        let loaded = targets.isLoaded
        targets = FakeTargetTree()
        targets.isLoaded = loaded
        tgt.targets = [:]
        jobs = ObservationMap()
        for path in files.mounts.keys { files.unmount(path) }
        lvm.reboot()
    }

    func secret(_ reference: SecretReference) throws(HostError) -> String {
        guard let text = secrets[reference.file] else {
            throw HostError(.notFound, "secret file \(reference.file) does not exist", subject: reference.file)
        }
        guard !exposedSecrets.contains(reference.file) else {
            throw HostError(.refused, "secret file \(reference.file) may be read by others", subject: reference.file)
        }
        return text
    }

    /// Runs a command.
    mutating func run(_ command: Command) throws(HostError) -> FakeResponse {
        guard !missingTools.contains(command.tool) else {
            throw HostError(.notFound, "\(command.tool) is not installed", subject: command.description)
        }
        switch command.tool {
        case "lvm":
            // The rules of LVM see the world through this copy, since they change it meanwhile.
            let world = self
            let exported = exportedMinors()
            return lvm.run(command.arguments, view: command.view) { group, volume in
                if case .thinPool = volume.kind { return world.isOpen(group, volume) }
                return volume.opens > 0 || exported.contains(volume.minor)
            }
        case "dmsetup", "thin_delta", "thin_ls", "thin_dump": return lvm.runThin(command)
        case "blockdev": return .output(lvm.sectorSizes(command.arguments))
        case "tgtadm":
            let world = self
            return .output(tgt.run(command.arguments, minor: { world.minor($0) }) { world.deviceSize($0) })
        default: preconditionFailure("FakeMachine has no tool for: \(command)")
        }
    }

    /// Carries out one action, as the machine's interpreter does.
    mutating func perform(_ action: HostAction) throws(HostError) -> FakeResponse {
        switch action {
        case .run(let command), .activate(let command, _), .makeVolume(let command, _, _):
            return try run(command)
        case .require(.logicalVolume(let group, let name, let uuid, let uid, let size)):
            if lvm[group]?.isLocked == true { return .hangs }
            guard let volume = lvm[group, name], uuid == nil || volume.uuid == uuid,
                volume.tags.contains("tuff:uid=\(uid)"),
                size == nil || volume.size == size
            else { throw Self.unmet(action) }
        case .require(.expiredVolume(let group, let name, let uuid, let uid, let until)):
            if lvm[group]?.isLocked == true { return .hangs }
            guard let volume = lvm[group, name], volume.uuid == uuid, volume.tags.contains("tuff:uid=\(uid)"),
                volume.tags.contains("tuff:until=\(until)"), !volume.tags.contains("tuff:protect"),
                !volume.active || !isOpen(group, volume), lvm.snapshots(of: name, in: group).isEmpty
            else { throw Self.unmet(action) }
        case .require(.unfinished(let group, let name, let uid, let operation)):
            if lvm[group]?.isLocked == true { return .hangs }
            guard let volume = lvm[group, name], volume.tags.contains("tuff:uid=\(uid)"),
                volume.tags.contains("tuff:op=\(operation)")
            else { throw Self.unmet(action) }
        case .require(.temporarySnapshot(let snapshot)):
            if lvm[snapshot.group]?.isLocked == true { return .hangs }
            guard isTemporary(snapshot) else { throw Self.unmet(action) }
        case .require(.scratchVolume(let group, let name, let uuid, let tags)):
            if lvm[group]?.isLocked == true { return .hangs }
            guard isScratch(group: group, name: name, uuid: uuid, tags: tags) else { throw Self.unmet(action) }
        case .require(.wholeSnapshot(let group, let name, let uuid, let uid)):
            if lvm[group]?.isLocked == true { return .hangs }
            guard isWhole(group: group, name: name, uuid: uuid, uid: uid) else { throw Self.unmet(action) }
        case .require(.blankDevice), .require(.physicalVolume), .require(.volumeGroup), .require(.thinPool):
            guard case .require(let condition) = action else { break }
            switch condition {
            case .volumeGroup(let group, _, _), .thinPool(let group, _):
                if lvm[group]?.isLocked == true { return .hangs }
            default: break
            }
            guard holds(condition) else { throw Self.unmet(action) }
        case .wipe(let device, _):
            // Opened for us alone, and asked for its uuid.
            guard let uuid = device.uuid, deviceUUID("/dev/\(device.group)/\(device.name)") == uuid,
                let volume = lvm[device.group, device.name], !isOpen(device.group, volume), !volume.suspended
            else { throw Self.unmet(action) }
            lvm.wipe(device.name, in: device.group)
        case .copyBytes(let source, let target):
            try copyBytes(from: source, to: target)
        case .copyImage(let source, let place): try copy(source, to: place)
        case .restore(let content, let place): try restore(content, to: place)
        case .backUp(let place, let task): try backUp(place, task)
        case .completeBase(let command, let base, let identity):
            return try run(try base.completing(command, with: listed[base.uid], identity))
        case .makeRepository(_, let access): try make(access)
        case .mountShare(let share, let path, let anew): try files.carryOut(mounting: share, at: path, anew: anew)
        case .unmountShare(let share, let path): try files.carryOut(unmounting: share, at: path)
        case .prune(let task): try prune(task)
        case .verify(let task): try verify(task)
        case .drill(let task, let place): try drill(task, on: place)
        case .wipeExtents(let holder, _):
            if lvm[holder.group]?.isLocked == true { return .hangs }
            guard let volume = lvm[holder.group, holder.name], volume.tags.contains(ThickGrowth.tag), volume.active,
                !isOpen(holder.group, volume), !volume.suspended
            else { throw Self.unmet(action) }
            lvm.wipe(holder.name, in: holder.group)
            wipedExtents[holder.uid] = volume.uuid
        case .require(.wipedExtents(let holder)):
            if lvm[holder.group]?.isLocked == true { return .hangs }
            let volume = lvm[holder.group, holder.name]
            guard let volume, volume.tags.contains(ThickGrowth.tag), volume.uuid == wipedExtents[holder.uid] else {
                throw Self.unmet(action)
            }
        case .joinExtents(let command, let group, let name, let uid, _):
            return try join(group: group, name: name, uid: uid, by: command)
        case .require(.restorable(let group, let name, let uuid, let uid)):
            if lvm[group]?.isLocked == true { return .hangs }
            let forbidding = ["tuff:protect", "tuff:op=", "tuff:until=", "tuff:released"]
            guard let volume = lvm[group, name], volume.uuid == uuid, volume.tags.contains("tuff:uid=\(uid)"),
                !volume.tags.contains(where: { tag in forbidding.contains { tag.hasPrefix($0) } }),
                !volume.active || !isOpen(group, volume)
            else { throw Self.unmet(action) }
        case .require(.unmarkedVolume(let group, let name, let uuid)):
            if lvm[group]?.isLocked == true { return .hangs }
            guard let volume = lvm[group, name], volume.uuid == uuid,
                Marks.read(volume.tags) == .foreign
            else { throw Self.unmet(action) }
        case .require(.unopened(let path)):
            guard !isOpen(path) else { throw Self.unmet(action) }
            _ = try perform(.require(.file(path, size: nil)))
        case .require(.device(let group, let name, _, let uuid)):
            guard let uuid, deviceUUID("/dev/\(group)/\(name)") == uuid else { throw Self.unmet(action) }
        case .enableBackstore(let backstore, let place): try enable(backstore, opening: place)
        case .require(.tgtIdle(let port, let tid, let iqn, let initiator)):
            guard tgt.controlPort == port, let target = tgt.targets[tid], target.name == iqn,
                !target.sessions.contains(where: { initiator == nil || $0.initiator == initiator })
            else { throw Self.unmet(action) }
        default:
            guard let root = action.root else { preconditionFailure("no place in '\(action)'") }
            switch root {
            case .targetConfiguration:
                let world = self
                try targets.perform(
                    action, secret: { (reference) throws(HostError) in try world.secret(reference) },
                    device: { world.deviceSize($0) == nil ? nil : world.minor($0) })
            case .lvmProfiles:
                guard case .replaceFile(let path, let text) = action else { preconditionFailure("'\(action)'") }
                profiles[path.relative] = text
            case .directory: try files.perform(action)
            }
        }
        return .output(CommandOutput(status: 0, standardOutput: []))
    }

    /// The extents are as clean as what had them was when it was wiped.
    private mutating func join(
        group: String, name: String, uid: UID, by command: Command
    ) throws(HostError) -> FakeResponse {
        if lvm[group]?.isLocked == true { return .hangs }
        let wasClean = lvm[group, name]?.showsEarlierData == false && wipedExtents.removeValue(forKey: uid) != nil
        let response = try run(command)
        guard case .output(let output) = response else { return response }
        guard output.status == 0 else {
            throw HostError(.failed, "lvm ended with status \(output.status)", cause: output.standardError)
        }
        if wasClean { lvm[group, name]?.showsEarlierData = false }
        return response
    }

    static func unmet(_ action: HostAction) -> HostError {
        HostError(.preconditionFailed, "not so: \(action)")
    }
}

extension HostAction {
    /// The tree an action works on; nil for commands and conditions on LVM and tgt.
    var root: HostPath.Root? {
        switch self {
        case .run, .activate, .makeVolume, .wipe, .copyBytes, .copyImage, .restore, .backUp, .makeRepository, .prune,
            .verify, .drill, .wipeExtents, .joinExtents, .identify, .enableBackstore, .completeBase,
            .mountShare, .unmountShare:
            nil
        case .require(.file(let path, _)), .require(.vacant(let path)), .require(.unopened(let path)),
            .require(.text(let path, _)), .require(.noSession(let path)):
            path.root
        case .require: nil
        case .makeDirectory(let path), .removeDirectory(let path), .removeIfEmpty(let path),
            .removeDirectories(let path), .writeAttribute(let path, _, _),
            .writeSecret(let path, _), .setMode(let path, _), .link(let path, _), .unlink(let path),
            .createFile(let path, _), .growFile(let path, _), .replaceFile(let path, _), .renameFile(let path, _),
            .cloneFile(let path, _), .removeFile(let path), .keepReservations(let path, _, _):
            path.root
        }
    }
}
