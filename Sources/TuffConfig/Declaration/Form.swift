/// The values that a shape takes, as data. The JSON Schema and the table of a spec page are written from it.
///
/// A form is never written by hand: every `Shape` carries the form of exactly what it decodes.
indirect enum Form: Sendable {
    case scalar(ScalarForm)
    case object(ObjectForm)
    case map(MapForm)
    case list(ListForm)
}

struct ScalarForm: Sendable {
    enum Kind: String, Sendable { case string, integer, number, boolean }

    var kind: Kind
    /// A name for people, with an example: `a size such as 20Gi`.
    var noun: String
    /// Regular expression in the common part of ECMA 262 and Python, for the schema; the decoder parses.
    var pattern: String?
    /// In Unicode scalars, as JSON Schema counts.
    var maximumLength: Int?
    /// The only texts allowed, when not empty.
    var words: [String] = []
    var minimum: Int?
    var maximum: Int?
}

struct ObjectForm: Sendable {
    var entries: [Entry]
    /// Sets of entries of which exactly one must be written.
    var choices: [[String]]
    /// At least one entry must be written although none is required.
    var mayBeEmpty = true
}

struct Entry: Sendable {
    enum Presence: Sendable {
        case required
        case optional
        /// The default, as a document would write it.
        case defaulted(String)
        /// One of a set of which exactly one is written.
        case choice
    }

    var name: String
    var presence: Presence
    var form: Form
    /// One line for people, in Markdown.
    var doc: String
}

struct MapForm: Sendable {
    var keys: ScalarForm
    var values: ScalarForm
    var mayBeEmpty: Bool
}

struct ListForm: Sendable {
    var elements: ScalarForm
    var mayBeEmpty: Bool
}
