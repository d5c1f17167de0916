import Testing
import TuffImages
import TuffTestSupport

/// Images that need more than one file and no key, or say that they are not sound.
@Suite struct RefusedImageTests {
    /// A version 3 image of 64 KiB with clusters of 512 bytes: header, L1 table, one L2 table, one cluster of ones.
    static func small(_ change: (inout [UInt8]) -> Void = { _ in }) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4 * 512)
        func put(_ value: UInt64, at offset: Int, count: Int) {
            for index in 0..<count {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - index)))
            }
        }
        bytes.replaceSubrange(0..<4, with: Qcow2Header.magic)
        put(3, at: 4, count: 4)
        put(9, at: 20, count: 4)
        put(64 << 10, at: 24, count: 8)
        put(2, at: 36, count: 4)
        put(512, at: 40, count: 8)
        put(4, at: 96, count: 4)
        put(104, at: 100, count: 4)
        put(1 << 63 | 1024, at: 512, count: 8)
        put(1 << 63 | 1536, at: 1024, count: 8)
        for index in 1536..<2048 { bytes[index] = 1 }
        change(&bytes)
        return bytes
    }

    private func refusal(_ bytes: [UInt8], as format: DiskImage<MemoryFile>.Format = .qcow2) -> ImageError? {
        let file = MemoryFile(bytes)
        defer { #expect(!file.strayed) }
        do throws(ImageError) {
            _ = try DiskImage(file, as: format)
            return nil
        } catch {
            return error
        }
    }

    @Test func whatAnImageHoldsIsInItsTables() throws {
        var image = try DiskImage(MemoryFile(Self.small()), as: .qcow2)
        #expect(try image.content() == 64 << 10, "one cluster of 512 bytes makes a block be written")
        var empty = try DiskImage(
            MemoryFile(Self.small { $0.replaceSubrange(1024..<1032, with: [UInt8](repeating: 0, count: 8)) }),
            as: .qcow2)
        #expect(try empty.content() == 0)
        var raw = try DiskImage(MemoryFile([1, 2, 3]), as: .raw)
        #expect(try raw.content() == nil)
    }

    @Test func theSmallestImageIsRead() throws {
        var image = try DiskImage(MemoryFile(Self.small()), as: .qcow2)
        #expect(image.size == 64 << 10)
        #expect(try image.bytes(at: 0, 512) == [UInt8](repeating: 1, count: 512))
        #expect(try image.bytes(at: 512, 65024) == [UInt8](repeating: 0, count: 65024))
        #expect(throws: ImageError.self) { try image.bytes(at: 65535, 2) }
    }

    @Test(arguments: [
        (15, 1, "has a backing file"), (35, 2, "is encrypted"), (79, 1, "was not closed"), (79, 2, "it is corrupt"),
        (79, 4, "in another file"), (79, 8, "contradicts itself"), (79, 16, "extended L2"), (79, 32, "bits 0x20"),
        (72, 1, "bits 0x100000000000000"), (7, 4, "version 4"), (7, 1, "version 1"), (23, 8, "2^8"), (23, 22, "2^22"),
        (20, 255, "2^42"), (24, 255, "L1 table"), (36, 255, "L1 table"), (40, 1, "L1 table at"), (47, 8, "L1 table at"),
        (46, 8, "L1 table at"), (100, 1, "header of"), (103, 96, "header of"), (0, 0, "does not begin"),
    ])
    func aHeaderThatAsksForMoreIsRefused(_ offset: Int, value: Int, sentence: String) throws {
        let error = try #require(refusal(Self.small { $0[offset] = UInt8(value) }))
        #expect(error.sentence.contains(sentence), "\(error.sentence)")
    }

    @Test func anotherCompressionIsRefusedByName() throws {
        let zstd = Self.small {
            $0[79] = 8
            $0[103] = 112
            $0[104] = 1
        }
        #expect(try #require(refusal(zstd)).sentence.contains("zstd"))
    }

    @Test func aDiskOfNoSizeAndAFileOfNoLengthAreRefused() throws {
        #expect(refusal(Self.small { $0.replaceSubrange(24..<32, with: [UInt8](repeating: 0, count: 8)) }) != nil)
        #expect(refusal([]) != nil)
        #expect(refusal([], as: .raw) != nil)
        for count in 0..<104 { #expect(refusal(Array(Self.small().prefix(count))) != nil) }
    }

    @Test func aRawImageIsItsFileUnlessItBeginsAsQcow2Does() throws {
        var image = try DiskImage(MemoryFile([1, 2, 3, 4, 5]), as: .raw)
        #expect(image.size == 5)
        #expect(try image.bytes(at: 1, 3) == [2, 3, 4])
        #expect(try #require(refusal(Self.small(), as: .raw)).sentence.contains("declared raw"))
        #expect(refusal([0x51, 0x46, 0x49], as: .raw) == nil)
    }

    /// A wrong entry of a table is found out when the disk is read.
    @Test(arguments: [
        (513, 1, "an L1 entry"), (519, 1, "an L1 entry"), (512, 1, "an L1 entry"), (517, 64, "an L1 entry"),
        (1031, 2, "an L2 entry"), (1024, 0x21, "an L2 entry"), (1024, 0xc0, "an L2 entry"), (1029, 64, "ends before"),
    ])
    func aTableThatLeadsNowhereIsAnError(_ offset: Int, value: Int, sentence: String) throws {
        let file = MemoryFile(Self.small { $0[offset] = UInt8(value) })
        var image = try DiskImage(file, as: .qcow2)
        do {
            _ = try image.bytes(at: 0, 1024)
            Issue.record("it was read")
        } catch let error as ImageError {
            #expect(error.sentence.contains(sentence), "\(error.sentence)")
        }
        #expect(!file.strayed)
    }

    @Test func anImageThatWasNotCopiedWholeIsAnErrorAndNotZeros() throws {
        let file = MemoryFile(Array(Self.small().dropLast(100)))
        var image = try DiskImage(file, as: .qcow2)
        #expect(try image.bytes(at: 0, 412).count == 412)
        #expect(throws: ImageError.self) { try image.bytes(at: 0, 512) }
        #expect(!file.strayed)
    }
}
