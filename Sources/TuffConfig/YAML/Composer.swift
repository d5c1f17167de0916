/// Builds the documents of one file, one after another, from libyaml's events, and refuses what Tuff's YAML has not:
/// aliases, merge keys, tags beyond the core schema, keys that are no texts, duplicate keys, and anything over `Limits`.
///
/// What can be stepped over is reported and marked as refused, so that one run finds everything. After a syntax error
/// the rest of that document cannot be understood; reading goes on at the next line that begins a document.
struct Composer {
    private let file: SourceFile
    private let report: FileReport
    private var nodes = 0
    private(set) var documents = 0
    /// The first place that could not be read, if any.
    private(set) var firstUnreadable: Mark?

    /// Thrown once the reason is reported: nothing more can be learnt from this document.
    private struct Abandoned: Error {
        /// Line to go on after.
        var line: Int32
    }

    init(_ report: FileReport) {
        self.report = report
        file = report.file
    }

    /// Calls `body` with each document that could be composed, empty ones left out.
    mutating func forEachDocument(_ body: (Node) -> Void) {
        if file.text.count > Limits.fileBytes {
            refuseFile("file-too-large", "the file has more than 1 MiB", at: Mark(line: 1, column: 1))
            return
        }
        if let problem = Encoding.problem(in: file.text) {
            refuseFile(problem.rule, problem.message, at: file.mark(ofByte: problem.offset), help: problem.help)
            return
        }
        file.text.withUnsafeBytes { bytes in
            var line = 1
            var failures = 0
            while let failed = compose(bytes, from: line, body), let next = nextDocument(after: Int(failed)) {
                failures += 1
                guard failures < Limits.syntaxErrors else {
                    let mark = Mark(line: Int32(next), column: 1)
                    return report.error(
                        "too-many-errors", "reading stopped here after 100 unreadable documents", at: mark)
                }
                line = next
            }
        }
    }

    private mutating func refuseFile(_ rule: String, _ message: String, at mark: Mark, help: String? = nil) {
        report.error(rule, message, at: mark, help: help)
        firstUnreadable = mark
    }

    /// The next line after `line` that is a document marker: no open text or map of YAML can contain one.
    private func nextDocument(after line: Int) -> Int? {
        guard documents < Limits.documents else { return nil }
        return (line + 1..<max(line + 1, file.lineCount + 1)).first { candidate in
            let bytes = file.bytes(ofLine: candidate)
            return bytes.starts(with: "---".utf8)
                && (bytes.count == 3 || [0x20, 0x09].contains(bytes[bytes.startIndex + 3]))
        }
    }

    /// Composes the documents from `line` on; the line of the failure when one stopped it.
    private mutating func compose(_ bytes: UnsafeRawBufferPointer, from line: Int, _ body: (Node) -> Void) -> Int32? {
        let start = line == 1 ? (file.text.starts(with: Encoding.byteOrderMark) ? 3 : 0) : file.offset(ofLine: line)
        var events = EventReader(UnsafeRawBufferPointer(rebasing: bytes[start...]), linesBefore: line - 1)
        do throws(Abandoned) {
            while true {
                let event = try next(&events)
                switch event.content {
                case .streamEnd: return nil
                case .documentStart:
                    documents += 1
                    guard documents <= Limits.documents else {
                        throw abandon("too-many-documents", "the file has more than 10,000 documents", at: event.mark)
                    }
                    nodes = 0
                    let root = try node(try next(&events), &events, depth: 1)
                    // The end of the document is read first: an error there belongs to this document.
                    _ = try next(&events)
                    if case .scalar(let scalar) = root.content, scalar.value == .null { break }
                    body(root)
                default: break
                }
            }
        } catch {
            return error.line
        }
    }

    private mutating func next(_ events: inout EventReader) throws(Abandoned) -> YAMLEvent {
        do {
            return try events.next()
        } catch {
            throw abandon("syntax", "YAML syntax: \(error.message)", at: error.mark, help: syntaxHelp(error))
        }
    }

    private func syntaxHelp(_ error: YAMLSyntaxError) -> String? {
        let line = file.bytes(ofLine: Int(error.mark.line))
        let indentation = line.prefix { $0 == 0x20 || $0 == 0x09 }
        if indentation.contains(0x09) { return "indent with spaces: YAML takes no tabs here" }
        if error.message.hasPrefix("mapping values are not allowed") {
            return "put texts that contain ': ' in quotes, and check the indentation"
        }
        return nil
    }

    private mutating func abandon(
        _ rule: String, _ message: String, at mark: Mark, help: String? = nil
    ) -> Abandoned {
        if firstUnreadable == nil { firstUnreadable = mark }
        report.error(rule, message, at: mark, help: help)
        return Abandoned(line: mark.line)
    }

    // MARK: Nodes

