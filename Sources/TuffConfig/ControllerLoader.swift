package import TuffModel

extension ConfigLoader {
    /// The controller's own configuration, one document of kind `Controller`.
    ///
    /// - Parameters:
    ///   - defaultNode: name of this host where the document gives none.
    ///   - toleratesFormer: takes `allowedRoots`, which earlier versions had, with a warning and as they meant it.
    ///     Otherwise it is an error with the `allow` to write in its place.
    package static func loadController(
        _ source: ConfigSource, defaultNode: String, toleratesFormer: Bool = false
    ) -> (config: ControllerConfig?, diagnostics: [Diagnostic]) {
        let report = FileReport(SourceFile(source))
        var composer = Composer(report)
        var read: ControllerSpec?
        var former: [String]?
        var count = 0
        composer.forEachDocument { node in
            count += 1
            guard count == 1 else {
                return report.error("not-one-document", "the configuration is one document", at: node.position)
            }
            var node = node
            let decoding = Decoding(report: report, subject: Subject(kind: ControllerSpec.kind), place: node.position)
            if let roots = node.takeOut("allowedRoots", of: "spec") {
                former = FormerRoots(roots, decoding).report(isError: !toleratesFormer)
            }
            read = Shape.controllerDocument.decode(node, decoding)?.spec
            if former == nil, let reach = read?.config.allow { refuseOverlaps(in: reach, node, report) }
        }
        if count == 0, report.errorCount == 0 {
            report.error(
                "not-one-document", "the configuration holds no document", at: TextPosition(line: 1, column: 1),
                help: "write apiVersion: \(APIVersion.current), kind: \(ControllerSpec.kind) and spec: {}")
        }
        guard var config = read?.config, report.errorCount == 0 else { return (nil, sorted(report.finish())) }
        config.node = read?.node ?? defaultNode
        if let former { config.allow = Reach(everythingBeneath: former) }
        return (config, sorted(report.finish()))
    }

    /// A path beneath two roots would be of two sorts: a secret that is read as an image, an image that is a volume's
    /// file.
    private static func refuseOverlaps(in reach: Reach, _ document: Node, _ report: FileReport) {
        let allow = document["spec"]?["allow"]
        for overlap in reach.overlaps {
            func place(_ root: Reach.Root) -> TextPosition? {
                guard case .sequence(let items)? = allow?[Key(root.sort.rawValue)]?.content else { return nil }
                return items.first { item in
                    if case .scalar(let scalar) = item.content { scalar.text == root.path } else { false }
                }?.position
            }
            func name(_ root: Reach.Root) -> String {
                "\(root.path) of allow.\(root.sort.rawValue)" + (place(root) == nil ? " (the default)" : "")
            }
            let unwritten = [overlap.second, overlap.first].first { place($0) == nil }
            report.error(
                "overlapping-roots", "\(name(overlap.first)) and \(name(overlap.second)) overlap",
                at: place(overlap.second) ?? place(overlap.first) ?? document.position,
                help: "a root is of one sort: name narrower ones"
                    + (unwritten.map { ", or write allow.\($0.sort.rawValue), with [] for none" } ?? ""))
        }
    }
}

/// `allowedRoots` of a configuration that an earlier version read.
private struct FormerRoots {
    private let entry: Node.Entry
    private let decoding: Decoding
    private let roots: [String]?

    init(_ entry: Node.Entry, _ decoding: Decoding) {
        self.entry = entry
        self.decoding = decoding
        roots = decoding.descend(into: "spec", entry.value, at: entry.keyPosition) {
            decoding.descend(into: entry.key.text, entry.value, at: entry.keyPosition) {
                Shape<[String]>.list(of: .path).decode(entry.value, decoding)
            }
        }
    }

    /// Reports the `allow` to write in its place.
    /// - Returns: the roots; nil: they cannot be understood, and that was said.
    func report(isError: Bool) -> [String]? {
        guard let roots else { return nil }
        let (reach, leftOut) = Reach.replacing(allowedRoots: roots)
        let sentence =
            "spec.allowedRoots is replaced by spec.allow, which names roots of secrets, images and directories"
        var help = "write in its place: \(reach.block)"
        if !leftOut.isEmpty {
            help += "   # and, of each sort, what is used beneath \(leftOut.joined(separator: ", ")), which overlaps"
        }
        if isError {
            decoding.report.error("replaced-field", sentence, at: entry.keyPosition, help: help)
        } else {
            decoding.report.warning(
                "replaced-field", sentence + "; until then every other command refuses this file",
                at: entry.keyPosition,
                help: help)
        }
        return roots
    }
}

extension Reach {
    /// The reach as one line of YAML, with the lists that a configuration with `allowedRoots` stood for.
    package var block: String {
        let lists = Sort.allCases.map { "\($0.rawValue): [\(self[$0].map(Self.flow).joined(separator: ", "))]" }
        return "allow: {\((lists + ["unwiped: \(unwiped)"]).joined(separator: ", "))}"
    }

    /// A path within brackets, in quotes where YAML would read more than a text.
    private static func flow(_ path: String) -> String {
        let isPlain = Characters.alphanumeric.holdsAll(path, and: "/._-")
        return isPlain ? path : "\"\(path.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
    }
}

extension Node {
    /// Takes the entry `key` out of the mapping at `place`, if there is one.
    fileprivate mutating func takeOut(_ key: Key, of place: Key) -> Entry? {
        guard case .mapping(var entries) = content,
            let position = entries.firstIndex(where: { $0.key == place }),
            case .mapping(var inner) = entries[position].value.content,
            let found = inner.firstIndex(where: { $0.key == key })
        else { return nil }
        let entry = inner.remove(at: found)
        entries[position].value.content = .mapping(inner)
        content = .mapping(entries)
        return entry
    }
}
