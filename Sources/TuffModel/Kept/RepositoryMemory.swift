/// Memory of a backup repository that was read on this host. It only serves to refuse and to warn: making a new one
/// where this one was, taking another for it, and not noticing that it is older than it was.
package struct RepositoryMemory: Hashable, Codable, Sendable {
    /// The newest restore point that a series of this host had.
    package struct Newest: Hashable, Codable, Sendable {
        package var volume: String
        package var uid: UID?
        /// The point's id.
        package var point: String
        package var time: Instant

        package init(_ point: ObservedPoint) {
            volume = point.volume
            uid = point.uid
            self.point = point.id
            time = point.time
        }
    }

    /// It lacks points that it had.
    package struct Rollback: Hashable, Codable, Sendable {
        /// When that was first seen.
        package var since: Instant
        /// The points that prove it, by volume and uid.
        package var missing: [Newest]
    }

    package var stack: String
    /// The document's name.
    package var name: String
    /// The repository's own id.
    package var id: String
    /// Its directory, or server, export and path, as `BackupRepositorySpec.Site` writes it.
    package var place: String
    package var seen: Instant
    /// By volume and uid.
    package var newest: [Newest]
    /// Nil: it lacks nothing, as far as this host can tell.
    package var rollback: Rollback?

    /// The memory of a repository that was just read.
    /// - Parameters:
    ///   - former: the memory of the same repository, by its id; nil: it was not known.
    ///   - node: the host whose series are remembered.
    package init(
        of found: ObservedRepository, named name: String, at site: BackupRepositorySpec.Site, since former: Self?,
        node: String, stack: String, now: Instant
    ) {
        self.stack = stack
        self.name = name
        id = found.id
        place = site.description
        seen = now
        var latest: [SeriesKey: Newest] = [:], ids: Set<String> = []
        for point in found.points {
            ids.insert(point.id)
            guard point.node == node, point.stack == stack, point.uid != nil, !point.isSetAside,
                point.volume.utf8.count <= Self.longestName
            else { continue }
            latest[SeriesKey(volume: point.volume, uid: point.uid)] = Newest(point)
        }
        var missing = former?.rollback?.missing.filter { !ids.contains($0.point) } ?? []
        var told = Set(missing)
        for known in former?.newest ?? [] where !ids.contains(known.point) {
            let key = SeriesKey(volume: known.volume, uid: known.uid)
            // Its series went on: then a rule that keeps the newest alone may have let it go.
            if let newer = latest[key], newer.time > known.time { continue }
            latest[key] = known
            // Among points that cannot be read it may be.
            if found.damaged == 0, told.insert(known).inserted { missing.append(known) }
        }
        newest = Self.sorted(Self.latest(Array(latest.values)))
        guard !missing.isEmpty else { return }
        rollback = Rollback(since: former?.rollback?.since ?? now, missing: Self.sorted(Self.latest(missing)))
    }

    /// Somebody who can write to a medium makes any number of series. The latest of them are remembered, so that the
    /// ledger stays far below what is read of it.
    private static func latest(_ points: [Newest]) -> [Newest] {
        guard points.count > most else { return points }
        return Array(points.sorted { $0.time > $1.time }.prefix(most))
    }

    private static let most = 10_000
    /// No name of a document is longer.
    private static let longestName = 253

    private struct SeriesKey: Hashable {
        var volume: String
        var uid: UID?
    }

    private static func sorted(_ points: [Newest]) -> [Newest] {
        points.sorted {
            ($0.volume, $0.uid?.description ?? "", $0.time, $0.point)
                < ($1.volume, $1.uid?.description ?? "", $1.time, $1.point)
        }
    }
}

/// Memory of a named Backup that was done.
package struct BackupMemory: Hashable, Codable, Sendable {
    package var stack: String
    /// The document's name.
    package var name: String
    package var volume: String
    package var uid: UID?
    /// Name and id of the repository that holds it.
    package var repository: String
    package var repositoryID: String
    package var point: String
    package var time: Instant

    package init(
        _ point: ObservedPoint, for name: String, stack: String, in repository: String, id repositoryID: String
    ) {
        self.stack = stack
        self.name = name
        volume = point.volume
        uid = point.uid
        self.repository = repository
        self.repositoryID = repositoryID
        self.point = point.id
        time = point.time
    }
}

extension Ledger {
    /// The memory of a document's repository. One whose document named another place for a while, by a slip of the
    /// hand, is still known at its own.
    /// - Parameters:
    ///   - place: where the document says that it is; nil: wherever.
    ///   - id: that of the repository which was found there; nil: none was.
    /// - Returns: what is known of this place, else of that repository at another, else of the one that was seen last.
    package func repository(_ name: String, stack: String, at place: String? = nil, id: String? = nil)
        -> RepositoryMemory?
    {
        let known = (repositories ?? []).filter { $0.stack == stack && $0.name == name }
        return known.first { $0.place == place } ?? known.first { $0.id == id } ?? known.max { $0.seen < $1.seen }
    }

    /// Places of one document that are remembered.
    private static let mostPlaces = 8
    /// Series that are remembered of places which the document does not name any more.
    private static let mostElsewhere = 100

    package func backup(_ name: String, stack: String) -> BackupMemory? {
        backups?.first { $0.stack == stack && $0.name == name }
    }

    /// Puts in `memory`, replacing that of the same document and place, or of the same repository at another.
    package mutating func remember(_ memory: RepositoryMemory) {
        let all = repositories ?? []
        let others = all.filter { $0.stack != memory.stack || $0.name != memory.name }
        let elsewhere = all.filter {
            $0.stack == memory.stack && $0.name == memory.name && $0.place != memory.place && $0.id != memory.id
        }
        let latest = elsewhere.sorted { $0.seen > $1.seen }.prefix(Self.mostPlaces - 1).map { other in
            var other = other
            other.newest = Array(other.newest.prefix(Self.mostElsewhere))
            if let missing = other.rollback?.missing {
                other.rollback?.missing = Array(missing.prefix(Self.mostElsewhere))
            }
            return other
        }
        repositories = (others + latest + [memory]).sorted {
            ($0.stack, $0.name, $0.place) < ($1.stack, $1.name, $1.place)
        }
    }

    /// Puts in `memory`, replacing that of the same document.
    package mutating func remember(_ memory: BackupMemory) {
        let others = (backups ?? []).filter { $0.stack != memory.stack || $0.name != memory.name }
        backups = (others + [memory]).sorted { ($0.stack, $0.name) < ($1.stack, $1.name) }
    }

    /// A sentence on what is remembered of a repository or a named Backup; nil: nothing, or it is of another kind.
    package func memory(of resource: ResourceID, stack: String) -> String? {
        if resource.kind == .backupRepository, let known = repository(resource.name, stack: stack) {
            return "\(resource), the repository \(known.id.prefix(8)), last seen at \(known.seen) at \(known.place)"
        }
        if resource.kind == .backup, let known = backup(resource.name, stack: stack) {
            return "\(resource), made as restore point \(known.point.prefix(8)) of \(known.time) in "
                + "BackupRepository/\(known.repository)"
        }
        return nil
    }
}
