/// Builds the documents of one file, one after another, from libyaml's events, and refuses everything that Tuff's YAML
/// leaves out: aliases, merge keys, tags beyond the core schema, keys that are no texts, duplicate keys, and anything
/// over `Limits`.
///
/// A part that can be stepped over is reported and marked as refused, so that one run finds all errors. After a syntax
/// error the rest of that document cannot be understood; reading goes on at the next line that begins a document.
struct Composer {
    private let report: FileReport
    private var file: SourceFile { report.file }
    /// Number of documents that are not empty.
    private(set) var documents = 0
    /// Number of all documents.
    private(set) var met = 0
    /// Lines that could not be read.
    private(set) var unread: [Range<Int>] = []
    /// Nothing of the file could be read.
    private(set) var isUnreadable = false

    init(_ report: FileReport) { self.report = report }

    /// Calls `body` with each document that could be composed, empty ones left out.
    mutating func forEachDocument(_ body: (Node) -> Void) {
        if file.text.count > Limits.fileBytes {
            return refuseFile("file-too-large", "the file has more than 1 MiB", at: TextPosition(line: 1, column: 1))
        }
        if let problem = Encoding.problem(in: file.text) {
            let position = file.position(ofByte: problem.offset)
            return refuseFile(problem.rule, problem.message, at: position, help: problem.help)
        }
        file.parsedText.withUnsafeBytes { bytes in
            var line = 1
            for failures in 1... {
                let start = line == 1 ? file.textStart : file.offset(ofLine: line)
                var run = DocumentRun(
                    UnsafeRawBufferPointer(rebasing: bytes[start...]), firstByte: start, linesBefore: line - 1,
                    documents: met, report)
                let failure = run.forEachDocument(body)
                met = run.documents
                documents += run.filled
                guard let failure else { return }
                let begin = max(line, run.documentLine)
                guard met < Limits.documents,
                    let next = nextDocument(from: max(Int(failure.line), run.documentLine + 1, line + 1))
                else { return unread.append(begin..<file.lineCount + 1) }
                guard failures < Limits.syntaxErrors else {
                    unread.append(begin..<file.lineCount + 1)
                    return report.error(
                        "too-many-errors", "reading stopped here after \(failures) unreadable documents",
                        at: TextPosition(line: Int32(next), column: 1))
                }
                unread.append(begin..<next)
                line = next
            }
        }
    }

    private mutating func refuseFile(_ rule: String, _ message: String, at position: TextPosition, help: String? = nil)
    {
        report.error(rule, message, at: position, help: help)
        isUnreadable = true
    }

    /// The first line from `line` on that is a document marker: no open text or map of YAML can contain one.
    private func nextDocument(from line: Int) -> Int? {
        (line..<max(line, file.lineCount + 1)).first { candidate in
            let bytes = file.bytes(ofLine: candidate)
            guard bytes.starts(with: "---".utf8) else { return false }
            return bytes.count == 3 || [0x20, 0x09].contains(bytes[bytes.startIndex + 3])
        }
    }
}

/// Documents from one place of a file up to its end or to the first error.
private struct DocumentRun: ~Copyable {
    /// Thrown once the reason is reported: nothing more can be learnt from this document.
    private struct Abandoned: Error {
        var position: TextPosition
    }

    /// The surroundings of a node.
    private struct Context {
        var depth = 1
        /// Column of the innermost block map or list, counting from 0.
        var indentation = -1
        var isInFlow = false

        func inside(_ event: YAMLEvent) -> Context {
            let isInFlow = isInFlow || event.isFlow
            return Context(
                depth: depth + 1, indentation: isInFlow ? indentation : event.column, isInFlow: isInFlow)
        }
    }

    private let report: FileReport
    /// Offset of the given bytes in the file.
    private let firstByte: Int
    private var events: EventReader
    private var strict: StrictCheck
    private var nodes = 0
    private(set) var documents: Int
    /// Number of documents of this run that are not empty.
    private(set) var filled = 0
    /// Line where the last document began.
    private(set) var documentLine = 0

    init(
        _ bytes: UnsafeRawBufferPointer, firstByte: Int, linesBefore: Int, documents: Int, _ report: FileReport
    ) {
        self.report = report
        self.firstByte = firstByte
        self.documents = documents
        events = EventReader(bytes, linesBefore: linesBefore)
        strict = StrictCheck(bytes)
    }

