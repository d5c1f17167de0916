import Glibc
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffRepository
import TuffSystem

/// The host that a restore writes to.
package struct RestoreHost: Sendable {
    let controller: Controller
    /// Asked where a target is refused, and not before: the configuration may be what is lost.
    let imageRoot: @Sendable () -> String?

    /// - Parameter imageRoot: the first place that the host's configuration has images in; nil: none.
    package init(_ controller: Controller, imageRoot: @escaping @Sendable () -> String?) {
        self.controller = controller
        self.imageRoot = imageRoot
    }

    var targetRoot: String { controller.places.targetRoot }
}

/// Opens what a restore is to write, once nothing speaks against that: nobody has it open, it is no object of Tuff's,
/// and it holds nothing that anybody could miss.
package struct RestoreTarget {
    let path: String
    /// Bytes of the volume.
    let size: UInt64
    /// The source of the restore: id of the repository and of the restore point.
    let source: (repository: String, point: String)
    /// Writes over a target that holds something, and shortens a file that is larger. Neither what somebody has open
    /// nor what Tuff manages is written even then.
    let overwrites: Bool
    let host: RestoreHost
    let listener: any Listener

    /// A target that is written to, and what must be said and done when it is complete.
    struct Opened {
        let target: MarkedTarget
        fileprivate let place: RestorePlace
        fileprivate let record: RestoreRecord
        fileprivate let records: RestoreRecords

        /// To be called when all of the volume is there, and durable.
        /// - Returns: sentences on what may be wrong.
        func conclude() -> [String] {
            records.remove(record)
            guard !place.isStillAlone else { return [] }
            return [
                "\(place.path) was opened by somebody while it was written: what they read may be parts of two volumes"
            ]
        }
    }

    func open() async throws(BackupError) -> Opened {
        try refuseOursByName()
        let place: RestorePlace
        do throws(HostError) { place = try RestorePlace(path) } catch { throw failure(error) }
        let records = RestoreRecords(ofHost: host.controller.places.stateDirectory)
        var unfinished: RestoreMark?
        if !place.isNew {
            // The configuration may be what is lost: nothing of it is needed here.
            let machine = host.controller.machine(
                under: ControllerConfig(node: HostFacts.shortHostName()))
            // Whose it is decides what to do about its being in use.
            let signatures = try await signatures(on: place, machine)
            try await refuseOurs(place, holding: signatures, on: machine)
            try await refuseInUse(place, machine)
            unfinished = begun(place, records)
            if unfinished == nil, !overwrites { try refuseContent(place, signatures) }
        }
        let mark = unfinished ?? RestoreMark()
        let record = RestoreRecord(
            nonce: mark.nonce, repository: source.repository, point: source.point, target: place.realPath ?? path)
        return try inRepository { () throws(RepositoryError) in
            let device = try DeviceTarget(place.descriptor, path: path, isNew: place.isNew, size: size)
            let target = try MarkedTarget(device, size: size, mark: mark) { _ throws(RepositoryError) in
                guard place.isStillAlone else {
                    throw RepositoryError(.refused, "\(path) was opened by somebody before anything was written to it")
                }
                Self.keep(record, in: records, listener)
            }
            if case .file = place.sort, place.size > size {
                try target.begin()
                try device.resize(to: size)
            }
            return Opened(target: target, place: place, record: record, records: records)
        }
    }

    private static func keep(_ record: RestoreRecord, in records: RestoreRecords, _ listener: any Listener) {
        do throws(HostError) { try records.save(record) } catch {
            // A disk that is full or lost must not keep anybody from restoring.
            listener.tell(
                .warning("\(error.description); if this restore is cut off, it goes on with --force only"))
        }
    }

    private func signatures(
        on place: RestorePlace, _ machine: LinuxMachine
    ) async throws(BackupError) -> [DeviceSignature] {
        do throws(HostError) {
            // While nobody else has it: who opens it for this look would have to wait for the lease.
            _ = try place.hold()
            place.release()
            let found = try await place.signatures(on: machine)
            if try !place.hold(), case let users = place.users(targetRoot: host.targetRoot), !users.isEmpty {
                throw HostError(.busy, "\(path) is in use", subject: path)
            }
            return found
        } catch {
            throw failure(error)
        }
    }

    /// The mark of this very restore, which was cut off there.
    private func begun(_ place: RestorePlace, _ records: RestoreRecords) -> RestoreMark? {
        let count = Int(min(size, place.size, UInt64(RestoreMark.length)))
        var bytes = [UInt8](repeating: 0, count: count)
        let read = bytes.withUnsafeMutableBytes { DescriptorIO.read(place.descriptor, at: 0, into: $0).count }
        guard !place.isNew, read == count,
            let mark = RestoreMark(beginning: bytes),
            let record = records.find(mark.nonce), record.repository == source.repository, record.point == source.point,
            place.realPath == nil || place.size <= size
        else { return nil }
        return mark
    }

    // MARK: What speaks against it

    /// A file that is not there, and whose marks are.
    func refuseOursByName() throws(BackupError) {
        if access(path, F_OK) != 0, let owner = try VolumeFiles.owner(ofFile: path) { throw refusal(owner) }
    }

    /// A device that was opened for us alone, and that others may have open all the same, since they do not ask for
    /// that.
    private func refuseInUse(_ place: RestorePlace, _ machine: LinuxMachine) async throws(BackupError) {
        guard case .device = place.sort else { return }
        let others = await place.otherOpenings(on: machine)
        guard others != 0 else { return }
        for attempt in 0..<10 {
            let users = place.users(targetRoot: host.targetRoot)
            if users.isEmpty, others == nil { return }
            // udev looks for a moment at what was closed after it had been open for writing.
            guard others == nil, attempt < 9 else { throw inUse(users) }
            usleep(200_000)
        }
    }

    private func refuseContent(_ place: RestorePlace, _ found: [DeviceSignature]) throws(BackupError) {
        guard found.isEmpty else {
            let list = found.map { "\($0)" + ($0.uuid.map { " (\($0))" } ?? "") }.joined(separator: ", ")
            throw BackupError(
                "\(shown) holds \(PrintedText.oneLine(list)), and nothing was written",
                help: "--force writes over it, and what is there is lost")
        }
        if case .file = place.sort, place.size > size {
            throw BackupError(
                "\(shown) has \(place.size) bytes, more than the \(size) of the volume, and would be shortened; "
                    + "nothing was written", help: "--force writes over it and cuts off the rest")
        }
    }

    /// An object of Tuff's, or what one stands on.
    private func refuseOurs(
        _ place: RestorePlace, holding signatures: [DeviceSignature], on machine: LinuxMachine
    ) async throws(BackupError) {
        let foundations = place.foundations
        for file in [place.realPath].compactMap(\.self) + foundations.compactMap(\.file) {
            if let owner = try VolumeFiles.owner(ofFile: file) { throw refusal(owner) }
        }
        // LVM knows no files. One that holds a physical volume is a copy of it, or behind a loop and so in use.
        guard case .device = place.sort else { return }
        let volumes = foundations.compactMap(\.deviceMapperUUID).filter { $0.hasPrefix("LVM-") }
            .map { String($0.prefix(DeviceMapper.length)) }
        let disks = Set(signatures.filter { $0.type == DeviceSignature.physicalVolume }.compactMap(\.uuid))
        guard !disks.isEmpty || !volumes.isEmpty else { return }
        let seen = await LVMDriver().observe(machine)
        let groups = seen.entries.values.compactMap { if case .known(let group) = $0 { group } else { nil } }
        for group in groups {
            let ours = group.logicalVolumes.compactMap { volume in Owner(volume.tags).map { (volume.uuid, $0) } }
            if let (_, owner) = ours.first(where: {
                volumes.contains(DeviceMapper.uuid(group: group.uuid, volume: $0.0))
            }) {
                throw refusal(owner)
            }
            if !disks.isDisjoint(with: group.physicalVolumes),
                !ours.isEmpty || group.tags.contains(where: { $0.hasPrefix(Marks.prefix) })
            {
                throw BackupError(
                    "\(shown) is a disk of volume group \(group.name), in which Tuff keeps volumes; nothing was "
                        + "written",
                    help: "take it out of the group first ('pvmove', 'vgreduce'), or restore to another place")
            }
        }
        // What LVM does not show might be ours.
        let isSeen = volumes.allSatisfy { volume in
            groups.contains { volume.hasPrefix(DeviceMapper.uuid(group: $0.uuid)) }
        }
        guard isSeen, disks.isEmpty || seen.unlisted == nil && groups.count == seen.entries.count else {
            throw Self.unseenGroup(of: path, isDisk: isSeen)
        }
    }

    // MARK: Sentences

    private var shown: String { PrintedText.oneLine(path) }

    private func inUse(_ users: [String]) -> BackupError {
        BackupError(
            "\(shown) is in use\(users.isEmpty ? "" : ": " + PrintedText.oneLine(users.joined(separator: ", "))); "
                + "nothing was written",
            help: "stop what uses it, or restore to another place; --force does not help here")
    }

    /// - Parameter isDisk: it has the signature of a physical volume, which may be all that is left of one.
    package static func unseenGroup(of path: String, isDisk: Bool) -> BackupError {
        let shown = PrintedText.oneLine(path)
        guard isDisk else {
            return BackupError(
                "whether \(shown) is a volume of Tuff's cannot be told, since LVM does not show its group; nothing was "
                    + "written",
                help: "'lvm fullreport' shows why; restore to another place meanwhile")
        }
        return BackupError(
            "\(shown) has the signature of a physical volume, and whether Tuff keeps volumes there cannot be told, "
                + "since LVM does not show all groups; nothing was written",
            help: "'lvm fullreport' shows why. If nobody uses what was there, 'wipefs -a \(shown)' takes the signature "
                + "off; else restore to another place")
    }

    private func failure(_ error: HostError) -> BackupError {
        guard error.code == .busy else {
            return BackupError("\(PrintedText.oneLine(error.description)); nothing was written")
        }
        return inUse(RestorePlace.users(of: path, targetRoot: host.targetRoot))
    }

    /// Whether a plain file stands at `path`, through links; a pipe would be emptied by looking into it.
    private static func isPlain(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Backups are in no plan yet: what works is the way by an image.
    private func refusal(_ owner: Owner) -> BackupError {
        let root = host.imageRoot() ?? "DIRECTORY"
        // A root may be one file.
        let image = PrintedText.oneLine(Self.isPlain(root) ? root : "\(root)/\(owner.name)-restored.raw")
        return BackupError(
            "\(shown) is \(owner.resource) of stack '\(owner.stack)', which Tuff manages; nothing was written",
            help:
                "restore to an image and have a new volume made of it: the same command with --to \(image), then a "
                + "Volume with 'source: {image: {path: \(image), format: raw}}'")
    }
}
