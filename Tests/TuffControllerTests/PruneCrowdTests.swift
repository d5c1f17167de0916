import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffTestSupport

/// Several hosts in one repository: the normal case. Each job runs as its worker does it, all at once.
@Suite struct PruneCrowdTests {
    static let writers = 10
    static let rounds = 3
    static let blocks = 24
    let folder: Folder

    init() throws {
        folder = try Folder()
        folder.directory("pool")
        chmod(folder.at("pool"), 0o700)
    }

    private var access: RepositoryAccess { RepositoryAccess(.directory(folder.at("r"))) }

    private func run<Request: JobRequest>(_ request: Request) -> Result<Request.Outcome, HostError> {
        let control = JobControl(
            roots: HostRoots(target: "/nonexistent", reach: Reach(everythingBeneath: [folder.path])),
            summary: request.summary, isOver: { false }, telling: { _ in })
        return JobHandlers.ours.result(of: request, control)
    }

    private static func content(_ writer: Int, _ round: Int) -> [UInt8] {
        // Half of it is the same for all, so that what one stores the others rely on.
        (0..<blocks).flatMap { block in
            let seed = block % 2 == 0 ? block : block * 1000 + writer * 10 + round
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: seed &+ 1), count: 65_536 - 4)
            return bytes + (0..<4).map { UInt8(truncatingIfNeeded: seed >> (8 * $0)) }
        }
    }

    private func backUp(_ writer: Int, _ round: Int) throws -> ObservedPoint {
        let path = "pool/v-\(writer)"
        try folder.write(path, Self.content(writer, round), mode: 0o600)
        var task = BackupTask(
            of: "v\(writer)", stack: "default", node: "n\(writer % 2)", uid: Sample.uid(UInt8(writer)), to: "nas",
            access)
        task.policy = "nightly"
        let place = BytesPlace.file(HostPath(.directory(folder.at("pool")), "v-\(writer)"))
        return try run(BackupOfVolume(task, from: place, path: folder.at(path))).get()
    }

    private func restored(_ point: ObservedPoint, by writer: Int) throws -> [UInt8]? {
        let name = "back-\(writer)"
        try folder.write("pool/\(name)", [UInt8](repeating: 0xee, count: Self.blocks * 65_536), mode: 0o600)
        let content = BackupContent(
            repository: "nas", access: access, point: point.id, size: point.size, content: point.content)
        let place = BytesPlace.file(HostPath(.directory(folder.at("pool")), name))
        _ = try run(RestoreIntoVolume(content, to: place, path: folder.at("pool/\(name)"))).get()
        return folder.bytes("pool/\(name)")
    }

    @Test func tenWritersAndDuePrunesAtOnceAndWhatIsListedComesBack() async throws {
        _ = try run(RepositoryCreation(of: "nas", access)).get()
        // What each writer's first points hold, to be taken away while all go on.
        let old = try (0..<Self.writers).map { try backUp($0, 0) }
        let crowd = (0..<Self.writers).map { writer in
            Beside { _ in Result { try (1..<Self.rounds).map { try self.backUp(writer, $0) } } }
        }
        // Both hosts are due, and each has points that no rule keeps.
        let prunes = ["n0", "n1"].map { node in
            var task = PruneTask(of: "nas", access, by: node, of: "default")
            task.expired = old.filter { $0.node == node }.map { PruneTask.Expired($0.id, of: "nightly") }
            task.packsDue = Instant(secondsSince1970: 0)
            let request = RepositoryPrune(task)
            return Beside { _ in self.run(request) }
        }
        var made: [[ObservedPoint]] = []
        for writer in crowd { made.append(try await writer.value.get()) }
        var receipts: [ObservedReceipt] = []
        for prune in prunes { receipts.append(try await prune.value.get()) }
        #expect(receipts.count { $0.packs == true } == 1, "the packs are looked through once: \(receipts)")
        let listed = try #require(try run(RepositoryListing(of: "nas", access)).get())
        let ids = Set(listed.points.map(\.id))
        for writer in made.indices {
            #expect(made[writer].count == Self.rounds - 1)
            for (round, point) in made[writer].enumerated() {
                #expect(ids.contains(point.id))
                #expect(try restored(point, by: writer) == Self.content(writer, round + 1))
            }
        }
        // Of a series whose newest point it was when the prune came, the first stays.
        let removed = receipts.reduce(0) { $0 + ($1.removed ?? 0) }
        #expect(old.filter { !ids.contains($0.id) }.count == removed)
        #expect(listed.points.count == Self.writers * Self.rounds - removed && listed.damaged == 0)
        #expect(folder.names("r/leases") == [])
    }
}
