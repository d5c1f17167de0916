import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffTestSupport

/// The handlers of work in declared repositories, as a worker runs them.
@Suite struct RepositoryJobTests {
    static let size = 4 << 20
    let folder: Folder

    init() throws {
        folder = try Folder()
        folder.directory("pool")
        chmod(folder.at("pool"), 0o700)
        try folder.write("key", "twelve bytes of key", mode: 0o600)
    }

    private func access(_ key: String? = nil, at name: String = "repository") -> RepositoryAccess {
        RepositoryAccess(.directory(folder.at(name)), key: key.map { SecretReference(file: folder.at($0)) })
    }

    private func run<Request: JobRequest>(_ request: Request) async throws -> Request.Outcome {
        let control = JobControl(
            roots: HostRoots(target: "/nonexistent", reach: Reach(everythingBeneath: [folder.path])),
            summary: request.summary, isOver: { false }, telling: { _ in })
        return try await Beside { _ in JobHandlers.ours.result(of: request, control) }.value.get()
    }

    private func list(_ access: RepositoryAccess) async throws -> ObservedRepository? {
        try await run(RepositoryListing(of: "nas", access))
    }

    private func place(_ name: String) -> BytesPlace { .file(HostPath(.directory(folder.at("pool")), name)) }

    private func backUp(_ access: RepositoryAccess, level: Int? = 1) async throws -> ObservedPoint {
        var task = BackupTask(
            of: "db", stack: "default", node: "n", uid: UID("aaaabbbbccccdddd")!, to: "nas", access, level: level)
        task.backup = "before"
        return try await run(BackupOfVolume(task, from: place("v-db"), path: folder.at("pool/v-db")))
    }

    private func fill(
        _ name: String, _ count: Int = size, _ byte: (Int) -> UInt8 = { UInt8(truncatingIfNeeded: $0 / 7) }
    ) throws {
        try folder.write("pool/\(name)", (0..<count).map(byte), mode: 0o600)
    }

    private func code(_ body: () async throws -> Void) async -> HostError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? HostError)?.code
        }
    }

    @Test func onlyAPlaceThatWasOpenedIsWithoutARepository() async throws {
        #expect(try await list(access()) == nil, "the directory is not there")
        folder.directory("repository")
        chmod(folder.at("repository"), 0o700)
        #expect(try await list(access()) == nil, "nothing is in it")
        // A key that is missing tells nothing of the repository: not even whether there is one.
        #expect(await code { _ = try await list(access("none")) } == .refused)
        _ = try await run(RepositoryCreation(of: "nas", access("key")))
        #expect(try await list(access("key"))?.points == [])
        #expect(await code { _ = try await list(access("none")) } == .refused)
        #expect(await code { _ = try await list(access()) } == .refused, "it is encrypted")
        #expect(await code { _ = try await run(RepositoryCreation(of: "nas", access("key"))) } == .refused)
        // What lies beneath no root is not opened.
        let outside = RepositoryAccess(.directory("/var/tmp"))
        #expect(await code { _ = try await list(outside) } == .refused)
    }

    @Test(arguments: [nil, "key"] as [String?]) func aVolumeComesBackAndReadsZerosBehindIt(_ key: String?) async throws
    {
        _ = try await run(RepositoryCreation(of: "nas", access(key)))
        try fill("v-db")
        let point = try await backUp(access(key))
        #expect(point.volume == "db" && point.backup == "before" && point.size == ByteCount(Int64(Self.size)))
        let listed = try #require(try await list(access(key)))
        #expect(listed.points == [point] && listed.damaged == 0)
        // Larger than the point, and with something else in it.
        try fill("v-new", 2 * Self.size) { _ in 0xee }
        let content = BackupContent(
            repository: "nas", access: access(key), point: point.id, size: point.size, content: point.content)
        let request = RestoreIntoVolume(content, to: place("v-new"), path: folder.at("pool/v-new"))
        #expect(try await run(request) == point.size)
        let bytes = try #require(folder.bytes("pool/v-new"))
        #expect(bytes[..<Self.size] == folder.bytes("pool/v-db")![...])
        #expect(bytes[Self.size...].allSatisfy { $0 == 0 })
        // What is there already is not written again.
        #expect(try await run(request) == .zero)
        try fill("v-small", Self.size - 512)
        let small = RestoreIntoVolume(content, to: place("v-small"), path: folder.at("pool/v-small"))
        #expect(await code { _ = try await run(small) } == .preconditionFailed)
    }

    @Test func aVolumeIsRolledBackByWhatDiffersAndNoMore() async throws {
        _ = try await run(RepositoryCreation(of: "nas", access()))
        try fill("v-db")
        let before = try #require(folder.bytes("pool/v-db"))
        let point = try await backUp(access())
        try fill("v-db") { $0 >> 16 == 5 ? 0xee : UInt8(truncatingIfNeeded: $0 / 7) }
        let content = BackupContent(
            repository: "nas", access: access(), point: point.id, size: point.size, content: point.content)
        let request = RestoreIntoVolume(content, to: place("v-db"), path: folder.at("pool/v-db"))
        #expect(try await run(request) == ByteCount(64 << 10))
        #expect(folder.bytes("pool/v-db") == before)
    }

    @Test func ofWhatWasWrittenToMeanwhileThereIsNoPoint() async throws {
        _ = try await run(RepositoryCreation(of: "nas", access()))
        try fill("v-db")
        let path = folder.at("pool/v-db")
        let writer = Beside { goesOn in
            let file = open(path, O_WRONLY)
            defer { close(file) }
            var byte: UInt8 = 0
            while goesOn() {
                byte &+= 1
                pwrite(file, &byte, 1, 0)
            }
        }
        let failed = await code { _ = try await backUp(access()) }
        await writer.end()
        // While it is open for writing it is in use; either way nothing of it is listed.
        #expect(failed != nil)
        #expect(try await list(access())?.points == [])
        #expect(try await backUp(access()).volume == "db")
    }

    @Test func blocksAreStoredAsTheyAreWhereNothingIsToBeCompressed() async throws {
        try fill("v-db") { UInt8(truncatingIfNeeded: $0 % 3) }
        var sizes: [Int] = []
        for (name, level) in [("packed", 1), ("plain", nil)] as [(String, Int?)] {
            _ = try await run(RepositoryCreation(of: name, access(at: name)))
            _ = try await backUp(access(at: name), level: level)
            sizes.append(folder.size(beneath: "\(name)/packs"))
        }
        #expect(sizes[1] > 10 * sizes[0] && sizes[1] > 60_000, "\(sizes)")
    }
}
