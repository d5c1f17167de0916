import SystemPackage
import TuffController
import TuffHost
import TuffModel
import TuffRepository
import TuffSystem

/// Runs long work on threads of its own and says meanwhile how far it is: on a terminal in one line that is written
/// over, otherwise a line a minute, or as lines of JSON.
struct Job {
    let total: UInt64
    let progress: JobProgress
    let json: Bool

    func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws(BackupError) -> Value
    ) async throws(Failure) -> Value {
        let isTerminal = !json && Console.isTerminal(.standardError)
        let interrupts: Interrupts
        do { interrupts = try Interrupts.install() } catch { throw Failure(error.description) }
        let watcher = Task { await watch(interrupts) }
        let teller = Task { await tell(isTerminal) }
        let result: Result<Value, BackupError>? = await OwnedThread.run {
            do throws(BackupError) { return .success(try work()) } catch { return .failure(error) }
        }
        watcher.cancel()
        teller.cancel()
        await teller.value
        switch result {
        case .success(let value): return value
        case .failure(let error): throw Failure(error)
        case nil: throw Failure("the machine has no thread left to work on")
        }
    }

    /// Has the work end where somebody asks for that: it stops between two blocks, and what is done stays done.
    private func watch(_ interrupts: Interrupts) async {
        while (try? await Task.sleep(for: .milliseconds(100))) != nil {
            if interrupts.isInterrupted { return progress.cancel() }
        }
    }

    private func tell(_ isTerminal: Bool) async {
        let start = ContinuousClock.now
        let pause: Duration = isTerminal ? .milliseconds(250) : json ? .seconds(1) : .seconds(60)
        while (try? await Task.sleep(for: pause)) != nil {
            let state = ProgressLine(
                seconds: Int64((ContinuousClock.now - start).components.seconds), done: progress.done, total: total)
            if json {
                Console.talk(state.json)
            } else {
                Console.talk(isTerminal ? TerminalText.lineAnew + state.text : state.text + "\n")
            }
        }
        if isTerminal { Console.talk(TerminalText.lineAnew) }
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
