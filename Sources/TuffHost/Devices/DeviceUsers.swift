import CTuffHost
import Glibc
import TuffModel
import TuffSystem

/// The users of a device or file on this host, as the kernel's own files tell: for a sentence to a person, and as
/// evidence where neither `O_EXCL` nor a lease is one (a loop, fileio, nvmet and processes open block devices without
/// `O_EXCL`).
struct DeviceUsers {
    private let status: stat
    private let targetRoot: String
    private let number: String
    private var isDevice: Bool { status.st_mode & S_IFMT == S_IFBLK }

    /// - Parameter targetRoot: the kernel's target configuration.
    init(_ status: stat, targetRoot: String) {
        self.status = status
        self.targetRoot = targetRoot
        number =
            "\(tuff_device_major(UInt64(status.st_rdev))):\(tuff_device_minor(UInt64(status.st_rdev)))"
    }

    func all() -> [String] {
        var found = loops() + backstores() + namespaces()
        if isDevice { found += holders() + mounts() + swaps() }
        return found.isEmpty ? processes() : found
    }

    /// Tells whether `path` leads to it.
    private func isIt(_ path: String) -> Bool {
        var other = stat()
        guard stat(path, &other) == 0 else { return false }
        return isDevice
            ? other.st_mode & S_IFMT == S_IFBLK && other.st_rdev == status.st_rdev
            : other.st_dev == status.st_dev && other.st_ino == status.st_ino
    }

    private func loops() -> [String] {
        Self.names(in: "/sys/block").filter { $0.hasPrefix("loop") }.compactMap { name in
            DeviceFoundation.text("/sys/block/\(name)/loop/backing_file").map(isIt) == true ? "by /dev/\(name)" : nil
        }
    }

    private func backstores() -> [String] {
        Self.names(in: "\(targetRoot)/core").filter { $0.contains("_") }.flatMap { hba in
            Self.names(in: "\(targetRoot)/core/\(hba)").compactMap { name in
                guard let path = DeviceFoundation.text("\(targetRoot)/core/\(hba)/\(name)/udev_path"), isIt(path),
                    DeviceFoundation.text("\(targetRoot)/core/\(hba)/\(name)/enable") == "1"
                else { return nil }
                return "by the kernel's target (backstore \(hba)/\(name))"
            }
        }
    }

    /// nvmet, which holds a device without `O_EXCL`.
    private func namespaces() -> [String] {
        let root = "/sys/kernel/config/nvmet/subsystems"
        return Self.names(in: root).flatMap { subsystem in
            Self.names(in: "\(root)/\(subsystem)/namespaces").compactMap { name in
                let place = "\(root)/\(subsystem)/namespaces/\(name)"
                guard DeviceFoundation.text("\(place)/enable") == "1",
                    let path = DeviceFoundation.text("\(place)/device_path"), isIt(path)
                else { return nil }
                return "by the kernel's NVMe target (\(subsystem), namespace \(name))"
            }
        }
    }

    /// Devices that are made of it, or of a partition of it.
    private func holders() -> [String] {
        let place = "/sys/dev/block/\(number)"
        let parts = Self.names(in: place).filter { access("\(place)/\($0)/partition", F_OK) == 0 }
        return ([place] + parts.map { "\(place)/\($0)" }).flatMap { Self.names(in: "\($0)/holders") }
            .map { "by /dev/\($0)" + (DeviceFoundation.text("/sys/block/\($0)/dm/name").map { " (\($0))" } ?? "") }
    }

    private func mounts() -> [String] {
        (DeviceFoundation.text("/proc/self/mountinfo") ?? "").split(separator: "\n").compactMap { line in
            // proc(5): the third field is the device, the fifth where it is mounted.
            let fields = line.split(separator: " ")
            return fields.count > 4 && fields[2] == number ? "mounted at \(fields[4])" : nil
        }
    }

    private func swaps() -> [String] {
        (DeviceFoundation.text("/proc/swaps") ?? "").split(separator: "\n").dropFirst().compactMap { line in
            line.split(separator: " ").first.map { isIt(String($0)) } == true ? "as swap space" : nil
        }
    }

    /// Only those that this user may look at. Our own does not count, nor do those that were started by it.
    private func processes() -> [String] {
        Self.names(in: "/proc").compactMap { Int32($0) }.filter { $0 != getpid() }.compactMap { pid in
            let descriptors = "/proc/\(pid)/fd"
            guard Self.names(in: descriptors).contains(where: { isIt("\(descriptors)/\($0)") }) else { return nil }
            return "by process \(pid) (\(DeviceFoundation.text("/proc/\(pid)/comm") ?? "?"))"
        }
    }

    private static func names(in directory: String) -> [String] {
        guard let opened = OwnedDescriptor(opened: tuffOpen(directory, O_RDONLY | O_DIRECTORY)) else { return [] }
        return (listDirectory(opened.raw) ?? []).map(\.name).sorted()
    }
}

/// One of the devices and files that a device stands on.
package struct DeviceFoundation: Hashable, Sendable {
    /// `dm/uuid`; nil for other devices, and for files.
    package var deviceMapperUUID: String?
    /// The file behind a loop.
    package var file: String?

    /// Of the device itself and everything beneath it (`slaves` of sysfs, the disk of a partition, the file of a loop).
    static func all(of number: DeviceNumber, in sysfs: String = "/sys/dev/block") -> [DeviceFoundation] {
        var found: [DeviceFoundation] = []
        var waiting = ["\(number.major):\(number.minor)"]
        var seen: Set<String> = []
        while let next = waiting.popLast() {
            guard seen.insert(next).inserted else { continue }
            let place = "\(sysfs)/\(next)"
            found.append(
                DeviceFoundation(deviceMapperUUID: text("\(place)/dm/uuid"), file: text("\(place)/loop/backing_file")))
            if access("\(place)/partition", F_OK) == 0, let disk = text("\(place)/../dev") { waiting.append(disk) }
            if let slaves = OwnedDescriptor(opened: tuffOpen("\(place)/slaves", O_RDONLY | O_DIRECTORY)) {
                waiting += (listDirectory(slaves.raw) ?? []).compactMap { text("\(place)/slaves/\($0.name)/dev") }
            }
            // A loop over a device or over a file on one is that device's affair; only the device itself is followed.
            var status = stat()
            if let file = found.last?.file, stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFBLK {
                let device = DeviceNumber(of: status.st_rdev)
                waiting.append("\(device.major):\(device.minor)")
            }
        }
        return found
    }

    /// A small file of sysfs, configfs or procfs, without the newline at its end; nil where there is none.
    static func text(_ path: String) -> String? {
        guard let file = OwnedDescriptor(opened: tuffOpen(path, O_RDONLY | O_NONBLOCK)) else { return nil }
        // A table of mounts can be long; beyond this nobody reads it for a sentence.
        var bytes = DescriptorIO.readToEnd(file.raw, limit: 4 << 20).bytes
        while bytes.last == 0x0a { bytes.removeLast() }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
}
