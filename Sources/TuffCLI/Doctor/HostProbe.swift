import FoundationEssentials
import Glibc
import TuffHost
import TuffModel

/// The parts of a host that a checkup reads: files beneath a root that tests can replace, and the network's addresses.
package struct HostProbe: Sendable {
    /// Prefix of every path; empty for the real host.
    package var root: String
    package var effectiveUser: UInt32
    /// Addresses of all interfaces.
    package var addresses: [String]
    /// `uname -r`.
    package var kernelRelease: String
    /// True when nothing can be written where a path leads, whatever its mode.
    package var isReadOnly: @Sendable (String) -> Bool = { path in
        var status = statvfs()
        return statvfs(path, &status) == 0 && status.f_flag & UInt(ST_RDONLY) != 0
    }

    /// True when a root of `allow` is there, and nobody else decides what it holds.
    var inspectRoot: @Sendable (String) throws(HostError) -> Void = { path throws(HostError) in
        try HostRoots.inspect(path)
    }

    package init(root: String, effectiveUser: UInt32, addresses: [String], kernelRelease: String) {
        self.root = root
        self.effectiveUser = effectiveUser
        self.addresses = addresses
        self.kernelRelease = kernelRelease
    }

    /// This host, now.
    package static func current() -> HostProbe {
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return HostProbe(
            root: "", effectiveUser: geteuid(), addresses: interfaceAddresses(), kernelRelease: release)
    }

    struct Status {
        var owner: UInt32
        var mode: UInt32
        var isDirectory: Bool
        /// Bytes.
        var size: Int64

        /// Somebody besides the owner may change it.
        var writableByOthers: Bool { mode & 0o022 != 0 }
        var octal: String { "0" + String(mode & 0o7777, radix: 8) }
    }

    func status(_ path: String) -> Status? {
        var status = stat()
        guard stat(root + path, &status) == 0 else { return nil }
        return Status(
            owner: status.st_uid, mode: status.st_mode & 0o7777, isDirectory: status.st_mode & S_IFMT == S_IFDIR,
            size: Int64(status.st_size))
    }

    func exists(_ path: String) -> Bool { status(path) != nil }

    /// A file's text; nil where it cannot be read.
    func text(_ path: String) -> String? {
        (try? Data(contentsOf: URL(filePath: root + path))).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The extent to which the kernel has a module (proc(5), depmod(8)).
    enum Module { case present, loadable, missing }

    func module(_ name: String) -> Module {
        let folder = "/lib/modules/\(kernelRelease)"
        func listed(_ file: String) -> Bool {
            (text("\(folder)/\(file)") ?? "").split(separator: "\n").contains { line in
                let path = line.split(separator: ":").first ?? line
                let base = path.split(separator: "/").last?.split(separator: ".").first ?? ""
                // Modules are spelled with - or _ alike (modprobe(8)).
                return base.replacing("-", with: "_") == name
            }
        }
        if exists("/sys/module/\(name)") || listed("modules.builtin") { return .present }
        return listed("modules.dep") ? .loadable : .missing
    }

    private static func interfaceAddresses() -> [String] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var result: [String] = []
        var next = first
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr else { continue }
            let family = Int32(address.pointee.sa_family)
            guard family == AF_INET || family == AF_INET6 else { continue }
            let length = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
            var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let failed = getnameinfo(
                address, socklen_t(length), &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST)
            guard failed == 0 else { continue }
            let text = buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            // Link-local addresses come with their interface: fe80::1%eth0.
            result.append(String(text.split(separator: "%")[0]))
        }
        return result
    }
}
