import CTuffHost
import Glibc
import Synchronization
import TuffModel

/// Why a request got no answer.
enum WorkerFault: Error, Equatable {
    /// Nobody can have seen the request: the worker had ended before it was whole.
    case undelivered
    /// The worker ended while it worked on the request.
    case ended
    /// Nothing was heard from the worker for the whole deadline.
    case overdue
    /// The answer is none that a worker sends.
    case garbled
}

/// Says whether somebody wants the worker to stop. Asked some times a second, from whatever thread.
typealias WorkerEnd = @Sendable () -> Bool

/// The controller's end of one worker's socket. Closed when nobody holds it any more, which ends an idle worker and
/// keeps a stuck one from beginning another action once it can go on.
final class WorkerConnection: Sendable {
    /// Never used again, unlike an address.
    let id: Int
    /// The process, once it runs; nil for a worker that is a thread of this process.
    let pid = Mutex<Int32?>(nil)
    /// Its pidfd, while the connection is held; -1: there is none.
    private let process = Atomic<Int32>(-1)
    /// Why the process could not be started.
    let startFault = Mutex<HostError?>(nil)
    /// The worker is gone. Set and asked under the pool's lock.
    let hasEnded = Atomic(false)
    private let descriptor: Int32
    /// When the worker was asked to stop, in seconds of a clock that nobody sets.
    private let stopped = Mutex<Double?>(nil)

    /// Most milliseconds until somebody who wants the worker to stop is heard.
    private static let attention: Int32 = 100
    /// Longest time from asking a worker to stop until its answer, in seconds: for one block, and for writing down what
    /// is stored by then. Somebody waits for it.
    static let endPatience = 120.0

    init(_ descriptor: consuming OwnedDescriptor, id: Int) {
        self.descriptor = descriptor.release()
        self.id = id
    }

    deinit {
        close(descriptor)
        let process = process.load(ordering: .relaxed)
        if process >= 0 { close(process) }
    }

    /// Keeps a copy of the pidfd of the process, by which it can be killed and no other of its number.
    func keep(process: Int32) {
        let copy = process < 0 ? -1 : fcntl(process, F_DUPFD_CLOEXEC, 0)
        self.process.store(copy, ordering: .releasing)
    }

    /// Kills the process. One that sleeps in the kernel ends when it wakes.
    func kill() {
        let process = process.load(ordering: .acquiring)
        if process >= 0 { _ = tuff_signal_process(process, SIGKILL) }
    }

    /// Ends the conversation at once, whoever still holds the connection: from now on the worker begins nothing more.
    /// Closing alone would come too late, when the thread that waited for the answer lets go of it.
    func giveUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// The worker was asked to stop, and takes no other request.
    var isStopped: Bool { stopped.withLock { $0 != nil } }

    /// Asks the worker to end what it does at its next block, and to answer all the same: only then it certainly writes
    /// nothing any more.
    /// - Returns: when it was asked.
    private func stop() -> Double {
        stopped.withLock { stopped in
            if let stopped { return stopped }
            let now = monotonicSeconds()
            stopped = now
            shutdown(descriptor, Int32(SHUT_WR))
            return now
        }
    }

    /// Sends a request and waits for its answer. Blocks: for owned threads only.
    ///
    /// - Parameters:
    ///   - deadline: longest silence, in seconds.
    ///   - telling: told how far the work has come.
    ///   - handing: a descriptor of which the worker gets a copy.
    ///   - hearing: told what a job says to whoever asked for it.
    ///   - isOver: once true, the worker is asked to stop.
    /// - Returns: the answer, and how many sequences the worker last said were done.
    func exchange(
        _ request: [UInt8], deadline: Double, handing: Int32? = nil,
        telling: (WorkerProgress) -> Void = { _ in }, hearing: (String) -> Void = { _ in },
        until isOver: WorkerEnd? = nil
    ) -> (Result<WorkerReply, WorkerFault>, done: Int) {
        var done = 0
        let result = Result { () throws(WorkerFault) in
            try send(request, deadline, handing: handing)
            while true {
                guard
                    let (kind, length) = WorkerFrame.header(
                        try receive(WorkerFrame.headerSize, deadline: deadline, isOver: isOver))
                else {
                    throw .garbled
                }
                let body = try receive(length, deadline: deadline, isOver: isOver)
                if kind == .progress {
                    guard let told = ProgressCoding.decode(body) else { throw .garbled }
                    done = told.sequences
                    telling(told)
                    continue
                }
                if kind == .remark {
                    hearing(String(decoding: body, as: UTF8.self))
                    continue
                }
                guard let reply = WorkerReply(kind, body) else { throw .garbled }
                return reply
            }
        }
        return (result, done)
    }

    private func send(_ bytes: [UInt8], _ deadline: Double, handing: Int32?) throws(WorkerFault) {
        var rest = bytes[...], handing = handing ?? -1
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { tuff_send_handing(descriptor, $0.baseAddress, $0.count, handing) }
            if count > 0 {
                rest = rest.dropFirst(count)
                handing = -1
            } else if errno == EAGAIN {
                try wait(POLLOUT, deadline: deadline, isOver: nil)
            } else if errno != EINTR {
                throw .undelivered
            }
        }
    }

    private func receive(_ count: Int, deadline: Double, isOver: WorkerEnd?) throws(WorkerFault) -> [UInt8] {
        var fault: WorkerFault?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count, fault == nil {
                let got = recv(descriptor, buffer.baseAddress! + filled, count - filled, Int32(MSG_DONTWAIT))
                if got > 0 {
                    filled += got
                } else if got < 0, errno == EAGAIN {
                    do throws(WorkerFault) { try wait(POLLIN, deadline: deadline, isOver: isOver) } catch {
                        fault = error
                    }
                } else if got == 0 || errno != EINTR {
                    fault = .ended
                }
            }
        }
        if let fault { throw fault }
        return bytes
    }

    private func wait(_ events: Int32, deadline: Double, isOver: WorkerEnd?) throws(WorkerFault) {
        var end = monotonicSeconds() + deadline
        while true {
            var poller = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            if isOver?() == true { end = min(end, stop() + Self.endPatience) }
            let rest = end - monotonicSeconds()
            guard rest > 0 else { throw .overdue }
            let longest = isOver == nil ? 60_000 : Self.attention
            if poll(&poller, 1, min(Int32(min(rest * 1000 + 1, 60_000)), longest)) > 0 { return }
        }
    }
}
