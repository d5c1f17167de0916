import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffDrivers

struct BackupBaseTests {
    private static let volume = UID("aaaaaaaaaaaaaaaa")!
    private static let repository = String(repeating: "0a", count: 16)
    private static let point = String(repeating: "1b", count: 16)
    private static let root = String(repeating: "2c", count: 32)
    private static let pool = StorageBackend.thinPool(group: "vg0", pool: "tp0")
    private static let size = ByteCount(1 << 30)
    private static let purpose = KeptBase.Purpose(volume: volume, repository: repository)

    private static func identity(_ transaction: UInt64) -> ThinIdentity {
        ThinIdentity(uuid: "VguCUg-akGu-LJEX-tFTb-iZI2-W8Ej-In3x3D", device: 5, transaction: transaction)
    }

    private static func base(
        _ uid: String = "bbbbbbbbbbbbbbbb", at transaction: UInt64 = 8, isComplete: Bool = true
    ) -> KeptBase {
        var marks = BackupBase(uid: UID(uid)!, stack: "default", volume: volume, repository: repository)
        if isComplete {
            marks.completion = .init(point: point, root: root, identity: identity(transaction))
        }
        return KeptBase(marks, pool: pool, identity: identity(transaction), size: size)
    }

    private static let points = [point: BaseVerdict.Point(id: point, root: root, size: size)]

    private func judge(
        _ bases: [KeptBase], points: [String: BaseVerdict.Point] = Self.points, size: ByteCount = Self.size
    ) -> BaseVerdict {
        BaseVerdict.judge(bases, for: Self.purpose, in: Self.pool, size: size, points: points)
    }

    private func reason(_ verdict: BaseVerdict) -> FullRead.Reason? {
        if case .full(let read) = verdict { read.reason } else { nil }
    }

    // MARK: Marks

