import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffTestSupport

/// A container as Cinder writes it, read by a worker into a volume.
@Suite struct CinderJobTests {
    static let backup = "aaaaaaa0-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    static let volume = "11111111-2222-4333-8444-555555555555"
    static let content = (0..<8192).map { UInt8(($0 * 7) % 251) }
    let folder: Folder

    init() throws {
        folder = try Folder()
        for name in ["pool", "cinder", "cinder/shared"] {
            folder.directory(name)
            chmod(folder.at(name), 0o700)
        }
        let prefix = "volume_\(Self.volume)_20260821100000_backup_\(Self.backup)"
        let record =
            "{\\\"version\\\": 2, \\\"volume-base-metadata\\\": {\\\"display_name\\\": \\\"db\\\", \\\"size\\\": null}}"
        try folder.write("cinder/shared/\(prefix)-00001", Self.content, mode: 0o600)
        let text = """
            {"backup_id": "\(Self.backup)", "volume_id": "\(Self.volume)", "version": "1.0.0",
             "created_at": "2026-08-21 10:00:00", "parent_id": null, "volume_meta": "\(record)",
             "objects": [{"\(prefix)-00001": {"offset": 0, "length": 8192, "compression": "none",
                                              "md5": "820b834ac57e8e43d7b24def618d17d1"}}]}
            """
        try folder.write("cinder/shared/\(prefix)_metadata", Array(text.utf8), mode: 0o600)
    }

    private func run<Request: JobRequest>(_ request: Request) async throws -> Request.Outcome {
        let control = JobControl(
            roots: HostRoots(target: "/nonexistent", reach: Reach(everythingBeneath: [folder.path])),
            summary: request.summary, isOver: { false }, telling: { _ in })
        return try await Beside { _ in JobHandlers.ours.result(of: request, control) }.value.get()
    }

    @Test func itIsListedWithItsNamesAndRestored() async throws {
        let access = RepositoryAccess(.directory(folder.at("cinder")), format: .cinder)
        let found = try #require(try await run(RepositoryListing(of: "old", access)))
        let point = try #require(found.points.first)
        #expect(point.id == Self.backup && point.volume == "db" && point.size == ByteCount(8192))
        #expect(point.cinder?.volume == Self.volume && point.uid == nil && found.damaged == 0)
        try folder.write("pool/v-new", [UInt8](repeating: 0xee, count: 16384), mode: 0o600)
        let place = BytesPlace.file(HostPath(.directory(folder.at("pool")), "v-new"))
        let content = BackupContent(
            repository: "old", access: access, point: point.id, size: point.size, content: point.content)
        let request = RestoreIntoVolume(content, to: place, path: folder.at("pool/v-new"))
        #expect(try await run(request) == ByteCount(8192))
        let bytes = try #require(folder.bytes("pool/v-new"))
        #expect(Array(bytes[..<8192]) == Self.content && bytes[8192...].allSatisfy { $0 == 0 })
        #expect(try await run(request) == .zero, "what is there already is not written again")
        // Nothing is left among Cinder's files.
        #expect(folder.size(beneath: "cinder/shared") > 0)
        let absent = RepositoryAccess(.directory(folder.at("none")), format: .cinder)
        #expect(try await run(RepositoryListing(of: "old", absent)) == nil)
    }

    @Test func anExchangedObjectIsFoundBeforeTheVolumeIsCalledWhole() async throws {
        let access = RepositoryAccess(.directory(folder.at("cinder")), format: .cinder)
        let prefix = "volume_\(Self.volume)_20260821100000_backup_\(Self.backup)"
        try folder.write("cinder/shared/\(prefix)-00001", [UInt8](repeating: 7, count: 8192), mode: 0o600)
        try folder.write("pool/v-new", [UInt8](repeating: 0, count: 8192), mode: 0o600)
        let place = BytesPlace.file(HostPath(.directory(folder.at("pool")), "v-new"))
        let size = ByteCount(8192)
        let content = BackupContent(
            repository: "old", access: access, point: Self.backup, size: size, content: size)
        let request = RestoreIntoVolume(content, to: place, path: folder.at("pool/v-new"))
        await #expect(throws: HostError.self) { try await run(request) }
    }
}
