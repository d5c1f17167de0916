import TuffModel

/// A repository that was seen once is never made again, and a named Backup is made once.
extension Oracle {
    /// Judges what a pass made in repositories, and remembers what is there.
    /// - Parameters:
    ///   - declared: places of repositories that the documents name.
    ///   - wanted: names of the Backup documents.
    package mutating func backedUp(
        before: OracleView, after: OracleView, declared: Set<String>, wanted: Set<String>
    ) -> [Violation] {
        // Another stack's documents, which have none.
        guard !declared.isEmpty else { return [] }
        var found: [Violation] = []
        for point in Self.named(before, declared) { backups[point.key, default: []].insert(point.id) }
        for (place, repository) in after.world.repositories {
            guard before.world.repositories[place]?.id != repository.id, let former = repositories[place] else {
                continue
            }
            found.append(Violation(.identity, "\(place): made again, where the repository \(former) was"))
        }
        let present = Self.named(after, declared)
        for point in present {
            let former = backups[point.key, default: []]
            if !former.isEmpty, !former.contains(point.id) {
                found.append(Violation(.identity, "the backup \(point.key) was made again"))
            }
            backups[point.key, default: []].insert(point.id)
        }
        // What neither a document nor a repository has is over.
        let kept = Set(present.map(\.key))
        backups = backups.filter { key, _ in
            kept.contains(key) || wanted.contains { key.hasPrefix("\($0) of ") }
        }
        for (place, repository) in after.world.repositories where declared.contains(place) {
            repositories[place] = repository.id
        }
        return found
    }

    private static func named(_ view: OracleView, _ places: Set<String>) -> [(key: String, id: String)] {
        view.world.repositories.filter { places.contains($0.key) }.values.flatMap(\.points).compactMap { point in
            point.backup.map { ("\($0) of \(point.uid?.description ?? "nobody")", point.id) }
        }
    }
}
