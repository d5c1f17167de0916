/// Snapshots that serve a copy of a volume in use: taken for one that is being filled, and gone with the last need for
/// them.
extension OracleObject {
    var isTemporary: Bool { mark("temp") != nil }
    /// The moment of a volume in use that a backup reads: a thin snapshot, or a thick one.
    var isMoment: Bool { isTemporary && mark("temp") == mark("from") && (isThickSnapshot || thinPool != nil) }

    /// A snapshot that incremental backups are relative to. It is a cache: it comes and goes unasked, nobody is shown
    /// it, and what it holds stays as it was.
    var isBase: Bool { mark("base") != nil }

    /// It comes and goes unasked, and is nobody's.
    var isCache: Bool { isTemporary || isBase || isScratch }

    /// Extents on their way to the thick volume of which this is the uid: taken, wiped, and joined or given back.
    var grownVolume: String? { name.hasPrefix("x-") && tags == ["tuff-growth"] ? String(name.dropFirst(2)) : nil }

    /// Extents of a growth are activated and wiped; nothing else about them may change.
    mutating func takeUse(of old: OracleObject) {
        active = old.active
        content = old.content
        showsEarlierData = old.showsEarlierData
    }
}

extension Oracle {
    mutating func hold(_ object: OracleObject) {
        guard let uid = object.uid, let content = object.content else { return }
        contents[uid, default: []].insert(content)
    }

    mutating func hold(_ view: OracleView) {
        for object in view.objects { hold(object) }
    }

    func taken(_ new: OracleObject, after: OracleView, intent: Intent) -> [Violation] {
        let what = "\(new.place) (for \(new.mark("temp") ?? ""))"
        guard new.stack == intent.stack, new.isThickSnapshot || new.isMoment else {
            return [Violation(.foreign, "\(what) says that it is a temporary snapshot, and is none of this stack")]
        }
        let purpose = after.objects.first { $0.uid == new.mark("temp") }
        guard let purpose, purpose.isHidden || purpose.content == new.content,
            purpose.mark("from") == new.mark("from") || new.isMoment, intent.volumes[purpose.label] != nil
        else { return [Violation(.foreign, "\(what) serves no copy")] }
        guard let origin = new.mark("from"), let content = new.content, contents[origin]?.contains(content) == true
        else { return [Violation(.bytes, "\(what) is no snapshot of what its volume held")] }
        return []
    }

    /// A base is a snapshot of what a volume of this stack held, and stays that.
    func base(_ new: OracleObject, since old: OracleObject?, intent: Intent) -> [Violation] {
        guard new.stack == intent.stack, let volume = new.mark("base"), let content = new.content,
            contents[volume]?.contains(content) == true
        else { return [Violation(.foreign, "\(new.place) is no base of a volume of this stack")] }
        guard let old, old.content != content else { return [] }
        return [Violation(.bytes, "\(new.place) holds something else than when it was made")]
    }

    /// It holds nothing that its volume did not, so that it may go whenever the product likes; but nothing else may.
    func temporaryGone(_ old: OracleObject) -> [Violation] {
        (old.isThickSnapshot || old.isMoment) && !old.isProtected
            ? [] : [Violation(.removal, "\(old.place) is no temporary snapshot, and is gone")]
    }

    /// An object that was filled from another holds, when it is first shown, the bytes of that one at some one moment.
    func copied(_ new: OracleObject, _ old: OracleObject?) -> [Violation] {
        guard let old, old.uid == new.uid, old.isHidden, old.mark("op") != "wipe", !new.isHidden, !new.isHalfRestored,
            !old.isHalfRestored, let source = new.mark("from"), let content = new.content
        else { return [] }
        return contents[source]?.contains(content) == true
            ? [] : [Violation(.bytes, "\(new.place) is shown, and \(source) never held what it holds")]
    }

    /// Nothing that was taken to grow a volume is left, but for a growth that the pass said it could not finish.
    func growthsSettled(_ view: OracleView, mine: [OracleObject], blocked: Set<String>) -> [Violation] {
        view.objects.filter { room in
            mine.contains { $0.uid == room.grownVolume && room.grownVolume != nil && !blocked.contains($0.label) }
        }.map { Violation(.leaks, "\($0.place) is left of a growth") }
    }

    /// None is left, but for a copy that the pass said it could not finish.
    func temporariesSettled(_ mine: [OracleObject], _ blocked: Set<String>) -> [Violation] {
        mine.filter { old in
            guard old.isTemporary, !blocked.contains(old.label) else { return false }
            let purpose = mine.first { $0.uid == old.mark("temp") }
            return !(purpose.map { $0.isHidden && blocked.contains($0.label) } ?? false)
        }.map { Violation(.leaks, "the temporary snapshot \($0.place) is left") }
    }
}
