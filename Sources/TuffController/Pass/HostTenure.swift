import Synchronization
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// The host lock of a pass, given back while the pass only waits for work of hours.
///
/// Between the end of such work and the lock, which somebody else may have, the objects of this pass would look as if
/// nobody went on with them; a file among those of running jobs says that it does.
final class HostTenure: Tenure {
    private static let pollInterval = Duration.milliseconds(100)
    /// The wait for the lock, once this pass is to stop or its file cannot be used.
    private static let patience = Duration.seconds(30)

    private let lock: HostLock
    private let machine: LinuxMachine
    private let accepted: AcceptedStore
    private let stack: String
    private let overseer: any Overseer
    private let left = Mutex<(held: HeldObjects, accepted: AcceptedExports?)?>(nil)

    init(_ pass: Pass, stack: String) {
        lock = pass.lock
        machine = pass.view.machine
        accepted = pass.view.accepted
        self.stack = stack
        overseer = pass.overseer
    }

    func leave(_ objects: [UID]) -> Bool {
        // A command that outlived its deadline has the lock as its standard input: it could not be taken again. A set
        // that cannot be read could not be compared afterwards, and a host without job files sees no jobs.
        guard machine.runningCommands.isEmpty, let known = try? accepted.load(stack),
            let held = try? machine.hold(objects, summary: "carrying out the rest of a plan")
        else { return false }
        left.withLock { $0 = (held, known) }
        lock.release()
        return true
    }

    func comeBack() async -> Absence? {
        let clock = ContinuousClock()
        var isSaid = false, end: ContinuousClock.Instant?
        defer {
            left.withLock { left in
                left?.held.end()
                left = nil
            }
        }
        while true {
            do throws(LockError) {
                if try lock.regain() { return .undisturbed }
                return hasAnotherSet() ? .superseded : .visited
            } catch {
                switch error {
                case .held(let holder):
                    if !isSaid { overseer.tell(.waiting(holder)) }
                case .failed(let error):
                    if !isSaid { overseer.tell(.warning("the host cannot be locked again: \(error.description)")) }
                    if end == nil { end = clock.now + Self.patience }
                }
                isSaid = true
            }
            if overseer.asksToStop, end == nil { end = clock.now + Self.patience }
            if let end, clock.now > end { return nil }
            try? await Task.sleep(for: Self.pollInterval)
        }
    }

    /// True where others had other exports accepted, or where that cannot be told.
    private func hasAnotherSet() -> Bool {
        guard let now = try? accepted.load(stack) else { return left.withLock { $0?.accepted != nil } }
        return left.withLock { $0?.accepted?.pools != now.pools || $0?.accepted?.access != now.access }
    }
}
