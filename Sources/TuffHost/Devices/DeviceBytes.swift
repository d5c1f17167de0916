import CTuffHost
import Glibc
import TuffImages
import TuffModel
import TuffSystem

/// The bytes of one volume: of a logical volume, opened for us alone, or of a file.
///
/// `O_EXCL` without `O_CREAT` on a block device (open(2)) fails while anything holds it: a mount, a target, another
/// mapping. The name is only a way to it: which device was opened is asked of the kernel after that.
struct DeviceBytes: ~Copyable {
    /// Bytes between two signs of life: a slow disk takes a second for so many.
    private static let piece: UInt64 = 8 << 20
    private static let block = 1 << 20

    let file: OwnedDescriptor
    let path: String
    let size: UInt64
    /// Of a file, when it was opened.
    private let status: stat?

    init(_ place: BytesPlace, in roots: OpenRoots, writable: Bool = true) throws(HostError) {
        switch place {
        case .device(let device): try self.init(device, writable: writable)
        case .file(let path): try self.init(path, in: roots, writable: writable)
        }
    }

    init(_ place: DevicePlace, writable: Bool = true) throws(HostError) {
        path = place.path
        guard let uuid = place.uuid else {
            throw HostError(.preconditionFailed, "LVM was not asked which device \(path) is", subject: path)
        }
        let flags = (writable ? O_RDWR : O_RDONLY) | O_EXCL
        guard let opened = OwnedDescriptor(opened: tuff_open_at(AT_FDCWD, path, flags, 0)) else {
            let number = errno
            guard number == EBUSY else { throw .system(number, "Cannot open \(path)", subject: path) }
            throw HostError(.preconditionFailed, "Nothing was written: \(path) is in use", subject: path)
        }
        var status = stat()
        guard fstat(opened.raw, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else {
            throw HostError(.preconditionFailed, "\(path) is no block device", subject: path)
        }
        let found = FileConditions.deviceMapperUUID(of: status.st_rdev)
        guard found == uuid else {
            throw HostError(
                .preconditionFailed, "Nothing was written: \(path) is \(found ?? "no volume"), not \(uuid)",
                subject: path)
        }
        var bytes: UInt64 = 0
        guard tuff_device_size(opened.raw, &bytes) == 0 else {
            throw .system(errno, "Cannot ask for the size of \(path)", subject: path)
        }
        size = bytes
        file = opened
        self.status = nil
    }

    /// A file of a directory pool, which must be ours. Nobody can be kept from opening it. One to write to is not to be
    /// shown to anybody yet, and is refused where somebody has it open; one to read is asked in the end whether it
    /// changed.
    init(_ file: HostPath, in roots: OpenRoots, writable: Bool = true) throws(HostError) {
        let place = try TreePlace(file, in: roots)
        let name = place.path
        guard let opened = place.open((writable ? O_RDWR : O_RDONLY) | O_NONBLOCK) else {
            throw .system(errno, "Cannot open \(name)", subject: name)
        }
        var status = stat()
        guard fstat(opened.raw, &status) == 0, status.kind == .file, Exposure.isOurs(status, opened.raw)
        else {
            throw HostError(.preconditionFailed, "\(name) is no plain file of ours", subject: name)
        }
        if writable, tuff_is_open_elsewhere(opened.raw) == 1 {
            throw HostError(.preconditionFailed, "Nothing was written: \(name) is in use", subject: name)
        }
        // After a write-back that failed the kernel keeps what was to be written as if it were on the disk. Compared
        // with that, an interrupted copy would look complete; what is read is to come from the disk.
        if writable { posix_fadvise(opened.raw, 0, 0, POSIX_FADV_DONTNEED) }
        path = name
        size = UInt64(max(0, status.st_size))
        self.status = status
        self.file = opened
    }

    /// A listener to the progress of the work: bytes done, of how many.
    typealias Telling = (_ done: UInt64, _ total: UInt64) -> Void

    func wipe(
        _ method: WipeMethod, _ progress: () -> Bool, told: Telling = { _, _ in }
    ) throws(HostError) {
        var offset: UInt64 = 0
        while offset < size {
            told(offset, size)
            guard progress() else { throw interruption("wiping") }
            let length = min(Self.piece, size - offset)
            switch method {
            case .zero: try zero(offset, length)
            case .discard:
                // What a device does not know how to forget is zeroed by the reading that follows.
                _ = tuff_device_discard(file.raw, offset, length)
                try zeroWhatIsLeft(offset, length)
            }
            offset += length
        }
        try sync()
    }

    /// Begins with the bytes of `source`, and reads zeros after them.
    func copy(
        from source: borrowing DeviceBytes, _ progress: () -> Bool, told: Telling = { _, _ in }
    ) throws(HostError) {
        source.settle()
        let theirs = source.file.raw, end = source.size
        let hole = { (offset: UInt64) in offset < end ? Self.nextData(theirs, offset) : .max }
        try fill(source.size, of: source.path, progress: progress, told: told, nextData: hole) {
            (buffer, count, offset) throws(HostError) in
            try source.read(&buffer, count, at: offset)
        }
        try source.requireUnchanged()
    }

    /// A file's times step by the kernel's tick, 10 ms at most. What is written within the tick of its last change
    /// shows in no time, and so is waited for before the first byte is read.
    func settle() { if status != nil { usleep(20_000) } }

    /// What is read of a file is what it held at one moment.
    private func requireUnchanged() throws(HostError) {
        guard let status else { return }
        var now = stat()
        guard fstat(file.raw, &now) == 0 else { throw .system(errno, "Cannot look at \(path) again", subject: path) }
        guard now.hasContent(of: status) else {
            throw HostError(
                .preconditionFailed, "\(path) was written to while it was copied; the next pass goes on with it",
                subject: path)
        }
    }

    /// Where the next byte is that may be another than zero. File systems that know no holes, and devices, have bytes
    /// everywhere.
    private static func nextData(_ file: Int32, _ offset: UInt64) -> UInt64 {
        let found = tuff_next_data(file, Int64(offset))
        guard found < 0 else { return UInt64(found) }
        return errno == ENXIO ? .max : offset
    }

    /// Begins with the bytes of the disk in an image, and reads zeros after them. Nothing is written unless the image
    /// has the SHA-256 that is declared for it.
    func copy(
        _ image: ImageSource, in roots: HostRoots, _ progress: () -> Bool, told: Telling = { _, _ in }
    ) throws(HostError) {
        let file = try OpenedImage(image, in: roots)
        if let wanted = image.sha256 { try file.require(sha256: wanted, progress) }
        var disk: DiskImage<OpenedImage>
        do throws(ImageError) { disk = try DiskImage(file, as: image.imageFormat) } catch { throw file.failure(error) }
        try fill(disk.size, of: "the disk in \(image.path)", progress: progress, told: told) {
            (buffer, count, offset) throws(HostError) in
            do throws(ImageError) {
                try buffer.filled(count) { part throws(ImageError) in try disk.read(at: offset, into: part) }
            } catch {
                throw file.failure(error)
            }
        }
        try file.requireUnchanged()
    }

    /// Writes what `read` gives of `sourceSize` bytes, where it differs from what is there, and zeros after them.
    private func fill(
        _ sourceSize: UInt64, of source: String, progress: () -> Bool, told: Telling,
        nextData: (UInt64) -> UInt64 = { $0 }, read: (inout [UInt8], Int, UInt64) throws(HostError) -> Void
    ) throws(HostError) {
        guard sourceSize <= size else {
            throw HostError(.preconditionFailed, "\(source) is larger than \(path)", subject: path)
        }
        var theirs = [UInt8](repeating: 0, count: Self.block), ours = theirs
        var offset: UInt64 = 0, unsynced = 0
        while offset < size {
            told(offset, size)
            guard progress() else { throw interruption("filling") }
            // Holes on both sides are equal.
            let data = min(nextData(offset), Self.nextData(file.raw, offset))
            guard data < size else { break }
            offset += (data - offset) / UInt64(Self.block) * UInt64(Self.block)
            let length = Int(min(UInt64(Self.block), size - offset))
            let taken = offset < sourceSize ? Int(min(UInt64(length), sourceSize - offset)) : 0
            if taken > 0 { try read(&theirs, taken, offset) }
            if taken < length { for index in taken..<length { theirs[index] = 0 } }
            try self.read(&ours, length, at: offset)
            unsynced += try write(theirs, over: ours, length, at: offset)
            // What waits in memory is written before it takes longer than a sign of life may.
            if unsynced >= 64 * Self.block {
                try sync()
                unsynced = 0
            }
            offset += UInt64(length)
        }
        try sync()
    }

    /// Makes all bytes from `offset` on read zero. Holes of a file do.
    func clear(from offset: UInt64, _ progress: () -> Bool) throws(HostError) {
        var offset = offset
        while offset < size {
            guard progress() else { throw interruption("clearing the end of") }
            let data = Self.nextData(file.raw, offset)
            guard data < size else { break }
            offset = max(offset, data / UInt64(Self.block) * UInt64(Self.block))
            let length = min(Self.piece, size - offset)
            try zeroWhatIsLeft(offset, length)
            offset += length
        }
        try sync()
    }

    private func interruption(_ work: String) -> HostError {
        HostError(.interrupted, "Stopped \(work) \(path); the next pass goes on with it", subject: path)
    }

    /// Nothing was read, which is no error of the system's where the end comes before the size that was told.
    private func unread(_ outcome: DescriptorIO.Outcome, from offset: UInt64) -> HostError {
        let place = offset + UInt64(outcome.count)
        guard let failure = outcome.failure else {
            return HostError(.failed, "\(path) ends at \(place), and is said to have \(size) bytes", subject: path)
        }
        return .system(failure, "Cannot read \(path) at \(place)", subject: path)
    }

    private func read(_ buffer: inout [UInt8], _ count: Int, at offset: UInt64) throws(HostError) {
        let outcome = buffer.withUnsafeMutableBytes {
            DescriptorIO.read(file.raw, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]))
        }
        guard outcome.count == count else { throw unread(outcome, from: offset) }
    }

    /// Writes what differs. It is found by pieces of 4 KiB, the chunks of LVM's thick snapshots (lvcreate(8),
    /// `--chunksize`): a volume that is rolled back to such a snapshot is only written where the snapshot keeps what
    /// was there already, and so cannot make it overflow.
    /// - Returns: how many bytes were written.
    private func write(_ new: [UInt8], over old: [UInt8], _ count: Int, at offset: UInt64) throws(HostError) -> Int {
        func isEqual(_ start: Int) -> Bool {
            let length = min(4096, count - start)
            return new.withUnsafeBytes { new in
                old.withUnsafeBytes { memcmp(new.baseAddress! + start, $0.baseAddress! + start, length) == 0 }
            }
        }
        var written = 0, start = 0
        while start < count {
            var end = min(start + 4096, count)
            guard !isEqual(start) else {
                start = end
                continue
            }
            while end < count, !isEqual(end) { end = min(end + 4096, count) }
            defer { start = end }
            let failure = new.withUnsafeBytes {
                DescriptorIO.write(
                    file.raw, at: offset + UInt64(start), UnsafeRawBufferPointer(rebasing: $0[start..<end])
                ).failure
            }
            if let failure { throw .system(failure, "Cannot write \(path) at \(offset)", subject: path) }
            written += end - start
        }
        return written
    }

    private func sync() throws(HostError) {
        guard fdatasync(file.raw) == 0 else {
            throw .system(errno, "Cannot make what was written to \(path) durable", subject: path)
        }
    }

    private func zero(_ offset: UInt64, _ length: UInt64) throws(HostError) {
        // BLKZEROOUT is for block devices alone (linux/fs.h); a file is given its zeros.
        if status != nil {
            let zeros = [UInt8](repeating: 0, count: Int(length))
            let failure = zeros.withUnsafeBytes { DescriptorIO.write(file.raw, at: offset, $0).failure }
            if let failure { throw .system(failure, "Cannot write zeros to \(path)", subject: path) }
            return
        }
        guard tuff_device_zero(file.raw, offset, length) == 0 else {
            throw .system(errno, "Cannot write zeros to \(path)", subject: path)
        }
    }

    /// A device decides what a discard leaves (`discard_zeroes_data` of sysfs has been 0 since Linux 4.12), so all of
    /// it is read.
    private func zeroWhatIsLeft(_ start: UInt64, _ length: UInt64) throws(HostError) {
        var buffer = [UInt8](repeating: 0, count: Self.block)
        var offset = start
        while offset < start + length {
            let count = Int(min(UInt64(Self.block), start + length - offset))
            try read(&buffer, count, at: offset)
            let isZero = buffer.withUnsafeBytes { !$0.prefix(count).contains { $0 != 0 } }
            if !isZero { try zero(offset, UInt64(count)) }
            offset += UInt64(count)
        }
    }
}
