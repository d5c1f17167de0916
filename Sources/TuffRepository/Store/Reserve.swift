/// Room that only prune may use (docs/repository-format.md, "Order of writing").
///
/// Taking restore points away writes before it frees anything: a lease, a mark. On a full disk nothing could be taken
/// away.
package struct Reserve: Sendable {
    static let path = "reserve"
    /// Bytes. A mark names a pack in 16 of them, and a pack has 16 MiB: enough for more than a TiB.
    static let size = 1 << 20

    private let store: any Store

    package init(of store: any Store) { self.store = store }

    /// Makes the reserve where it is missing.
    func fill() throws(RepositoryError) {
        do throws(RepositoryError) {
            _ = try store.open(Self.path)
            return
        } catch  where error.code == .notFound {}
        // Random bytes, which no file system can keep in less room.
        var random = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.size)
        while bytes.count < Self.size { bytes += littleEndian(random.next() as UInt64) }
        try store.place(bytes, at: Self.path)
    }

    /// Runs `body`, and once more without the reserve where the file system is full. Afterwards the reserve is made
    /// again if there is room for it.
    package func spend<Value>(_ body: () throws(RepositoryError) -> Value) throws(RepositoryError) -> Value {
        defer { try? fill() }
        do throws(RepositoryError) {
            return try body()
        } catch  where error.code == .full {
            try store.remove(Self.path)
            return try body()
        }
    }
}
