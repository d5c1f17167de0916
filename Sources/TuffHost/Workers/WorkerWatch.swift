import CTuffHost
import Glibc
import Synchronization
import TuffModel
import TuffSystem

/// A second thread of a worker: tells the controller now and then that the work goes on, and the work whether there
/// still is a controller.
///
/// The work itself asks and tells by two words in memory, so that looking before each action costs nothing. By system
/// calls (poll and clock) that look was a quarter of all calls of making a target, and in a User Mode Linux guest,
/// where any call takes 0.015 ms, as much of its time.
final class WorkerWatch: Sendable {
    /// Milliseconds between two messages, if the work went on meanwhile.
    private static let pause: Int32 = 200

    private let input: Int32
    private let output: Int32
    private let steps = Atomic<UInt>(0)
    private let sequences = Atomic<Int>(0)
    /// Of the action at work, bytes; 0 of 0: it has none to speak of.
    private let done = Atomic<UInt64>(0)
    private let total = Atomic<UInt64>(0)
    /// Of a job, the part of it that goes on.
    private let phase = Mutex("")
    private let isAlone = Atomic(false)
    /// Held while a message is being sent, so that none cuts into another.
    private let sending = Mutex(())
    private let thread = Mutex<SystemThread?>(nil)

    init(input: Int32, output: Int32) {
        self.input = input
        self.output = output
    }

    /// To be called before each action or entry by the one thread that works. False: the controller is gone, or no
    /// thread can be had to watch for it, and nothing more is to be begun.
    func note() -> Bool {
        steps.wrappingAdd(1, ordering: .releasing)
        guard thread.withLock({ $0 != nil }) || begin() else { return false }
        return !isAlone.load(ordering: .acquiring)
    }

    /// `note`, and a look of its own whether anybody is left to tell: what comes next changes something, and the other
    /// thread may not have had the processor since the controller gave up.
    func mayBegin() -> Bool {
        guard note() else { return false }
        var poller = pollfd(fd: input, events: tuff_poll_peer_end, revents: 0)
        return poll(&poller, 1, 0) == 0
    }

    /// To be told how many sequences of actions are done, before the next one's first action is noted.
    func done(_ count: Int) {
        moved(0, of: 0)
        sequences.store(count, ordering: .relaxed)
    }

    /// To be told how far an action has come that takes long.
    func moved(_ bytes: UInt64, of whole: UInt64) {
        total.store(whole, ordering: .relaxed)
        done.store(bytes, ordering: .relaxed)
    }

    /// To be told how far a job has come, which is a sign that it goes on.
    func tell(_ progress: WorkProgress) {
        phase.withLock { $0 = progress.phase }
        moved(UInt64(max(0, progress.done.bytes)), of: UInt64(max(0, progress.total.bytes)))
        _ = note()
    }

    /// To be told a sentence of a job for whoever asked for it. Nobody has to hear it.
    func remark(_ sentence: String) { _ = send(WorkerFrame.remark.message(Array(sentence.utf8.prefix(64 << 10)))) }

    /// The controller is gone, or asked for an end. Unlike `note` no sign that the work goes on.
    var isOver: Bool { isAlone.load(ordering: .acquiring) }

    /// False when nobody reads any more. On a socket without SIGPIPE, because a test's worker shares our process.
    func send(_ bytes: [UInt8]) -> Bool {
        sending.withLock { _ in
            var rest = bytes[...]
            while !rest.isEmpty {
                var count = rest.withUnsafeBytes { Glibc.send(output, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                if count < 0, errno == ENOTSOCK {
                    count = rest.withUnsafeBytes { write(output, $0.baseAddress, $0.count) }
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
    }

    /// Waits for the thread's end. The descriptors may be closed, and used for something else, after that.
    func end() {
        guard let thread = thread.withLock({ $0 }) else { return }
        isAlone.store(true, ordering: .releasing)
        thread.join()
    }

    private func begin() -> Bool {
        guard let started = SystemThread.begin(stack: 1 << 18, { self.watch() }) else { return false }
        thread.withLock { $0 = started }
        return true
    }

    private func watch() {
        var told: UInt = 0
        while !isAlone.load(ordering: .acquiring) {
            // No events but the end of the other side: what else comes is for the work to read.
            var poller = pollfd(fd: input, events: tuff_poll_peer_end, revents: 0)
            if poll(&poller, 1, Self.pause) > 0 { break }
            let now = steps.load(ordering: .acquiring)
            if now != told {
                let report = WorkerProgress(
                    sequences: sequences.load(ordering: .relaxed), bytes: done.load(ordering: .relaxed),
                    of: total.load(ordering: .relaxed), phase: phase.withLock { $0 })
                guard send(WorkerFrame.progress.message(ProgressCoding.encode(report))) else { break }
            }
            told = now
        }
        isAlone.store(true, ordering: .releasing)
    }
}
