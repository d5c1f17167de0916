/// A directory that an NFS server exports, of a directory pool or a backup repository, and the options of its mount.
package struct NFSShare: Hashable, Codable, Sendable, CustomStringConvertible {
    /// Name or address, as `NFSServer` writes it.
    package var server: String
    /// Absolute path, as the server has it.
    package var export: String
    /// Path beneath the export, without a slash at either end; nil: the export itself. Repositories only.
    package var path: String?
    package var options: NFSOptions

    package init(server: String, export: String, path: String? = nil, options: NFSOptions = NFSOptions()) {
        self.server = server
        self.export = export
        self.path = path
        self.options = options
    }

    /// Server and export as mount(8) and the mount table write them: `nas.example.com:/backups`,
    /// `[2001:db8::1]:/backups`.
    package var source: String { server.contains(":") ? "[\(server)]:\(export)" : "\(server):\(export)" }

    /// The directory on the server, for people: `nas.example.com:/backups/tuff`.
    package var description: String { path.map { "\(source)/\($0)" } ?? source }

    /// An export's path with nothing but names in it; nil: it is not absolute, or has `.` or `..` in it.
    static func normalizedExport(_ export: String) -> String? {
        guard export.utf8.first == UInt8(ascii: "/") else { return nil }
        let names = Reach.names(in: export)
        return names.isEmpty || names.contains { $0 == "." || $0 == ".." } ? nil : "/" + names.joined(separator: "/")
    }
}

/// The name or address of a server, in the one way to write it: names in lower case, IPv6 addresses as RFC 5952 has
/// them and without brackets, IPv4 addresses inside IPv6 as IPv4 addresses.
///
/// The resolver takes more texts for an IPv4 address (`127.1`, `0x7f000001`, `010.0.0.1`). None of them is a server
/// here: each would be a second name of an address that somebody allows or does not.
package struct NFSServer: Hashable, Sendable, CustomStringConvertible {
    package let description: String
    package let isAddress: Bool

    /// Nil: `text` is neither a host name without a dot at its end nor an address.
    package init?(_ text: some StringProtocol) {
        let whole = Substring(text)
        let isBracketed = whole.hasPrefix("[") && whole.hasSuffix("]")
        let bare = isBracketed ? whole.dropFirst().dropLast() : whole
        if let address = Self.address6(bare) {
            self.init(address, isAddress: true)
        } else if !isBracketed, IPv6Text.quad(whole) != nil {
            self.init(String(whole), isAddress: true)
        } else {
            // Some letters of other alphabets have an ASCII one as their lower case.
            let name = whole.lowercased()
            guard whole.utf8.allSatisfy({ $0 < 0x80 }), Self.isName(name) else { return nil }
            self.init(name, isAddress: false)
        }
    }

    private init(_ description: String, isAddress: Bool) {
        self.description = description
        self.isAddress = isAddress
    }

    /// Addresses of one interface (`fe80::1%eth0`) are left out.
    private static func address6(_ text: Substring) -> String? {
        text.contains("%") ? nil : IPv6Text.canonical(text)
    }

    private static func isName(_ name: String) -> Bool {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard name.utf8.count <= 253, let last = labels.last, labels.allSatisfy(NameRule.isLabel) else { return false }
        // A name that ends in a number is an address to the resolver, in one of its older forms.
        if last.hasPrefix("0x") { return !last.dropFirst(2).utf8.allSatisfy(NameRule.isHexDigit) }
        return !last.utf8.allSatisfy(NameRule.isDigit)
    }
}

