import Testing

@testable import TuffRepository

@Suite("A prune decides from facts, without a store, what goes and why")
struct PrunePlanTests {
    private static let day = PrunePlan.patience
    private static let now: Int64 = 1_800_000_000_000_000_000

    private func facts() -> PrunePlan.Facts {
        var facts = PrunePlan.Facts()
        facts.now = Self.now
        return facts
    }

    private func pack(_ needed: UInt64, of records: UInt64 = 1000) -> PrunePlan.Pack {
        PrunePlan.Pack(size: records + 100, needed: needed, records: records)
    }

    private func point(_ time: String) -> RestorePoint {
        RestorePoint(
            id: FileID(),
            record: RestorePoint.Record(
                series: Series(name: "db"), time: time, finished: time, size: 0, root: ContentName.zero.description,
                counts: RestorePoint.Counts(), program: "test"))
    }

    @Test(
        "A pack that nobody needs is marked, one of which less than half is needed is copied first, others stay",
        arguments: [
            (UInt64(0), PrunePlan.Fate.dead), (1, .sparse(1)), (499, .sparse(499)), (500, .needed), (1000, .needed),
        ])
    func unmarked(needed: UInt64, fate: PrunePlan.Fate) {
        var facts = facts()
        let id = FileID()
        facts.packs[id] = pack(needed)
        let plan = PrunePlan(facts)
        #expect(plan.fates == [id: fate])
        #expect(plan.due.isEmpty && plan.dueMarks.isEmpty && plan.misdated.isEmpty)
        #expect(plan.copied == (fate == .needed ? 0 : needed))
        #expect(plan.report.marked == (fate == .needed ? 0 : 1) && plan.report.destroyed == 0)
        #expect(plan.report.markedBytes == (fate == .needed ? 0 : 1100))
    }

    @Test(
        "A marked pack waits for a day, and a mark of the future longer; then it goes, unless something needs it",
        arguments: [
            (Int64(1), UInt64(0), PrunePlan.Fate.waiting), (day - 1, 0, .waiting), (day, 0, .due), (day + 1, 0, .due),
            (day, 1, .reprieved), (day, 1000, .reprieved), (day - 1, 1000, .waiting), (-1, 0, .waiting),
        ])
    func marked(age: Int64, needed: UInt64, fate: PrunePlan.Fate) {
        var facts = facts()
        let id = FileID(), mark = PackMark(id: FileID(), packs: [id], made: Self.now - age)
        facts.packs[id] = pack(needed)
        facts.marks = [mark]
        let plan = PrunePlan(facts)
        #expect(plan.fates == [id: fate])
        #expect(plan.dead.isEmpty && plan.sparse.isEmpty && plan.copied == 0)
        #expect(plan.due == (fate == .due ? [id] : []))
        #expect(plan.dueMarks == (fate == .waiting ? [] : [mark.id]))
        #expect(plan.misdated == (age < 0 ? [mark.id] : []))
        #expect(plan.report.destroyedBytes == (fate == .due ? 1100 : 0))
    }

    @Test("At once nothing waits: what is marked now goes now, and marks of whatever time are over")
    func atOnce() {
        var facts = facts()
        facts.isAtOnce = true
        let dead = FileID(), sparse = FileID(), needed = FileID(), young = FileID(), future = FileID()
        facts.packs = [
            dead: pack(0), sparse: pack(10), needed: pack(900), young: pack(0), future: pack(0, of: 2000),
        ]
        facts.marks = [
            PackMark(id: FileID(), packs: [young], made: Self.now),
            PackMark(id: FileID(), packs: [future], made: Self.now + Self.day),
        ]
        let plan = PrunePlan(facts)
        #expect(plan.due == [young, future].sorted())
        #expect(plan.dueMarks == facts.marks.map(\.id))
        #expect(plan.fates[needed] == .needed)
        #expect(plan.report.marked == 2 && plan.report.destroyed == 4)
        #expect(plan.report.destroyedBytes == 1100 + 1100 + 1100 + 2100)
        #expect(plan.report.copied == 10)
    }

    @Test("A marked pack whose file is gone is due, so that the index forgets it, and counts for nothing")
    func gone() {
        var facts = facts()
        let gone = FileID(), there = FileID()
        facts.packs[there] = pack(0)
        facts.marks = [PackMark(id: FileID(), packs: [gone, there], made: Self.now - Self.day)]
        let plan = PrunePlan(facts)
        #expect(plan.fates == [gone: .due, there: .due])
        #expect(plan.report.destroyed == 1 && plan.report.destroyedBytes == 1100)
    }

    @Test("The oldest mark of a pack decides")
    func twice() {
        var facts = facts()
        let id = FileID()
        facts.packs[id] = pack(0)
        let old = PackMark(id: FileID(), packs: [id], made: Self.now - 2 * Self.day)
        facts.marks = [PackMark(id: FileID(), packs: [id], made: Self.now), old]
        let plan = PrunePlan(facts)
        #expect(plan.fates == [id: .due] && plan.dueMarks == [old.id])
    }

    @Test("Points that are to go go in their order, those that are not there are passed over, and all others stay")
    func points() {
        var facts = facts()
        facts.points = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"].map(point)
        facts.leaving = [facts.points[1].id, facts.points[0].id, FileID()]
        let plan = PrunePlan(facts)
        #expect(plan.removed == Array(facts.points[..<2]))
        #expect(plan.kept == [facts.points[2]])
        #expect(plan.report.removedPoints == plan.removed)
    }
}
