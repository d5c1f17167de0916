import CBzip2
import CZlib
import CZstd
import Crypto
import TuffRepository

/// One step of a decompressor.
struct DecodingStep {
    var consumed: Int
    var produced: Int
    /// The stream's own end was reached.
    var ended: Bool
}

/// Decompresses one stream in pieces, in memory that does not depend on its length.
protocol PieceDecoder: AnyObject {
    /// Nil: the input is no such stream. Without progress more input is needed.
    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep?
}

/// The uncompressed bytes of one object, in order and in pieces; at its end length and digest are proven.
final class ObjectStream {
    /// Bytes of compressed input held at once.
    private static let inputRoom = 256 << 10

    private let file: CinderFile
    private let object: CinderObject
    private let decoder: (any PieceDecoder)?
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: inputRoom, alignment: 4_096)
    /// The part of `room` that is not decompressed yet.
    private var pending = 0..<0
    private var readOffset: UInt64 = 0
    private var produced: UInt64 = 0
    private var ended = false
    private var digest = Insecure.MD5()

    init(_ object: CinderObject, in file: CinderFile) {
        self.object = object
        self.file = file
        decoder =
            switch object.compression {
            case .none: nil
            case .zlib: ZlibDecoder()
            case .bzip2: Bzip2Decoder()
            case .zstd: ZstdDecoder()
            }
    }

    deinit { room.deallocate() }

    /// Fills `buffer`, or as much of it as the object still has by its metadata; 0 when it ended and is proven.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) -> Int {
        let left = UInt64(object.range.count) - produced
        guard left > 0 else {
            try proveEnd()
            return 0
        }
        let wanted = Int(min(UInt64(buffer.count), left))
        var done = 0
        while done < wanted {
            let step = try step(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<wanted]))
            done += step.produced
            if step.ended, done < wanted {
                throw damaged("ends after \(produced + UInt64(done)) of \(object.range.count) bytes")
            }
        }
        produced += UInt64(wanted)
        digest.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<wanted]))
        return wanted
    }

    private func proveEnd() throws(RepositoryError) {
        var spare: UInt8 = 0
        while !ended {
            let (step, failure) = withUnsafeMutableBytes(of: &spare) { buffer -> (DecodingStep?, RepositoryError?) in
                do throws(RepositoryError) { return (try self.step(into: buffer), nil) } catch { return (nil, error) }
            }
            if let failure { throw failure }
            guard step?.produced == 0 else { throw damaged("holds more than its \(object.range.count) bytes") }
        }
        if pending.isEmpty { try fill() }
        guard pending.isEmpty else { throw damaged("goes on behind its end") }
        guard MD5Text(digest.finalize()) == object.md5 else {
            throw damaged("is not what Cinder wrote: its MD5 digest is another")
        }
    }

    /// Decompresses until there is output, or the end of the stream.
    private func step(into output: UnsafeMutableRawBufferPointer) throws(RepositoryError) -> DecodingStep {
        guard !ended else { return DecodingStep(consumed: 0, produced: 0, ended: true) }
        guard let decoder else {
            let count = try file.read(at: readOffset, into: output)
            readOffset += UInt64(count)
            ended = count == 0
            return DecodingStep(consumed: count, produced: count, ended: ended)
        }
        while true {
            if pending.isEmpty { try fill() }
            let isLast = pending.isEmpty
            guard let step = decoder.decode(UnsafeRawBufferPointer(rebasing: room[pending]), into: output) else {
                throw damaged("cannot be decompressed")
            }
            pending = pending.lowerBound + step.consumed..<pending.upperBound
            ended = step.ended
            if step.produced > 0 || step.ended { return step }
            guard !isLast else { throw damaged("is cut off") }
            // A decompressor that takes nothing and gives nothing will never end.
            guard step.consumed > 0 else { throw damaged("cannot be decompressed") }
        }
    }

    private func fill() throws(RepositoryError) {
        let count = try file.read(at: readOffset, into: room)
        readOffset += UInt64(count)
        pending = 0..<count
    }

    private func damaged(_ what: String) -> RepositoryError { RepositoryError(.damaged, "\(file.path) \(what)") }
}

/// Decompresses zlib streams (RFC 1950).
private final class ZlibDecoder: PieceDecoder {
    // zlib keeps the address of its state.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let isReady: Bool

    init() {
        stream.initialize(to: z_stream())
        isReady = inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    }

    deinit {
        if isReady { inflateEnd(stream) }
        stream.deallocate()
    }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep? {
        guard isReady else { return nil }
        // The C signature lacks a const; zlib does not write to its input.
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(output.count)
        let status = inflate(stream, Z_NO_FLUSH)
        guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { return nil }
        return DecodingStep(
            consumed: input.count - Int(stream.pointee.avail_in),
            produced: output.count - Int(stream.pointee.avail_out),
            ended: status == Z_STREAM_END)
    }
}

private final class Bzip2Decoder: PieceDecoder {
    // libbz2 keeps the address of its state.
    private let stream = UnsafeMutablePointer<bz_stream>.allocate(capacity: 1)
    private let isReady: Bool

    init() {
        stream.initialize(to: bz_stream())
        isReady = BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK
    }

    deinit {
        if isReady { BZ2_bzDecompressEnd(stream) }
        stream.deallocate()
    }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep? {
        guard isReady else { return nil }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: CChar.self))
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: CChar.self)
        stream.pointee.avail_out = UInt32(output.count)
        let status = BZ2_bzDecompress(stream)
        guard status == BZ_OK || status == BZ_STREAM_END else { return nil }
        return DecodingStep(
            consumed: input.count - Int(stream.pointee.avail_in),
            produced: output.count - Int(stream.pointee.avail_out),
            ended: status == BZ_STREAM_END)
    }
}

/// Decompresses Zstandard frames (RFC 8878).
private final class ZstdDecoder: PieceDecoder {
    /// Windows of up to 8 MiB, which the RFC wants every decoder to have; Cinder's own are 2 MiB.
    private static let windowLog: Int32 = 23

    private let context = ZSTD_createDCtx()

    init() {
        // Refused by no version that has the parameter; the library's own limit holds otherwise.
        if let context { ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.windowLog) }
    }

    deinit { ZSTD_freeDCtx(context) }

    func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodingStep? {
        guard let context else { return nil }
        var from = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var to = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        let status = ZSTD_decompressStream(context, &to, &from)
        guard ZSTD_isError(status) == 0 else { return nil }
        return DecodingStep(consumed: from.pos, produced: to.pos, ended: status == 0)
    }
}
