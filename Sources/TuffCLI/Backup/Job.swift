import Synchronization
import SystemPackage
import TuffController
import TuffHost
import TuffModel
import TuffSystem

/// Has a worker do long work, which the command supervises, and says meanwhile how far it is: on a terminal in one line
/// that is written over, otherwise a line a minute, or as lines of JSON.
struct Job {
    let global: GlobalOptions
    let host: HostOptions
    let json: Bool

    /// - Parameters:
    ///   - address: the repository that the order is for; nil: none that a document declares.
    ///   - output: a descriptor that the order writes to.
    func carryOut<Order: RepositoryOrder>(
        _ order: Order, at address: RepositoryAddress? = nil, output: FileDescriptor? = nil
    ) async throws(Failure) -> Order.Outcome {
        let interrupts: Interrupts
        do { interrupts = try Interrupts.install() } catch { throw Failure(error.description) }
        let told = Told()
        let teller = Task { await told.tell(isTerminal: !json && Console.isTerminal(.standardError), json: json) }
        let result: Result<Order.Outcome, BackupError>
        do throws(BackupError) {
            result = .success(
                try await host.controller.carryOut(
                    order, under: address?.config, output: output?.rawValue, listener: global.listener,
                    telling: { told.note($0) }, until: { interrupts.isInterrupted }))
        } catch { result = .failure(error) }
        teller.cancel()
        await teller.value
        return try failing { () throws(BackupError) in try result.get() }
    }
}

/// The progress of an order, as its worker last said.
private final class Told: Sendable {
    private struct State {
        var progress = WorkProgress()
        /// When there was something to tell for the first time.
        var begin: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    func note(_ progress: WorkProgress) {
        state.withLock { state in
            state.progress = progress
            if state.begin == nil, progress.total > .zero { state.begin = .now }
        }
    }

    /// Tells until it is cancelled.
    func tell(isTerminal: Bool, json: Bool) async {
        let pause: Duration = isTerminal ? .milliseconds(250) : json ? .seconds(1) : .seconds(60)
        var isOpen = false
        while (try? await Task.sleep(for: pause)) != nil {
            let (progress, begin) = state.withLock { ($0.progress, $0.begin) }
            guard let begin, progress.total > .zero else { continue }
            let line = ProgressLine(
                seconds: Int64((ContinuousClock.now - begin).components.seconds),
                done: UInt64(max(0, progress.done.bytes)), total: UInt64(progress.total.bytes))
            if json {
                Console.talk(line.json)
            } else {
                Console.talk(isTerminal ? TerminalText.lineAnew + line.text : line.text + "\n")
            }
            isOpen = isTerminal
        }
        if isOpen { Console.talk(TerminalText.lineAnew) }
    }
}

/// The progress of a job at one moment.
struct ProgressLine: Equatable {
    /// Since the begin.
    var seconds: Int64
    var done: UInt64
    var total: UInt64

    /// `[0:42] 37.5%  12.3 GiB / 32.8 GiB, 1.2 GiB/s, ETA 0:51`
    var text: String {
        let share = total == 0 ? 1000 : done.multipliedFullWidth(by: 1000).high > 0 ? 0 : done * 1000 / total
        var text = "[\(Self.clock(seconds))] \(share / 10).\(share % 10)%  \(Self.size(done)) / \(Self.size(total))"
        if seconds > 0, done > 0 {
            let speed = done / UInt64(seconds)
            text += ", \(Self.size(speed))/s"
            if speed > 0 { text += ", ETA \(Self.clock(Int64((total - min(done, total)) / speed)))" }
        }
        return text
    }

    var json: String { "{\"done\":\(done),\"kind\":\"Progress\",\"seconds\":\(seconds),\"total\":\(total)}\n" }

    /// `0:42`, `1:02:03`.
    private static func clock(_ seconds: Int64) -> String {
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let (hours, rest) = (seconds / 3600, seconds % 3600)
        return hours > 0 ? "\(hours):\(two(rest / 60)):\(two(rest % 60))" : "\(rest / 60):\(two(rest % 60))"
    }

    /// With one decimal, cut off: `12.3 GiB`.
    private static func size(_ bytes: UInt64) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        guard bytes >= 1 << 10 else { return "\(bytes) B" }
        let index = (63 - bytes.leadingZeroBitCount) / 10
        let unit = UInt64(1) << UInt64(10 * index)
        return "\(bytes / unit).\(bytes % unit * 10 / unit) \(units[index - 1])"
    }
}
