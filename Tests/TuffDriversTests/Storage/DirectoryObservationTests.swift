import Testing
@testable import TuffDrivers
import TuffHost
import TuffModel
import TuffTestSupport

struct DirectoryObservationTests {
    private let path = "/srv/tuff"
    private let uid = Sample.uid

    private func observe(_ change: (inout FakeFiles) -> Void) async -> Observation<DirectoryPool?> {
        var world = FakeWorld()
        world.files.addDirectory(path)
        world.files.directories[path]?.entries[".tuff"] = .directory(mode: 0o700)
        change(&world.files)
        return await DirectoryPoolDriver().observe(
            [path], on: FakeMachine(world), key: FingerprintKey(bytes: []))[path]
    }

    @Test func aDirectoryThatCannotBeReadIsUnknown() async {
        let error = HostError(.permissionDenied, "no")
        #expect(await observe { $0.directories[path]?.failure = error } == .unknown(error))
    }

    @Test(arguments: [".tuff", ""]) func whatCannotBeListedIsUnknownAndNotEmpty(_ place: String) {
        let refusal = HostError(.permissionDenied, "Cannot list", cause: "Permission denied")
        let entries = [
            TreeEntry(path: place, kind: .directory, error: refusal),
            TreeEntry(path: "v-db", kind: .file, size: ByteCount(1 << 20)),
        ]
        let error = #expect(throws: HostError.self) { try DirectoryPoolDriver.files(entries, in: path) }
        #expect(error?.code == .permissionDenied)
        #expect(error?.cause == "Permission denied")
    }

    @Test func whatOthersMayChangeIsSaid() async throws {
        let sidecar = Sidecar(file: "v-db", tags: Sample.marks().tags)
        func pool(_ change: (inout FakeFiles) -> Void) async throws -> DirectoryPool {
            let seen = await observe { files in
                files.write(text: sidecar.text, to: Sidecar.path(of: uid), in: path)
                files.addFile("v-db", in: path, size: ByteCount(1 << 20), isForeign: false)
                files.addFile("somebodys", in: path, size: ByteCount(1 << 20), isForeign: true)
                change(&files)
            }
            return try #require(seen.value ?? nil)
        }
        let well = try await pool { _ in }
        #expect(well.exposure == nil && well.files.allSatisfy { $0.exposure == nil })
        let open = try await pool { $0.directories[path]?.exposure = "may be written by others" }
        #expect(open.exposure == "directory /srv/tuff may be written by others")
        let folder = try await pool { $0.directories[path]?.entries[".tuff"] = .directory(mode: 0o770) }
        #expect(folder.exposure == "/srv/tuff/.tuff may be written by others")
        for place in ["v-db", Sidecar.path(of: uid)] {
            let foreign = try await pool { $0[path, place]?.isForeign = true }
            #expect(foreign.exposure == nil)
            #expect(foreign.files.compactMap(\.exposure) == ["/srv/tuff/\(place) belongs to user 1000"])
        }
    }

    @Test func marksWithoutDataHaveNoSize() async {
        let sidecar = Sidecar(file: "v-db", tags: Sample.marks().tags)
        let seen = await observe { $0.write(text: sidecar.text, to: Sidecar.path(of: uid), in: path) }
        #expect(seen.value??.files == [DirectoryFile(name: "v-db", tags: sidecar.tags, size: nil)])
    }

    @Test func twoSidecarsOfOneFileMakeTheDirectoryUnknown() async {
        let other = UID("eeeeffffgggghhhh")!
        let seen = await observe { files in
            for uid in [uid, other] {
                let sidecar = Sidecar(file: "v-db", tags: Sample.marks(uid: uid).tags)
                files.write(text: sidecar.text, to: Sidecar.path(of: uid), in: path)
            }
        }
        guard case .unknown(let error) = seen else {
            Issue.record("\(seen)")
            return
        }
        #expect(error.code == .malformed && error.sentence.contains("v-db"))
    }

    @Test(arguments: [
        "", "{}", #"{"file":"v-db","tags":["tuff:uid=aaaabbbbccccdddd"]"#,
        #"{"file":"v-db","tags":[],"version":1}"#,
        #"{"file":"v-db","tags":["tuff:uid=aaaabbbbccccdddd","tuff:stack=default","tuff:vol=db"],"version":2}"#,
        #"{"file":"../v-db","tags":["tuff:uid=aaaabbbbccccdddd","tuff:stack=default","tuff:vol=db"],"version":1}"#,
        #"{"file":"v,db","tags":["tuff:uid=aaaabbbbccccdddd","tuff:stack=default","tuff:vol=db"],"version":1}"#,
        #"{"file":"-db","tags":["tuff:uid=aaaabbbbccccdddd","tuff:stack=default","tuff:vol=db"],"version":1}"#,
        #"{"file":"v-db","tags":["tuff:uid=eeeeffffgggghhhh","tuff:stack=default","tuff:vol=db"],"version":1}"#,
    ]) func aSidecarThatCannotBeBelievedIsReportedAndItsFileIsForeign(_ text: String) async throws {
        let seen = await observe { files in
            files.write(text: text, to: Sidecar.path(of: uid), in: path)
            files.addFile("v-db", in: path, size: ByteCount(1 << 20))
        }
        let files = try #require(seen.value ?? nil).files
        #expect(files.map(\.name) == [Sidecar.path(of: uid), "v-db"])
        guard case .damaged = Marks.read(files[0].tags) else {
            Issue.record("\(files[0])")
            return
        }
        #expect(Marks.read(files[1].tags) == .foreign)
    }

    @Test func strangersOnlyTakeNames() async {
        let seen = await observe { files in
            files.addFile("notes.txt", in: path, size: ByteCount(10))
            files.directories[path]?.entries["v-link"] = .link("/etc/passwd")
            files.directories[path]?.entries["v-folder"] = .directory(mode: 0o755)
            files.write(text: "half", to: ".tuff/.new.json.tuff-new", in: path)
        }
        #expect(
            seen.value??.files == [
                DirectoryFile(name: "notes.txt", tags: [], size: ByteCount(10)),
                DirectoryFile(name: "v-folder", tags: [], size: .zero),
                DirectoryFile(name: "v-link", tags: [], size: .zero),
            ])
    }

    @Test func spaceIsThatOfTheFileSystem() async {
        let seen = await observe {
            $0.addFile("notes.txt", in: path, size: ByteCount(1 << 20), allocated: ByteCount(1 << 20))
        }
        #expect(seen.value??.size == ByteCount(1 << 40))
        #expect(seen.value??.free == ByteCount(1 << 40 - 1 << 20))
    }
}
