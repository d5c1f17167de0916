import Glibc
import Testing
import TuffTestSupport

@testable import TuffRepository

/// Root writes into repositories on media and in directories that others may write to.
@Suite("No symbolic link in a repository leads out of it, at whatever level and for whatever is done")
struct LinkTests {
    private struct Place {
        let folder: Folder
        let store: DirectoryStore
        let outside: String

        init() throws {
            folder = try Folder()
            store = try DirectoryStore("\(folder.path)/r", making: true)
            outside = "\(folder.path)/outside"
            try #require(mkdir(outside, 0o700) == 0)
            for name in ["kept", "ab", "ab/kept"] {
                if name == "ab" {
                    try #require(mkdir("\(outside)/ab", 0o700) == 0)
                } else {
                    try folder.write([1, 2, 3], to: "outside/\(name)")
                }
            }
        }

        /// Puts a link to the outside in the place of a directory of the repository.
        func link(_ directory: String, to target: String) throws {
            let path = "\(folder.path)/r/\(directory)"
            _ = rename(path, path + ".real")
            try #require(symlink(target, path) == 0)
        }

        /// Everything outside with its times.
        func state() throws -> [String] {
            let ended = try Processes.run(
                ["find", outside, "-printf", "%P %y %s %T@ %C@ %l\\n"], in: folder)
            return ended.text.split(separator: "\n").map(String.init).sorted()
        }
    }

    private static let id = "ab000000000000000000000000000000"

    @Test(
        "Making, moving, dating, syncing, listing and removing through one does nothing out there",
        arguments: [
            ("packs", "packs/ab/\(id)"), ("packs/ab", "packs/ab/\(id)"), ("index", "index/\(id)"),
            ("points", "points/\(id)"), ("marks", "marks/\(id)"), ("leases", "leases/\(id)"), ("keys", "keys/\(id)"),
            ("hurt", "hurt/\(id)"), ("aside", "aside/\(id)"), ("temporary", "temporary/\(id)"),
        ])
    func verbs(_ directory: String, _ path: String) throws {
        let place = try Place()
        // A file of that name is there, so that nothing fails for want of it.
        try place.folder.write([1], to: "outside/\(Self.id)")
        try place.folder.write([1], to: "outside/ab/\(Self.id)")
        if directory == "packs/ab" { try #require(mkdir("\(place.folder.path)/r/packs/ab", 0o700) == 0) }
        try place.link(directory, to: place.outside)
        let before = try place.state()
        let store = place.store
        #expect(throws: RepositoryError.self) { try store.place([7], at: path) }
        let other = path.dropLast() + "1"
        #expect(throws: RepositoryError.self) { try store.place([7], at: String(other)) }
        #expect(throws: RepositoryError.self) { try store.remove(path) }
        #expect(throws: RepositoryError.self) { try store.touch(path) }
        #expect(throws: RepositoryError.self) { _ = try store.open(path) }
        #expect(throws: RepositoryError.self) { _ = try store.list(directory) }
        #expect(throws: RepositoryError.self) { try store.sync(directory: directory) }
        if directory == "temporary" {
            #expect(throws: RepositoryError.self) { _ = try store.create() }
            #expect(throws: RepositoryError.self) { _ = try store.now() }
        }
        #expect(try place.state() == before)
    }

    @Test("A link is said to be one")
    func sentence() throws {
        let place = try Place()
        try place.link("packs/ab", to: place.outside)
        do throws(RepositoryError) {
            try place.store.place([7], at: "packs/ab/\(Self.id)")
            Issue.record("placed")
        } catch {
            #expect(error.code == .damaged && error.sentence.contains("packs/ab is, or lies behind, a symbolic link"))
        }
    }

    @Test("A backup whose packs lie behind links fails, and what is out there stays as it is")
    func backup() throws {
        let place = try Place()
        let repository = try Scene.repository(place.store)
        for byte in UInt8.min...UInt8.max { try place.link("packs/\(hexadecimal([byte]))", to: place.outside) }
        let before = try place.state()
        #expect(throws: RepositoryError.self) {
            try Scene.backUp([UInt8](repeating: 7, count: Format.block), to: repository)
        }
        #expect(throws: RepositoryError.self) { _ = try Prune(repository, lease: nil).run(removing: []) }
        #expect(try place.state() == before)
    }

    @Test("Nor does one that comes and goes while files are placed and removed")
    func race() async throws {
        let place = try Place()
        let packs = "\(place.folder.path)/r/packs"
        let before = try place.state()
        let racer = Beside { goesOn in
            var round = 0
            while goesOn() {
                // The directory that a file was just put into goes, a link comes, and goes.
                rename("\(packs)/ab", "\(packs)/gone-\(round)")
                symlink(place.outside, "\(packs)/ab")
                unlink("\(packs)/ab")
                round += 1
            }
        }
        var (placed, refused) = (0, 0)
        let end = ContinuousClock.now + .seconds(2)
        while ContinuousClock.now < end {
            let path = "packs/ab/ab\(FileID().description.dropFirst(2))"
            do throws(RepositoryError) {
                try place.store.place([7], at: path)
                placed += 1
            } catch { refused += 1 }
            _ = try? place.store.touch(path)
            try? place.store.remove(path)
            await Task.yield()
        }
        await racer.end()
        #expect(placed > 0, "\(placed) placed, \(refused) refused")
        #expect(try place.state() == before)
    }
}
