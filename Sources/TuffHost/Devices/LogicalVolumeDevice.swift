import CTuffHost
import FoundationEssentials
import Glibc

/// An active logical volume, by all the names that its device has.
package struct LogicalVolumeDevice: Sendable {
    /// `MAJOR:MINOR`.
    package var number: String
    package var paths: [String]

    package init(number: String, paths: [String]) {
        self.number = number
        self.paths = paths
    }

    /// The names by which LVM knows it, or one that it is sure to have.
    package func names(all: Bool) -> [String] {
        let node = "/dev/dm-\(number.drop { $0 != ":" }.dropFirst())"
        return !all && paths.contains(node) ? [node] : paths + [node]
    }

    /// Tells whether there is a device of this name (`GROUP/NAME`) right now.
    package static func exists(_ volume: String) -> Bool { access("/dev/\(volume)", F_OK) == 0 }

    /// Tells whether other devices of the device mapper are made of the device of this number (`MAJOR:MINOR`).
    package static func hasHolders(_ number: String) -> Bool {
        let holders = try? FileManager.default.contentsOfDirectory(atPath: "/sys/dev/block/\(number)/holders")
        return holders?.isEmpty == false
    }

    /// Those that are active.
    package static var all: [LogicalVolumeDevice] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []
        let links = links
        return entries.filter { $0.hasPrefix("dm-") }.compactMap { entry in
            guard text("/sys/block/\(entry)/dm/uuid")?.hasPrefix("LVM-") == true,
                let number = text("/sys/block/\(entry)/dev")
            else { return nil }
            let name = text("/sys/block/\(entry)/dm/name").map { ["/dev/mapper/\($0)"] } ?? []
            return LogicalVolumeDevice(number: number, paths: Set(name + (links[number] ?? [])).sorted())
        }
    }

    private static func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map {
            String(decoding: $0, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        }
    }

    /// Names of block devices up to three levels below /dev, by number: `/dev/dm-7`, `/dev/VG/LV`,
    /// `/dev/disk/by-id/…`.
    private static var links: [String: [String]] {
        var found: [String: [String]] = [:]
        func look(in directory: String, depth: Int) {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
                let path = "\(directory)/\(name)"
                var status = stat()
                guard stat(path, &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFBLK {
                    let device = UInt64(status.st_rdev)
                    let number = "\(tuff_device_major(device)):\(tuff_device_minor(device))"
                    found[number, default: []].append(path)
                } else if status.st_mode & S_IFMT == S_IFDIR, depth < 2, !["shm", "pts", "mqueue"].contains(name) {
                    look(in: path, depth: depth + 1)
                }
            }
        }
        look(in: "/dev", depth: 0)
        return found
    }
}
