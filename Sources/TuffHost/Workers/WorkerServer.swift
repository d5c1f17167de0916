import CTuffHost
import Glibc
package import TuffModel
import TuffSystem

/// The worker's side: what `tuff _worker` does. Everything that touches configfs, a directory pool or a secret file
/// runs here, because any of it may block for good; the controller then leaves this process to itself.
package enum WorkerServer {
    /// Answers requests until the input ends, one at a time. The exit status: 0 at the end of input, 1 when the
    /// input is not what a controller sends.
    /// - Parameters:
    ///   - jobs: what it can do besides.
    ///   - ownsProcess: whether this process was started to be a worker: only such a one does jobs that change it.
    package static func run(
        input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO, jobs: JobHandlers = JobHandlers(),
        ownsProcess: Bool = false
    ) -> Int32 {
        let watch = WorkerWatch(input: input, output: output)
        defer { watch.end() }
        var signs = WorkerSigns(
            mayBegin: { watch.mayBegin() }, isOver: { watch.isOver }, told: { watch.tell($0) })
        signs.remarked = { watch.remark($0) }
        signs.ownsProcess = ownsProcess
        while true {
            var handed: Int32 = -1
            defer { if handed >= 0 { close(handed) } }
            guard let header = receiveHeader(from: input, handed: &handed) else { return 0 }
            guard let (kind, length) = WorkerFrame.header(header), kind == .request,
                let body = receive(length, from: input), let request = WorkerRequest(body: body)
            else { return 1 }
            watch.done(0)
            signs.handed = handed >= 0 ? handed : nil
            guard
                let message = try? handle(
                    request, jobs: jobs, signs: signs, progress: watch.note, mayBegin: watch.mayBegin,
                    done: watch.done, told: { watch.moved($0, of: $1) }
                ).message()
            else { return 1 }
            guard watch.send(message) else { return 0 }
        }
    }

    /// Does what is asked. `progress` is called before each entry and block, `mayBegin` before each action; false means
    /// that the controller is gone, and nothing more is begun. `done` is told how many sequences of actions are. `jobs`
    /// and `signs` are for jobs alone.
    package static func handle(
        _ request: WorkerRequest, jobs: JobHandlers = JobHandlers(), signs: WorkerSigns = WorkerSigns(),
        progress: () -> Bool = { true }, mayBegin: () -> Bool = { true },
        done: (Int) -> Void = { _ in }, told: (UInt64, UInt64) -> Void = { _, _ in }
    ) -> WorkerReply {
        let roots = request.roots
        do throws(HostError) {
            switch request.work {
            case .perform(let sequences):
                let open = OpenRoots(roots)
                for (index, sequence) in sequences.enumerated() {
                    done(index)
                    do throws(HostError) {
                        try perform(
                            sequence, roots: open, jobs: request.jobs, progress: progress, mayBegin: mayBegin,
                            told: told)
                    } catch {
                        return .stopped(done: index, error)
                    }
                }
                return .performed
            case .readTree(let root, let queries, let key):
                let entries = try withoutActuallyEscaping(progress) { note throws(HostError) in
                    try TreeReader.read(root, queries, key: key, roots: roots, progress: note)
                }
                return .entries(entries)
            case .space(let directory): return .space(try space(of: directory, roots))
            case .image(let source): return .image(try OpenedImage.look(at: source, in: roots))
            case .fingerprint(let secret, let key):
                return .fingerprint(try SecretBuffer(reading: secret, in: roots).fingerprint(key))
            case .mount(let share, let path): return .mount(try PoolMounts.look(at: path, for: share))
            case .look(let device): return .device(try DeviceLook.look(at: device, progress))
            case .job(let job, let body):
                return .outcome(try jobs.run(job, body, in: request.jobs, roots: roots, signs: signs))
            }
        } catch {
            return .failed(error)
        }
    }

    private static func perform(
        _ sequence: [HostAction], roots: OpenRoots, jobs: String?, progress: () -> Bool,
        mayBegin: () -> Bool, told: DeviceBytes.Telling
    ) throws(HostError) {
        for action in sequence {
            // In this order: a controller that is still there has the host's lock, so that no other pass has looked.
            let held = try HeldWork(action, in: jobs, roots.roots)
            guard mayBegin() else {
                throw HostError(
                    .interrupted, "'\(action)' was not begun, since the controller ended or was told to stop")
            }
            try perform(action, roots: roots, progress: progress) { done, whole in
                told(done, whole)
                held.note(done, of: whole)
            }
            held.end()
            told(0, 0)
        }
    }

    private static func perform(
        _ action: HostAction, roots: OpenRoots, progress: () -> Bool, told: DeviceBytes.Telling
    ) throws(HostError) {
        let tree = TreeVerbs(roots: roots), files = FileVerbs(roots: roots)
        switch action {
        case .run, .activate, .makeVolume, .identify, .wipeExtents, .joinExtents, .restore, .backUp, .makeRepository,
            .prune, .verify, .drill, .completeBase, .mountShare, .unmountShare:
            throw HostError(.refused, "A worker runs no commands, and no job in passing: '\(action)'")
        case .require(let condition): try FileConditions(roots: roots).check(condition)
        case .wipe(let device, let method): try DeviceBytes(device).wipe(method, progress, told: told)
        case .copyBytes(let source, let target):
            try DeviceBytes(target, in: roots).copy(
                from: DeviceBytes(source, in: roots, writable: false), progress, told: told)
        case .copyImage(let image, let target):
            try DeviceBytes(target, in: roots).copy(image, in: roots.roots, progress, told: told)
        case .cloneFile(let source, let target): try files.clone(source, to: target, progress)
        case .makeDirectory(let path): try tree.makeDirectory(path)
        case .removeDirectory(let path): try tree.removeDirectory(path)
        case .removeIfEmpty(let path): try tree.removeIfEmpty(path)
        case .removeDirectories(let path): try tree.removeDirectories(in: path)
        case .enableBackstore(let path, let place): try BackstoreOpening(roots: roots).enable(path, opening: place)
        case .writeAttribute(let path, let value, let verify): try tree.writeAttribute(path, value, verify: verify)
        case .writeSecret(let path, let secret): try tree.writeSecret(path, secret)
        case .setMode(let path, let mode): try tree.setMode(path, mode)
        case .link(let path, let target): try tree.link(path, to: target)
        case .unlink(let path): try tree.unlink(path)
        case .createFile(let path, let size): try files.create(path, size: size)
        case .growFile(let path, let size): try files.grow(path, to: size)
        case .renameFile(let path, let target): try files.rename(path, to: target)
        case .removeFile(let path): try files.remove(path)
        case .replaceFile(let path, let text): try files.replace(path, with: text)
        case .keepReservations(let backstore, let serial, let restoring):
            try Reservations(roots: roots).keep(backstore, serial: serial, restoring: restoring)
        }
    }

    private static func space(of directory: String, _ roots: HostRoots) throws(HostError) -> FileSystemSpace {
        let descriptor = try roots.open(.directory(directory), isChecked: false)
        var status = statvfs()
        guard fstatvfs(descriptor.raw, &status) == 0 else {
            throw .system(errno, "Cannot ask for the space of \(directory)", subject: directory)
        }
        var owner = stat()
        guard fstat(descriptor.raw, &owner) == 0 else {
            throw .system(errno, "Cannot look at \(directory)", subject: directory)
        }
        return FileSystemSpace(
            size: bytes(blocks: status.f_blocks, of: status.f_frsize),
            free: bytes(blocks: status.f_bavail, of: status.f_frsize),
            exposure: Exposure.isServers(descriptor.raw) ? nil : Exposure.fault(owner),
            sharesBlocks: tuff_shares_blocks(descriptor.raw) == 1)
    }

    /// Saturates: network and FUSE file systems say any number, all ones for "as much as you like" among them.
    package static func bytes(blocks: UInt, of size: UInt) -> ByteCount {
        let product = blocks.multipliedReportingOverflow(by: size)
        return ByteCount(product.overflow ? .max : Int64(exactly: product.partialValue) ?? .max)
    }

    /// The begin of a request, and the descriptor that may come with its first byte.
    private static func receiveHeader(from input: Int32, handed: inout Int32) -> [UInt8]? {
        let first = [UInt8](unsafeUninitializedCapacity: WorkerFrame.headerSize) { buffer, filled in
            filled = max(0, tuff_receive_handed(input, buffer.baseAddress, WorkerFrame.headerSize, &handed))
        }
        guard !first.isEmpty, let rest = receive(WorkerFrame.headerSize - first.count, from: input) else { return nil }
        return first + rest
    }

    /// Exactly `count` bytes, nil when the input ends before.
    private static func receive(_ count: Int, from input: Int32) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let room = UnsafeMutableRawBufferPointer(buffer)
            filled = DescriptorIO.read(input, into: .init(rebasing: room[..<count])).count
        }
        return bytes.count == count ? bytes : nil
    }
}