    @Test func marksAreReadAsTheyAreWritten() {
        for base in [Self.base(), Self.base(isComplete: false)] {
            #expect(BackupBase.read(base.marks.tags) == .base(base.marks))
            #expect(BackupBase.read(base.marks.tags + ["other", "other:tuff:base=x"]) == .base(base.marks))
            #expect(base.marks.tags.joined().utf8.count <= 220)
        }
        #expect(Self.base().marks.objectName == "b-bbbbbbbbbbbbbbbb")
        #expect(
            Self.base(isComplete: false).marks.tags == [
                "tuff:base=aaaaaaaaaaaaaaaa", "tuff:op=backup", "tuff:repo=\(Self.repository)", "tuff:stack=default",
                "tuff:uid=bbbbbbbbbbbbbbbb",
            ])
        #expect(BackupBase.read(Sample.marks().tags) == .other)
        #expect(BackupBase.read([]) == .other)
    }

    @Test func oneChangeOfTagsCompletesABase() throws {
        let unfinished = Self.base(isComplete: false).marks
        let complete = Self.base().marks
        let (added, removed) = unfinished.completing(with: try #require(complete.completion))
        #expect(Set(unfinished.tags).subtracting(removed).union(added) == Set(complete.tags))
    }

    @Test func marksThatAreNotWhollyThereAreDamaged() {
        let tags = Self.base().marks.tags
        for tag in tags where !tag.hasPrefix("tuff:base=") {
            guard case .damaged = BackupBase.read(tags.filter { $0 != tag }) else {
                Issue.record("without \(tag) it is a base")
                continue
            }
        }
        for more in ["tuff:op=backup", "tuff:vol=db", "tuff:uid=cccccccccccccccc", "tuff:repo=x"] {
            guard case .damaged = BackupBase.read(tags + [more]) else {
                Issue.record("with \(more) it is a base")
                continue
            }
        }
        for (key, value) in [("point", "x/y"), ("thin", "5/8"), ("thin", "05/8/VguCUgakGuLJ"), ("repo", "0A")] {
            let damaged = tags.filter { !$0.hasPrefix("tuff:\(key)=") } + ["tuff:\(key)=\(value)"]
            guard case .damaged = BackupBase.read(damaged) else {
                Issue.record("with \(key) \(value) it is a base")
                continue
            }
        }
    }

    // MARK: Which serves

    @Test func aBaseServesThatAgreesInEverything() {
        #expect(judge([Self.base()]) == .serves(Self.base()))
        // Of two that a crash left, the later one.
        let later = Self.base("cccccccccccccccc", at: 9)
        let unfinished = Self.base("dddddddddddddddd", at: 12, isComplete: false)
        #expect(judge([later, Self.base(), unfinished]) == .serves(later))
    }

    @Test func anyDoubtIsAFullRead() {
        #expect(reason(judge([])) == .noBase)
        #expect(reason(judge([Self.base(isComplete: false)])) == .baseUnfinished)
        var other = Self.base()
        other.pool = .thinPool(group: "vg0", pool: "tp1")
        #expect(reason(judge([other])) == .noBase)
        for change: @Sendable (inout ThinIdentity) -> Void in [
            { $0.uuid = "Xgu" + $0.uuid.dropFirst(3) }, { $0.device = 6 }, { $0.transaction = 9 },
        ] {
            var exchanged = Self.base()
            change(&exchanged.identity)
            #expect(reason(judge([exchanged])) == .baseExchanged)
        }
        var writable = Self.base()
        writable.isWritable = true
        #expect(reason(judge([writable])) == .baseExchanged)
        #expect(reason(judge([Self.base()], points: [:])) == .pointGone)
        let another = BaseVerdict.Point(id: Self.point, root: String(repeating: "3d", count: 32), size: Self.size)
        #expect(reason(judge([Self.base()], points: [Self.point: another])) == .pointGone)
        #expect(reason(judge([Self.base()], size: ByteCount(2 << 30))) == .sizeChanged)
    }

    // MARK: Which go

    private func known() -> BaseDropping.Knowledge {
        BaseDropping.Knowledge(
            stacks: ["default"], pairings: [Self.volume: .init([Self.repository])], standings: [Self.volume: .used],
            points: [Self.repository: [Self.point]])
    }

    private func dropped(_ bases: [KeptBase], _ known: BaseDropping.Knowledge) -> [BaseDropping.Reason] {
        BaseDropping.drops(of: bases, knowing: known).map(\.reason)
    }

    @Test func whatIsOfUseStays() {
        #expect(dropped([Self.base()], known()).isEmpty)
    }

    @Test func whatIsUnknownDropsNothing() {
        let nothing = BaseDropping.Knowledge(stacks: ["default"], pairings: nil, standings: [:], points: [:])
        #expect(dropped([Self.base()], nothing).isEmpty)
        var partly = known()
        partly.pairings = [Self.volume: .init([], isComplete: false)]
        #expect(dropped([Self.base()], partly).isEmpty)
        partly = known()
        partly.standings = [Self.volume: .unknown]
        #expect(dropped([Self.base()], partly).isEmpty)
        partly = known()
        partly.stacks = ["other"]
        partly.lowPools = [Self.pool]
        #expect(dropped([Self.base()], partly).isEmpty)
    }

    @Test func eachReasonDropsByItself() {
        var changed = known()
        changed.pairings = [:]
        #expect(dropped([Self.base()], changed) == [.unpaired])
        for standing in [BaseDropping.Knowledge.Standing.trashed, .gone] {
            changed = known()
            changed.standings = [Self.volume: standing]
            #expect(dropped([Self.base()], changed) == [.volumeGone])
        }
        changed = known()
        changed.points = [Self.repository: []]
        #expect(dropped([Self.base()], changed) == [.pointGone])
        #expect(dropped([Self.base(isComplete: false)], known()) == [.unfinished])
        #expect(dropped([Self.base("cccccccccccccccc", at: 9), Self.base()], known()) == [.superseded])
    }

    @Test func aLowPoolTakesAllButWhatIsAtWork() {
        var low = known()
        low.lowPools = [Self.pool]
        let newer = Self.base("cccccccccccccccc", at: 9)
        let drops = BaseDropping.drops(of: [newer, Self.base()], knowing: low)
        #expect(drops.map(\.base) == [Self.base(), newer])
        #expect(drops.allSatisfy { $0.reason == .poolLow })
        low.busy = [Self.volume]
        #expect(dropped([newer, Self.base(), Self.base(isComplete: false)], low).isEmpty)
        low.busy = [newer.marks.uid]
        #expect(BaseDropping.drops(of: [newer, Self.base()], knowing: low).map(\.base) == [Self.base()])
    }

    // MARK: Commands

    @Test func aBaseIsMadeReadOnlyWithItsMarksAndDroppedByThem() throws {
        let base = Self.base(isComplete: false).marks
        let volume = VolumeRef(.logicalVolume(group: "vg0", name: "v-db"), uid: Self.volume, uuid: "origin")
        let made = try #require(LVMDriver.makeBase(base, of: volume).last?.command)
        #expect(
            made.arguments == [
                "lvcreate", "-qq", "--yes", "--snapshot", "--permission", "r", "--name", "b-bbbbbbbbbbbbbbbb",
                "--activate", "y", "--setactivationskip", "y", "-K", "--addtag", "tuff:base=aaaaaaaaaaaaaaaa",
                "--addtag", "tuff:op=backup", "--addtag", "tuff:repo=\(Self.repository)", "--addtag",
                "tuff:stack=default", "--addtag", "tuff:uid=bbbbbbbbbbbbbbbb", "--", "vg0/v-db",
            ])
        let identity = ThinIdentity(uuid: "own", device: 7, transaction: 9)
        let completed = LVMDriver().complete(
            base, at: .logicalVolume(group: "vg0", name: base.objectName), identity: identity)
        #expect(
            completed == [
                .require(.unfinished(group: "vg0", name: base.objectName, uid: base.uid, operation: "backup")),
                .completeBase(
                    LVMDriver.change([
                        "lvchange", "-qq", "-S",
                        #"lv_uuid="own" && lv_tags={"tuff:uid=bbbbbbbbbbbbbbbb" && "tuff:base=aaaaaaaaaaaaaaaa" "#
                            + #"&& "tuff:op=backup"}"#, "--", "vg0/b-bbbbbbbbbbbbbbbb",
                    ]), base, identity),
            ])
        let dropped = LVMDriver.dropBase(
            base, VolumeRef(.logicalVolume(group: "vg0", name: base.objectName), uid: base.uid, uuid: "own"))
        #expect(
            dropped.map { $0.command?.arguments } == [
                [
                    "lvremove", "-qq", "--yes", "-S",
                    #"lv_uuid="own" && lv_tags={"tuff:uid=bbbbbbbbbbbbbbbb" && "tuff:base=aaaaaaaaaaaaaaaa"}"#, "--",
                    "vg0/b-bbbbbbbbbbbbbbbb",
                ]
            ])
    }
}
