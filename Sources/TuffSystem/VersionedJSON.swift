package import FoundationEssentials

/// The form of our own JSON files: which field has the version of the format, and which versions are read.
///
/// The version is looked at before anything else, because a newer program may have written other fields. An older
/// version is read as long as `Value` decodes it: fields that were added since must be optional.
package struct VersionedJSON: Sendable {
    /// Why a file cannot be used.
    package enum Fault: Error, Equatable {
        /// It is not JSON, has no version, or is of another kind.
        case foreign
        /// A newer program wrote it, with this version.
        case newer(Int)
        /// An older program wrote it, with this version, which is not read any more.
        case older(Int)
        /// It has a version that is read, and says something else than is written in it. The sentence says where.
        case damaged(String)
    }

    private let field: String
    private let kind: String?
    private let current: Int
    private let oldest: Int

    /// - Parameters:
    ///   - field: the name of the field with the version.
    ///   - kind: what its field `kind` says; nil: it has none.
    ///   - current: the version that this program writes, and the newest that it reads.
    ///   - oldest: the oldest that it reads; nil: every older one.
    package init(field: String = "version", kind: String? = nil, current: Int, oldest: Int? = nil) {
        self.field = field
        self.kind = kind
        self.current = current
        self.oldest = oldest ?? .min
    }

    package func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws(Fault) -> Value {
        let decoder = JSONDecoder()
        decoder.userInfo[Header.field] = field
        guard let header = try? decoder.decode(Header.self, from: data), kind == nil || header.kind == kind else {
            throw .foreign
        }
        guard header.version <= current else { throw .newer(header.version) }
        guard header.version >= oldest else { throw .older(header.version) }
        do { return try JSONDecoder().decode(Value.self, from: data) } catch {
            throw .damaged(Self.complaint(error))
        }
    }

    /// One line with sorted keys and a line end. Nil: the value does not encode, which plain values of our own always
    /// do.
    package static func line(_ value: some Encodable) -> [UInt8]? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { Array($0) + [0x0a] }
    }

    private struct Header: Decodable {
        /// Of the decoder, whose value is the name of the field with the version.
        static let field = CodingUserInfoKey(rawValue: "version")!

        let version: Int
        let kind: String?

        private struct Key: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }

            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: Key.self)
            let field = decoder.userInfo[Self.field] as? String ?? "version"
            version = try fields.decode(Int.self, forKey: Key(stringValue: field))
            // Of another type it is another kind.
            kind = try? fields.decode(String.self, forKey: Key(stringValue: "kind"))
        }
    }

    /// The thing that the decoder misses, and its place.
    private static func complaint(_ error: any Error) -> String {
        func name(_ path: [any CodingKey], _ last: (any CodingKey)? = nil) -> String {
            let names = (path + [last].compactMap { $0 }).map(\.stringValue)
            return names.isEmpty ? "the whole" : names.joined(separator: ".")
        }
        return switch error as? DecodingError {
        case .keyNotFound(let key, let context): "\(name(context.codingPath, key)) is missing"
        case .valueNotFound(_, let context): "\(name(context.codingPath)) is null"
        case .typeMismatch(_, let context), .dataCorrupted(let context):
            "\(name(context.codingPath)): \(context.debugDescription)"
        default: "\(error)"
        }
    }
}
