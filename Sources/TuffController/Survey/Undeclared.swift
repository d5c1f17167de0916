import TuffModel
package import TuffPlanning

/// Objects and access that exist and no document speaks of. A deleted document leaves its volume in use and its
/// initiator with access until somebody prunes, and nothing is well about that.
extension Survey {
    /// Volumes and snapshots of ours in use, and access to them, that no document declares. What waits in the trash for
    /// its end is none of them.
    package var undeclared: [PlannedChange] {
        guard let plan else { return [] }
        let trashed = Set(StorageIndex(observed).volumes.filter { $0.standing == .trashed }.map(\.uid))
        return plan.changes.filter { change in
            guard change.action == .orphan, let uid = change.uid else { return false }
            return change.resource.kind == .attachment || !trashed.contains(uid)
        }
    }

    /// Why these documents can hardly be the right ones; nil: they can.
    package var estrangement: String? {
        guard let desired, !desired.pools.values.contains(where: { isHere($0.spec) }) else { return nil }
        let marked = StorageIndex(observed).volumes.count
        guard marked > 0 || observed.ledger.entries.contains(where: { $0.standing != .purged }) else { return nil }
        let what =
            desired.count == 0
            ? "the documents declare nothing at all" : "the documents give this node (\(context.config.node)) no pool"
        let held = marked > 0 ? "holds \(PrintedText.count(marked, "object")) of Tuff's" : "has held volumes"
        return "\(what), and this host \(held): are -f and the node's name right?"
    }

    private func isHere(_ pool: PoolSpec) -> Bool { (pool.node ?? context.config.node) == context.config.node }
}