    /// Calls `body` with each document.
    /// - Returns: the place where reading failed; nil: the end of the text was reached.
    mutating func forEachDocument(_ body: (Node) -> Void) -> TextPosition? {
        do throws(Abandoned) {
            while true {
                let event = try next(Context())
                if event.kind == .streamEnd { return nil }
                guard event.kind == .documentStart else { continue }
                documents += 1
                documentLine = Int(event.position.line)
                guard documents <= Limits.documents else {
                    throw abandon("too-many-documents", "the file has more than 10,000 documents", at: event.position)
                }
                nodes = 0
                let root = try node(try next(Context()), Context())
                // The end of the document is read first: an error there belongs to this document.
                _ = try next(Context())
                if case .scalar(let scalar) = root.content, scalar.value == .null { continue }
                filled += 1
                body(root)
            }
        } catch {
            // A document that could not be understood is not empty either.
            filled += 1
            return error.position
        }
    }

    private mutating func next(_ context: Context) throws(Abandoned) -> YAMLEvent {
        let event: YAMLEvent
        do {
            event = try events.next()
        } catch {
            throw abandon("syntax", "YAML syntax: \(error.message)", at: error.position, help: syntaxHelp(error))
        }
        report(strict.violation(event, indentation: context.indentation, isInFlow: context.isInFlow))
        return event
    }

    private func report(_ violation: StrictCheck.Violation?) {
        guard let violation else { return }
        report.error(
            violation.rule, "YAML syntax: \(violation.message)",
            at: report.file.position(ofByte: firstByte + violation.offset))
    }

    private func syntaxHelp(_ error: YAMLSyntaxError) -> String? {
        let line = report.file.bytes(ofLine: Int(error.position.line))
        if line.prefix(while: { $0 == 0x20 || $0 == 0x09 }).contains(0x09) {
            return "indent with spaces: YAML takes no tabs here"
        }
        if error.message.hasPrefix("mapping values are not allowed") {
            return "put texts that contain ': ' in quotes, and check the indentation"
        }
        return nil
    }

    private func abandon(_ rule: String, _ message: String, at position: TextPosition, help: String? = nil) -> Abandoned
    {
        report.error(rule, message, at: position, help: help)
        return Abandoned(position: position)
    }

    // MARK: Nodes

    private mutating func node(_ event: YAMLEvent, _ context: Context) throws(Abandoned) -> Node {
        nodes += 1
        guard nodes <= Limits.nodes else {
            throw abandon("too-many-nodes", "the document has more than 10,000 values", at: event.position)
        }
        switch event.kind {
        case .alias:
            report.error(
                "alias", "aliases are not supported: \(quoted("*" + events.alias))", at: event.position,
                help: "write the value out, or let a tool such as kustomize do it")
            return Node(content: .refused, position: event.position)
        case .scalar: return scalar(event)
        case .sequenceStart:
            let isAllowed = try begin(event, kind: "seq", in: context)
            var end = event
            let items = try items(context.inside(event), &end)
            checkFlow(from: event, to: end, context)
            return Node(content: isAllowed ? .sequence(items) : .refused, position: event.position)
        case .mappingStart:
            let isAllowed = try begin(event, kind: "map", in: context)
            var end = event
            let entries = try entries(context.inside(event), &end)
            checkFlow(from: event, to: end, context)
            return Node(content: isAllowed ? .mapping(entries) : .refused, position: event.position)
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
            return Node(content: .refused, position: event.position)
        }
    }

    private func scalar(_ event: YAMLEvent) -> Node {
        guard events.bytes.count <= Limits.scalarBytes else {
            report.error("scalar-too-long", "a text has more than 64 KiB", at: event.position)
            return Node(content: .refused, position: event.position)
        }
        guard let tag = events.tag else {
            let value = event.style == .plain ? Scalar.resolve(events.bytes) : .string
            return Node(content: .scalar(Scalar(text: events.text, value: value)), position: event.position)
        }
        guard let scalar = CoreTag.scalar(events.text, tag: tag) else {
            refuse(tag, at: event.position)
            return Node(content: .refused, position: event.position)
        }
        return Node(content: .scalar(scalar), position: event.position)
    }

    /// - Returns: whether the tag of the map or list is one that it may have. Another was reported.
    private func begin(_ start: YAMLEvent, kind name: String, in context: Context) throws(Abandoned) -> Bool {
        guard context.depth <= Limits.depth else {
            throw abandon("too-deep", "maps and lists are nested more than 64 deep", at: start.position)
        }
        guard let tag = events.tag, !CoreTag.allows(tag, name) else { return true }
        refuse(tag, at: start.position)
        return false
    }

