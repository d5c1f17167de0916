import Glibc
package import TuffModel

/// The worker's side: what `tuff _worker` does. Everything that touches configfs, a directory pool or a secret file
/// runs here, because any of it may block for good; the controller then leaves this process to itself.
package enum WorkerServer {
    /// Answers requests until the input ends, one at a time. The exit status: 0 at the end of input, 1 when the
    /// input is not what a controller sends.
    package static func run(input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO) -> Int32 {
        while true {
            guard let header = receive(WorkerFrame.headerSize, from: input) else { return 0 }
            guard let (kind, length) = WorkerFrame.header(header), kind == .request,
                let body = receive(length, from: input), let request = try? WorkerRequest(body: body)
            else { return 1 }
            let progress = Progress(input: input, output: output)
            guard let message = try? handle(request, progress: progress.note).message() else { return 1 }
            guard send(message, to: output) else { return 0 }
        }
    }

    /// Does what is asked. `progress` is called before each action and entry; false means that the controller is
    /// gone, and nothing more is begun.
    package static func handle(_ request: WorkerRequest, progress: () -> Bool = { true }) -> WorkerReply {
        let roots = request.roots
        do throws(HostError) {
            switch request.work {
            case .perform(let actions):
                let open = OpenRoots(roots)
                for (index, action) in actions.enumerated() {
                    do throws(HostError) {
                        guard progress() else {
                            throw HostError(.failed, "The controller ended before '\(action)' was begun")
                        }
                        try perform(action, open)
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
            case .fingerprint(let secret, let key):
                return .fingerprint(try SecretBuffer(reading: secret, in: roots).fingerprint(key))
            }
        } catch {
            return .failed(error)
        }
    }

    private static func perform(_ action: HostAction, _ roots: OpenRoots) throws(HostError) {
        let tree = TreeVerbs(roots: roots), files = FileVerbs(roots: roots)
        switch action {
        case .run, .identify, .require(.logicalVolume), .require(.tgtIdle):
            throw HostError(.refused, "A worker runs no commands: '\(action)'")
        case .require(let condition): try FileConditions(roots: roots).check(condition)
        case .makeDirectory(let path): try tree.makeDirectory(path)
        case .removeDirectory(let path): try tree.removeDirectory(path)
        case .writeAttribute(let path, let value, let verify): try tree.writeAttribute(path, value, verify: verify)
        case .writeSecret(let path, let secret): try tree.writeSecret(path, secret)
        case .setMode(let path, let mode): try tree.setMode(path, mode)
        case .link(let path, let target): try tree.link(path, to: target)
        case .unlink(let path): try tree.unlink(path)
        case .createFile(let path, let size): try files.create(path, size: size)
        case .growFile(let path, let size): try files.grow(path, to: size)
        case .replaceFile(let path, let text): try files.replace(path, with: text)
        }
    }

    private static func space(of directory: String, _ roots: HostRoots) throws(HostError) -> FileSystemSpace {
        let descriptor = try roots.open(.directory(directory))
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
            free: bytes(blocks: status.f_bavail, of: status.f_frsize), exposure: Exposure.fault(owner))
    }

    /// Saturates: network and FUSE file systems say any number, all ones for "as much as you like" among them.
    package static func bytes(blocks: UInt, of size: UInt) -> ByteCount {
        let product = blocks.multipliedReportingOverflow(by: size)
        return ByteCount(product.overflow ? .max : Int64(exactly: product.partialValue) ?? .max)
    }

    /// Exactly `count` bytes, nil when the input ends before.
    private static func receive(_ count: Int, from input: Int32) -> [UInt8]? {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count, !failed {
                let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
                let got = readBytes(input, into: rest)
                if got > 0 { filled += got } else { failed = true }
            }
        }
        return failed ? nil : bytes
    }

    /// False when nobody reads any more. On a socket without SIGPIPE, because a test's worker shares our process.
    fileprivate static func send(_ bytes: [UInt8], to output: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            var count = rest.withUnsafeBytes { Glibc.send(output, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == ENOTSOCK { count = rest.withUnsafeBytes { write(output, $0.baseAddress, $0.count) } }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Tells the controller now and then that the work goes on, and the work whether there still is a controller.
    private final class Progress {
        private let input: Int32
        private let output: Int32
        private var last = monotonicSeconds()

        init(input: Int32, output: Int32) {
            self.input = input
            self.output = output
        }

        func note() -> Bool {
            // The controller sends nothing while a request is being worked on: anything to be seen is its end.
            var poller = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, 0) == 0 else { return false }
            let now = monotonicSeconds()
            guard now - last > 0.2 else { return true }
            last = now
            return WorkerServer.send(WorkerFrame.progress.message([]), to: output)
        }
    }
}
