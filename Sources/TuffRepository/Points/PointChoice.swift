/// A choice of a restore point.
package enum PointChoice: Hashable, Codable, Sendable {
    case latest
    /// The newest that is not after this; RFC 3339, UTC.
    case notAfter(String)
    /// The point's ID, or at least four leading digits that no other ID has.
    case id(String)

    /// Digits of an ID that have to be given.
    private static let leastDigits = 4

    /// The chosen point among `points`, which are given oldest first.
    ///
    /// - Parameters:
    ///   - damaged: points that cannot be read. Their series and time are unknown, so one of them may be the latest: an
    ///     older one in its place would silently be the wrong volume.
    ///   - aside: points whose time is not to be believed; they have their ID alone.
    package func choose(
        among points: [RestorePoint], damaged: [DamagedPoint], series: String?, passingOver aside: Set<FileID> = []
    ) throws(RepositoryError) -> RestorePoint {
        let own = points.filter { series == nil || $0.record.series.name == series }
        let wanted = series.map { "of '\($0)' " } ?? ""
        if case .id(let prefix) = self { return try Self.choose(prefix, among: own, damaged: damaged, wanted: wanted) }
        var candidates = own.filter { !aside.contains($0.id) }, missing = "\(wanted)in the repository"
        if case .notAfter(let time) = self {
            candidates = candidates.filter { $0.record.time <= time }
            missing = "\(wanted)from \(time) or before"
        }
        if let lost = damaged.first {
            throw RepositoryError(
                .damaged,
                "\(lost.error), and it may be the one that is wanted; choose one by its ID (--at ID), as 'tuff backup "
                    + "ls' shows it"
            )
        }
        guard let last = candidates.last else {
            throw RepositoryError(.notFound, "there is no restore point \(missing)")
        }
        return last
    }

    /// The point of which `prefix` is the begin of the ID, whether or not it can be read.
    package static func anyID(_ prefix: String, among points: [FileID]) throws(RepositoryError) -> FileID {
        guard isID(prefix) else {
            throw RepositoryError(
                .refused, "'\(prefix)' is no ID of a restore point, of at least \(leastDigits) digits")
        }
        let found = points.filter { $0.description.hasPrefix(prefix) }
        guard let point = found.first else {
            throw RepositoryError(.notFound, "there is no restore point whose ID begins with \(prefix)")
        }
        guard found.count == 1 else {
            throw RepositoryError(
                .refused, "\(found.count) restore points begin with \(prefix): give more of the ID")
        }
        return point
    }

    fileprivate static func isID(_ prefix: String) -> Bool {
        prefix.utf8.count >= leastDigits && prefix.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
    }

    fileprivate static func choose(
        _ prefix: String, among points: [RestorePoint], damaged: [DamagedPoint], wanted: String
    ) throws(RepositoryError) -> RestorePoint {
        guard isID(prefix) else {
            throw RepositoryError(
                .refused,
                "'\(prefix)' is neither 'latest', a time such as 2026-11-22T03:00:00Z nor an ID of at least "
                    + "\(Self.leastDigits) digits")
        }
        let found = points.filter { $0.id.description.hasPrefix(prefix) }
        let lost = damaged.filter { $0.id.description.hasPrefix(prefix) }
        guard found.count + lost.count <= 1 else {
            throw RepositoryError(
                .refused,
                "\(found.count + lost.count) restore points \(wanted)begin with \(prefix): give more of the ID")
        }
        if let lost = lost.first { throw lost.error }
        guard let point = found.first else {
            throw RepositoryError(.notFound, "there is no restore point \(wanted)whose ID begins with \(prefix)")
        }
        return point
    }
}

/// A file of a restore point that cannot be read as one.
package struct DamagedPoint: Hashable, Codable, Sendable, CustomStringConvertible {
    package let id: FileID
    package let error: RepositoryError

    package var description: String { error.description }
}

