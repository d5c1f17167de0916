import Testing
import TuffImages
import TuffTestSupport

/// Images that chance damaged: an error or other bytes, never a crash, a hang or a read beside the file.
@Suite struct DamagedImageTests {
    private static let special: [UInt8] = [0, 1, 2, 0x7f, 0x80, 0xff, 9, 21, 62, 63, 64]

    private func damage(
        _ bytes: [UInt8], _ hot: [Range<Int>], rounds: Int, seed: UInt64
    ) throws {
        print("damaged images, seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var opened = 0
        for _ in 0..<rounds {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                guard let range = hot.randomElement(using: &generator) else { continue }
                let place = Int.random(in: range, using: &generator)
                damaged[place] =
                    Bool.random(using: &generator)
                    ? Self.special.randomElement(using: &generator)! : UInt8.random(in: 0...255, using: &generator)
            }
            if Int.random(in: 0..<8, using: &generator) == 0 {
                damaged.removeLast(Int.random(in: 0..<damaged.count, using: &generator))
            }
            let file = MemoryFile(damaged)
            if read(file, &generator) { opened += 1 }
            try #require(!file.strayed, "seed \(seed)")
            // However large the disk says it is, what is asked for bounds what is read.
            try #require(file.taken < 64 << 20, "seed \(seed)")
        }
        // Damage that is found at once would try nothing but the header.
        #expect(opened > rounds / 10)
    }

    /// - Returns: whether the header was accepted.
    private func read(_ file: MemoryFile, _ generator: inout SeededGenerator) -> Bool {
        guard var image = try? DiskImage(file, as: .qcow2) else { return false }
        _ = try? image.bytes(at: 0, Int(min(image.size, 256 << 10)))
        for _ in 0..<4 {
            let start = UInt64.random(in: 0..<image.size, using: &generator)
            _ = try? image.bytes(at: start, Int(min(image.size - start, 9000)))
        }
        _ = try? image.bytes(at: image.size - 1, 1)
        return true
    }

    @Test func chanceInASmallImage() throws {
        let bytes = RefusedImageTests.small()
        try damage(
            bytes, [0..<112, 20..<48, 72..<104, 512..<528, 1024..<1088], rounds: 30_000,
            seed: environment("IMAGES_SEED").flatMap { UInt64($0) } ?? 1)
    }

    @Test(.enabled(if: Workshop.isEquipped, "qemu-utils are not installed"), arguments: ["512", "4096", "65536"])
    func chanceInCompressedImages(_ clusterSize: String) async throws {
        let seed = environment("IMAGES_SEED").flatMap { UInt64($0) } ?? 1
        var generator = SeededGenerator(seed: seed)
        let workshop = try Workshop()
        try workshop.write(diskBytes(256 << 10, &generator), "disk.raw")
        try await workshop.run(
            "qemu-img",
            [
                "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=\(clusterSize)",
                workshop.path("disk.raw"), workshop.path("disk.qcow2"),
            ])
        let bytes = try workshop.read("disk.qcow2")
        let l1 = bytes[40..<48].reduce(0) { $0 << 8 | Int($1) }
        let l2 = bytes[l1..<l1 + 8].reduce(0) { $0 << 8 | Int($1) } & 0x00ff_ffff_ffff_fe00
        try damage(
            bytes, [20..<48, l1..<l1 + 16, l2..<l2 + 512, l2..<l2 + 64, 112..<bytes.count], rounds: 1500, seed: seed)
    }
}
