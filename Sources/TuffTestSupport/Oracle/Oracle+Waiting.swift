/// One document's obstacle and another's removal must not add up to a loss.
extension Oracle {
    /// Finds what leaves use, or is destroyed, while a document waits that may mean it: one that asks for its target's
    /// name or its own name and has no volume, or one that would be new with its pool and size.
    func awaited(_ old: OracleObject, before: OracleView, after: OracleView, intent: Intent) -> [Violation] {
        guard intent.prune, old.mark("vol") != nil, !intent.ordered.contains(old.uid ?? "") else { return [] }
        if let name = intent.elsewhere.sorted().first(where: {
            old.mark("iqn")?.hasSuffix(":\($0)") == true || old.name == "v-\($0)"
        }) {
            return [Violation(.removal, "\(old.place) (\(old.label)) left while \(name) of another stack waits for it")]
        }
        for (name, document) in intent.volumes.sorted(by: { $0.key < $1.key })
        where name != old.label && document.formerName != old.label && document.iqn != nil {
            let isThere = (before.objects + after.objects).contains {
                $0.stack == intent.stack && $0.mark("vol") == name && ($0.isLive || $0.uid == old.uid)
            }
            if isThere || intent.blank.contains(name) || intent.recreate.contains(name) { continue }
            if old.mark("iqn") == document.iqn || old.name == "v-\(name)" {
                return [
                    Violation(
                        .removal, "\(old.place) (\(old.label)) left while \(name) waits for its name or its target")
                ]
            }
            let isAlike =
                old.isLive && old.mark("op") == nil && document.thinPool != nil && old.thinPool == document.thinPool
                && old.home == document.home && old.size == document.size
            let isKnown =
                known["\(intent.stack)/\(name)"] != nil
                || before.objects.contains {
                    $0.stack == intent.stack && [name, document.formerName].contains($0.mark("vol") ?? "?")
                }
            if isAlike, !isKnown, intent.volumes[old.label] == nil {
                return [Violation(.removal, "\(old.place) (\(old.label)) left and may be what \(name) is to be")]
            }
        }
        return []
    }

    /// Nobody finds another disk under a target's name he knows without a word in the plan. What left long ago the
    /// ledger may have forgotten.
    package func unannounced(
        before: OracleView, after: OracleView, announced: Set<String>, intent: Intent
    ) -> [Violation] {
        let present = Set(before.objects.compactMap(\.uid))
        return after.objects.compactMap { new in
            guard let uid = new.uid, new.stack == intent.stack, !present.contains(uid), new.mark("vol") != nil,
                let bearer = new.mark("iqn").flatMap({ bearers[$0] }), bearer.uid != uid,
                bearer.at > intent.now - 25 * 86400, !announced.contains(new.label)
            else { return nil }
            return Violation(
                .identity, "\(new.place) has the target's name of \(bearer.uid) (\(bearer.label)), and nothing says so")
        }
    }

    mutating func introduce(_ object: OracleObject) {
        guard let iqn = object.mark("iqn"), let uid = object.uid else { return }
        bearers[iqn] = (uid, object.label, latest)
    }
}
