import Glibc
import Testing
import TuffCinder
import TuffRepository
import TuffTestSupport

struct RestoreTests {
    @Test(arguments: ["none", "zlib", "gzip", "bz2", "bzip2", "zstd"])
    func everyCompressionComesBack(_ compression: String) throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 7)
        var options = CinderScene.Options()
        options.compression = compression
        let first = CinderScene.volume(&random, blocks: 60)
        let second = CinderScene.changed(first, &random, blocks: 20)
        let third = CinderScene.changed(second, &random, blocks: 20)
        try scene.backUp(first, number: 0, options)
        try scene.backUp(second, number: 1, parent: 0, old: first, options)
        try scene.backUp(third, number: 2, parent: 1, old: second, options)
        #expect(try scene.restore(0) == first)
        #expect(try scene.restore(1) == second)
        #expect(try scene.restore(2) == third)
    }

    /// Cinder skips zeros in every layer when it restores into a new volume, and the As come back.
    @Test func aBlockThatWasZeroedLaterIsZero() throws {
        let scene = try CinderScene()
        let full = [UInt8](repeating: 65, count: 4_096)
        let later = [UInt8](repeating: 0, count: 2_048) + full[2_048...]
        try scene.backUp(full, number: 0)
        try scene.backUp(later, number: 1, parent: 0, old: full)
        #expect(try scene.restore(1) == later)
    }

    @Test func backupsInOneContainerAreToldApart() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 9)
        var options = CinderScene.Options()
        options.container = "shared/by all"
        let first = CinderScene.volume(&random, blocks: 20), second = CinderScene.volume(&random, blocks: 30)
        try scene.backUp(first, number: 0, options)
        try scene.backUp(second, number: 1, options)
        #expect(try scene.restore(0) == first)
        #expect(try scene.restore(1) == second)
    }

    @Test func anIncrementalWithoutAChangeIsItsParent() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 10)
        var options = CinderScene.Options()
        options.hasRecord = false
        let bytes = CinderScene.volume(&random, blocks: 20)
        try scene.backUp(bytes, number: 0, options)
        try scene.backUp(bytes, number: 1, parent: 0, old: bytes, options)
        #expect(try scene.restore(1) == bytes)
    }

    /// A file of a GiB, of which the objects have 10 KiB and the list of digests no more: made of an older snapshot.
    @Test func whatTheVolumeGrewSinceTheSnapshotIsZero() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 11)
        var options = CinderScene.Options()
        options.size = 1
        let bytes = CinderScene.volume(&random, blocks: 20)
        try scene.backUp(bytes, number: 0, options)
        let target = "\(scene.folder)/large"
        try scene.run(0, to: target)
        var status = stat()
        #expect(stat(target, &status) == 0 && status.st_size == 1 << 30)
        #expect(status.st_blocks * 512 < 1 << 20, "the rest is a hole")
        var head = [UInt8](repeating: 1, count: bytes.count + 512)
        let descriptor = open(target, O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        #expect(pread(descriptor, &head, head.count, 0) == head.count)
        #expect(head == bytes + [UInt8](repeating: 0, count: 512))
    }

    @Test func whatIsThereAlreadyIsNotWritten() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 12)
        let bytes = CinderScene.volume(&random, blocks: 400)
        try scene.backUp(bytes, number: 0)
        let target = "\(scene.folder)/there"
        try scene.write(bytes + [1, 2, 3], target)
        #expect(try scene.run(0, to: target) == 0)
        #expect(try scene.bytes(target) == bytes, "a file gets the volume's size")
        #expect(try scene.restore(0, over: CinderScene.volume(&random, blocks: 300)) == bytes)
    }

    @Test func aNewFileHoldsNoZeros() throws {
        let scene = try CinderScene()
        var options = CinderScene.Options()
        options.piece = 4_096
        let bytes = [UInt8](repeating: 7, count: 100_000) + [UInt8](repeating: 0, count: 8 << 20)
        try scene.backUp(bytes, number: 0, options)
        let target = "\(scene.folder)/sparse"
        #expect(try scene.run(0, to: target) <= 128 << 10)
        var status = stat()
        #expect(stat(target, &status) == 0 && status.st_blocks * 512 <= 256 << 10)
        #expect(try scene.bytes(target) == bytes)
    }

    @Test func moreThanOnePieceOfAnObjectIsDecompressed() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 13)
        var options = CinderScene.Options()
        options.block = 32_768
        options.piece = 200
        let noise = (0..<3_000_000).map { _ in UInt8(truncatingIfNeeded: random.next() % 9) }
        for (number, name) in ["zlib", "bz2", "zstd", "none"].enumerated() {
            options.compression = name
            try scene.backUp(noise, number: number, options)
            #expect(try scene.restore(number) == noise)
        }
    }

    @Test func aBackupWithoutItsDigestsIsRestored() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 14)
        var options = CinderScene.Options()
        options.hasDigests = false
        let bytes = CinderScene.volume(&random, blocks: 20)
        try scene.backUp(bytes, number: 0, options)
        #expect(try scene.restore(0) == bytes)
        #expect(try !scene.backups().chain(#require(CinderID(CinderScene.id(0)))).hasDigests)
    }
}
