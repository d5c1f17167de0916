import TuffModel

/// One file of configuration as it was read.
package struct ConfigSource: Sendable, Codable, Equatable {
    /// The path as the user gave it, or as it was found beneath a directory that they gave.
    package var path: String
    package var text: [UInt8]
    /// Messages may repeat anything of it. Not where a link led to it, which somebody may have laid so that
    /// they do.
    package var isQuotable = true

    package init(path: String, text: [UInt8], isQuotable: Bool = true) {
        self.path = path
        self.text = text
        self.isQuotable = isQuotable
    }

    private enum CodingKeys: CodingKey { case path, text }
}

/// A place in one file: line and column count from 1, columns and lengths count characters (Unicode scalars).
struct TextPosition: Hashable, Sendable {
    var line: Int32
    var column: Int32
    /// Characters the caret underlines; 1 where the thing spans lines.
    var length: Int32 = 1
}

/// A text with its lines, which are only looked up once something has to be said about one of them.
final class SourceFile {
    let path: String
    let text: [UInt8]
    let isQuotable: Bool
    private lazy var lineStarts: [Int] = Self.findLines(text)
    private var lastExcerpt: (line: Int, text: String?)?

    init(_ source: ConfigSource) {
        path = source.path
        text = source.text
        isQuotable = source.isQuotable
    }

    /// Line breaks are LF, CR LF and CR, as YAML 1.2 section 5.4 has them.
    private static func findLines(_ text: [UInt8]) -> [Int] {
        var starts = [0]
        text.withUnsafeBufferPointer { bytes in
            var index = 0
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                if byte == 0x0a {
                    starts.append(index)
                } else if byte == 0x0d {
                    if index < bytes.count, bytes[index] == 0x0a { index += 1 }
                    starts.append(index)
                }
            }
        }
        return starts
    }

    /// Offset of the first line: behind a byte order mark.
    var textStart: Int { text.starts(with: Encoding.byteOrderMark) ? 3 : 0 }

    /// The text for libyaml, which misreads a last line of blanks that no line break ends (JEF9, L24T).
    var parsedText: [UInt8] { text.last == 0x20 || text.last == 0x09 ? text + [0x0a] : text }

    var lineCount: Int { lineStarts.count }

    /// Offset of the first byte of `line`, which counts from 1; the end of the text when there are fewer lines.
    func offset(ofLine line: Int) -> Int {
        line <= lineStarts.count ? lineStarts[max(0, line - 1)] : text.count
    }

    /// The bytes of `line` without its break.
    func bytes(ofLine line: Int) -> ArraySlice<UInt8> {
        guard line >= 1, line <= lineStarts.count else { return [] }
        var slice = text[lineStarts[line - 1]..<offset(ofLine: line + 1)]
        while let last = slice.last, last == 0x0a || last == 0x0d { slice.removeLast() }
        return slice
    }

    /// The bytes of some lines with their breaks.
    func bytes(ofLines lines: Range<Int>) -> ArraySlice<UInt8> {
        text[offset(ofLine: lines.lowerBound)..<offset(ofLine: lines.upperBound)]
    }

    /// The line for an excerpt; nil for lines too long to show, and for files that are not to be repeated. One line's
    /// text is shared by all its messages.
    func excerpt(line: Int) -> String? {
        guard isQuotable else { return nil }
        if let lastExcerpt, lastExcerpt.line == line { return lastExcerpt.text }
        var slice = bytes(ofLine: line)
        if line == 1, slice.starts(with: Encoding.byteOrderMark) { slice = slice.dropFirst(3) }
        let text = slice.count <= Limits.excerptBytes ? String(decoding: slice, as: UTF8.self) : nil
        lastExcerpt = (line, text)
        return text
    }

    func location(_ position: TextPosition) -> SourceLocation {
        SourceLocation(file: path, line: Int(position.line), column: Int(position.column))
    }

    /// The place of the byte at `offset`.
    func position(ofByte offset: Int) -> TextPosition {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        let start = low == 0 && text.starts(with: Encoding.byteOrderMark) ? min(3, offset) : lineStarts[low]
        let characters = text[start..<offset].reduce(0) { $1 & 0xc0 == 0x80 ? $0 : $0 + 1 }
        return TextPosition(line: Int32(low + 1), column: Int32(characters + 1))
    }

    /// Number of characters of the word at `location`, for messages about documents whose nodes are gone.
    func extent(at location: SourceLocation) -> Int {
        let line = String(decoding: bytes(ofLine: location.line), as: UTF8.self).unicodeScalars
        let rest = line.dropFirst(location.column - 1)
        if let quote = rest.first, quote == "\"" || quote == "'" {
            return 1
                + (rest.dropFirst().firstIndex(of: quote).map { rest.distance(from: rest.startIndex, to: $0) } ?? 0)
        }
        let word = rest.prefix { !" \t,]}".unicodeScalars.contains($0) }
        return max(1, word.last == ":" ? word.count - 1 : word.count)
    }
}
