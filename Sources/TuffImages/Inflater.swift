import CZlib

/// Inflates raw deflate streams with a window of 4 KiB, the form of compressed clusters (qcow2.txt: "window size 12
/// bits, no header").
enum Inflater {
    /// Fills `output`, and never writes more. False: the input is no such stream, or holds less.
    static func inflate(_ input: UnsafeMutableRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        var stream = z_stream()
        guard inflateInit2_(&stream, -12, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return false
        }
        defer { inflateEnd(&stream) }
        stream.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.avail_in = UInt32(truncatingIfNeeded: input.count)
        stream.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.avail_out = UInt32(truncatingIfNeeded: output.count)
        let status = CZlib.inflate(&stream, Z_FINISH)
        // The bytes behind the stream in its last sector belong to another cluster.
        return (status == Z_STREAM_END || status == Z_BUF_ERROR) && stream.avail_out == 0
    }
}
