/// Places of a document's fields, by dotted path: `spec.size`, `spec.iscsi.chap.user`. All lie in one file.
///
/// A set has a hundred thousand of them and asks for few. So a field is kept as its own name below that of another, and
/// paths are compared when somebody asks.
package struct FieldPlaces: Hashable, Sendable {
    private struct Field: Hashable {
        var name: String
        /// Number of the field that this one lies in; -1: none.
        var parent: Int32
        var line: Int32
        var column: Int32
    }

    private var file: String
    private var fields: [Field] = []

    /// - Parameter count: fields that room is made for.
    package init(file: String, count: Int = 0) {
        self.file = file
        fields.reserveCapacity(count)
    }

    /// The place of the last field with this path; nil: there is none. A place that is set by hand moves the whole
    /// document to its file.
    package subscript(path: String) -> SourceLocation? {
        get {
            var path = path
            let found = path.withUTF8 { bytes in
                fields.indices.last { isField($0, at: bytes, endingAt: bytes.count) }
            }
            return found.map { place(of: Int32(truncatingIfNeeded: $0)) }
        }
        set {
            fields = paths.filter { $0.path != path }.map(\.field)
            guard let newValue else { return }
            file = newValue.file
            fields.append(
                Field(
                    name: path, parent: -1, line: Int32(clamping: newValue.line),
                    column: Int32(clamping: newValue.column)))
        }
    }

    /// Adds the field `name` within the field numbered `parent`, -1 for one of the document itself.
    /// - Returns: its number.
    package mutating func add(_ name: String, within parent: Int32, line: Int32, column: Int32) -> Int32 {
        fields.append(Field(name: name, parent: parent, line: line, column: column))
        return Int32(truncatingIfNeeded: fields.count - 1)
    }

    /// The dotted path of the field with this number; empty for -1, the document itself.
    package func path(of number: Int32) -> String {
        guard number >= 0 else { return "" }
        let field = fields[Int(number)]
        return field.parent < 0 ? field.name : path(of: field.parent) + "." + field.name
    }

    private func place(of number: Int32) -> SourceLocation {
        let field = fields[Int(number)]
        return SourceLocation(file: file, line: Int(field.line), column: Int(field.column))
    }

    /// Every field as one of the document itself, which its whole path names.
    private var paths: [(path: String, field: Field)] {
        fields.indices.map { index in
            var field = fields[index]
            field.name = path(of: Int32(truncatingIfNeeded: index))
            field.parent = -1
            return (field.name, field)
        }
    }

    /// True where the first `end` bytes of a path are that of the field with this number.
    private func isField(_ number: Int, at bytes: UnsafeBufferPointer<UInt8>, endingAt end: Int) -> Bool {
        let field = fields[number]
        let start = end - field.name.utf8.count
        guard start >= 0, bytes[start..<end].elementsEqual(field.name.utf8) else { return false }
        guard field.parent >= 0 else { return start == 0 }
        return start > 0 && bytes[start - 1] == UInt8(ascii: ".")
            && isField(Int(field.parent), at: bytes, endingAt: start - 1)
    }
}

extension FieldPlaces: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral places: (String, SourceLocation)...) {
        self.init(file: places.first?.1.file ?? "")
        for (path, place) in places { self[path] = place }
    }
}
