import CTuffHost
import Glibc
import TuffModel
import TuffSystem

/// Looks at a block device that is to become part of a pool, in a worker: a disk that does not answer holds up nothing
/// else. Nothing is written.
///
/// Signatures are not looked for here but by `wipefs` (`DeviceSignatures`). What has none may still be somebody's data:
/// a database on a raw device, a disk whose first bytes were erased. So what is read must be zero: the first 4 MiB, the
/// last MiB, and 64 KiB at every power of two, where file systems keep copies of their superblocks (ext4 at 128 MiB,
/// btrfs at 64 MiB and 256 GiB).
enum DeviceLook {
    private static let head: UInt64 = 4 << 20
    private static let tail: UInt64 = 1 << 20
    private static let sample: UInt64 = 64 << 10

    static func look(at path: String, _ progress: () -> Bool) throws(HostError) -> CandidateDevice {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .system(errno, "Cannot look at \(path)", subject: path) }
        // Before it is opened: opening other things may wait for somebody, or do something.
        guard status.st_mode & S_IFMT == S_IFBLK else {
            throw HostError(.refused, "\(path) is no block device", subject: path)
        }
        let (descriptor, isInUse) = try open(path)
        let file = OwnedDescriptor(descriptor)
        guard fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else {
            throw HostError(.refused, "\(path) is no block device", subject: path)
        }
        var size: UInt64 = 0
        var readOnly: Int32 = 0
        guard tuff_device_size(file.raw, &size) == 0, tuff_device_read_only(file.raw, &readOnly) == 0 else {
            throw .system(errno, "Cannot ask for the size of \(path)", subject: path)
        }
        let number = DeviceNumber(
            major: Int(tuff_device_major(UInt64(status.st_rdev))), minor: Int(tuff_device_minor(UInt64(status.st_rdev)))
        )
        return CandidateDevice(
            path: path, node: node(of: path), number: number, size: ByteCount(Int64(clamping: size)),
            isReadOnly: readOnly != 0, isInUse: isInUse,
            firstData: try firstData(file.raw, size: size, path: path, progress: progress))
    }

    /// For us alone where that can be had.
    private static func open(_ path: String) throws(HostError) -> (Int32, isInUse: Bool) {
        let alone = tuff_open_at(AT_FDCWD, path, O_RDONLY | O_EXCL | O_NONBLOCK, 0)
        if alone >= 0 { return (alone, false) }
        guard errno == EBUSY else { throw .system(errno, "Cannot open \(path)", subject: path) }
        let shared = tuff_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0)
        guard shared >= 0 else { throw .system(errno, "Cannot open \(path)", subject: path) }
        return (shared, true)
    }

    private static func node(of path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func firstData(
        _ file: Int32, size: UInt64, path: String, progress: () -> Bool
    ) throws(HostError) -> Int64? {
        var ranges = [(start: UInt64(0), length: min(head, size))]
        var power = head
        while power < size {
            ranges.append((power, min(sample, size - power)))
            // Beyond 2^62 there is no device.
            guard power < 1 << 62 else { break }
            power <<= 1
        }
        if size > tail { ranges.append((size - tail, tail)) }
        var buffer = [UInt8](repeating: 0, count: Int(head))
        for range in ranges {
            guard progress() else { throw HostError(.failed, "The controller ended while \(path) was looked at") }
            let count = Int(range.length)
            try read(file, buffer: &buffer, count: count, offset: range.start, path: path)
            if range.start == 0 { EmptyMetadataArea.pass(over: &buffer, count) }
            let found = buffer.withUnsafeBytes { $0.prefix(count).firstIndex { $0 != 0 } }
            if let found { return Int64(range.start) + Int64(found) }
        }
        return nil
    }

    private static func read(
        _ file: Int32, buffer: inout [UInt8], count: Int, offset: UInt64, path: String
    ) throws(HostError) {
        let outcome = buffer.withUnsafeMutableBytes {
            DescriptorIO.read(file, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]))
        }
        guard outcome.count == count else {
            throw .system(outcome.number, "Cannot read \(path) at \(offset)", subject: path)
        }
    }
}

/// Finds the rest of a `pvcreate` that was cut off between its two writes: the header of an area of metadata without a
/// text, and no label yet. It says nothing and belongs to nobody.
///
/// `struct mda_header` of lib/format_text/layout.h in LVM: a checksum, the magic, version, start and size (40 bytes),
/// and then places of texts, which are zero.
enum EmptyMetadataArea {
    private static let start = 4096
    private static let end = start + 512
    private static let magic = Array(" LVM2 x[5A%r0N*>".utf8)
    private static let places = start + 40

    /// Makes it read zero in what was read from the beginning of a device.
    static func pass(over bytes: inout [UInt8], _ count: Int) {
        guard count >= end, bytes[(start + 4)...].starts(with: magic), !bytes[places..<end].contains(where: { $0 != 0 })
        else { return }
        for index in start..<places { bytes[index] = 0 }
    }
}