extension RestorePoint {
    /// The point to which a list of changes is relative, as the caller names it.
    ///
    /// - Parameters:
    ///   - prefix: leading digits of its ID.
    ///   - aside: points whose time is not to be believed.
    ///   - now: RFC 3339, UTC.
    /// - Throws: `refused` where the list cannot be relative to that point.
    package static func baseOfChanges(
        _ prefix: String, of series: Series, size: UInt64, among points: [RestorePoint], damaged: [DamagedPoint],
        hurt: Set<FileID>, aside: Set<FileID> = [], now: String
    ) throws(RepositoryError) -> RestorePoint {
        guard PointChoice.isID(prefix) else {
            throw RepositoryError(
                .refused, "'\(prefix)' is no ID of a restore point, of at least 4 digits, as 'tuff backup ls' shows it")
        }
        let point = try PointChoice.choose(prefix, among: points, damaged: damaged, wanted: "")
        let way = "; name another one, or back up once without --changed-ranges"
        guard point.record.series == series else {
            throw RepositoryError(
                .refused,
                "restore point \(point.id) is of '\(point.record.series.name)' and not of '\(series.name)'\(way)")
        }
        guard point.record.size == size else {
            throw RepositoryError(
                .refused,
                "restore point \(point.id) has \(point.record.size) bytes, and what is backed up \(size)\(way)")
        }
        // The next list would be taken to be relative to the newest, and nothing tells that this one was made after it.
        if let newer = points.first(where: {
            $0.record.series == series && $0.record.time > now && !aside.contains($0.id)
        }) {
            throw RepositoryError(
                .refused,
                "restore point \(newer.id) is of \(newer.record.time), later than this clock's \(now); set the "
                    + "clock\(way)"
            )
        }
        guard !hurt.contains(point.id) else {
            throw RepositoryError(
                .refused, "restore point \(point.id) is damaged, and what did not change may be lost in it\(way)")
        }
        return point
    }

    /// The point that a list of changes is relative to: the last that was made of a series.
    ///
    /// - Parameters:
    ///   - aside: points whose time is not to be believed, each with the time at which that was said: whatever was made
    ///     since was made after it.
    ///   - now: RFC 3339, UTC.
    /// - Throws: `refused` where that is not certain. A list that is relative to another point leaves changes out of a
    ///   backup, and nothing could ever tell.
    package static func baseOfChanges(
        _ series: Series, among points: [RestorePoint], damaged: [DamagedPoint], hurt: Set<FileID>,
        aside: [FileID: String] = [:], now: String
    ) throws(RepositoryError) -> RestorePoint {
        let way = "; back up once without --changed-ranges"
        if let lost = damaged.first {
            throw RepositoryError(
                .refused,
                "\(lost.error), and it may be the last of '\(series.name)', which the changes are relative to\(way)")
        }
        let all = points.filter { $0.record.series == series }
        let own = all.filter { aside[$0.id] == nil }
        guard let last = own.last else {
            throw RepositoryError(
                .refused, "there is no restore point of '\(series.name)' that changes could be relative to\(way)")
        }
        // By a clock that was put back the newest is not the last: then another one has been compared with it, or it is
        // of the future.
        guard last.record.time <= now, !own.contains(where: { $0.record.parent == last.id.description }) else {
            throw RepositoryError(
                .refused,
                "the clock was put back, and which restore point of '\(series.name)' was made last is not certain\(way)"
            )
        }
        if let other = all.first(where: { aside[$0.id].map { $0 >= last.record.time } ?? false }) {
            throw RepositoryError(
                .refused,
                "restore point \(other.id) was set aside and none of '\(series.name)' was made since: it may be the "
                    + "last\(way)"
            )
        }
        guard !hurt.contains(last.id) else {
            throw RepositoryError(
                .refused,
                "the last restore point of '\(series.name)' is damaged, and what did not change may be lost in "
                    + "it\(way), which stores anew what is lost")
        }
        return last
    }
}
