import Glibc
import Testing
import TuffTestSupport

@testable import TuffRepository

@Suite("What is in a repository's directories and does not belong there, or is missing, is told with what to do")
struct OddFilesTests {
    private func check(_ store: any Store) throws -> Check.Report {
        try Check(of: Repository.open(store)).run(readShare: 100, seed: 0, progress: JobProgress())
    }

    @Test("Files without a place are named, those of NFS and of writers are not, and none of them is an error")
    func junk() throws {
        var random = SeededGenerator(seed: 1)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let bytes = Scene.volume(&random, blocks: 20)
        let point = try Scene.backUp(bytes, to: repository)
        let packs = try repository.packs()
        let pack = try #require(packs.first)
        // A copy of a pack where another one belongs must not be looked for elsewhere, whether or not it is there.
        let byte = Pack.path(pack).dropFirst(6).prefix(2) == "00" ? "01" : "00"
        let misplaced = "packs/\(byte)/\(pack)"
        store.replace(misplaced, with: store.files[Pack.path(pack)] ?? [])
        for path in ["packs/notes.txt", "packs/\(FileID())", "packs/00/half.tmp", "points/x"] {
            store.replace(path, with: [1])
        }
        for path in ["packs/00/.nfs000000000000a1b2", "temporary/\(FileID())"] { store.replace(path, with: [1]) }
        let report = try check(store)
        #expect(report.unknown.count == 5 && report.unknown.contains(misplaced), "\(report.unknown)")
        #expect(report.isWhole && report.packs == packs.count, "\(report.damage)")
        #expect(Pack.place(of: misplaced) == Pack.path(pack))
        #expect(Pack.place(of: "packs/notes.txt") == nil)
        _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
        #expect(try Scene.restore(point, of: repository) == bytes)
    }

    @Test("A directory that is gone is a finding with its remedy", arguments: ["packs", "temporary"])
    func directory(_ name: String) throws {
        let folder = try Folder()
        let path = "\(folder.path)/r"
        let store = try DirectoryStore(path, making: true)
        let repository = try Scene.repository(store)
        var random = SeededGenerator(seed: 1)
        let bytes = Scene.volume(&random, blocks: 20)
        let point = try Scene.backUp(bytes, to: repository)
        #expect(rename("\(path)/\(name)", "\(folder.path)/kept") == 0)
        let report = try check(store)
        #expect(
            report.damage.count == 1 && report.damage[0].contains("'mkdir -m 700 \(path)/\(name)'"), "\(report.damage)")
        #expect(report.hurt.map(\.point.id) == (name == "packs" ? [point.id] : []))
        // What the sentence says, done.
        #expect(mkdir("\(path)/\(name)", 0o700) == 0)
        if name == "packs" { try IndexRepair(repository, lease: nil).run(after: try check(store)) }
        let again = try Scene.backUp(bytes, to: repository)
        for point in [point, again] { #expect(try Scene.restore(point, of: repository) == bytes) }
        #expect(try check(store).isWhole)
    }

    @Test("Packs that only a broken index leaves out are not called needed by nothing")
    func strays() throws {
        var random = SeededGenerator(seed: 1)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        try Scene.backUp(Scene.volume(&random, blocks: 20), to: repository)
        let path = try #require(store.files.keys.first { $0.hasPrefix("index/") })
        store.replace(path, with: [])
        let report = try check(store)
        #expect(report.isIndexBroken && report.strays.isEmpty, "\(report)")
        // An index that is gone is not broken: then they are, until a repair.
        try store.remove(path)
        let gone = try check(store)
        #expect(!gone.isIndexBroken && gone.strays.count == 2)
        #expect(try IndexRepair(repository, lease: nil).run(after: gone).strays.isEmpty)
    }

    @Test("A key that opens nothing is told why: no slot is left, or all are of others")
    func slots() throws {
        let store = MemoryStore()
        _ = try Scene.encrypted(store)
        let other = MemoryStore()
        _ = try Scene.encrypted(other)
        func refusal() -> String {
            do throws(RepositoryError) { _ = try Repository.open(store, secret: Scene.secret) } catch {
                return error.code == .wrongKey ? error.sentence : ""
            }
            return ""
        }
        for path in store.files.keys where path.hasPrefix("keys/") { try store.remove(path) }
        #expect(refusal().contains("no key slot is left"), "\(refusal())")
        for (path, bytes) in other.files where path.hasPrefix("keys/") { store.replace(path, with: bytes) }
        #expect(refusal().contains("another repository's"), "\(refusal())")
    }
}
