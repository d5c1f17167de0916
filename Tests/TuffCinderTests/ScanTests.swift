import FoundationEssentials
import Glibc
import Testing
import TuffCinder
import TuffRepository
import TuffTestSupport

/// The scan of Cinder's directory, and the cost that whoever owns it can make of it.
struct ScanTests {
    @Test(arguments: [1, 5, 12, 60]) func backupsAreFoundHoweverDeep(_ levels: Int) throws {
        let scene = try CinderScene()
        var options = CinderScene.Options()
        options.container = Array(repeating: "d", count: levels).joined(separator: "/")
        var random = SeededGenerator(seed: 1)
        let bytes = CinderScene.volume(&random, blocks: 5)
        try scene.backUp(bytes, number: 0, options)
        #expect(try scene.backups().unread.isEmpty)
        #expect(try scene.restore(0) == bytes)
    }

    @Test func whatIsTooDeepIsSaid() throws {
        let scene = try CinderScene()
        var options = CinderScene.Options()
        options.container = Array(repeating: "d", count: 70).joined(separator: "/")
        try scene.backUp([1, 2, 3], number: 0, options)
        let backups = try scene.backups()
        #expect(backups.list().isEmpty)
        #expect(backups.unread.count == 1 && backups.unread[0].contains("is more than 64 levels deep"))
    }

    @Test func linksAreNotFollowedAndSaid() throws {
        let scene = try CinderScene()
        try scene.backUp([1, 2, 3], number: 0)
        try FileManager.default.createDirectory(
            atPath: "\(scene.folder)/elsewhere", withIntermediateDirectories: false, attributes: nil)
        rename(scene.directory(0), "\(scene.folder)/elsewhere/backup")
        symlink("\(scene.folder)/elsewhere", "\(scene.root)/link")
        let backups = try scene.backups()
        #expect(backups.list().isEmpty)
        #expect(backups.unread == ["\(scene.root)/link is a symbolic link, which is not followed"])
        // Of very many some are named.
        for number in 0..<30 { symlink("elsewhere", "\(scene.root)/link-\(number)") }
        let unread = try scene.backups().unread
        #expect(unread.count == 11 && unread[10] == "21 more directories and links were not looked into")
    }

    @Test func aDirectoryThatBecameALinkIsNotLookedThrough() throws {
        let scene = try CinderScene()
        try scene.backUp([1, 2, 3], number: 0)
        let backups = try scene.backups()
        // After the listing, as whoever may write there can do.
        let own = scene.directory(0)
        rename(own, own + ".real")
        symlink(own + ".real", own)
        let id = try #require(CinderID(CinderScene.id(0)))
        #expect(throws: RepositoryError.self) { _ = try backups.chain(id).size() }
    }

    /// Each of a long chain was once walked down to the first.
    @Test(.timeLimit(.minutes(5))) func aLongChainIsListedInOneGo() throws {
        let scene = try CinderScene()
        var options = CinderScene.Options()
        options.container = "c"
        options.hasDigests = false
        let bytes: [UInt8] = [1, 2, 3]
        // Numbers of five digits, of which each makes another id.
        let first = 0x10000
        try scene.backUp(bytes, number: first, options)
        for number in first + 1..<first + 3_000 {
            try scene.backUp(bytes, number: number, parent: number - 1, old: bytes, options)
        }
        let list = try scene.backups().list()
        #expect(list.count == 3_000 && list.allSatisfy { $0.state == .complete && $0.size == 3 })
        // One that is gone is told by all that build on it, and by no other.
        unlink("\(scene.stem(first + 1_500, options))_metadata")
        unlink("\(scene.stem(first + 1_499, options))_metadata")
        let states = try scene.backups().list().map(\.state)
        #expect(states.count == 2_998, "of these two the metadata was the only file")
        #expect(states.count { if case .damaged = $0 { true } else { false } } == 1_499)
    }

    @Test func aListOfDigestsMayHoldAnyNumberOfOtherKeys() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 1)
        let bytes = CinderScene.volume(&random, blocks: 5)
        try scene.backUp(bytes, number: 0)
        let path = scene.stem(0) + "_sha256file"
        let more = (0..<10_000).map { "\"k\($0)\": \"v\"" }.joined(separator: ", ")
        try scene.edit(path, replacing: "{\n", by: "{\n\(more),\n")
        #expect(try scene.restore(0) == bytes)
    }
}
