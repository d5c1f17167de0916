import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffTestSupport

/// Backups that read less than everything, as a worker makes them, with lists that are right and lists that lie.
@Suite struct BackupReadingTests {
    static let block = 65_536, blocks = 96
    let folder: Folder
    let access: RepositoryAccess

    init() throws {
        folder = try Folder()
        folder.directory("pool")
        chmod(folder.at("pool"), 0o700)
        access = RepositoryAccess(.directory(folder.at("repository")))
    }

    private func run<Request: JobRequest>(_ request: Request) async throws -> Request.Outcome {
        let control = JobControl(
            roots: HostRoots(target: "/nonexistent", reach: Reach(everythingBeneath: [folder.path])),
            summary: request.summary, isOver: { false }, telling: { _ in })
        return try await Beside { _ in JobHandlers.ours.result(of: request, control) }.value.get()
    }

    private func place(_ name: String) -> BytesPlace { .file(HostPath(.directory(folder.at("pool")), name)) }

    private func backUp(_ reading: BackupReading?) async throws -> ObservedPoint {
        var task = BackupTask(
            of: "db", stack: "default", node: "n", uid: UID("aaaabbbbccccdddd")!, to: "nas", access)
        task.reading = reading
        return try await run(BackupOfVolume(task, from: place("v-db"), path: folder.at("pool/v-db")))
    }

    private func restored(_ point: ObservedPoint) async throws -> [UInt8]? {
        try folder.write("pool/v-new", [UInt8](repeating: 0xee, count: Int(point.size.bytes)), mode: 0o600)
        let content = BackupContent(
            repository: "nas", access: access, point: point.id, size: point.size, content: point.content)
        _ = try await run(RestoreIntoVolume(content, to: place("v-new"), path: folder.at("pool/v-new")))
        return folder.bytes("pool/v-new")
    }

    /// A block of zeros, or of one byte.
    private static func volume(_ bytes: [UInt8]) -> [UInt8] {
        bytes.flatMap { [UInt8](repeating: $0, count: block) }
    }

    private static func range(_ blocks: Range<Int>) -> Range<UInt64> {
        UInt64(blocks.lowerBound * block)..<UInt64(blocks.upperBound * block)
    }

    private func write(_ bytes: [UInt8]) throws { try folder.write("pool/v-db", Self.volume(bytes), mode: 0o600) }

    private func changes(since point: ObservedPoint, _ ranges: [Range<UInt64>]) throws -> BackupReading.Changes {
        BackupReading.Changes(
            since: point.id, digest: BackupBase.Completion.digest(of: try #require(point.root)), ranges: ranges)
    }

    @Test func onlyWhatHasBlocksAndThenWhatChangedIsRead() async throws {
        _ = try await run(RepositoryCreation(of: "nas", access))
        var bytes = [UInt8](repeating: 0, count: Self.blocks)
        for block in 10..<40 { bytes[block] = UInt8(block) }
        try write(bytes)
        let mapped = [Self.range(10..<42)]
        let first = try await backUp(BackupReading(mapped: mapped, full: FullRead(.noBase, "it is the first")))
        #expect(first.read == ByteCount(Int64(32 * Self.block)) && first.fullRead?.reason == .noBase)
        #expect(first.content == ByteCount(Int64(30 * Self.block)))
        #expect(try await restored(first) == Self.volume(bytes))

        bytes[12] = 0
        bytes[50] = 7
        bytes[51] = 7
        try write(bytes)
        let changed = [Self.range(12..<13), Self.range(50..<52), Self.range(60..<61)]
        let second = try await backUp(
            BackupReading(
                changes: changes(since: first, changed), mapped: mapped + [Self.range(50..<52)]))
        // Block 60 differs and has no block any more.
        #expect(second.read == ByteCount(Int64(3 * Self.block)) && second.fullRead == nil)
        #expect(second.content == ByteCount(Int64(31 * Self.block)))
        #expect(try await restored(second) == Self.volume(bytes))
        #expect(try await restored(first) != restored(second))
    }

    @Test func aListThatLeavesALotOutIsFoundByTheSample() async throws {
        _ = try await run(RepositoryCreation(of: "nas", access))
        var bytes = (0..<Self.blocks).map { UInt8($0 + 1) }
        try write(bytes)
        let first = try await backUp(nil)
        for block in 0..<90 { bytes[block] ^= 0x80 }
        try write(bytes)
        let all = [Self.range(0..<Self.blocks)]
        let second = try await backUp(BackupReading(changes: changes(since: first, []), mapped: all))
        #expect(second.fullRead?.reason == .sampleDiffers)
        #expect(try await restored(second) == Self.volume(bytes))
        // And one that says that there is nothing at all.
        let third = try await backUp(BackupReading(mapped: []))
        #expect(third.fullRead?.reason == .sampleDiffers)
        #expect(try await restored(third) == Self.volume(bytes))
    }

    @Test func aPointThatIsNotThatOfTheBaseIsNotReliedOn() async throws {
        _ = try await run(RepositoryCreation(of: "nas", access))
        try write((0..<Self.blocks).map { UInt8($0 + 1) })
        let first = try await backUp(nil)
        var other = try changes(since: first, [])
        other.digest = String(repeating: "0", count: 16)
        #expect(try await backUp(BackupReading(changes: other)).fullRead?.reason == .pointGone)
        var gone = try changes(since: first, [])
        gone.point = String(repeating: "a", count: 32)
        #expect(try await backUp(BackupReading(changes: gone)).fullRead?.reason == .pointGone)
        var outside = try changes(since: first, [])
        outside.ranges = [Self.range(1_000..<1_001)]
        #expect(try await backUp(BackupReading(changes: outside)).fullRead?.reason == .deltaUnknown)
        try folder.write("pool/v-db", [UInt8](repeating: 1, count: (Self.blocks + 1) * Self.block), mode: 0o600)
        let grown = try await backUp(BackupReading(changes: changes(since: first, [])))
        #expect(grown.fullRead?.reason == .sizeChanged)
    }
}
