/// Tables of an image, read in pages of which the last few are kept: a table may have 32 MiB, and the kept pages have
/// at most 1 MiB, whatever the image says.
struct MetadataPages {
    private static let pageSize: UInt64 = 64 << 10
    private static let limit = 16

    private var pages: [(number: UInt64, bytes: [UInt8], used: UInt64)] = []
    private var clock: UInt64 = 0

    /// The 64-bit big-endian number at a multiple of 8 that lies in the file with all its bytes.
    mutating func entry(at offset: UInt64, in file: some ImageFile) throws(ImageError) -> UInt64 {
        let index = try page(offset / Self.pageSize, file)
        let start = Int(offset % Self.pageSize)
        return pages[index].bytes.withUnsafeBytes {
            UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
    }

    private mutating func page(_ number: UInt64, _ file: some ImageFile) throws(ImageError) -> Int {
        clock += 1
        if let known = pages.firstIndex(where: { $0.number == number }) {
            pages[known].used = clock
            return known
        }
        let start = number * Self.pageSize
        let bytes = try ImageBytes(file, at: start, count: Int(min(Self.pageSize, file.length - start))).bytes
        guard pages.count == Self.limit, let oldest = pages.indices.min(by: { pages[$0].used < pages[$1].used }) else {
            pages.append((number, bytes, clock))
            return pages.count - 1
        }
        pages[oldest] = (number, bytes, clock)
        return oldest
    }
}
