/// The guard against removing much at once.
extension Oracle {
    /// 20 % of the volumes, rounded up, at least 1 and at most 3 and never all of two or more; half of the
    /// attachments, rounded up, at most 5; within 24 hours; unless a person named a number that is not exceeded.
    mutating func guarded(
        leaving: Set<String>, withdrawn: Set<String>, before: OracleView, intent: Intent
    ) -> [Violation] {
        let start = intent.now - 86400
        let recent = departures.filter { $0.at > start }
        departures += leaving.map { ($0, true, intent.now) } + withdrawn.map { ($0, false, intent.now) }
        guard !leaving.isEmpty || !withdrawn.isEmpty, intent.ordered.isEmpty, intent.detached.isEmpty,
            intent.forced.isEmpty
        else { return [] }
        if let removals = intent.removals {
            // A part of a pass may be judged, so that only more than was said is a violation.
            return leaving.count + withdrawn.count <= removals
                ? [] : [Violation(.removal, "\(leaving.count + withdrawn.count) removals, \(removals) allowed")]
        }
        var found: [Violation] = []
        let counted = before.objects.filter {
            $0.isLive && $0.stack == intent.stack && !$0.isCache
                && care($0, in: before, intent: intent) == nil
        }
        let live = Set(counted.map(\.label))
        let going = Set(recent.filter(\.isVolume).map(\.name)).subtracting(live).union(leaving)
        let all = live.union(going)
        if !leaving.isEmpty {
            let most = min(max((all.count + 4) / 5, 1), 3)
            if going.count > most || (all.count >= 2 && going == all) {
                let names = "\(going.sorted()) of \(all.sorted())"
                found.append(Violation(.removal, "\(going.count) of \(all.count) volumes went, unasked: \(names)"))
            }
        }
        let granted = Set(before.access.filter(\.isMarked).map(\.attachment))
        let leavers = Set(recent.filter { !$0.isVolume }.map(\.name)).subtracting(granted).union(withdrawn)
        if !withdrawn.isEmpty, leavers.count > min((granted.union(leavers).count + 1) / 2, 5) {
            found.append(Violation(.removal, "\(leavers.count) attachments went, unasked"))
        }
        return found
    }
}
