package import Glibc

/// Reads and writes of whole buffers by a descriptor: begun again where a signal interrupted them, and gone on with
/// where the kernel took or gave less than was asked for.
///
/// Nothing is thrown, because the modules that use it have errors of their own. Calls block as long as the descriptor
/// does; one that is non-blocking fails with `EAGAIN`.
package enum DescriptorIO {
    /// The end of a transfer.
    package struct Outcome: Equatable, Sendable {
        /// Bytes that were transferred, from the first one of the buffer on.
        package let count: Int
        /// errno(3) of the call that failed. Nil: none failed, and where `count` is less than was asked for, the file
        /// ended there.
        package let failure: Int32?

        /// errno(3) for a message about a transfer that is not complete: `EIO` where the file ended.
        package var number: Int32 { failure ?? EIO }
    }

    /// Fills `buffer` from the descriptor's own position (read(2)).
    package static func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        whole(buffer.count) { Glibc.read(descriptor, buffer.baseAddress! + $0, buffer.count - $0) }
    }

    /// Fills `buffer` from `offset`, in bytes (pread(2)).
    package static func read(
        _ descriptor: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        whole(buffer.count) {
            pread(descriptor, buffer.baseAddress! + $0, buffer.count - $0, place(offset, $0))
        }
    }

    /// Writes all of `bytes` at the descriptor's own position (write(2)).
    package static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Outcome {
        written(whole(bytes.count) { Glibc.write(descriptor, bytes.baseAddress! + $0, bytes.count - $0) }, bytes.count)
    }

    /// Writes all of `bytes` from `offset` on, in bytes (pwrite(2)).
    package static func write(_ descriptor: Int32, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) -> Outcome {
        written(
            whole(bytes.count) {
                pwrite(descriptor, bytes.baseAddress! + $0, bytes.count - $0, place(offset, $0))
            }, bytes.count)
    }

    /// One call of read(2), or of pread(2) where an offset is given, for files that hand out their whole content at
    /// once (configfs).
    /// - Returns: bytes that came; -1 where the call failed, and errno says why.
    package static func readOnce(
        _ descriptor: Int32, at offset: off_t? = nil, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        while true {
            let count =
                offset.map { pread(descriptor, buffer.baseAddress, buffer.count, $0) }
                ?? Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 || errno != EINTR { return count }
        }
    }

    /// Everything from the descriptor's own position to the end, for files whose size nobody knows before, such as
    /// those of procfs.
    /// - Parameter limit: bytes. Where there are more, reading stops soon after that many.
    /// - Returns: what was read, and errno(3) of the call that failed after it; nil where none did.
    package static func readToEnd(_ descriptor: Int32, limit: Int) -> (bytes: [UInt8], failure: Int32?) {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(64 << 10, limit + 1))
        while bytes.count <= limit {
            let count = chunk.withUnsafeMutableBytes { readOnce(descriptor, into: $0) }
            guard count >= 0 else { return (bytes, errno) }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return (bytes, nil)
    }

    /// Past the largest offset there is nothing, which the kernel says.
    private static func place(_ offset: UInt64, _ done: Int) -> off_t { off_t(clamping: offset &+ UInt64(done)) }

    private static func whole(_ count: Int, _ step: (_ done: Int) -> Int) -> Outcome {
        var done = 0
        while done < count {
            let moved = step(done)
            if moved < 0, errno == EINTR { continue }
            guard moved >= 0 else { return Outcome(count: done, failure: errno) }
            if moved == 0 { break }
            done += moved
        }
        return Outcome(count: done, failure: nil)
    }

    /// A write that takes nothing and says no reason would be tried for ever.
    private static func written(_ outcome: Outcome, _ count: Int) -> Outcome {
        outcome.count < count ? Outcome(count: outcome.count, failure: outcome.number) : outcome
    }
}
