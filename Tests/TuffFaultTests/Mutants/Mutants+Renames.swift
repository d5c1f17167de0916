import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps a rename from becoming a loss.
    static let renaming: [Mutant] = [
        Mutant("takes every document for a new one", shownBy: [.declare, .renamePlainly]) { mutant in
            mutant.context = { context in
                var context = context
                context.consent.allowBlank = names.map { ResourceID(.volume, $0) }
                return context
            }
        },
        Mutant("takes away what a document waits for") { mutant in
            mutant.plan = { plan, observed in
                var plan = plan
                let index = StorageIndex(observed)
                for position in plan.changes.indices where plan.changes[position].reason == .awaited {
                    guard plan.refusal == nil, let uid = plan.changes[position].uid, let stored = index.volume(uid),
                        stored.standing == .live, case .logicalVolume(let group, _) = stored.location
                    else { continue }
                    var gone = stored.marks
                    gone.until = plan.context.now.advanced(by: stored.marks.policy.keepFor)
                    let change = Relabelling(
                        uuid: stored.uuid, from: stored.location,
                        to: .logicalVolume(group: group, name: "t-\(uid)"), before: stored.marks, after: gone)
                    plan.changes[position].action = .trash
                    plan.steps.append(
                        PlannedStep(
                            id: plan.steps.count, change: position, step: .volume(.relabel(change)),
                            keys: [.volumeGroup(group)], after: []))
                }
                return plan
            }
        },
        Mutant("says nothing of a known target's name") { mutant in
            mutant.plan = { plan, _ in
                var plan = plan
                for position in plan.changes.indices { plan.changes[position].notes = [] }
                return plan
            }
        },
        Mutant("forgets what a target's name stood for", shownBy: [.declare, .rename, .remove, .expire, .declare]) {
            mutant in
            mutant.ledgerRead = { ledger in
                var ledger = ledger
                for position in ledger.entries.indices { ledger.entries[position].iqn = nil }
                return ledger
            }
        },
    ]

    /// All that documents of volumes are called here.
    private static let names = (["a"] + (0..<6).map { "v\($0)" }).flatMap {
        [$0, "\($0)x", "\($0)xx", "\($0)y", "\($0)xy"]
    }
}
