import TuffModel
import TuffPlanning

extension ObservedState {
    /// Tells how much was read to make the restore point that these steps made, and why it was more than what changed.
    func account(of steps: [Step]) -> String? {
        for case .backup(.backUp(_, let task)) in steps {
            guard let seen = repositories?.entries[task.repository]?.value else { return nil }
            let made = seen.points.last {
                $0.uid == task.uid && $0.volume == task.volume && $0.policy == task.policy && $0.backup == task.backup
            }
            guard let made, let read = made.read else { return nil }
            let reason = made.fullRead.map { ", and not what changed alone: \($0.sentence) (\($0.reason.rawValue))" }
            return "restore point \(made.id.prefix(8)): read \(read) of \(made.size)\(reason ?? "")"
        }
        return nil
    }
}
