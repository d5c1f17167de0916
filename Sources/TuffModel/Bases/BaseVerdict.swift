/// The decision whether a backup reads only what changed since a base.
package enum BaseVerdict: Hashable, Codable, Sendable {
    case serves(KeptBase)
    case full(FullRead)

    /// A restore point of the volume's series.
    package struct Point: Hashable, Sendable {
        package var id: String
        /// Name of its tree.
        package var root: String
        package var size: ByteCount

        package init(id: String, root: String, size: ByteCount) {
            self.id = id
            self.root = root
            self.size = size
        }
    }

    /// - Parameters:
    ///   - bases: all that are seen on the host.
    ///   - pool: where the volume is.
    ///   - size: of the volume's new snapshot.
    ///   - points: those of the volume's series in the repository that can be read, by their IDs; nil: whoever reads
    ///     looks.
    package static func judge(
        _ bases: [KeptBase], for purpose: KeptBase.Purpose, in pool: StorageBackend, size: ByteCount,
        points: [String: Point]?
    ) -> BaseVerdict {
        func full(_ reason: FullRead.Reason, _ sentence: String) -> BaseVerdict { .full(FullRead(reason, sentence)) }
        let own = bases.filter { $0.purpose == purpose && $0.pool == pool }
        guard !own.isEmpty else { return full(.noBase, "no snapshot of an earlier backup is kept") }
        // After a crash between the new base and the removal of the old there are two, and both are right.
        guard let base = own.filter({ $0.marks.completion != nil }).max(by: Self.isEarlier),
            let completion = base.marks.completion
        else { return full(.baseUnfinished, "the snapshot of an earlier backup was left by one that was cut off") }
        let name = base.marks.objectName
        guard completion.isOf(base.identity) else {
            return full(
                .baseExchanged,
                "\(name) is not the snapshot that was marked: its uuid, number or transaction is another")
        }
        guard !base.isWritable else { return full(.baseExchanged, "\(name) was made writable by somebody") }
        guard base.size == size else {
            return full(.sizeChanged, "the volume has \(size), and \(name) \(base.size)")
        }
        guard let points else { return .serves(base) }
        guard let point = points[completion.point] else {
            return full(.pointGone, "restore point \(completion.point), of which \(name) is, is not in the repository")
        }
        guard BackupBase.Completion.digest(of: point.root) == completion.digest else {
            return full(.pointGone, "restore point \(completion.point) is not the one that \(name) was marked with")
        }
        guard base.size == point.size else {
            return full(
                .sizeChanged,
                "the volume has \(size), restore point \(completion.point) \(point.size) and \(name) \(base.size)")
        }
        return .serves(base)
    }

    private static func isEarlier(_ lhs: KeptBase, _ rhs: KeptBase) -> Bool {
        (lhs.identity.transaction, lhs.marks.uid) < (rhs.identity.transaction, rhs.marks.uid)
    }
}
