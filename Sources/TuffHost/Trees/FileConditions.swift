import CTuffHost
import Glibc
import TuffModel

/// The preconditions that are read from files: those a worker checks.
struct FileConditions {
    let roots: OpenRoots

    func check(_ condition: Precondition) throws(HostError) {
        switch condition {
        case .file(let path, let size):
            let place = try TreePlace(path, in: roots)
            guard let status = place.status() else {
                let number = errno
                if number == ENOENT { throw condition.failure("there is nothing") }
                throw .system(number, "Cannot look at \(place.path)", subject: place.path)
            }
            guard status.kind == .file else { throw condition.failure("there is a \(status.kind.rawValue)") }
            guard Exposure.isOurs(status, in: place.parent.raw) else {
                throw condition.failure("the file belongs to user \(status.st_uid)")
            }
            if let size, Int64(status.st_size) != size.bytes {
                throw condition.failure("the file has \(status.st_size) bytes")
            }
        case .vacant(let path):
            let place = try TreePlace(path, in: roots)
            guard let status = place.status() else {
                let number = errno
                if number == ENOENT { return }
                throw .system(number, "Cannot look at \(place.path)", subject: place.path)
            }
            guard status.isBlankFile, Exposure.isOurs(status, in: place.parent.raw) else {
                throw condition.failure("there is a \(status.kind.rawValue) that is not blank or not ours")
            }
        // As a filling opens it.
        case .unopened(let path): _ = try DeviceBytes(path, in: roots)
        case .text(let path, let expected):
            let text = try read(path, condition)
            guard expected.allSatisfy(text.contains) else { throw condition.failure("it reads '\(text)'") }
        case .noSession(let acl):
            // drivers/target/iscsi/iscsi_target_configfs.c, lio_target_nacl_info_show.
            let text = try read(HostPath(acl.root, acl.relative + "/info"), condition)
            guard text.hasPrefix("No active iSCSI Session for Initiator Endpoint:") else {
                throw condition.failure("there is a session")
            }
        case .device: try checkDevice(condition)
        case .logicalVolume, .expiredVolume, .unfinished, .restorable, .unmarkedVolume, .tgtIdle, .blankDevice,
            .physicalVolume, .volumeGroup, .thinPool, .temporarySnapshot, .scratchVolume, .wholeSnapshot, .wipedExtents:
            throw HostError(.refused, "A worker runs no commands: \(condition.sentence)")
        }
    }

    /// By stat(2), which opens nothing: a device that is suspended would hold us up.
    private func checkDevice(_ condition: Precondition) throws(HostError) {
        guard case .device(let group, let name, _, let uuid) = condition else { return }
        guard let uuid else { throw condition.failure("LVM was not asked which device that is") }
        let path = "/dev/\(group)/\(name)"
        var status = stat()
        guard stat(path, &status) == 0 else {
            let number = errno
            if number == ENOENT { throw condition.failure("there is nothing") }
            throw .system(number, "Cannot look at \(path)", subject: path)
        }
        guard status.st_mode & S_IFMT == S_IFBLK else { throw condition.failure("it is no block device") }
        guard let found = Self.deviceMapperUUID(of: status.st_rdev) else {
            throw condition.failure("it is no device of the device mapper")
        }
        guard found == uuid else { throw condition.failure("it is \(found)") }
    }

    /// `dm/uuid` in sysfs (Documentation/ABI/testing/sysfs-block-dm), nil for other devices.
    static func deviceMapperUUID(of device: dev_t, in sysfs: String = "/sys/dev/block") -> String? {
        deviceMapperUUID(
            major: tuff_device_major(UInt64(device)), minor: tuff_device_minor(UInt64(device)), in: sysfs)
    }

    static func deviceMapperUUID(major: UInt32, minor: UInt32, in sysfs: String = "/sys/dev/block") -> String? {
        let path = "\(sysfs)/\(major):\(minor)/dm/uuid"
        guard let file = OwnedDescriptor(opened: tuffOpen(path, O_RDONLY)) else { return nil }
        let buffer = ReadBuffer()
        let count = buffer.fill(from: file.raw)
        return count > 0 ? buffer.text(count) : nil
    }

    private func read(_ path: HostPath, _ condition: Precondition) throws(HostError) -> String {
        do throws(HostError) {
            return try TreeVerbs(roots: roots).readText(of: TreePlace(attribute: path, in: roots))
        } catch {
            if error.code == .notFound { throw condition.failure("\(roots.path(of: path)) does not exist") }
            throw error
        }
    }
}

extension stat {
    /// A plain file without one allocated block: nobody has written to it. ext4 counts a block for data it
    /// keeps in the inode (fs/ext4/inode.c, ext4_file_getattr), and delayed allocations count at once.
    var isBlankFile: Bool { kind == .file && st_blocks == 0 }
}
