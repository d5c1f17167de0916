import TuffModel
package import TuffPlanning

/// Existing objects and access that no document declares. A deleted document leaves its volume in use and its initiator
/// with access until somebody prunes, so `status` reports them.
extension Survey {
    /// Volumes and snapshots of ours in use, and access to them, that no document declares. Objects in the trash do not
    /// count.
    package var undeclared: [PlannedChange] {
        guard let plan else { return [] }
        let trashed = Set(StorageIndex(observed).volumes.filter { $0.standing == .trashed }.map(\.uid))
        return plan.changes.filter { change in
            guard change.action == .orphan, let uid = change.uid else { return false }
            return change.resource.kind == .attachment || !trashed.contains(uid)
        }
    }

    /// A sentence on why these are probably the wrong documents; nil: nothing suggests so.
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
