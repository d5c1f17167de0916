import Crypto
import Glibc
import Synchronization
package import TuffRepository

/// Restores the volume of a backup of Cinder's into a target.
///
/// Every object is decompressed in pieces, written where it belongs, and proven by length and digest at its end; layers
/// go one after another, oldest first. Zeros of a later layer are written over the bytes of an earlier one, which
/// Cinder's own restore into a new volume leaves there. At the end all of it is read back and compared with the newest
/// backup's list of digests, since offsets and parents have no checksum of their own.
package struct CinderRestore: Sendable {
    /// Bytes that are read and written at a time.
    static let piece = 1 << 20
    /// Bytes of a block. Blocks are compared with the target, and equal ones are not written.
    static let block = 64 << 10

    private let chain: CinderChain
    private let size: UInt64
    private let target: any BlockTarget
    private let progress: JobProgress

    /// - Parameter size: the volume's, which the target has at least.
    package init(_ chain: CinderChain, size: UInt64, to target: any BlockTarget, progress: JobProgress) {
        self.chain = chain
        self.size = size
        self.target = target
        self.progress = progress
    }

    /// Result of a restore.
    package struct Outcome: Hashable, Sendable {
        /// Bytes that were written; all others had their value already.
        package var written: UInt64
        /// Bytes from the begin that Cinder's list of digests proves.
        package var proven: UInt64
    }

    package func run(threads: some Threads) throws(RepositoryError) -> Outcome {
        let written = Atomic<UInt64>(0)
        for (depth, layer) in chain.layers.enumerated() {
            // Objects of one layer do not overlap, so their order does not matter.
            let next = Atomic<Int>(0)
            let failed = Atomic<Bool>(false)
            try threads.perform { () throws(RepositoryError) in
                let writer = PieceWriter(target, isBlank: target.isBlank && depth == 0)
                defer { written.add(writer.written, ordering: .relaxed) }
                while !failed.load(ordering: .relaxed) {
                    let index = next.add(1, ordering: .relaxed).oldValue
                    guard index < layer.metadata.objects.count else { return }
                    do throws(RepositoryError) { try restore(index, of: layer, with: writer) } catch {
                        failed.store(true, ordering: .relaxed)
                        throw error
                    }
                }
            }
        }
        let writer = PieceWriter(target, isBlank: target.isBlank)
        try writer.clear(chain.covered..<max(size, chain.covered))
        written.add(writer.written, ordering: .relaxed)
        let proven = chain.hasDigests ? try prove() : 0
        try target.finish(size: max(size, chain.covered))
        return Outcome(written: written.load(ordering: .relaxed), proven: proven)
    }

    /// Bytes that `progress` will have counted at the end.
    package static func total(_ chain: CinderChain) -> UInt64 {
        let (sum, overflow) = chain.total.addingReportingOverflow(chain.hasDigests ? chain.covered : 0)
        return overflow ? .max : sum
    }

    /// Compares the result with Cinder's list of digests. Returns the number of bytes that the list covers.
    private func prove() throws(RepositoryError) -> UInt64 {
        let list = try DigestList(chain.newest.listing, in: chain.directory)
        var room: [UInt8] = []
        var zero: SHA256.Digest?
        let extent = try list.read { offset, length, digest throws(RepositoryError) in
            // Reported below, once the list has been read to its end.
            guard offset < chain.covered else { return }
            let count = Int(min(length, chain.covered - offset))
            if room.count != count { room = [UInt8](repeating: 0, count: count) }
            var failure: RepositoryError?
            let found = room.withUnsafeMutableBytes { room -> SHA256.Digest? in
                do throws(RepositoryError) { try target.read(at: offset, into: room) } catch { failure = error }
                guard failure == nil else { return nil }
                let isZero = room[0] == 0 && memcmp(room.baseAddress!, room.baseAddress! + 1, count - 1) == 0
                // Much of a volume is zero, and all blocks but the last have one length.
                if isZero, UInt64(count) == length {
                    if zero == nil { zero = Self.digest(room) }
                    return zero
                }
                return Self.digest(room)
            }
            if let failure { throw failure }
            guard let found, DigestList.matches(found, digest) else {
                throw list.unfit(
                    "has another digest for the \(count) bytes at \(offset) than the chain of backups yields")
            }
            progress.add(UInt64(count))
            try progress.demand()
        }
        try chain.expect(extent)
        return min(chain.covered, extent.sizes.upperBound)
    }

    private static func digest(_ bytes: UnsafeMutableRawBufferPointer) -> SHA256.Digest {
        var hasher = SHA256()
        hasher.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        return hasher.finalize()
    }

    private func restore(_ index: Int, of layer: CinderLayer, with writer: PieceWriter) throws(RepositoryError) {
        let object = layer.metadata.objects[index]
        let stream = ObjectStream(object, in: try chain.directory.open(layer.path(ofObject: index + 1)))
        var offset = object.range.lowerBound
        while true {
            let count = try stream.read(into: writer.bytes)
            guard count > 0 else { return }
            try writer.write(count, at: offset)
            offset += UInt64(count)
            progress.add(UInt64(count))
            try progress.demand()
        }
    }
}

/// The buffers of one thread, and its access to the target.
private final class PieceWriter {
    /// Bytes that are to be written.
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: CinderRestore.piece, alignment: 4_096)
    private(set) var written: UInt64 = 0

    private let target: any BlockTarget
    private let isBlank: Bool
    /// Bytes that the target has now; zeros in a blank target.
    private let there = UnsafeMutableRawBufferPointer.allocate(byteCount: CinderRestore.piece, alignment: 4_096)

    init(_ target: any BlockTarget, isBlank: Bool) {
        self.target = target
        self.isBlank = isBlank
        there.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        bytes.deallocate()
        there.deallocate()
    }

    /// Writes the first `count` of `bytes`, but only blocks that differ from the target's, neighbours in one call.
    func write(_ count: Int, at offset: UInt64) throws(RepositoryError) {
        if !isBlank { try target.read(at: offset, into: .init(rebasing: there[..<count])) }
        var differing: Range<Int>?
        for begin in stride(from: 0, to: count, by: CinderRestore.block) {
            let end = min(begin + CinderRestore.block, count)
            if memcmp(bytes.baseAddress! + begin, there.baseAddress! + begin, end - begin) != 0 {
                differing = (differing?.lowerBound ?? begin)..<end
            } else {
                try flush(&differing, at: offset)
            }
        }
        try flush(&differing, at: offset)
    }

    private func flush(_ range: inout Range<Int>?, at offset: UInt64) throws(RepositoryError) {
        guard let wanted = range else { return }
        try target.write(.init(rebasing: bytes[wanted]), at: offset + UInt64(wanted.lowerBound))
        written += UInt64(wanted.count)
        range = nil
    }

    /// Makes a range zero.
    func clear(_ range: Range<UInt64>) throws(RepositoryError) {
        guard !isBlank, !range.isEmpty else { return }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(min(UInt64(CinderRestore.piece), range.upperBound - offset))
            try write(count, at: offset)
            offset += UInt64(count)
        }
    }
}