    private mutating func checkFlow(from start: YAMLEvent, to end: YAMLEvent, _ context: Context) {
        guard start.isFlow, !context.isInFlow else { return }
        report(strict.badFlowIndentation(from: start, to: end, indentation: context.indentation))
    }

    private mutating func items(_ context: Context, _ end: inout YAMLEvent) throws(Abandoned) -> [Node] {
        var items: [Node] = []
        while true {
            let event = try next(context)
            if event.kind == .sequenceEnd {
                end = event
                return items
            }
            items.append(try node(event, context))
        }
    }

    private mutating func entries(_ context: Context, _ end: inout YAMLEvent) throws(Abandoned) -> [Node.Entry] {
        var entries: [Node.Entry] = []
        // Most maps have no more.
        entries.reserveCapacity(4)
        // Looking through few keys is quicker than hashing them; most maps have few.
        var index: [String: TextPosition]?
        while true {
            let event = try next(context)
            if event.kind == .mappingEnd {
                end = event
                return entries
            }
            let code = Key.code(of: events.bytes)
            let isMerge =
                event.kind == .scalar && event.style == .plain && events.bytes.count == 2
                && events.bytes.elementsEqual("<<".utf8)
            let key = try node(event, context)
            let value = try node(try next(context), context)
            guard let name = keyName(key, isMerge: isMerge).map({ Key($0, code: code) }) else { continue }
            if entries.count == 16, index == nil {
                index = Dictionary(uniqueKeysWithValues: entries.lazy.map { ($0.key.text, $0.keyPosition) })
            }
            let earlier =
                index.map { $0[name.text] } ?? entries.index(of: name).map { entries[$0].keyPosition }
            if let first = earlier {
                reportDuplicate(name.text, at: key.position, first: first)
                continue
            }
            index?[name.text] = key.position
            entries.append(Node.Entry(key: name, keyPosition: key.position, value: value))
        }
    }

    private func reportDuplicate(_ name: String, at position: TextPosition, first: TextPosition) {
        report.error(
            "duplicate-key", "the key \(quoted(name)) stands twice in one map", at: position,
            help: "its first place is line \(first.line), column \(first.column)"
                + (["apiVersion", "kind"].contains(name) ? "; between two documents stands a line ---" : ""))
    }

    private func keyName(_ key: Node, isMerge: Bool) -> String? {
        guard !key.isRefused else { return nil }
        guard case .scalar(let scalar) = key.content else {
            report.error("key-not-text", "a key must be a text, not \(key.typeName)", at: key.position)
            return nil
        }
        if isMerge {
            report.error("merge-key", "merge keys are not supported", at: key.position, help: "write the fields out")
            return nil
        }
        guard scalar.value == .string else {
            report.error(
                "key-not-text", "a key must be a text; \(quoted(scalar.text)) is \(scalar.value.typeName)",
                at: key.position, help: "write it in quotes")
            return nil
        }
        return scalar.text
    }

    private func refuse(_ tag: String, at position: TextPosition) {
        report.error(
            "tag", "the tag \(quoted(CoreTag.shown(tag))) is not supported here", at: position, help: "remove the tag")
    }
}

/// Tags of the core schema (YAML 1.2 section 10.3): the only ones that say nothing new.
private enum CoreTag {
    private static let prefix = "tag:yaml.org,2002:"

    static func shown(_ tag: String) -> String { tag.hasPrefix(prefix) ? "!!" + tag.dropFirst(prefix.count) : tag }

    static func allows(_ tag: String, _ name: String) -> Bool { tag == "!" || tag == prefix + name }

    /// The scalar with its tag taken into account; nil when the tag does not fit it.
    static func scalar(_ text: String, tag: String) -> Scalar? {
        if tag == "!" || tag == prefix + "str" { return Scalar(text: text, value: .string) }
        guard tag.hasPrefix(prefix) else { return nil }
        let resolved = Scalar(plain: text)
        switch (tag.dropFirst(prefix.count), resolved.value) {
        case ("float", .int(let number)): return Scalar(text: text, value: .float(Double(number)))
        case ("null", .null), ("bool", .bool), ("int", .int), ("float", .float): return resolved
        default: return nil
        }
    }
}
