import CTuffHost
import Glibc
import TuffModel
import TuffSystem

/// Persistent reservations that outlive the kernel. LIO writes those that an initiator asks to keep (APTPL, SPC-4
/// 5.13.5) to `pr/aptpl_SERIAL` in the directory that `dbroot` names, if there is one, and never reads them: whoever
/// makes the backstore writes each registration to `pr/res_aptpl_metadata` before anything hands it out, and the kernel
/// takes it up when its initiator's mapping is made (drivers/target/target_core_pr.c and target_core_configfs.c of
/// Linux 6.1).
struct Reservations {
    let roots: OpenRoots

    /// The kernel's own buffer for such a file (`PR_APTPL_BUF_LEN`).
    private static let limit = 256 << 10

    /// Makes the directory where there is none; then reads what was kept of the disk back into its backstore.
    func keep(_ backstore: HostPath, serial: String, restoring: Bool) throws(HostError) {
        let tree = TreeVerbs(roots: roots)
        let root = try tree.readText(of: try TreePlace(attribute: HostPath(backstore.root, "dbroot"), in: roots))
        guard root.hasPrefix("/"), !root.split(separator: "/").contains("..") else {
            throw HostError(.malformed, "The kernel's directory for reservations is '\(root)'")
        }
        let directory = try make(root.split(separator: "/") + ["pr"])
        guard restoring, let bytes = try read("aptpl_\(serial)", in: directory, "\(root)/pr") else { return }
        for registration in try Self.registrations(bytes, "\(root)/pr/aptpl_\(serial)") {
            let path = HostPath(backstore.root, "\(backstore.relative)/pr/res_aptpl_metadata")
            try tree.writeAttribute(path, registration, verify: false)
        }
    }

    private func make(_ components: [Substring]) throws(HostError) -> SharedDescriptor {
        var path = ""
        for component in components {
            path += "/\(component)"
            // 0700: who may write here decides who may fence whom off.
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
                throw .system(errno, "Cannot make the directory \(path)", subject: path)
            }
        }
        guard let opened = OwnedDescriptor(opened: tuffOpen(path, O_RDONLY | O_DIRECTORY)) else {
            throw .system(errno, "Cannot open the directory \(path)", subject: path)
        }
        let directory = SharedDescriptor(opened)
        try check(directory.raw, path)
        return directory
    }

    private func check(_ descriptor: Int32, _ path: String) throws(HostError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(errno, "Cannot look at \(path)", subject: path) }
        if let fault = Exposure.fault(status) { throw HostError(.refused, "\(path) \(fault)", subject: path) }
    }

    /// Nil: nothing was kept.
    private func read(_ name: String, in directory: SharedDescriptor, _ place: String) throws(HostError) -> [UInt8]? {
        let path = "\(place)/\(name)"
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
        guard let file = OwnedDescriptor(opened: tuff_open_beneath(directory.raw, name, flags, 0)) else {
            guard errno != ENOENT else { return nil }
            throw .system(errno, "Cannot open \(path)", subject: path)
        }
        try check(file.raw, path)
        let (bytes, failure) = DescriptorIO.readToEnd(file.raw, limit: Self.limit)
        if let failure { throw .system(failure, "Cannot read \(path)", subject: path) }
        guard bytes.count <= Self.limit else { throw Self.damaged(path, "more than \(Self.limit) bytes") }
        return bytes
    }

    /// One line for each registration, as `res_aptpl_metadata` takes it.
    ///
    ///     PR_REG_START: 0
    ///     initiator_fabric=iSCSI
    ///     initiator_node=iqn.2004-10.com.example:web1
    ///     ...
    ///     PR_REG_END: 0
    static func registrations(_ bytes: [UInt8], _ path: String) throws(HostError) -> [String] {
        // The kernel writes the end of its text, too.
        let text = bytes.prefix { $0 != 0 }
        guard let lines = String(validating: text, as: UTF8.self)?.split(separator: "\n") else {
            throw damaged(path, "bytes that are no text")
        }
        if lines.isEmpty || lines == ["No Registrations or Reservations"] { return [] }
        var found: [String] = []
        var open: [String]?
        for line in lines {
            if line.hasPrefix("PR_REG_START: "), open == nil {
                open = []
            } else if line.hasPrefix("PR_REG_END: "), let fields = open, !fields.isEmpty {
                found.append(fields.joined(separator: ","))
                open = nil
            } else if open != nil, let equals = line.firstIndex(of: "="), !line.contains(",") {
                open?.append(try field(line[..<equals], value: line[line.index(after: equals)...], path: path))
            } else {
                throw damaged(path, String(line.prefix(80)))
            }
        }
        guard open == nil else { throw damaged(path, "an end in the middle of a registration") }
        return found
    }

    /// Type and scope are written in hexadecimal with two digits and read as C numbers, where `08` is none.
    private static func field(
        _ name: Substring, value: Substring, path: String
    ) throws(HostError) -> String {
        guard name == "res_type" || name == "res_scope" else { return "\(name)=\(value)" }
        guard let number = UInt8(value, radix: 16) else { throw damaged(path, "\(name)=\(value)") }
        return "\(name)=\(number)"
    }

    private static func damaged(_ path: String, _ cause: String) -> HostError {
        HostError(
            .malformed,
            "\(path) does not read as the kernel writes reservations; without it (move it away) initiators register anew",
            cause: cause, subject: path)
    }
}
