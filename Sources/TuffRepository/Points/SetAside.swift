import FoundationEssentials

/// Points that are passed over on a person's word (docs/repository-format.md, "Points that are set aside").
///
/// A point that was written while a clock said 2038 is later than all that follow it, until then: it would be the
/// latest, and no keep rule could be judged beside it.
extension Repository {
    private struct Receipt: Codable {
        /// Time of the order; RFC 3339, UTC.
        var since: String
    }

    private static let largestReceipt = 4_096

    static func asidePath(_ id: FileID) -> String { "aside/\(id)" }

    /// Points that are set aside, each with the time of the order, and the errors of receipts that do not count.
    package func setAside() throws(RepositoryError) -> (points: [FileID: String], damaged: [RepositoryError]) {
        var points: [FileID: String] = [:]
        var damaged: [RepositoryError] = []
        for file in try store.list("aside") {
            guard let id = FileID(file.name) else { continue }
            let path = Self.asidePath(id)
            do throws(RepositoryError) {
                let line = try ProvenLine.line(try store.contents(path, limit: Self.largestReceipt), path: path)
                guard let receipt = try? JSONDecoder().decode(Receipt.self, from: Data(line)),
                    RestorePoint.Record.isProper(receipt.since)
                else { throw RepositoryError(.damaged, "\(path) says nothing; remove it") }
                points[id] = receipt.since
            } catch  where error.code == .notFound {
                continue  // Removed since it was listed.
            } catch  where error.isDamage {
                damaged.append(error)
            }
        }
        return (points, damaged)
    }

    /// Sets a point aside from now on: it stays, and is neither the latest nor judged by keep rules. To be
    /// called under a lease.
    ///
    /// - Parameter now: RFC 3339, UTC.
    /// - Throws: `refused` for a point that is not of the future: there is no reason to doubt its time.
    package func setAside(_ point: RestorePoint, now: String) throws(RepositoryError) {
        guard point.record.time > now else {
            throw RepositoryError(
                .refused,
                "restore point \(point.id) is from \(point.record.time), and this clock says \(now): only one of the "
                    + "future is set aside"
            )
        }
        guard try setAside().points[point.id] == nil else { return }
        // The existing receipt does not prove itself.
        try store.remove(Self.asidePath(point.id))
        try store.place(ProvenLine.file(Receipt(since: now)), at: Self.asidePath(point.id))
    }
}
