import CTuffHost
import Glibc
import Synchronization

/// A worker process made by fork(2) at the very start of the program, before it has threads.
///
/// Starting the program a second time for its worker costs as much as the whole of a pass that changes nothing on a
/// small machine (100 ms in a User Mode Linux guest, nearly all of it page faults); a fork shares those pages. Without
/// one, because the program has threads already or fork failed, the first request starts a worker as later ones do.
package struct EarlyWorker: Sendable {
    let descriptor: Int32
    let pid: Int32

    /// Bytes of heap that the controller begins with: what planning a thousand volumes takes.
    private static let heapRoom = 10 << 20

    private static let made = Mutex<EarlyWorker?>(nil)

    /// Makes the worker. To be called first thing, on the only thread. In the worker this never returns.
    /// - Parameter jobs: what it can do besides.
    package static func prepare(jobs: JobHandlers) {
        guard threadCount() == 1 else { return }
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { return }
        tuff_map_program()
        switch tuff_fork_with_heap(heapRoom) {
        case -1: for end in ends { close(end) }
        case 0:
            close(ends[0])
            serve(ends[1], jobs)
        case let pid:
            close(ends[1])
            made.withLock { $0 = EarlyWorker(descriptor: ends[0], pid: pid) }
        }
    }

    /// The worker that was made, once.
    package static func claim() -> EarlyWorker? {
        made.withLock { worker in
            defer { worker = nil }
            return worker
        }
    }

    /// Runs the worker from its birth to its end. In a group of its own, so that a terminal's Ctrl-C does not reach
    /// it in the middle of a write, and without the controller's streams, so that one that is stuck keeps no pipe open.
    private static func serve(_ descriptor: Int32, _ jobs: JobHandlers) -> Never {
        setpgid(0, 0)
        // Away from the streams first: of a program that was started without them, the socket is one.
        let socket = STDERR_FILENO + 1
        guard descriptor == socket || dup2(descriptor, socket) == socket else { _exit(1) }
        let null = open("/dev/null", O_RDWR)
        guard null >= 0 else { _exit(1) }
        for stream in STDIN_FILENO...STDERR_FILENO { dup2(null, stream) }
        // Nor anything else that was handed to the controller: a worker that is stuck must not hold, say, the lock of
        // the flock(1) that cron runs it under.
        tuff_close_from(socket + 1)
        _exit(WorkerServer.run(input: socket, output: socket, jobs: jobs))
    }

    /// Threads of this process; 0 when /proc does not say.
    private static func threadCount() -> Int {
        guard let directory = opendir("/proc/self/task") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            // "." and ".." are the only other entries.
            if entry.pointee.d_name.0 != UInt8(ascii: ".") { count += 1 }
        }
        return count
    }
}
