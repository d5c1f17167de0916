import TuffHost
import TuffModel

/// Taking the host's lock, with patience where it was asked for.
enum HostLocking {
    private static let pollInterval = Duration.milliseconds(200)

    static func acquire(
        _ path: String, timeout: TimeSpan?, interrupts: Interrupts
    ) async throws(Failure) -> HostLock {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(timeout?.seconds ?? 0)
        var said = false
        while true {
            do throws(LockError) {
                return try HostLock.acquire(path: path, purpose: CommandLine.typed)
            } catch {
                switch error {
                case .failed(let error): throw Failure(error.description)
                case .held(let holder):
                    guard clock.now < end else { throw held(by: holder, now: HostFacts.now()) }
                    if !said { Console.talk(Layout.printable("waiting for \(holder)") + "\n") }
                    said = true
                }
            }
            if interrupts.isInterrupted {
                throw Failure("interrupted; nothing was changed", code: ExitStatus.interrupted)
            }
            try? await Task.sleep(for: pollInterval)
        }
    }

    static func held(by holder: LockHolder, now: Instant) -> Failure {
        let age = TimeSpan(seconds: max(0, now.secondsSince1970 - holder.since.secondsSince1970))
        var text = "another tuff is at work on this host\n"
        text += "  holder: pid \(holder.pid) on \(holder.host), for \(age)\n"
        text += "  command: \(Layout.printable(holder.command))"
        guard holder.isRunning else {
            return Failure(
                text + "\n  that process has ended; a command it started is still running and is left to finish",
                help: "wait until it ends, or give --lock-timeout 5m", code: ExitStatus.locked)
        }
        return Failure(
            text, help: "wait until it ends, or give --lock-timeout 5m; a dead holder's lock frees itself",
            code: ExitStatus.locked)
    }
}

extension CommandLine {
    /// What the user typed. No option of this program takes a secret.
    static var typed: String {
        let words = arguments
        return Command("tuff", Array(words.dropFirst()), effect: .reads).description
    }
}
