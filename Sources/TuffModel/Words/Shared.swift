/// A value that copies of a structure share, so that handing the structure on costs one count and not one for each text
/// in it. It never changes: whoever sets another value gets another `Shared`.
@usableFromInline
final class Shared<Value: Hashable & Sendable>: Hashable, Sendable {
    @usableFromInline let value: Value

    init(_ value: Value) { self.value = value }

    @usableFromInline
    static func == (lhs: Shared, rhs: Shared) -> Bool { lhs === rhs || lhs.value == rhs.value }

    @usableFromInline
    func hash(into hasher: inout Hasher) { hasher.combine(value) }
}
