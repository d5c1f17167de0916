import CTuffHost
import Glibc
import TuffModel

/// Enables a backstore, and proves that the kernel opened the volume and nothing else.
///
/// LIO opens `udev_path` and `fd_dev_name` itself when a backstore is enabled, and follows whatever links are in the
/// path by then (`iblock_configure_device` and `fd_configure_device` in drivers/target). Looking at the path once more
/// afterwards would prove nothing: whoever can exchange a component can exchange it back. So the volume is opened here,
/// a file beneath its root without following a link, and is asked before and after: free before, it must be held after.
/// For a device the backstore also says which one it has.
struct BackstoreOpening {
    let roots: OpenRoots

    /// Where the proof fails, the backstore is taken down again before any LUN can map it.
    func enable(_ backstore: HostPath, opening place: BytesPlace) throws(HostError) {
        switch place {
        case .device(let device):
            try requireFree(device)
            try enable(backstore, place: place) { () throws(HostError) in try self.fault(of: device, in: backstore) }
        case .file(let path):
            let file = SharedDescriptor(try open(path))
            let before = tuff_write_lease(file.raw)
            guard before != 0 else { throw inUse(roots.path(of: path)) }
            // A file system without leases has no such proof (docs/reliability): there the owners of the path's
            // components are all there is.
            try enable(backstore, place: place) { () throws(HostError) in
                before == 1 && tuff_write_lease(file.raw) != 0 ? "the kernel did not open that file" : nil
            }
        }
    }

    private func enable(
        _ backstore: HostPath, place: BytesPlace, fault: () throws(HostError) -> String?
    ) throws(HostError) {
        let tree = TreeVerbs(roots: roots)
        try tree.writeAttribute(HostPath(backstore.root, "\(backstore.relative)/enable"), "1", verify: true)
        let found: String?
        do throws(HostError) {
            found = try fault()
        } catch {
            try? tree.removeDirectory(backstore)
            throw error
        }
        guard let found else { return }
        var takenDown = "It was taken down again, and nobody was given it"
        do throws(HostError) {
            try tree.removeDirectory(backstore)
        } catch {
            takenDown = "It could not be taken down again (\(error)), and nobody was given it"
        }
        let path = place.path(in: roots)
        throw HostError(
            .preconditionFailed,
            "The target was to hand out \(path), and \(found): a part of that path led elsewhere. \(takenDown)",
            cause: "look who may write to the directories it leads through", subject: path)
    }

    /// Demands that nobody has the device for himself: the kernel's own opening would be refused then (`FMODE_EXCL`).
    private func requireFree(_ device: DevicePlace) throws(HostError) {
        guard let uuid = device.uuid else {
            throw HostError(
                .preconditionFailed, "LVM was not asked which device \(device.path) is", subject: device.path)
        }
        guard let opened = OwnedDescriptor(opened: Self.openAlone(device.path)) else {
            let number = errno
            if number == EBUSY { throw inUse(device.path) }
            throw .system(number, "Cannot open \(device.path)", subject: device.path)
        }
        var status = stat()
        guard fstat(opened.raw, &status) == 0, status.st_mode & S_IFMT == S_IFBLK,
            FileConditions.deviceMapperUUID(of: status.st_rdev) == uuid
        else {
            throw HostError(
                .preconditionFailed, "Nothing was done: \(device.path) is not \(uuid)", subject: device.path)
        }
    }

    /// Why the backstore does not hold the device; nil: it does.
    private func fault(of device: DevicePlace, in backstore: HostPath) throws(HostError) -> String? {
        let place = HostPath(backstore.root, "\(backstore.relative)/info")
        let text = try TreeVerbs(roots: roots).readText(of: TreePlace(attribute: place, in: roots))
        guard let number = Self.device(in: text) else { return "the backstore says of no device that it has it" }
        let found = FileConditions.deviceMapperUUID(major: number.major, minor: number.minor)
        guard found == device.uuid else {
            return "the kernel opened device \(number.major):\(number.minor), which is \(found ?? "no logical volume")"
        }
        let isFree = OwnedDescriptor(opened: Self.openAlone(device.path)) != nil
        guard !isFree else { return "nobody holds that device" }
        guard errno == EBUSY else { throw .system(errno, "Cannot open \(device.path) again", subject: device.path) }
        return nil
    }

    /// `Major: 254 Minor: 3  CLAIMED: IBLOCK`, the last line of `info` (`iblock_show_configfs_dev_params`).
    static func device(in info: String) -> (major: UInt32, minor: UInt32)? {
        guard let line = info.split(separator: "\n").last else { return nil }
        let words = line.split(separator: " ")
        guard words.count >= 4, words[0] == "Major:", words[2] == "Minor:", let major = UInt32(words[1]),
            let minor = UInt32(words[3]), major != 0 || minor != 0
        else { return nil }
        return (major, minor)
    }

    private static func openAlone(_ path: String) -> Int32 { tuffOpen(path, O_RDONLY | O_EXCL | O_NONBLOCK) }

    private func open(_ path: HostPath) throws(HostError) -> OwnedDescriptor {
        let place = try TreePlace(path, in: roots)
        guard let file = place.open(O_RDONLY | O_NONBLOCK) else {
            throw .system(errno, "Cannot open \(place.path)", subject: place.path)
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0, status.kind == .file, Exposure.isOurs(status, file.raw) else {
            throw HostError(.preconditionFailed, "\(place.path) is no plain file of ours", subject: place.path)
        }
        return file
    }

    private func inUse(_ path: String) -> HostError {
        HostError(
            .preconditionFailed,
            "Nothing was done: somebody has \(path) open already, so it cannot be told what the target would open",
            cause: "fuser -v \(Command.quoted(path)), losetup -a and mount tell who", subject: path)
    }
}

extension BytesPlace {
    fileprivate func path(in roots: OpenRoots) -> String {
        switch self {
        case .device(let device): device.path
        case .file(let path): roots.path(of: path)
        }
    }
}
