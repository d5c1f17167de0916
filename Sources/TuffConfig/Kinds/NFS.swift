import TuffModel

extension Shape where Value == NFSShare {
    /// Of a pool.
    static let nfsExport = object(server, export, options) { NFSShare(server: $0, export: $1, options: $2) }

    /// Of a repository, which may share an export with others.
    static let nfsDirectory = object(
        server, export,
        optional("path", .pathBeneath, doc: "The directory beneath the export; the export itself without."), options
    ) { NFSShare(server: $0, export: $1, path: $2, options: $3) }

    private static let server = required(
        "server", .nfsServer, doc: "Name or address of the server: one that `allow.nfs` of the controller names.")
    private static let export = required("export", .path, doc: "Path that the server exports, named there too.")
    private static let options = defaultedOptions(
        "options",
        doc: "Of "
            + NFSOption.Name.allCases.map { "`\($0.rawValue)=`" }.joined(separator: ", ")
            + "; "
            + NFSOptions.always.map { "`\($0)`" }.joined(separator: ", ") + " are always set.")

    private static func defaultedOptions(_ name: String, doc: String) -> Field<NFSOptions> {
        let field = optional(name, .nfsOptions, doc: doc)
        return Field(entries: field.entries) { entries, decoding in
            field.read(entries, decoding).map { $0 ?? NFSOptions() }
        }
    }
}

extension Shape where Value == String {
    /// See `NFSServer`, whose text it becomes.
    fileprivate static let nfsServer = text(
        "a host name or address such as nas.example.com", rule: "invalid-host",
        pattern: #"^(?!.*\.$)(\[?[0-9A-Fa-f:.]{2,45}\]?|[A-Za-z0-9][A-Za-z0-9.-]*)$"#, maximumLength: 253,
        advice: { text in
            if text.hasSuffix("."), NFSServer(text.dropLast()) != nil { return "write it without the dot at its end" }
            if let colon = text.firstRange(of: ":/"), NFSServer(text[..<colon.lowerBound]) != nil {
                return "write the path behind the colon as 'export'"
            }
            return nil
        }
    ) { NFSServer($0)?.description }

    private static let part = "[^/\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]+"

    /// Beneath an export.
    fileprivate static let pathBeneath = text(
        "a path beneath the export such as tuff or hosts/storage1", rule: "invalid-path",
        pattern: "^(?!\\.{1,2}(/|$))\(part)(/(?!\\.{1,2}(/|$))\(part))*$",
        maximumLength: 1024,
        advice: { text in
            text.hasPrefix("/")
                ? "it begins at the export: write it without '/' at its beginning"
                : "no '.', '..' or empty part, no slash at the end"
        }
    ) { Reach.isRelativePath($0) ? $0 : nil }
}

extension Shape where Value == NFSOption {
    fileprivate static let nfsOption = text(
        "a mount option of \(NFSOption.Name.allCases.map(\.rawValue).joined(separator: ", ")), such as vers=4.2",
        rule: "invalid-mount-option",
        pattern:
            #"^(vers=(3|4|4\.[0-2])|sec=(sys|none|krb5[ip]?)|proto=(tcp|rdma)6?|[rw]size=[1-9][0-9]{3,6}"#
            + #"|nconnect=([1-9]|1[0-6])|port=[1-9][0-9]{0,4})$"#,
        advice: advice
    ) { try? NFSOption($0) }

    private static func advice(_ text: String) -> String? {
        do throws(NFSOption.Problem) {
            _ = try NFSOption(text)
            return nil
        } catch {
            let name = String(text.prefix { $0 != "=" })
            let guess = Spelling.closest(to: name, among: NFSOption.Name.allCases.map(\.rawValue))
            return guess.flatMap { $0 == name ? nil : "did you mean '\($0)'? " }.map { $0 + error.description }
                ?? error.description
        }
    }
}

extension Shape where Value == NFSOptions {
    /// Options of which none is given twice.
    fileprivate static let nfsOptions: Self = {
        let list = Shape<[NFSOption]>.list(of: .nfsOption, mayBeEmpty: true)
        return Self(form: list.form) { node, decoding in
            guard let options = list.decode(node, decoding), case .sequence(let items) = node.content else {
                return nil
            }
            for (index, option) in options.enumerated() {
                guard let first = options[..<index].first(where: { $0.name == option.name }) else { continue }
                decoding.descend(into: "\(index)", items[index], at: items[index].position) {
                    decoding.refuse(
                        items[index], rule: "duplicate-value", complaint: "sets what \(first) has set already",
                        help: "write one of the two")
                }
            }
            return NFSOptions(options)
        }
    }()
}
