import CYAML

/// One step through a YAML stream.
struct YAMLEvent {
    enum Style {
        case plain
        case quoted
        case block
    }

    enum Content {
        case streamStart
        case streamEnd
        case documentStart(hasDirectives: Bool)
        case documentEnd
        case alias(String)
        /// `length` is that of the scalar in bytes; texts beyond the limit are left out.
        case scalar(text: String, length: Int, tag: String?, style: Style)
        case sequenceStart(tag: String?, isFlow: Bool)
        case sequenceEnd
        case mappingStart(tag: String?, isFlow: Bool)
        case mappingEnd
    }

    var content: Content
    var position: TextPosition
    /// First and following character, counted from where reading began.
    var start: Int
    var end: Int
    /// Column of the node itself, behind anchor and tag, counted from 0.
    var column: Int
    var anchor: String?
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
    /// Lines before the bytes given, for texts that are read from their middle.
    private let linesBefore: Int32

    init(_ bytes: UnsafeRawBufferPointer, linesBefore: Int) {
        parser = .allocate(capacity: 1)
        // It fails only when malloc does, and then every later call reports an error.
        _ = yaml_parser_initialize(parser)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
        self.linesBefore = Int32(linesBefore)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    mutating func next() throws(YAMLSyntaxError) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError() }
        defer { yaml_event_delete(&event) }
        return YAMLEvent(
            content: content(of: event), position: position(event.start_mark, to: event.end_mark),
            start: Int(event.start_mark.index), end: Int(event.end_mark.index), column: column(of: event),
            anchor: anchor(of: event))
    }

    /// A block collection's event begins at its properties and ends where its first entry begins.
    private func column(of event: yaml_event_t) -> Int {
        let hasProperties =
            switch event.type {
            case YAML_SEQUENCE_START_EVENT:
                event.data.sequence_start.anchor != nil || event.data.sequence_start.tag != nil
            case YAML_MAPPING_START_EVENT: event.data.mapping_start.anchor != nil || event.data.mapping_start.tag != nil
            default: false
            }
        return Int(hasProperties ? event.end_mark.column : event.start_mark.column)
    }

    private func anchor(of event: yaml_event_t) -> String? {
        switch event.type {
        case YAML_SCALAR_EVENT: text(event.data.scalar.anchor)
        case YAML_SEQUENCE_START_EVENT: text(event.data.sequence_start.anchor)
        case YAML_MAPPING_START_EVENT: text(event.data.mapping_start.anchor)
        default: nil
        }
    }

    private func content(of event: yaml_event_t) -> YAMLEvent.Content {
        switch event.type {
        case YAML_STREAM_START_EVENT: return .streamStart
        case YAML_DOCUMENT_START_EVENT:
            let start = event.data.document_start
            return .documentStart(
                hasDirectives: start.version_directive != nil
                    || start.tag_directives.start != start.tag_directives.end)
        case YAML_DOCUMENT_END_EVENT: return .documentEnd
        case YAML_ALIAS_EVENT: return .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: min(scalar.length, Limits.scalarBytes))
            return .scalar(
                text: String(decoding: bytes, as: UTF8.self), length: scalar.length, tag: text(scalar.tag),
                style: style(scalar.style))
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            return .sequenceStart(tag: text(start.tag), isFlow: start.style == YAML_FLOW_SEQUENCE_STYLE)
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            return .mappingStart(tag: text(start.tag), isFlow: start.style == YAML_FLOW_MAPPING_STYLE)
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        default: return .streamEnd
        }
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
