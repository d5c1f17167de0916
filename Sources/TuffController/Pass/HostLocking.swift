package import TuffHost
package import TuffModel

/// Takes the host lock, and waits for it as long as the caller asks.
enum HostLocking {
    private static let pollInterval = Duration.milliseconds(200)

    /// - Parameters:
    ///   - purpose: the command as it was typed, without secrets.
    ///   - patience: time to wait for another process to end; nil: none.
    static func acquire(
        _ path: String, purpose: String, patience: TimeSpan?, overseer: any Overseer
    ) async throws(PassError) -> HostLock {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(patience?.seconds ?? 0)
        var said = false
        while true {
            do throws(LockError) {
                return try HostLock.acquire(path: path, purpose: purpose)
            } catch {
                switch error {
                case .failed(let error): throw PassError(error)
                case .held(let holder):
                    guard clock.now < end else { throw .held(by: holder, now: HostFacts.now()) }
                    if !said { overseer.tell(.waiting(holder)) }
                    said = true
                }
            }
            if overseer.asksToStop { throw .interrupted }
            try? await Task.sleep(for: pollInterval)
        }
    }

    /// Takes a lock again that was given back for a while, however long others have it.
    static func regain(_ lock: HostLock, overseer: any Overseer) async throws(PassError) {
        var said = false
        while true {
            do throws(LockError) {
                _ = try lock.regain()
                return
            } catch {
                switch error {
                case .failed(let error): throw PassError(error)
                case .held(let holder):
                    if !said { overseer.tell(.waiting(holder)) }
                    said = true
                }
            }
            if overseer.asksToStop { throw .interrupted }
            try? await Task.sleep(for: pollInterval)
        }
    }
}

extension PassError {
    /// The error for a lock that another process still holds when the patience is over.
    package static func held(by holder: LockHolder, now: Instant) -> PassError {
        let age = TimeSpan(seconds: max(0, now.secondsSince1970 - holder.since.secondsSince1970))
        var text = "another tuff is at work on this host\n"
        text += "  holder: pid \(holder.pid) on \(holder.host), for \(age)\n"
        text += "  command: \(PrintedText.oneLine(holder.command))"
        guard holder.isRunning else {
            return PassError(
                text + "\n  that process has ended; a command it started is still running and is left to finish",
                help: "wait until it ends, or give --lock-timeout 5m", sort: .locked)
        }
        return PassError(
            text, help: "wait until it ends, or give --lock-timeout 5m; a dead holder's lock frees itself",
            sort: .locked)
    }
}
