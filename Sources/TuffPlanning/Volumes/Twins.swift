import TuffModel

/// Objects that bear one uid: a volume group copied with its tags (`vgimportclone` of an array's snapshot), or tags put
/// on another volume by hand. Nothing that the tags say tells which of them is meant.
extension PlanningPass {
    /// Why it is not certain what has this name.
    func twinObstacle(
        _ role: Marks.Role, _ standings: Set<StoredVolume.Standing> = [.live, .trashed, .released]
    ) -> Obstacle? {
        index.twins(role, stack: context.stack, standings: standings).map { Obstacle(.marksDamaged, $0.twinSentence) }
    }

    /// Lists them, where no document's own line does.
    mutating func planTwins() {
        for twins in index.twins {
            let own = twins.first { $0.marks.stack == context.stack && !foreignBackends.contains($0.backend) }
            guard let one = own else { continue }
            let role = one.marks.role
            if isDeclared(role), index.live(role, context.stack).isEmpty { continue }
            builder.add(
                PlannedChange(
                    role.resource, action: .blocked, summary: twins.twinSentence, reason: .marksDamaged, uid: one.uid))
        }
    }
}

extension [StoredVolume] {
    /// A sentence on objects with one uid.
    var twinSentence: String {
        let places = map(\.location.description).sorted().joined(separator: " and ")
        return
            "\(places) bear one uid (\(first?.uid.description ?? "")), so that one is a copy of the other; nothing is done "
            + "with any of them until the copy has none of Tuff's tags"
    }
}
