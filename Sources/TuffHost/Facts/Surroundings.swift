import CTuffHost
import Glibc

/// The things that the program needs of the place where it is started, looked for before anything is done. Much of it
/// is needed by the runtime beneath us, which waits for ever, or dies without a word, where it does not find it.
package enum Surroundings {
    /// Something that is missing, and what to do.
    package struct Lack: Error, Equatable {
        package var sentence: String
        package var help: String

        package init(_ sentence: String, help: String) {
            self.sentence = sentence
            self.help = help
        }
    }

    /// Descriptors for a worker, its streams, what it reads and what each of a few commands needs.
    private static let descriptors: Int32 = 48
    /// Below this the allocator and the stacks of threads do not fit, in bytes.
    private static let addressSpace: UInt64 = 1 << 30
    /// Stack of every thread, and what the first one may grow to, in bytes: what Linux gives by default.
    private static let stack: UInt64 = 8 << 20
    private static let smallestStack: UInt64 = 1 << 20

    /// Looks at everything but threads, and makes up for what can be made up for. To be called first thing.
    package static func demand() throws(Lack) {
        try openStreams()
        try demandProcesses()
        try demandMemory()
        try demandDescriptors()
    }

    /// Threads that may be at work at once: those of Dispatch's pool, which has one for each processor as soon as there
    /// is work for it, and some that wait for what blocks.
    /// - Parameter rests: the command reads a few files at most, and never has work for many.
    package static func threads(processors: Int32, rests: Bool) -> Int32 {
        min(max(processors, 1), rests ? 8 : 24) + 8
    }

    /// For a command that reads, decides and ends: memory that was freed stays with the process, which saves the system
    /// calls and page faults of giving it back and asking for it again. To be called before there are threads.
    package static func keepMemory() { tuff_keep_memory() }

    /// Asked for after a worker was forked, which takes a process with one.
    package static func demandThreads(rests: Bool) throws(Lack) {
        let wanted = threads(processors: tuff_processors(), rests: rests)
        let got = tuff_threads_to_be_had(wanted)
        guard got < wanted else { return }
        throw Lack(
            "only \(got) of \(wanted) threads can be started: \(String(cString: strerror(errno)))",
            help: "raise the limit of processes (ulimit -u) or of tasks (TasksMax= of a service, pids.max of a control "
                + "group)")
    }

    /// A descriptor that is closed here would be given to the next file that is opened, and what is said written into
    /// that.
    private static func openStreams() throws(Lack) {
        var isOutputClosed = false
        for stream in STDIN_FILENO...STDERR_FILENO where fcntl(stream, F_GETFD) < 0 {
            if stream == STDOUT_FILENO { isOutputClosed = true }
            // The lowest free number, which is this one.
            guard open("/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY) == stream else {
                throw noNull(errno)
            }
        }
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw noNull(errno) }
        defer { close(null) }
        var status = stat()
        guard fstat(null, &status) == 0, status.st_mode & S_IFMT == S_IFCHR else { throw noNull(0) }
        guard !isOutputClosed else {
            throw Lack(
                "standard output is closed, and what is done could not be told",
                help: "start it without >&-; > /dev/null throws its output away")
        }
    }

    private static func noNull(_ code: Int32) -> Lack {
        let reason = code == 0 ? "it is no device" : String(cString: strerror(code))
        return Lack("/dev/null cannot be used: \(reason)", help: "mknod -m 666 /dev/null c 1 3")
    }

    /// Words of the command line, the program itself, other processes and mounts are found there.
    private static func demandProcesses() throws(Lack) {
        guard access("/proc/self/cmdline", R_OK) == 0, access("/proc/self/exe", F_OK) == 0 else {
            throw Lack("/proc does not show this process", help: "mount -t proc proc /proc")
        }
    }

    private static func demandMemory() throws(Lack) {
        let limits: [(tuff_limit, String)] = [
            (TUFF_LIMIT_ADDRESS_SPACE, "-v"), (TUFF_LIMIT_DATA, "-d"),
        ]
        for (limit, option) in limits {
            let granted = tuff_raise_limit(limit, addressSpace)
            guard granted < addressSpace else { continue }
            throw Lack(
                "this process may have \(granted >> 20) MiB of memory, and needs room for \(addressSpace >> 20) MiB",
                help: "raise the limit (ulimit \(option))")
        }
        let granted = tuff_raise_limit(TUFF_LIMIT_STACK, stack)
        guard granted >= smallestStack else {
            throw Lack(
                "this process may have a stack of \(granted >> 10) KiB, and needs \(smallestStack >> 10) KiB",
                help: "raise the limit (ulimit -s)")
        }
        tuff_set_thread_stack(stack)
    }

    private static func demandDescriptors() throws(Lack) {
        let granted = tuff_raise_limit(TUFF_LIMIT_DESCRIPTORS, 1024)
        var taken: [Int32] = []
        defer { for descriptor in taken { close(descriptor) } }
        for _ in 0..<descriptors {
            let copy = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
            guard copy >= 0 else {
                throw Lack(
                    "only \(taken.count) files can be opened, and \(descriptors) are needed: \(String(cString: strerror(errno)))",
                    help: "raise the limit of open files, which is \(granted) (ulimit -n)")
            }
            taken.append(copy)
        }
    }
}
