import Testing
import TuffRepository
import TuffTestSupport

@Suite("An encrypted repository")
struct KeyTests {
    @Test("What is backed up comes back, checks and prunes as in any other, and nothing of it can be seen in the files")
    func comesBack() throws {
        var random = SeededGenerator(seed: 21)
        let store = MemoryStore()
        let repository = try Scene.encrypted(store)
        let mark = Array("a text that must not be seen".utf8)
        var bytes = Scene.volume(&random, blocks: 60)
        bytes.replaceSubrange(0..<mark.count, with: mark)
        let point = try Scene.backUp(bytes, to: repository, name: "very-private-name")
        let again = try Repository.open(store, secret: Scene.secret)
        #expect(try Scene.restore(point, of: again) == bytes)
        for (path, content) in store.files {
            #expect(!content.contains(mark) && !content.contains(Array("very-private-name".utf8)), "\(path)")
        }
        #expect(try Check(of: again).run(readShare: 100, seed: 0, progress: JobProgress()).isWhole)
        bytes[70_000] ^= 1
        let second = try Scene.backUp(bytes, to: again, name: "very-private-name")
        _ = try Prune(again, lease: nil, atOnce: true).run(removing: [point])
        #expect(try Scene.restore(second, of: again) == bytes)
    }

    @Test("It opens with none but its keys; slots come and go, the last one stays")
    func slots() throws {
        let store = MemoryStore()
        let repository = try Scene.encrypted(store)
        let other = try RepositorySecret(Array("another one".utf8))
        #expect { try Repository.open(store) } throws: { ($0 as? RepositoryError)?.code == .wrongKey }
        #expect { try Repository.open(store, secret: other) } throws: { ($0 as? RepositoryError)?.code == .wrongKey }
        let slot = try repository.addKey(other, label: "second", now: Scene.time)
        let opened = try Repository.open(store, secret: other)
        let first = try #require(try opened.keySlots().first { $0.id != slot.id })
        try opened.removeKey(first.id)
        #expect { try Repository.open(store, secret: Scene.secret) } throws: {
            ($0 as? RepositoryError)?.code == .wrongKey
        }
        #expect { try opened.removeKey(slot.id) } throws: { ($0 as? RepositoryError)?.code == .refused }
        _ = try Repository.open(store, secret: other)
    }

    @Test("A file that was flipped, cut or moved is refused, whatever it is", arguments: 1...2)
    func damage(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let store = MemoryStore()
        let bytes = Scene.volume(&random, blocks: 40)
        let repository = try Scene.encrypted(store)
        let point = try Scene.backUp(bytes, to: repository)
        let files = store.files
        let paths = files.keys.filter { !$0.hasPrefix("keys/") && $0 != "repository" }.sorted()
        for round in 0..<60 {
            let path = paths[Int(random.next() % UInt64(paths.count))]
            var content = files[path] ?? []
            content[Int(random.next() % UInt64(content.count))] ^= UInt8(1) << UInt8(random.next() % 8)
            store.replace(path, with: content)
            do throws(RepositoryError) {
                guard try repository.points().points.contains(point) else { continue }
                #expect(try Scene.restoring(point, of: repository) == bytes, "seed \(seed), round \(round), \(path)")
            } catch {
                #expect([.damaged, .newer, .brokenIndex].contains(error.code), "\(error)")
            }
            store.replace(path, with: files[path] ?? [])
        }
    }
}