    private mutating func node(_ event: YAMLEvent, _ events: inout EventReader, depth: Int) throws(Abandoned) -> Node {
        nodes += 1
        guard nodes <= Limits.nodes else {
            throw abandon("too-many-nodes", "the document has more than 10,000 values", at: event.mark)
        }
        switch event.content {
        case .alias(let name):
            report.error(
                "alias", "aliases are not supported: *\(quoted(name).dropFirst().dropLast())", at: event.mark,
                help: "write the value out, or let a tool such as kustomize do it")
            return Node(content: .refused, mark: event.mark)
        case .scalar(let text, let length, let tag, let plain):
            return scalar(text, length: length, tag: tag, plain: plain, at: event.mark)
        case .sequenceStart(let tag):
            let allowed = isAllowed(tag, "seq", at: event.mark)
            try deepen(depth, at: event.mark)
            var items: [Node] = []
            while true {
                let next = try next(&events)
                if case .sequenceEnd = next.content { break }
                items.append(try node(next, &events, depth: depth + 1))
            }
            return Node(content: allowed ? .sequence(items) : .refused, mark: event.mark)
        case .mappingStart(let tag):
            let allowed = isAllowed(tag, "map", at: event.mark)
            try deepen(depth, at: event.mark)
            let entries = try entries(&events, depth: depth)
            return Node(content: allowed ? .mapping(entries) : .refused, mark: event.mark)
        default:
            return Node(content: .refused, mark: event.mark)
        }
    }

    private mutating func deepen(_ depth: Int, at mark: Mark) throws(Abandoned) {
        guard depth <= Limits.depth else {
            throw abandon("too-deep", "maps and lists are nested more than 64 deep", at: mark)
        }
    }

    private mutating func entries(_ events: inout EventReader, depth: Int) throws(Abandoned) -> [Node.Entry] {
        var entries: [Node.Entry] = []
        var seen: [String: Mark] = [:]
        while true {
            let event = try next(&events)
            if case .mappingEnd = event.content { return entries }
            let key = try node(event, &events, depth: depth + 1)
            let value = try node(try next(&events), &events, depth: depth + 1)
            guard let name = keyName(key, event) else { continue }
            if let first = seen.updateValue(key.mark, forKey: name) {
                seen[name] = first
                report.error(
                    "duplicate-key", "the key \(quoted(name)) stands twice in one map", at: key.mark,
                    help: "its first place is line \(first.line), column \(first.column)")
                continue
            }
            entries.append(Node.Entry(key: name, keyMark: key.mark, value: value))
        }
    }

    private func keyName(_ key: Node, _ event: YAMLEvent) -> String? {
        guard !key.isRefused else { return nil }
        guard case .scalar(let scalar) = key.content else {
            report.error("key-not-text", "a key must be a text, not \(key.typeName)", at: key.mark)
            return nil
        }
        if case .scalar(_, _, _, let plain) = event.content, plain, scalar.text == "<<" {
            report.error("merge-key", "merge keys are not supported", at: key.mark, help: "write the fields out")
            return nil
        }
        guard scalar.value == .string else {
            report.error(
                "key-not-text", "a key must be a text; \(quoted(scalar.text)) is \(scalar.value.typeName)",
                at: key.mark, help: "write it in quotes")
            return nil
        }
        return scalar.text
    }

    // MARK: Tags

    private static let corePrefix = "tag:yaml.org,2002:"

    private func isAllowed(_ tag: String?, _ name: String, at mark: Mark) -> Bool {
        guard let tag, tag != "!", tag != Self.corePrefix + name else { return true }
        return refuse(tag, at: mark)
    }

    private func refuse(_ tag: String, at mark: Mark) -> Bool {
        let shown = tag.hasPrefix(Self.corePrefix) ? "!!" + tag.dropFirst(Self.corePrefix.count) : tag
        report.error("tag", "the tag \(quoted(shown)) is not supported here", at: mark, help: "remove the tag")
        return false
    }

    private func scalar(_ text: String, length: Int, tag: String?, plain: Bool, at mark: Mark) -> Node {
        guard length <= Limits.scalarBytes else {
            report.error("scalar-too-long", "a text has more than 64 KiB", at: mark)
            return Node(content: .refused, mark: mark)
        }
        func node(_ scalar: Scalar) -> Node { Node(content: .scalar(scalar), mark: mark) }
        guard let tag else { return node(plain ? Scalar(plain: text) : Scalar(text: text, value: .string)) }
        if tag == "!" { return node(Scalar(text: text, value: .string)) }
        let name = tag.hasPrefix(Self.corePrefix) ? String(tag.dropFirst(Self.corePrefix.count)) : ""
        let resolved = Scalar(plain: text)
        switch (name, resolved.value) {
        case ("str", _): return node(Scalar(text: text, value: .string))
        case ("float", .int(let number)): return node(Scalar(text: text, value: .float(Double(number))))
        case ("null", .null), ("bool", .bool), ("int", .int), ("float", .float): return node(resolved)
        default:
            _ = refuse(tag, at: mark)
            return Node(content: .refused, mark: mark)
        }
    }
}
