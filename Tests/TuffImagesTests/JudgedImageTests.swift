import Testing
import TuffImages
import TuffTestSupport

/// Images made by QEMU, read here and by QEMU.
@Suite(.serialized, .enabled(if: Workshop.isEquipped, "qemu-utils are not installed"))
struct JudgedImageTests {
    /// One way of making an image.
    struct Recipe: CustomStringConvertible, Sendable {
        var options: String
        var isCompressed = false
        var size = 3 << 20

        var description: String { options + (isCompressed ? ", compressed" : "") + ", \(size)" }
    }

    static let recipes: [Recipe] =
        ["512", "4096", "65536", "2M"].flatMap { size in
            ["compat=0.10", "compat=1.1", "compat=1.1,lazy_refcounts=on"].flatMap { version in
                [
                    Recipe(options: "\(version),cluster_size=\(size)"),
                    Recipe(options: "\(version),cluster_size=\(size)", isCompressed: true, size: 3 << 20 | 1536),
                ]
            }
        }
        + ["metadata", "falloc", "full"].map { Recipe(options: "preallocation=\($0),cluster_size=4096", size: 5 << 20) }
        + [Recipe(options: "refcount_bits=1"), Recipe(options: "refcount_bits=64,cluster_size=1024")]

    @Test(arguments: recipes) func anImageReadsAsQEMUReadsIt(_ recipe: Recipe) async throws {
        let seed = environment("IMAGES_SEED").flatMap { UInt64($0) } ?? 1
        print("\(recipe), seed \(seed)")
        var generator = SeededGenerator(
            seed: recipe.description.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) })
        let workshop = try Workshop()
        try workshop.write(diskBytes(recipe.size, &generator), "disk.raw")
        try await workshop.run(
            "qemu-img",
            ["convert", "-f", "raw", "-O", "qcow2", "-o", recipe.options] + (recipe.isCompressed ? ["-c"] : [])
                + [workshop.path("disk.raw"), workshop.path("disk.qcow2")])
        // What QEMU wrote at once, then what guests do to it, then what happens after an internal snapshot.
        try await compare(workshop, &generator)
        try await workshop.run("qemu-io", commands(recipe, &generator) + [workshop.path("disk.qcow2")])
        try await compare(workshop, &generator)
        // One bit counts no second reference, which a snapshot needs.
        let hasSnapshots = recipe.options != "refcount_bits=1"
        if hasSnapshots {
            try await workshop.run("qemu-img", ["snapshot", "-c", "before", workshop.path("disk.qcow2")])
            try await workshop.run("qemu-io", commands(recipe, &generator) + [workshop.path("disk.qcow2")])
            try await compare(workshop, &generator)
        }
        if !hasSnapshots || !recipe.options.contains("compat=0.10") {
            try await workshop.run("qemu-img", ["resize", "-q", workshop.path("disk.qcow2"), "+1M"])
            try await compare(workshop, &generator)
        }
    }

    private func compare(_ workshop: Workshop, _ generator: inout SeededGenerator) async throws {
        let expected = try await workshop.judged("disk.qcow2")
        let file = MemoryFile(try workshop.read("disk.qcow2"))
        var image = try DiskImage(file, as: .qcow2)
        let content = try #require(try image.content())
        let filled = stride(from: 0, to: expected.count, by: 65536).filter { start in
            expected[start..<min(start + 65536, expected.count)].contains { $0 != 0 }
        }
        #expect(content <= image.size && content >= min(UInt64(filled.count * 65536), image.size))
        try #require(image.size == UInt64(expected.count))
        var position = 0
        while position < expected.count {
            let count = min(Int.random(in: 1...400_000, using: &generator), expected.count - position)
            let got = try image.bytes(at: UInt64(position), count)
            try #require(isEqual(got, expected, at: position), "from \(position) on, \(count) bytes")
            position += count
        }
        for _ in 0..<20 {
            let start = Int.random(in: 0..<expected.count, using: &generator)
            let count = min(Int.random(in: 1...5000, using: &generator), expected.count - start)
            try #require(isEqual(try image.bytes(at: UInt64(start), count), expected, at: start), "at \(start)")
        }
        #expect(!file.strayed)
    }

    /// Writes, zeros and discards anywhere in the disk.
    private func commands(_ recipe: Recipe, _ generator: inout SeededGenerator) -> [String] {
        ["-f", "qcow2"]
            + (0..<12).flatMap { _ in
                let start = Int.random(in: 0..<recipe.size / 512 - 1, using: &generator) * 512
                let count = min(Int.random(in: 1...600, using: &generator) * 512, recipe.size - start)
                let pattern = Int.random(in: 1...255, using: &generator)
                let command = ["write -P \(pattern)", "write -P \(pattern)", "write -z", "write -z -u", "discard"]
                    .randomElement(using: &generator)!
                return ["-c", "\(command) \(start) \(count)"]
            }
    }
}