/// One option of an NFS mount that a document may set.
package struct NFSOption: Hashable, Sendable, CustomStringConvertible {
    /// The closed list. Everything else is decided here (`NFSOptions.always`) or by what the mount is for.
    package enum Name: String, CaseIterable, Sendable {
        case vers, sec, proto, rsize, wsize, nconnect, port

        /// The values it takes, for people.
        package var values: String {
            switch self {
            case .vers: "3, 4, 4.0, 4.1 or 4.2"
            case .sec: "sys, none, krb5, krb5i or krb5p"
            case .proto: "tcp, tcp6, rdma or rdma6"
            case .rsize, .wsize: "a multiple of 4096 from 4096 to 1048576"
            case .nconnect: "a whole number from 1 to 16"
            case .port: "a whole number from 1 to 65535"
            }
        }

        fileprivate func takes(_ value: Substring) -> Bool {
            switch self {
            case .vers: ["3", "4", "4.0", "4.1", "4.2"].contains(value)
            case .sec: ["sys", "none", "krb5", "krb5i", "krb5p"].contains(value)
            // UDP cannot tell a wrong answer from a right one at today's speeds: nfs(5), "Using NFS over UDP".
            case .proto: ["tcp", "tcp6", "rdma", "rdma6"].contains(value)
            // The kernel silently takes another size for others, and would then be seen to differ for ever.
            case .rsize, .wsize: Self.number(value).map { $0 % 4096 == 0 && (4096...1_048_576).contains($0) } ?? false
            case .nconnect: Self.number(value).map { (1...16).contains($0) } ?? false
            case .port: Self.number(value).map { (1...65535).contains($0) } ?? false
            }
        }

        /// A number in the one way to write it.
        private static func number(_ text: Substring) -> Int? {
            text.utf8.allSatisfy(NameRule.isDigit) && !text.hasPrefix("0") ? Int(text) : nil
        }
    }

    /// Reason why a text is no option, as a sentence that says what to write.
    package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    package let name: Name
    package let value: String

    /// - Parameter text: `vers=4.2`.
    package init(_ text: String) throws(Problem) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let known = Name.allCases.map(\.rawValue).joined(separator: ", ")
        if NFSOptions.always.contains(text) {
            throw Problem(description: "\(text) is always set; write only options of \(known)")
        }
        guard let name = Name(rawValue: String(parts[0])) else {
            throw Problem(
                description: "the options are \(known); \(NFSOptions.always.joined(separator: ", ")) are always set")
        }
        guard parts.count == 2, name.takes(parts[1]) else {
            throw Problem(description: "write \(name.rawValue)= and \(name.values)")
        }
        self.name = name
        value = String(parts[1])
    }

    /// `vers=4.2`
    package var description: String { "\(name.rawValue)=\(value)" }
}

/// The options of an NFS mount that a document sets, each at most once. Their order has no meaning.
package struct NFSOptions: Hashable, Sendable {
    /// Set on every mount: what is on a server is data, never a program or a device of this host.
    package static let always = ["nosuid", "nodev", "noexec"]

    /// In the order of `NFSOption.Name`.
    package let all: [NFSOption]

    package init() { all = [] }

    /// Nil: an option is there twice.
    package init?(_ options: [NFSOption]) {
        guard Set(options.map(\.name)).count == options.count else { return nil }
        all = NFSOption.Name.allCases.compactMap { name in options.first { $0.name == name } }
    }

    package subscript(name: NFSOption.Name) -> String? { all.first { $0.name == name }?.value }

    /// As mount(8) takes them, with those that are always set.
    package var texts: [String] { Self.always + all.map(\.description) }
}

extension NFSOptions: Codable {
    /// Refuses options that no document can hold: plan files hold decoded documents.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let options = try container.decode([String].self).map { try NFSOption($0) }
        guard let unique = NFSOptions(options) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "an option is there twice")
        }
        self = unique
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(all.map(\.description))
    }
}

/// `SERVER:/EXPORT` of the controller's `allow.nfs`.
///
/// In the export `*` stands for any characters but `/`. In the name of a server it stands for any within one label, so
/// that `*.example.com` is no `a.b.example.com` and `nas*` no `nas.elsewhere.net`; a server of digits, dots and stars
/// is addresses only. `*` alone is any server.
package struct NFSPattern: Hashable, Sendable {
    private enum Server: Hashable {
        case any
        case one(NFSServer)
        case names(Glob)
        case addresses(Glob)
    }

    private let server: Server
    private let export: Glob

    /// Nil: `text` is no pattern, and permits nothing.
    package init?(_ text: String) {
        guard let colon = text.firstRange(of: ":/"), text[..<colon.lowerBound].utf8.allSatisfy({ $0 < 0x80 }) else {
            return nil
        }
        let server = text[..<colon.lowerBound].lowercased()
        guard let export = NFSShare.normalizedExport(String(text[text.index(after: colon.lowerBound)...])) else {
            return nil
        }
        self.export = Glob(export)
        if server == "*" {
            self.server = .any
        } else if let one = NFSServer(server) {
            self.server = .one(one)
        } else {
            let isPlain = server.utf8.allSatisfy { NameRule.isAlphanumeric($0) || "-.*?".utf8.contains($0) }
            guard isPlain, server.contains(where: "*?".contains) else { return nil }
            let glob = Glob(server, dividers: "./")
            let isNumeric = server.utf8.allSatisfy { NameRule.isDigit($0) || ".*?".utf8.contains($0) }
            self.server = isNumeric ? .addresses(glob) : .names(glob)
        }
    }

    /// - Parameter export: as `NFSShare.normalizedExport` has it.
    func matches(_ server: NFSServer, export: String) -> Bool {
        let isServer =
            switch self.server {
            case .any: true
            case .one(let one): one == server
            case .names(let glob): !server.isAddress && glob.matches(server.description)
            case .addresses(let glob): server.isAddress && glob.matches(server.description)
            }
        return isServer && self.export.matches(export)
    }
}
