/// Keeps values until the process ends, which frees all memory at once. Taking a set of ten thousand documents and the
/// plan of it apart, object by object, would be a fortieth of planning them.
enum UntilTheEnd {
    private final class Box<Value> {
        let value: Value

        init(_ value: Value) { self.value = value }
    }

    /// To be called once, by a command whose last deed is to print the value.
    static func keep<Value>(_ value: Value) { _ = Unmanaged.passRetained(Box(value)) }
}
