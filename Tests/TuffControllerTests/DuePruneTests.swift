import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@testable import TuffController
@testable import TuffRepository

/// A prune that a plan decided on, as the worker carries it out: the plan is as old as its listing.
@Suite struct DuePruneTests {
    static let uid = "aaaabbbbccccdddd"
    let folder: RepositoryFolder

    init() throws { folder = try RepositoryFolder() }

    /// One that a policy made of a declared volume.
    @discardableResult
    func point(
        _ time: String, policy: String? = "nightly", node: String = "n", stack: String = "default",
        labels: [String: String] = [:]
    ) throws -> String {
        let repository = try folder.repository()
        var request = Backup.Request(
            series: Series(name: "db", stack: stack, node: node, uid: Self.uid), time: time, program: "test")
        request.policy = policy
        request.labels = labels
        return try Backup(
            of: try DeviceSource(folder.disk), to: repository, request, lease: nil, progress: JobProgress()
        ).run(threads: SystemThreads(count: 1), finished: { time }).id.description
    }

    func task(_ points: [String], packsDue: String? = nil) -> PruneTask {
        var task = PruneTask(of: "nas", RepositoryAccess(.directory(folder.directory)), by: "n", of: "default")
        task.expired = points.map { PruneTask.Expired($0, of: "nightly") }
        task.packsDue = packsDue.flatMap { Instant(text: $0) }
        return task
    }

    @discardableResult
    func prune(_ task: PruneTask, at time: String = "2031-03-10T12:00:00Z") throws -> ObservedReceipt {
        let now = try #require(Instant(text: time))
        return try DuePrune(task, in: try folder.repository(), JobProgress(), now: { now }).run()
    }

    func left() throws -> Set<String> { Set(try folder.known().points.map(\.id.description)) }

    @Test func onlyWhatIsThePolicysGoesWhateverThePlanSays() throws {
        let old = try point("2031-03-01T02:30:00Z"), older = try point("2031-02-01T02:30:00Z")
        let others = [
            try point("2031-03-01T02:31:00Z", policy: "weekly"), try point("2031-03-01T02:32:00Z", policy: nil),
            try point("2031-03-01T02:33:00Z", node: "m"), try point("2031-03-01T02:34:00Z", stack: "other"),
            try point("2031-03-01T02:35:00Z", labels: [ObservedPoint.backupKey: "before"]),
        ]
        let newest = try point("2031-03-02T02:30:00Z"), ahead = try point("2031-04-01T02:30:00Z")
        let receipt = try prune(task([older, old, newest, ahead] + others))
        #expect(receipt.removed == 2 && receipt.packs == false)
        #expect(try left() == Set(others + [newest, ahead]))
        #expect(try folder.files("leases") == [])
    }

    @Test func theNewestWholePointStaysThoughANewerOneIsHurtMeanwhile() throws {
        let old = try point("2031-03-01T02:30:00Z"), whole = try point("2031-03-02T02:30:00Z")
        let hurt = try point("2031-03-03T02:30:00Z")
        try folder.write("r/hurt/\(hurt)", "")
        try prune(task([old, whole]))
        #expect(try left() == [whole, hurt])
    }

    @Test func aPolicyWhosePointsAllLackSomethingLosesNone() throws {
        let points = [try point("2031-03-01T02:30:00Z"), try point("2031-03-02T02:30:00Z")]
        for point in points { try folder.write("r/hurt/\(point)", "") }
        #expect(try prune(task(points)).removed == 0)
        #expect(try left() == Set(points))
    }

    @Test func thePacksAreNotLookedThroughAgainWhereAnotherHostDidItMeanwhile() throws {
        let old = try point("2031-03-01T02:30:00Z")
        try point("2031-03-02T02:30:00Z")
        var other = task([], packsDue: "2031-03-10T12:00:00Z")
        other.node = "m"
        #expect(try prune(other, at: "2031-03-10T12:04:00Z").packs == true)
        let own = try prune(task([old], packsDue: "2031-03-10T12:00:00Z"), at: "2031-03-10T12:05:00Z")
        #expect(own.packs == false && own.removed == 1)
        #expect(try prune(task([], packsDue: "2031-03-11T12:00:00Z"), at: "2031-03-11T12:05:00Z").packs == true)
        let receipts = try folder.repository().receipts()
        #expect(receipts.map(\.node) == ["m", "n", "n"] && receipts.map(\.packs) == [true, false, true])
    }

