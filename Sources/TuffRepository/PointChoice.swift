/// Which restore point somebody means.
package enum PointChoice: Hashable, Sendable {
    case latest
    /// The newest that is not after this; RFC 3339, UTC.
    case notAfter(String)
    /// Its ID, or at least four digits that no other begins with.
    case id(String)

    /// The one that is meant among `points`, oldest first.
    package func choose(among points: [RestorePoint], series: String?) throws(RepositoryError) -> RestorePoint {
        let own = points.filter { series == nil || $0.record.series.name == series }
        let wanted = series.map { "of '\($0)' " } ?? ""
        switch self {
        case .latest:
            guard let last = own.last else {
                throw RepositoryError(.notFound, "there is no restore point \(wanted)in the repository")
            }
            return last
        case .notAfter(let time):
            guard let last = own.last(where: { $0.record.time <= time }) else {
                throw RepositoryError(.notFound, "there is no restore point \(wanted)from \(time) or before")
            }
            return last
        case .id(let prefix):
            let found = own.filter { $0.id.description.hasPrefix(prefix) }
            guard let point = found.first else {
                throw RepositoryError(.notFound, "there is no restore point \(wanted)whose ID begins with \(prefix)")
            }
            guard found.count == 1 else {
                throw RepositoryError(
                    .refused, "\(found.count) restore points \(wanted)begin with \(prefix): give more of the ID")
            }
            return point
        }
    }
}
