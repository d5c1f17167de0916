import TuffModel

/// The job file of an action that goes through all of a volume: while it is held, plans of other processes leave the
/// volume alone, also after the controller has died, until its worker has ended too. Other actions have none.
///
/// Taken before the first byte is written, and by a worker whose controller holds the host lock.
final class HeldWork {
    /// Bytes between two looks at the clock.
    private static let stride: UInt64 = 16 << 20

    private let file: JobFile?
    private var noted: UInt64 = 0

    init(_ action: HostAction, in directory: String?, _ roots: HostRoots) throws(HostError) {
        guard let directory, let ticket = Self.ticket(action, roots) else {
            file = nil
            return
        }
        file = try JobFile.take(ticket, in: directory)
    }

    func note(_ done: UInt64, of whole: UInt64) {
        guard let file, done >= noted + Self.stride || done < noted else { return }
        noted = done
        file.note(
            WorkProgress(done: ByteCount(Int64(clamping: done)), total: ByteCount(Int64(clamping: whole))))
    }

    func end() { file?.end() }

    private static func ticket(_ action: HostAction, _ roots: HostRoots) -> JobTicket? {
        func ticket(_ kind: String, verb: String, place: BytesPlace) -> JobTicket {
            let (path, objects): (String, [UID]) =
                switch place {
                case .device(let device): (device.path, [device.uid])
                case .file(let file): (roots.path(of: file), [])
                }
            return JobTicket(
                id: HostFacts.randomName(), kind: kind, summary: "\(verb) \(path)", keys: ["data:\(path)"],
                objects: objects)
        }
        return switch action {
        case .wipe(let device, _): ticket("wipe", verb: "wiping", place: .device(device))
        case .copyBytes(_, let target), .copyImage(_, let target): ticket("copy", verb: "filling", place: target)
        // Restores, backups and mounts are jobs, which hold files of their own.
        case .run, .activate, .makeVolume, .identify, .wipeExtents, .joinExtents, .restore, .backUp, .makeRepository,
            .prune, .verify, .drill, .mountShare, .unmountShare, .require, .cloneFile, .makeDirectory, .completeBase,
            .removeDirectory, .removeIfEmpty, .removeDirectories, .enableBackstore, .writeAttribute, .writeSecret,
            .setMode, .link, .unlink, .createFile, .growFile, .renameFile, .removeFile, .replaceFile, .keepReservations:
            nil
        }
    }
}
