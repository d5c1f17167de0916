import Crypto
import Glibc
import Synchronization

/// The first bytes of a target while a restore is not complete: a line for a person who looks, and then bytes that
/// follow from the nonce alone. A program that makes something else of the target writes there, which is noticed.
package struct RestoreMark: Hashable, Sendable {
    /// Number of its bytes. Most signatures that libblkid knows lie within them, so half a volume is not taken for a
    /// whole one.
    package static let length = 64 << 10
    /// A shorter one could not hold the line.
    private static let least = 512
    private static let line = "Tuff was restoring to this place, and is not done: run the same restore again. "
    private static let digits = 32

    /// 32 digits of base 16.
    package let nonce: String

    /// Draws a new nonce.
    package init() {
        let words = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }
        nonce = words.map { String(repeating: "0", count: 16 - $0.utf8.count) + $0 }.joined()
    }

    /// Reads the mark at the begin of a target; nil: there is none, or something was written over it.
    package init?(beginning bytes: [UInt8]) {
        guard bytes.count >= Self.least, bytes.starts(with: Self.line.utf8) else { return nil }
        nonce = String(decoding: bytes[Self.line.utf8.count...].prefix(Self.digits), as: UTF8.self)
        guard self.bytes(bytes.count) == bytes else { return nil }
    }

    /// The first `count` bytes; none where so few could be mistaken for other data.
    package func bytes(_ count: Int) -> [UInt8] {
        guard count >= Self.least else { return [] }
        var result = Array((Self.line + nonce + "\n").utf8)
        var number: UInt32 = 0
        while result.count < count {
            var hasher = SHA256()
            hasher.update(data: Array(nonce.utf8))
            withUnsafeBytes(of: number.littleEndian) { hasher.update(bufferPointer: $0) }
            result += Array(hasher.finalize())
            number += 1
        }
        return Array(result.prefix(count))
    }
}

/// A target whose first bytes say that it is not complete, from before the first byte is written until all others are
/// durable.
package final class MarkedTarget: BlockTarget {
    private struct Head {
        /// The first bytes of the volume as they are to be.
        var bytes: [UInt8]
        var isBegun = false
    }

    private let target: DeviceTarget
    private let mark: RestoreMark
    private let count: Int
    private let head: Mutex<Head>
    private let beginning: @Sendable (RestoreMark) throws(RepositoryError) -> Void

    /// - Parameters:
    ///   - size: bytes of the volume, which the target has.
    ///   - mark: the existing mark, where an interrupted restore goes on.
    ///   - beginning: called once, right before the first byte is written; that write throws its error.
    package init(
        _ target: DeviceTarget, size: UInt64, mark: RestoreMark = RestoreMark(),
        beginning: @escaping @Sendable (RestoreMark) throws(RepositoryError) -> Void
    ) throws(RepositoryError) {
        self.target = target
        self.mark = mark
        self.beginning = beginning
        count = mark.bytes(Int(min(size, UInt64(RestoreMark.length)))).count
        head = Mutex(Head(bytes: target.isBlank ? [UInt8](repeating: 0, count: count) : try target.begin(count)))
    }

    package var isBlank: Bool { target.isBlank }

    package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        let inside = overlap(offset, buffer.count)
        if inside.count < buffer.count {
            try target.read(
                at: offset + UInt64(inside.count),
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[inside.count...]))
        }
        head.withLock { buffer.copyBytes(from: $0.bytes[inside]) }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RepositoryError) {
        try begin()
        let inside = overlap(offset, bytes.count)
        head.withLock { $0.bytes.replaceSubrange(inside, with: bytes.prefix(inside.count)) }
        guard inside.count < bytes.count else { return }
        try target.write(
            UnsafeRawBufferPointer(rebasing: bytes[inside.count...]), at: offset + UInt64(inside.count))
    }

    /// Writes the begin of the volume, once everything behind it is durable.
    package func finish(size: UInt64) throws(RepositoryError) {
        let (isBegun, bytes) = head.withLock { ($0.isBegun, $0.bytes) }
        if isBegun, count > 0 {
            try target.sync()
            try target.write(bytes, at: 0)
        }
        try target.finish(size: size)
    }

    /// Marks the target as incomplete from now on.
    package func begin() throws(RepositoryError) {
        try head.withLock { head throws(RepositoryError) in
            guard !head.isBegun else { return }
            try beginning(mark)
            try target.write(mark.bytes(count), at: 0)
            try target.sync()
            head.isBegun = true
        }
    }

    /// The part of a range that lies in the head, which is kept in memory.
    private func overlap(_ offset: UInt64, _ length: Int) -> Range<Int> {
        guard offset < UInt64(count) else { return 0..<0 }
        return Int(offset)..<min(Int(offset) + length, count)
    }
}
