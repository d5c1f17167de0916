/// Finds texts that YAML 1.2 forbids or reads otherwise, and that libyaml, which implements YAML 1.1, lets pass.
///
/// Each rule was found by the yaml-test-suite; the names of its cases stand beside them. A document that libyaml and
/// another reader would understand differently is refused rather than guessed at.
struct StrictCheck {
    struct Violation {
        var rule = "syntax"
        var message: String
        /// Byte where it stands.
        var offset: Int
    }

    private let bytes: UnsafeRawBufferPointer
    private let isASCII: Bool
    /// Violations still to be looked for: after many, one more says nothing new.
    private var left = 20
    /// A place as the number of its character and the offset of its byte: events count characters, texts are bytes.
    private var cursor = (character: 0, byte: 0)
    /// End of the last token, as a character and as a byte.
    private var lastEnd = 0
    private var lastEndByte = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        isASCII = Encoding.isASCII(bytes)
    }

    /// Checks `event` and the text between it and the event before.
    ///
    /// - Parameter indentation: column of the innermost block map or list, counting from 0; -1 outside of all.
    mutating func violation(_ event: YAMLEvent, indentation: Int, isInFlow: Bool) -> Violation? {
        let start = byte(of: event.start)
        var found: Violation?
        if left > 0 {
            found = violationBetween(start) ?? violation(in: event, from: start, indentation, isInFlow)
            if found != nil { left -= 1 }
        }
        if event.end >= lastEnd {
            lastEnd = event.end
            lastEndByte = byte(of: event.end)
        }
        return found
    }

    private mutating func byte(of character: Int) -> Int {
        if isASCII { return min(character, bytes.count) }
        func isContinuation(_ index: Int) -> Bool { bytes[index] & 0xc0 == 0x80 }
        while cursor.character < character, cursor.byte < bytes.count {
            cursor.byte += 1
            while cursor.byte < bytes.count, isContinuation(cursor.byte) { cursor.byte += 1 }
            cursor.character += 1
        }
        while cursor.character > character, cursor.byte > 0 {
            cursor.byte -= 1
            while cursor.byte > 0, isContinuation(cursor.byte) { cursor.byte -= 1 }
            cursor.character -= 1
        }
        return cursor.byte
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d }

    private static func isBreak(_ byte: UInt8) -> Bool { byte == 0x0a || byte == 0x0d }

    private static let questionMark = "a text that begins with '?' must stand in quotes here"

    private func isBlank(after index: Int) -> Bool { index + 1 >= bytes.count || Self.isBlank(bytes[index + 1]) }

    /// Comments need a blank before them (9JBA, CVW2, SU5Z); a question mark is a key's only before one (652Z, HM87).
    private func violationBetween(_ end: Int) -> Violation? {
        var index = lastEndByte
        while index < end {
            switch bytes[index] {
            case UInt8(ascii: "#"):
                if index > 0, !Self.isBlank(bytes[index - 1]) {
                    return Violation(message: "a comment needs a blank before it", offset: index)
                }
                while index < end, !Self.isBreak(bytes[index]) { index += 1 }
            case UInt8(ascii: "?") where !isBlank(after: index):
                return Violation(message: Self.questionMark, offset: index)
            default: index += 1
            }
        }
        return nil
    }

    private mutating func violation(
        in event: YAMLEvent, from start: Int, _ indentation: Int, _ isInFlow: Bool
    ) -> Violation? {
        // An anchor ends at a blank; libyaml ends it at a colon too (Y2GN).
        if let length = event.anchorLength {
            let end = start + 1 + length
            if bytes[start] == UInt8(ascii: "&"), end < bytes.count, !Self.isBlank(bytes[end]),
                !",[]{}".utf8.contains(bytes[end])
            {
                return Violation(message: "a blank must follow the anchor", offset: start)
            }
        }
        switch event.kind {
        case .documentStart where event.hasDirectives:
            // EB22, MUS6, RHX7: libyaml takes malformed and misplaced ones.
            return Violation(rule: "directive", message: "directives are not supported", offset: start)
        case .mappingStart where event.isFlow && bytes[start] == UInt8(ascii: "?") && !isBlank(after: start):
            return Violation(message: Self.questionMark, offset: start)
        case .scalar:
            switch event.style {
            case .plain:
                // G5U8, YJV2
                guard event.isHyphen, isInFlow else { return nil }
                return Violation(message: "a lone '-' must stand in quotes here", offset: start)
            case .quoted:
                let end = byte(of: event.end)
                return badIndentation(from: start, to: end, wanted: indentation + 1, isText: true)
            case .block: return badBlockScalar(from: start, to: byte(of: event.end))
            }
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .alias, .sequenceStart, .sequenceEnd,
            .mappingStart, .mappingEnd:
            return nil
        }
    }

    /// Lines of a flow collection or quoted text in a block need more indentation than the block, in spaces
    /// (9C9N, DK95, QB6E, Y79Y). Brackets that close may stand below the line that opened them, as many people write.
    mutating func badFlowIndentation(from start: YAMLEvent, to end: YAMLEvent, indentation: Int) -> Violation? {
        badIndentation(from: byte(of: start.start), to: byte(of: end.end), wanted: indentation + 1, isText: false)
    }

    private func badIndentation(from start: Int, to end: Int, wanted: Int, isText: Bool) -> Violation? {
        var index = start
        while index < end {
            while index < end, !Self.isBreak(bytes[index]) { index += 1 }
            while index < end, Self.isBreak(bytes[index]) { index += 1 }
            let line = index
            while index < end, bytes[index] == 0x20 { index += 1 }
            let spaces = index - line
            guard spaces < wanted else { continue }
            while index < end, bytes[index] == 0x09 || bytes[index] == 0x20 { index += 1 }
            guard index < end, !Self.isBreak(bytes[index]) else { continue }
            let isCloser = bytes[index] == UInt8(ascii: "]") || bytes[index] == UInt8(ascii: "}")
            if !isText, bytes[index] == UInt8(ascii: "#") || isCloser && spaces + 1 >= wanted { continue }
            return Violation(
                message: "this line must be indented by at least \(wanted) space\(wanted == 1 ? "" : "s")",
                offset: index)
        }
        return nil
    }

    /// The header's comment needs a blank (X4QW); empty lines before the text are not longer than its indentation
    /// (S98Z).
    private func badBlockScalar(from start: Int, to end: Int) -> Violation? {
        var index = start
        while index < end, !Self.isBreak(bytes[index]) {
            if bytes[index] == UInt8(ascii: "#"), !Self.isBlank(bytes[index - 1]) {
                return Violation(message: "a comment needs a blank before it", offset: index)
            }
            index += 1
        }
        let header = bytes[start..<index]
        guard !header.contains(where: { (0x31...0x39).contains($0) }) else { return nil }
        var longest = 0
        while index < bytes.count {
            while index < bytes.count, Self.isBreak(bytes[index]) { index += 1 }
            let line = index
            while index < bytes.count, bytes[index] == 0x20 { index += 1 }
            guard index < bytes.count else { return nil }
            if Self.isBreak(bytes[index]) {
                longest = max(longest, index - line)
                continue
            }
            guard longest > index - line else { return nil }
            return Violation(
                message: "an empty line before this one has more spaces than it", offset: index)
        }
        return nil
    }
}
