import FoundationEssentials

/// A series of restore points, among which `latest` chooses.
package struct Series: Hashable, Codable, Sendable {
    /// Name of the volume, or the value of `--name`.
    package var name: String
    /// The stack; declared volumes only.
    package var stack: String?
    package var node: String?
    package var uid: String?

    package init(name: String, stack: String? = nil, node: String? = nil, uid: String? = nil) {
        self.name = name
        self.stack = stack
        self.node = node
        self.uid = uid
    }
}

/// A moment of a volume, complete in itself (docs/repository-format.md, "Restore points").
package struct RestorePoint: Hashable, Codable, Sendable {
    package let id: FileID
    package let record: Record

    /// The stored form of a restore point, as JSON.
    package struct Record: Hashable, Codable, Sendable {
        package var series: Series
        /// Time of the snapshot or of the begin of reading, and time of completion; RFC 3339, UTC.
        package var time: String
        package var finished: String
        /// Bytes of the volume.
        package var size: UInt64
        /// Name of the root of its tree.
        package var root: String
        /// The point it was compared with.
        package var parent: String?
        package var policy: String?
        package var labels: [String: String]?
        /// The volume's YAML.
        package var document: String?
        package var commit: String?
        package var counts: Counts
        package var program: String
    }

    /// Numbers of the work that making the point took.
    package struct Counts: Hashable, Codable, Sendable {
        /// Blocks of the volume, those that are all zero, and those that were not in the repository before.
        package var blocks: UInt64 = 0
        package var zero: UInt64 = 0
        package var new: UInt64 = 0
        /// Bytes read from the source, and bytes that were added to the repository.
        package var read: UInt64 = 0
        package var stored: UInt64 = 0
    }

    static let largest = 16 << 20
    /// Bytes of all points of a repository together: some 500,000 points of ordinary volumes.
    static let mostBytes: UInt64 = 1 << 30

    static func path(_ id: FileID) -> String { "points/\(id)" }

    /// Root and shape of its tree; throws `damaged` if there can be no such volume.
    func tree() throws(RepositoryError) -> (root: ContentName, shape: TreeShape) {
        guard let root = ContentName(record.root), let shape = TreeShape(size: record.size),
            record.size > 0 || root == .zero
        else {
            throw RepositoryError(.damaged, "restore point \(id) has an impossible size or root")
        }
        return (root, shape)
    }

    static func read(_ id: FileID, store: any Store, sealing: Sealing) throws(RepositoryError) -> RestorePoint {
        let bytes = try store.contents(path(id), limit: largest)
        try FileHeader(kind: .point, id: id).verify(bytes, path: path(id))
        let piece = Array(bytes.dropFirst(Format.header))
        guard let content = piece.withUnsafeBytes({ sealing.seal(.point, id).open($0, at: 0) }),
            let record = try? JSONDecoder().decode(Record.self, from: Data(content))
        else { throw RepositoryError(.damaged, "restore point \(id) does not prove itself") }
        guard record.hasProperTimes else {
            throw RepositoryError(
                .damaged, "restore point \(id) has a time that is not of the form YYYY-MM-DDTHH:MM:SSZ")
        }
        return RestorePoint(id: id, record: record)
    }

    static func remove(_ id: FileID, store: any Store) throws(RepositoryError) {
        try store.remove(path(id))
        try store.sync(directory: "points")
    }

    /// Places a new one. From now on it is listed.
    static func write(_ record: Record, store: any Store, sealing: Sealing) throws(RepositoryError) -> RestorePoint {
        guard record.hasProperTimes else {
            throw RepositoryError(.refused, "times of a restore point are of the form YYYY-MM-DDTHH:MM:SSZ")
        }
        let id = FileID()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let content = try? encoder.encode(record), content.count <= largest - Format.header - Format.proof else {
            throw RepositoryError(.refused, "what is to be said of the restore point is larger than 16 MiB")
        }
        let piece = sealing.seal(.point, id).close(Array(content), at: 0)
        try store.place(FileHeader(kind: .point, id: id).bytes + piece, at: path(id))
        return RestorePoint(id: id, record: record)
    }
}

extension RestorePoint.Record {
    /// Whether its times are of the one form whose order as text is their order in time: by it `latest` is chosen.
    var hasProperTimes: Bool { Self.isProper(time) && Self.isProper(finished) }

    static func isProper(_ time: String) -> Bool {
        // In the place of each digit the largest that it may be; the numbers of two digits are looked at below.
        let digits = Array(time.utf8)
        guard digits.count == 20,
            zip(digits, "9999-19-39T29:59:59Z".utf8).allSatisfy({ digit, form in
                form >= UInt8(ascii: "0") && form <= UInt8(ascii: "9")
                    ? digit >= UInt8(ascii: "0") && digit <= form : digit == form
            })
        else { return false }
        func number(_ at: Int) -> Int { Int(digits[at] - 48) * 10 + Int(digits[at + 1] - 48) }
        return (1...12).contains(number(5)) && (1...31).contains(number(8)) && number(11) < 24
    }
}