    @Test func aDamagedPointStopsAllOfIt() throws {
        let old = try point("2031-03-01T02:30:00Z"), newest = try point("2031-03-02T02:30:00Z")
        try folder.write("r/points/\(FileID())", "no point")
        #expect(throws: RepositoryError.self) { try prune(task([old])) }
        #expect(try left() == [old, newest])
        #expect(try folder.repository().receipts() == [])
    }

    /// A store that shows nobody else's lease: a prune in it goes ahead without the exclusive one.
    private struct LeaselessStore: Store {
        let store: any Store

        func list(_ directory: String) throws(RepositoryError) -> [StoredFile] {
            directory == "leases" ? [] : try store.list(directory)
        }
        func open(_ path: String) throws(RepositoryError) -> any StoreReader { try store.open(path) }
        func create() throws(RepositoryError) -> any StoreWriter { try store.create() }
        func remove(_ path: String) throws(RepositoryError) { try store.remove(path) }
        func sync(directory: String) throws(RepositoryError) { try store.sync(directory: directory) }
        func touch(_ path: String) throws(RepositoryError) -> Bool { try store.touch(path) }
        func now() throws(RepositoryError) -> Int64 { try store.now() }
    }

    /// A backup that relies on blocks of a point which is about to go, and what becomes of it when somebody prunes
    /// beside it; nil: its point was placed and is whole.
    private func backUp(whilePruning prune: () throws -> Void) throws -> RepositoryError? {
        let repository = try folder.repository()
        let lease = try repository.takeLease(
            .shared, purpose: "tuff backup", patience: nil, progress: JobProgress())
        defer { lease.giveBack() }
        let backup = try Backup(
            of: try DeviceSource(folder.disk), to: repository,
            Backup.Request(
                series: Series(name: "db", stack: "default", node: "n", uid: Self.uid), time: "2031-03-09T02:30:00Z",
                program: "test"), lease: lease, progress: JobProgress())
        // It has opened the index: what it finds there it does not store again.
        try prune()
        do throws(RepositoryError) {
            _ = try backup.run(threads: SystemThreads(count: 1), finished: { "2031-03-09T02:31:00Z" })
            return nil
        } catch {
            return error
        }
    }

    /// With the mutant "prunes without the exclusive lease" a backup beside it fails; the real one gives way.
    @Test(arguments: [false, true]) func aPruneBesideABackupGivesWayAndOneWithoutItsLeaseHarmsIt(
        _ isMutant: Bool
    ) throws {
        let due = "2031-03-10T12:00:00Z", now = try #require(Instant(text: "2031-03-10T12:30:00Z"))
        let old = try point("2031-03-01T02:30:00Z"), content = try #require(folder.text("disk"))
        // Other content, so that nothing else needs the blocks of the first.
        try folder.write("disk", String(repeating: "abcdefghij", count: 10_000))
        try point("2031-03-02T02:30:00Z")
        try folder.write("disk", content)
        let task = task([old], packsDue: due)
        var refused: RepositoryError?
        let harm = try backUp {
            let store = try DirectoryStore(folder.directory)
            let repository = try isMutant ? Repository.open(LeaselessStore(store: store)) : Repository.open(store)
            do throws(RepositoryError) {
                let prune = DuePrune(
                    task, in: repository, JobProgress(), patience: TimeSpan(seconds: 0), now: { now })
                _ = try prune.run()
            } catch {
                refused = error
            }
        }
        #expect(isMutant ? refused == nil && harm != nil : refused?.code == .locked && harm == nil)
    }

    @Test func ofOneKindAHundredReceiptsStay() throws {
        let repository = try folder.repository()
        for second in 10..<115 {
            let time = "2031-03-10T12:\(second / 60 + 10):\(second % 60 + 10 > 59 ? 59 : second % 60 + 10)Z"
            try repository.leave(Receipt(.prune, at: time, by: "n", of: "default", with: "test"))
        }
        try repository.leave(Receipt(.prune, at: "2031-03-01T00:00:00Z", by: "m", of: "default", with: "test"))
        #expect(try repository.receipts().filter { $0.node == "n" }.count == 100)
        #expect(try repository.receipts().count == 101)
    }

    @Test func whatDoesNotProveItselfIsNoReceipt() throws {
        let repository = try folder.repository()
        try repository.leave(Receipt(.prune, at: "2031-03-01T00:00:00Z", by: "m", of: "default", with: "test"))
        let name = try #require(try folder.files("receipts").first)
        let path = "\(folder.path)/r/receipts/\(name)"
        var bytes = try #require(FileManager.default.contents(atPath: path))
        bytes[40] ^= 1
        try bytes.write(to: URL(filePath: path))
        try folder.write("r/receipts/\(FileID())", "nothing")
        #expect(try repository.receipts() == [])
    }
}
