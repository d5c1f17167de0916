/// A declared Restore acts once, on a volume that nobody has, and writes nothing but its snapshot's bytes.
extension Oracle {
    /// True if the change between the two may be a restore's work, which `rolledBack` judges.
    func isRestore(_ old: OracleObject, _ new: OracleObject) -> Bool {
        old.isHalfRestored || new.isHalfRestored || new.tags.contains { Self.isRecord($0) && !old.tags.contains($0) }
    }

    private static func isRecord(_ tag: String) -> Bool { tag.hasPrefix("tuff:done=") }

    mutating func rolledBack(
        _ old: OracleObject, to new: OracleObject, before: OracleView, after: OracleView, intent: Intent
    ) -> [Violation] {
        var found: [Violation] = []
        func say(_ rule: Rule, _ sentence: String) {
            found.append(Violation(rule, "\(old.place) (\(old.label)): \(sentence)"))
        }
        if !Set(old.tags.filter(Self.isRecord)).isSubset(of: new.tags), new.uid == old.uid {
            say(.bytes, "it forgot a restore that was carried out")
        }
        guard isRestore(old, new), new.uid == old.uid, let uid = old.uid else { return found }
        let records = new.tags.filter { Self.isRecord($0) && !old.tags.contains($0) }
        let didWork = new.content != old.content || !records.isEmpty || (new.isHalfRestored && !old.isHalfRestored)
        if new.isHalfRestored, isShown(new, after), !isShown(old, before) {
            say(.sessions, "it is shown while it is rolled back")
        }
        guard didWork else {
            if old.isHalfRestored, !new.isHalfRestored { say(.bytes, "half rolled back and called complete") }
            return found
        }
        let pending = intent.restores.filter {
            $0.volume == new.label && $0.uid == uid && !restored.contains([$0.name, uid])
        }
        guard let restore = pending.first else {
            say(.bytes, "rolled back, and no Restore says so that was not carried out before")
            return found
        }
        if old.isProtected, new.isProtected { say(.removal, "protected, and rolled back") }
        if new.content != old.content, isShown(old, before), isShown(new, after) {
            say(.sessions, "rolled back while an initiator may use it")
        }
        if !new.isHalfRestored {
            let snapshots = (before.objects + after.objects).filter {
                $0.label == restore.snapshot && $0.mark("from") == uid && $0.isLive
            }
            if let stamps = restore.stamps {
                if new.image.map(stamps.contains) != true { say(.bytes, "rolled back, and not to a point of it") }
            } else if !snapshots.contains(where: { $0.content == new.content }) {
                say(.bytes, "rolled back, and not to Snapshot/\(restore.snapshot)")
            }
            if records.count != 1 { say(.bytes, "\(records.count) records of one restore") }
            restored.insert([restore.name, uid])
        }
        // What was written over is somewhere.
        if !old.isHalfRestored, new.content != old.content {
            let isKept = after.objects.contains {
                $0.label == "before-\(restore.name)" && $0.mark("from") == uid && $0.content == old.content
            }
            if !isKept, !intent.destroy { say(.bytes, "rolled back, and what it held is nowhere") }
        }
        return found
    }

    private func isShown(_ object: OracleObject, _ view: OracleView) -> Bool {
        guard let iqn = object.mark("iqn") else { return false }
        return view.access.contains { $0.iqn == iqn && $0.isMapped }
    }
}
