import ArgumentParser
import Glibc
import TuffController
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffRepository

/// Decides how far `backup restore` may go with a target that is there.
struct OverwriteOptions: ParsableArguments {
    @Flag(
        help: """
            Write over a target that holds a file system, a partition table or the like, and shorten a file that is larger. \
            Neither what somebody has open nor what Tuff manages is written even then.
            """)
    var force = false
    @OptionGroup var host: HostOptions
}

/// Opens what a restore is to write, once nothing speaks against that: nobody has it open, it is no object of Tuff's,
/// and it holds nothing that anybody could miss.
struct RestoreTarget {
    let path: String
    /// Bytes of the volume.
    let size: UInt64
    /// The source of the restore: id of the repository and of the restore point.
    let source: (repository: String, point: String)
    let options: OverwriteOptions
    let global: GlobalOptions

    /// A target that is written to, and what must be said and done when it is complete.
    struct Opened {
        let target: MarkedTarget
        fileprivate let place: RestorePlace
        fileprivate let record: RestoreRecord
        fileprivate let records: RestoreRecords

        /// To be called when all of the volume is there, and durable.
        func conclude() {
            records.remove(record)
            guard !place.isStillAlone else { return }
            Console.talk(
                "warning: \(PrintedText.oneLine(place.path)) was opened by somebody while it was written: what they read may be "
                    + "parts of two volumes\n")
        }
    }

    func open() async throws(Failure) -> Opened {
        try refuseOursByName()
        let place: RestorePlace
        do throws(HostError) { place = try RestorePlace(path) } catch { throw failure(error) }
        let records = RestoreRecords(ofHost: options.host.stateDirectory)
        var unfinished: RestoreMark?
        if !place.isNew {
            // The configuration may be what is lost: nothing of it is needed here.
            let machine = options.host.controller.machine(
                under: ControllerConfig(node: HostFacts.shortHostName()))
            // Whose it is decides what to do about its being in use.
            let signatures = try await signatures(on: place, machine)
            try await refuseOurs(place, signatures, machine)
            try await refuseInUse(place, machine)
            unfinished = begun(place, records)
            if unfinished == nil, !options.force { try refuseContent(place, signatures) }
        }
        let mark = unfinished ?? RestoreMark()
        let record = RestoreRecord(
            nonce: mark.nonce, repository: source.repository, point: source.point, target: place.realPath ?? path)
        return try failing { () throws(RepositoryError) in
            let device = try DeviceTarget(place.descriptor, path: path, isNew: place.isNew, size: size)
            let target = try MarkedTarget(device, size: size, mark: mark) { _ throws(RepositoryError) in
                guard place.isStillAlone else {
                    throw RepositoryError(.refused, "\(path) was opened by somebody before anything was written to it")
                }
                Self.keep(record, in: records)
            }
            if case .file = place.sort, place.size > size {
                try target.begin()
                try device.resize(to: size)
            }
            return Opened(target: target, place: place, record: record, records: records)
        }
    }

    private static func keep(_ record: RestoreRecord, in records: RestoreRecords) {
        do throws(HostError) { try records.save(record) } catch {
            // A disk that is full or lost must not keep anybody from restoring.
            Console.talk(
                "warning: \(PrintedText.oneLine(error.description)); if this restore is cut off, it goes on with --force only\n"
            )
        }
    }

