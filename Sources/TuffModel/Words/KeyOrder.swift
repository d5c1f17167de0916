extension Dictionary where Key: Comparable {
    /// The entries in the order of their keys. Keys are sorted and not entries, in this one function and not in one for
    /// each type of entry, of which a program gets 3 KB each.
    package var inKeyOrder: [(key: Key, value: Value)] { keys.sorted().map { ($0, self[$0]!) } }
}
