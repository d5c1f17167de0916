import FoundationEssentials

/// Work that was done in a repository for all its hosts, and by whom (docs/repository-format.md, "Receipts").
///
/// A host sees by them that another one has pruned already, and people when their backups were last proven. Nothing
/// that is stored depends on them: without the directory a repository is whole.
package struct Receipt: Hashable, Codable, Sendable {
    package enum Work: String, Hashable, Codable, Sendable {
        /// Restore points were removed by keep rules, and packs where `packs` says so.
        case prune
        /// Stored data was read back.
        case verify
        /// A point was restored to a volume that was compared and removed.
        case drill
    }

    package var work: Work
    /// Begin and end of the work; RFC 3339, UTC.
    package var time: String
    package var finished: String
    /// The host that did it, and its set of documents.
    package var node: String
    package var stack: String
    package var program: String
    /// The policy that asked for it.
    package var policy: String?
    /// The series that it was about; absent: all.
    package var series: Series?
    /// The restore point that was proven.
    package var point: String?
    /// Restore points that were removed.
    package var removed: Int?
    /// Packs that nothing needs were marked or destroyed.
    package var packs: Bool?
    /// Share of the data that was read, in per cent, and its bytes.
    package var share: Int?
    package var read: UInt64?
    /// The fault that was found, in a sentence; absent: none.
    package var fault: String?

    package init(_ work: Work, at time: String, by node: String, of stack: String, with program: String) {
        self.work = work
        self.time = time
        finished = time
        self.node = node
        self.stack = stack
        self.program = program
    }

    /// Receipts that are of one kind: of these a newer one is worth more than an older one.
    fileprivate struct Sort: Hashable {
        let work: Work
        let node: String
        let stack: String
        let policy: String?
        let series: Series?
    }

    fileprivate var sort: Sort { Sort(work: work, node: node, stack: stack, policy: policy, series: series) }

    static let largest = 4_096
    /// Files that are read at most, the newest by the file system's clock.
    static let most = 4_096
    /// Receipts of one kind that stay.
    static let kept = 100

    fileprivate static func path(_ id: FileID) -> String { "receipts/\(id)" }
}

extension Repository {
    /// Receipts that prove themselves, oldest first. Others count for nothing.
    package func receipts() throws(RepositoryError) -> [Receipt] { try storedReceipts().map(\.receipt) }

    /// Leaves a receipt, durably, and removes the oldest of its kind beyond those that stay. To be called under a
    /// lease.
    package func leave(_ receipt: Receipt) throws(RepositoryError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let id = FileID()
        guard RestorePoint.Record.isProper(receipt.time), RestorePoint.Record.isProper(receipt.finished),
            let content = try? encoder.encode(receipt),
            content.count <= Receipt.largest - Format.header - Format.proof
        else { throw RepositoryError(.refused, "a receipt of this form is not written") }
        let own = try storedReceipts().filter { $0.receipt.sort == receipt.sort }
        let piece = sealing.seal(.receipt, id).close(Array(content), at: 0)
        try store.place(FileHeader(kind: .receipt, id: id).bytes + piece, at: Receipt.path(id))
        for old in own.dropLast(Receipt.kept - 1) { try store.remove(Receipt.path(old.id)) }
    }

    private func storedReceipts() throws(RepositoryError) -> [(id: FileID, receipt: Receipt)] {
        let files = try store.list("receipts").filter { FileID($0.name) != nil }
            .sorted { ($0.modified, $0.name) > ($1.modified, $1.name) }
        var found: [(id: FileID, receipt: Receipt)] = []
        for file in files.prefix(Receipt.most) {
            guard let id = FileID(file.name) else { continue }
            do throws(RepositoryError) {
                found.append((id, try receipt(id)))
            } catch  where error.code == .notFound || error.isDamage {
                continue  // Removed since it was listed, or it proves nothing.
            }
        }
        return found.sorted { ($0.receipt.time, $0.id.description) < ($1.receipt.time, $1.id.description) }
    }

    private func receipt(_ id: FileID) throws(RepositoryError) -> Receipt {
        let path = Receipt.path(id)
        let bytes = try store.contents(path, limit: Receipt.largest)
        try FileHeader(kind: .receipt, id: id).verify(bytes, path: path)
        let piece = Array(bytes.dropFirst(Format.header))
        guard let content = piece.withUnsafeBytes({ sealing.seal(.receipt, id).open($0, at: 0) }),
            let receipt = try? JSONDecoder().decode(Receipt.self, from: Data(content)),
            RestorePoint.Record.isProper(receipt.time), RestorePoint.Record.isProper(receipt.finished)
        else { throw RepositoryError(.damaged, "\(path) does not prove itself") }
        return receipt
    }
}
