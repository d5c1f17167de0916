import CZstd

/// One thread's context for compressing blocks, made once: making one costs more than compressing a block.
final class Compressor {
    private let context: OpaquePointer
    /// Room for a block's frame in the worst case.
    private let room: UnsafeMutableRawBufferPointer
    private let level: Int32

    /// `level` is zstd's, 1 to 19.
    init(level: Int) {
        guard let context = ZSTD_createCCtx() else { preconditionFailure("no memory for compressing") }
        self.context = context
        self.level = Int32(level)
        room = .allocate(byteCount: ZSTD_compressBound(Format.block), alignment: 16)
    }

    deinit {
        ZSTD_freeCCtx(context)
        room.deallocate()
    }

    /// The frame of a block, valid until the next call; nil if it is no shorter than the block.
    func compress(_ block: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let count = ZSTD_compressCCtx(context, room.baseAddress, room.count, block.baseAddress, block.count, level)
        guard ZSTD_isError(count) == 0, count < block.count else { return nil }
        return UnsafeRawBufferPointer(rebasing: room[..<count])
    }
}

/// One thread's context for decompressing blocks.
final class Decompressor {
    /// The first bytes of frames of RFC 8878.
    private static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    private let context: OpaquePointer

    init() {
        guard let context = ZSTD_createDCtx() else { preconditionFailure("no memory for decompressing") }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Fills all of `block` from one frame; false if the frame is damaged, yields more or less, or is not all there is.
    ///
    /// The library would go on with a second frame, skip frames that call themselves skippable, and take frames of its
    /// formats before 1.0.
    func decompress(_ frame: UnsafeRawBufferPointer, into block: UnsafeMutableRawBufferPointer) -> Bool {
        guard frame.starts(with: Self.magic),
            ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count) == frame.count
        else { return false }
        let count = ZSTD_decompressDCtx(context, block.baseAddress, block.count, frame.baseAddress, frame.count)
        return ZSTD_isError(count) == 0 && count == block.count
    }
}
