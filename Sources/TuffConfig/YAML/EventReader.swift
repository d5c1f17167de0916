import CYAML

/// One step through a YAML stream. Its texts are the reader's, until the next step.
struct YAMLEvent {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd
        case alias, scalar
        case sequenceStart, sequenceEnd
        case mappingStart, mappingEnd
    }

    enum Style {
        case plain
        case quoted
        case block
    }

    var kind: Kind
    var position: TextPosition
    /// First and following character, counted from where reading began.
    var start: Int
    var end: Int
    /// Column of the node itself, behind anchor and tag, counted from 0.
    var column: Int
    /// Bytes of the anchor's name; nil: there is none.
    var anchorLength: Int?
    /// Of a scalar.
    var style = Style.plain
    /// True for a scalar of one hyphen.
    var isHyphen = false
    /// Of the start of a map or list: whether it is written in brackets.
    var isFlow = false
    /// Of the start of a document.
    var hasDirectives = false
}

/// The reason why libyaml stopped.
struct YAMLSyntaxError: Error {
    var message: String
    var position: TextPosition
}

/// libyaml's event parser over bytes that stay where they are while it lives.
///
/// Only events are used: libyaml's own loader expands aliases and has no caps, and its scanner resolves nothing.
struct EventReader: ~Copyable {
    /// On the heap, since libyaml keeps pointers into it.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    /// The event last read, whose texts libyaml holds.
    private let event: UnsafeMutablePointer<yaml_event_t>
    /// Lines before the bytes given, for texts that are read from their middle.
    private let linesBefore: Int32

    init(_ bytes: UnsafeRawBufferPointer, linesBefore: Int) {
        parser = .allocate(capacity: 1)
        event = .allocate(capacity: 1)
        event.initialize(to: yaml_event_t())
        // It fails only when malloc does, and then every later call reports an error.
        _ = yaml_parser_initialize(parser)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
        self.linesBefore = Int32(linesBefore)
    }

    deinit {
        yaml_event_delete(event)
        event.deallocate()
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    mutating func next() throws(YAMLSyntaxError) -> YAMLEvent {
        yaml_event_delete(event)
        guard yaml_parser_parse(parser, event) == 1 else { throw syntaxError() }
        let start = event.pointee.start_mark, end = event.pointee.end_mark
        var next = YAMLEvent(
            kind: .streamEnd, position: position(start, to: end), start: start.index, end: end.index,
            column: start.column)
        switch event.pointee.type {
        case YAML_STREAM_START_EVENT: next.kind = .streamStart
        case YAML_DOCUMENT_START_EVENT:
            next.kind = .documentStart
            let start = event.pointee.data.document_start
            next.hasDirectives =
                start.version_directive != nil || start.tag_directives.start != start.tag_directives.end
        case YAML_DOCUMENT_END_EVENT: next.kind = .documentEnd
        case YAML_ALIAS_EVENT: next.kind = .alias
        case YAML_SCALAR_EVENT:
            next.kind = .scalar
            next.anchorLength = length(event.pointee.data.scalar.anchor)
            next.style = style(event.pointee.data.scalar.style)
            next.isHyphen = bytes.count == 1 && bytes[0] == UInt8(ascii: "-")
        case YAML_SEQUENCE_START_EVENT:
            let list = event.pointee.data.sequence_start
            next.kind = .sequenceStart
            next.isFlow = list.style == YAML_FLOW_SEQUENCE_STYLE
            next.anchorLength = length(list.anchor)
            // A block collection's event begins at its properties and ends where its first entry begins.
            if list.anchor != nil || list.tag != nil { next.column = end.column }
        case YAML_SEQUENCE_END_EVENT: next.kind = .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            let map = event.pointee.data.mapping_start
            next.kind = .mappingStart
            next.isFlow = map.style == YAML_FLOW_MAPPING_STYLE
            next.anchorLength = length(map.anchor)
            if map.anchor != nil || map.tag != nil { next.column = end.column }
        case YAML_MAPPING_END_EVENT: next.kind = .mappingEnd
        default: break
        }
        return next
    }

    // MARK: Texts of the event last read

    /// Bytes of its scalar; of another event, none.
    var bytes: UnsafeBufferPointer<UInt8> {
        guard event.pointee.type == YAML_SCALAR_EVENT else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: event.pointee.data.scalar.value, count: event.pointee.data.scalar.length)
    }

    /// Its scalar.
    var text: String {
        let bytes = bytes
        // For short texts cheaper than decoding, which this checks as well.
        return String(unsafeUninitializedCapacity: bytes.count) { $0.initialize(fromContentsOf: bytes) }
    }

    /// The tag that is written on it.
    var tag: String? {
        switch event.pointee.type {
        case YAML_SCALAR_EVENT: text(event.pointee.data.scalar.tag)
        case YAML_SEQUENCE_START_EVENT: text(event.pointee.data.sequence_start.tag)
        case YAML_MAPPING_START_EVENT: text(event.pointee.data.mapping_start.tag)
        default: nil
        }
    }

    /// The name that an alias refers to.
    var alias: String {
        event.pointee.type == YAML_ALIAS_EVENT ? text(event.pointee.data.alias.anchor) ?? "" : ""
    }

    private func style(_ style: yaml_scalar_style_t) -> YAMLEvent.Style {
        switch style {
        case YAML_PLAIN_SCALAR_STYLE: .plain
        case YAML_LITERAL_SCALAR_STYLE, YAML_FOLDED_SCALAR_STYLE: .block
        default: .quoted
        }
    }

    private func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private func length(_ name: UnsafeMutablePointer<yaml_char_t>?) -> Int? {
        name.map { name in
            var count = 0
            while name[count] != 0 { count += 1 }
            return count
        }
    }

    private func position(_ start: yaml_mark_t, to end: yaml_mark_t) -> TextPosition {
        TextPosition(
            line: Int32(clamping: start.line) + 1 + linesBefore, column: Int32(clamping: start.column) + 1,
            length: start.line == end.line ? Int32(clamping: max(1, Int(end.index) - Int(start.index))) : 1)
    }

    private func syntaxError() -> YAMLSyntaxError {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "out of memory"
        let context = parser.pointee.context.map { " " + String(cString: $0) } ?? ""
        let place = parser.pointee.problem_mark
        return YAMLSyntaxError(message: problem + context, position: position(place, to: place))
    }
}
