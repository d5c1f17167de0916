import CTuffHost
import Glibc
import Synchronization
package import TuffModel

/// A device or file that a restore is to overwrite: opened, looked at, and kept from others while it is written as far
/// as the kernel can do that. All that is asked is asked of the descriptor that is then written.
package final class RestorePlace: Sendable {
    package enum Sort: Sendable {
        /// A file that was not there, and has no bytes yet.
        case newFile
        case file
        case device(DeviceNumber)
    }

    /// As it was given.
    package let path: String
    package let sort: Sort
    /// Stays open as long as this object.
    package let descriptor: Int32
    /// Bytes that were there when it was opened.
    package let size: UInt64
    private let opened: stat
    private let isHeld = Atomic<Bool>(false)

    /// Opens what is at `path`; a file that is not there is made, mode 0600.
    /// - Throws: `busy` where a device is held by somebody: `O_EXCL` without `O_CREAT` is refused then (open(2)).
    package init(_ path: String) throws(HostError) {
        self.path = path
        let made = tuff_open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        descriptor = made >= 0 ? made : tuff_open_at(AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_EXCL, 0)
        let number = errno
        var status = stat()
        let isKnown = descriptor >= 0 && fstat(descriptor, &status) == 0
        opened = status
        var bytes = UInt64(max(0, status.st_size))
        let isDevice = isKnown && status.st_mode & S_IFMT == S_IFBLK
        let isSized = !isDevice || tuff_device_size(descriptor, &bytes) == 0
        size = bytes
        sort = made >= 0 ? .newFile : isDevice ? .device(DeviceNumber(of: status.st_rdev)) : .file
        guard descriptor >= 0 else {
            // EAGAIN: somebody has a lease on the file, such as a restore that goes on (fcntl(2)).
            guard [EBUSY, ETXTBSY, EAGAIN].contains(number) else {
                throw .system(number, "cannot open \(path) for writing", subject: path)
            }
            throw HostError(.busy, "\(path) is in use", subject: path)
        }
        // The descriptor is closed by deinit if this throws: everything is initialised.
        guard isKnown, isSized else { throw .system(errno, "cannot ask the size of \(path)", subject: path) }
        guard isDevice || status.kind == .file else {
            throw HostError(.refused, "\(path) is neither a block device nor a regular file", subject: path)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    package var isNew: Bool { if case .newFile = sort { true } else { false } }

    /// Where the file is, whatever links led to it; nil for a device.
    package var realPath: String? {
        guard opened.kind == .file else { return nil }
        return linkText(AT_FDCWD, "/proc/self/fd/\(descriptor)")
    }

    /// Takes the file for itself until this object goes: nobody has it open, and who opens it waits.
    ///
    /// A file system of the network knows nothing of its other clients, and answers with EAGAIN or EINVAL; there, and
    /// where there are no leases, this host's processes and devices are all that can be asked (`users`).
    /// - Throws: `busy`; `preconditionFailed` where it was written to since it was opened.
    /// - Returns: false where that cannot be had.
    package func hold() throws(HostError) -> Bool {
        guard case .file = sort else { return true }
        let isAlone = try probe()
        var now = stat()
        guard fstat(descriptor, &now) == 0 else { throw .system(errno, "cannot look at \(path) again", subject: path) }
        guard now.hasContent(of: opened) else {
            throw HostError(.preconditionFailed, "\(path) was written to while it was looked at", subject: path)
        }
        isHeld.store(isAlone, ordering: .relaxed)
        return isAlone
    }

    /// Gives the file back, for a look at it by others.
    package func release() {
        if isHeld.exchange(false, ordering: .relaxed) { tuff_end_lease(descriptor) }
    }

    private func probe() throws(HostError) -> Bool {
        var number: Int32 = 0
        // An indexer, or a child of a shell that has not come to its exec, has files open for a moment.
        for attempt in 0..<20 {
            if tuff_hold_lease(descriptor) == 0 { return true }
            number = errno
            guard number == EAGAIN, attempt < 19, tuff_is_on_network(descriptor) == 0 else { break }
            usleep(25_000)
        }
        if number == EAGAIN, tuff_is_on_network(descriptor) == 0 {
            throw HostError(.busy, "\(path) is in use", subject: path)
        }
        // Root is refused only where it lacks CAP_LEASE, as in a container; there no lease is to be had.
        guard number != EACCES || geteuid() == 0 else {
            throw HostError(
                .refused,
                "\(path) belongs to user \(opened.st_uid), and whether anybody has it open is told to that user "
                    + "and root alone", subject: path)
        }
        return false
    }

    /// Tells whether nobody opened the file since `hold`. True where that cannot be told.
    package var isStillAlone: Bool { !isHeld.load(ordering: .relaxed) || tuff_has_lease(descriptor) == 1 }

    /// The users that have it open, each in a few words. Empty: nobody, as far as this user may see.
    /// - Parameter targetRoot: the kernel's target configuration.
    package func users(targetRoot: String) -> [String] { DeviceUsers(opened, targetRoot: targetRoot).all() }

    /// The same of what could not be opened.
    package static func users(of path: String, targetRoot: String) -> [String] {
        var status = stat()
        return stat(path, &status) == 0 ? DeviceUsers(status, targetRoot: targetRoot).all() : []
    }

    /// Everything it stands on, itself first: a partition on its disk, a logical volume on physical ones, a loop on its
    /// file.
    package var foundations: [DeviceFoundation] {
        guard case .device(let number) = sort else { return [] }
        return DeviceFoundation.all(of: number)
    }
}

extension RestorePlace {
    /// The signatures that libblkid finds there.
    package func signatures(on machine: LinuxMachine) async throws(HostError) -> [DeviceSignature] {
        // By the descriptor, so that it is what is written; the child opens it anew.
        try await DeviceSignatures(commands: machine.commands).read("/proc/\(getpid())/fd/\(descriptor)")
    }

    /// The number of other openings of the device mapper's device; nil: it is none, or cannot be asked.
    ///
    /// The kernel counts every opening of such a device, those without `O_EXCL` and its own too (`md->open_count`); of
    /// other devices it shows no count. udev opens what is closed after writing, for a moment, which is waited for.
    package func otherOpenings(on machine: LinuxMachine) async -> Int? {
        guard case .device(let number) = sort, FileConditions.deviceMapperUUID(of: opened.st_rdev) != nil else {
            return nil
        }
        let command = Command(
            "dmsetup",
            ["info", "-c", "--noheadings", "-o", "open", "--major", "\(number.major)", "--minor", "\(number.minor)"],
            effect: .reads, deadline: 20, outputLimit: 1 << 10)
        for attempt in 0..<10 {
            guard let output = try? await machine.read(command), output.status == 0,
                let count = Int(String(decoding: output.standardOutput, as: UTF8.self).filter(\.isNumber))
            else { return nil }
            if count <= 1 || attempt == 9 { return max(0, count - 1) }
            usleep(200_000)
        }
        return nil
    }
}

extension DeviceNumber {
    init(of device: dev_t) {
        self.init(
            major: Int(tuff_device_major(UInt64(device))), minor: Int(tuff_device_minor(UInt64(device))))
    }
}