    private func signatures(
        on place: RestorePlace, _ machine: LinuxMachine
    ) async throws(Failure) -> [DeviceSignature] {
        do throws(HostError) {
            // While nobody else has it: who opens it for this look would have to wait for the lease.
            _ = try place.hold()
            place.release()
            let found = try await place.signatures(on: machine)
            if try !place.hold(), case let users = place.users(targetRoot: options.host.targetRoot), !users.isEmpty {
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
        guard !place.isNew, pread(place.descriptor, &bytes, count, 0) == count,
            let mark = RestoreMark(beginning: bytes),
            let record = records.find(mark.nonce), record.repository == source.repository, record.point == source.point,
            place.realPath == nil || place.size <= size
        else { return nil }
        return mark
    }

    // MARK: What speaks against it

    /// A file that is not there, and whose marks are.
    func refuseOursByName() throws(Failure) {
        if access(path, F_OK) != 0, let owner = try VolumeFiles.owner(ofFile: path) { throw refusal(owner) }
    }

    /// A device that was opened for us alone, and that others may have open all the same, since they do not ask for
    /// that.
    private func refuseInUse(_ place: RestorePlace, _ machine: LinuxMachine) async throws(Failure) {
        guard case .device = place.sort else { return }
        let others = await place.otherOpenings(on: machine)
        guard others != 0 else { return }
        for attempt in 0..<10 {
            let users = place.users(targetRoot: options.host.targetRoot)
            if users.isEmpty, others == nil { return }
            // udev looks for a moment at what was closed after it had been open for writing.
            guard others == nil, attempt < 9 else { throw inUse(users) }
            usleep(200_000)
        }
    }

    private func refuseContent(_ place: RestorePlace, _ found: [DeviceSignature]) throws(Failure) {
        guard found.isEmpty else {
            let list = found.map { "\($0)" + ($0.uuid.map { " (\($0))" } ?? "") }.joined(separator: ", ")
            throw Failure(
                "\(shown) holds \(PrintedText.oneLine(list)), and nothing was written",
                help: "--force writes over it, and what is there is lost")
        }
        if case .file = place.sort, place.size > size {
            throw Failure(
                "\(shown) has \(place.size) bytes, more than the \(size) of the volume, and would be shortened; nothing was "
                    + "written", help: "--force writes over it and cuts off the rest")
        }
    }

    /// An object of Tuff's, or what one stands on.
    private func refuseOurs(
        _ place: RestorePlace, _ signatures: [DeviceSignature], _ machine: LinuxMachine
    ) async throws(Failure) {
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
                throw Failure(
                    "\(shown) is a disk of volume group \(group.name), in which Tuff keeps volumes; nothing was written",
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

    private func inUse(_ users: [String]) -> Failure {
        Failure(
            "\(shown) is in use\(users.isEmpty ? "" : ": " + PrintedText.oneLine(users.joined(separator: ", "))); nothing was "
                + "written", help: "stop what uses it, or restore to another place; --force does not help here")
    }

    /// - Parameter isDisk: it has the signature of a physical volume, which may be all that is left of one.
    static func unseenGroup(of path: String, isDisk: Bool) -> Failure {
        let shown = PrintedText.oneLine(path)
        guard isDisk else {
            return Failure(
                "whether \(shown) is a volume of Tuff's cannot be told, since LVM does not show its group; nothing was "
                    + "written",
                help: "'lvm fullreport' shows why; restore to another place meanwhile")
        }
        return Failure(
            "\(shown) has the signature of a physical volume, and whether Tuff keeps volumes there cannot be told, since "
                + "LVM does not show all groups; nothing was written",
            help: "'lvm fullreport' shows why. If nobody uses what was there, 'wipefs -a \(shown)' takes the signature "
                + "off; else restore to another place")
    }

    private func failure(_ error: HostError) -> Failure {
        guard error.code == .busy else {
            return Failure("\(PrintedText.oneLine(error.description)); nothing was written")
        }
        return inUse(RestorePlace.users(of: path, targetRoot: options.host.targetRoot))
    }

    /// Backups are in no plan yet: what works is the way by an image.
    private func refusal(_ owner: Owner) -> Failure {
        let root = (try? global.loadConfig())?.allow.images.first ?? "DIRECTORY"
        // A root may be one file.
        let image = Files.isPlain(root) ? root : "\(root)/\(owner.name)-restored.raw"
        return Failure(
            "\(shown) is \(owner.resource) of stack '\(owner.stack)', which Tuff manages; nothing was written",
            help:
                "restore to an image and have a new volume made of it: the same command with --to \(PrintedText.oneLine(image)), "
                + "then a Volume with 'source: {image: {path: \(PrintedText.oneLine(image)), format: raw}}'")
    }
}

/// The owner of an object of Tuff's, by its marks.
struct Owner: Equatable {
    let resource: ResourceID
    let stack: String
    var name: String { resource.name }

    /// Nil for what is somebody else's, or was let go.
    init?(_ tags: [String]) {
        switch Marks.read(tags) {
        case .foreign: return nil
        case .ours(let marks):
            guard !marks.released else { return nil }
            self.init(resource: marks.role.resource, stack: marks.stack)
        // Damaged marks are reported and never touched.
        case .damaged: self.init(resource: ResourceID(.volume, "unknown"), stack: "unknown")
        }
    }

    init(resource: ResourceID, stack: String) {
        self.resource = resource
        self.stack = stack
    }
}

/// Which files are volumes of directory pools: those that a sidecar beside them names.
enum VolumeFiles {
    /// Most bytes of a sidecar, as pools read it (`ReadBuffer`).
    private static let largest = 64 << 10

    /// - Throws: where a sidecar cannot be read, and so may name the file.
    static func owner(ofFile path: String) throws(Failure) -> Owner? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let name = String(parts.last ?? "")
        let folder =
            parts.count < 2
            ? "." : parts.count == 2 && path.hasPrefix("/") ? "/" : parts.dropLast().joined(separator: "/")
        let sidecars = "\(folder)/\(Sidecar.folder)"
        let opened = open(sidecars, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        // No directory is no folder of sidecars, and a link is somebody else's.
        if opened < 0, [ENOENT, ENOTDIR, ELOOP].contains(errno) { return nil }
        guard opened >= 0 else { throw unreadable(sidecars) }
        guard let directory = fdopendir(opened) else {
            close(opened)
            throw unreadable(sidecars)
        }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let file = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let uid = Sidecar.uid(ofPath: "\(Sidecar.folder)/\(file)") else { continue }
            guard let text = text(of: file, in: opened), let sidecar = Sidecar(text: text),
                case .ours(let marks) = Marks.read(sidecar.tags)
            else { throw unreadable("\(sidecars)/\(file)") }
            // A move that was cut off left the file under one of these names.
            guard [sidecar.file, marks.objectName, "t-\(uid)"].contains(name) else { continue }
            return Owner(sidecar.tags)
        }
        return nil
    }

    /// Of a plain file, through no link. Whatever else stands there is neither waited for nor read to its end.
    private static func text(of name: String, in directory: Int32) -> String? {
        let file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes = [UInt8](repeating: 0, count: largest + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress! + length, $0.count - length) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            length += count
        }
        return length <= largest ? String(validating: bytes[..<length], as: UTF8.self) : nil
    }

    private static func unreadable(_ path: String) -> Failure {
        Failure(
            "\(PrintedText.oneLine(path)) cannot be read, and may say that the target is a volume of Tuff's; nothing was written",
            help: "look at it as root, or restore to another directory")
    }
}
