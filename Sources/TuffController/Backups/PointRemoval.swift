import TuffHost
package import TuffModel
package import TuffRepository

/// Takes restore points away that a person names. What nothing needs then goes with the next prunes.
package struct PointRemoval: Sendable {
    /// A series as a person names it: `NAME`, or `NAME@node/stack/uid`.
    package struct SeriesName: Hashable, Codable, Sendable {
        package var name: String
        /// Node, stack and uid, of which each may be empty; nil: whichever there is.
        package var origin: [String]?

        /// An `@` without two slashes behind it is part of a name: what is backed up by hand may be called anything.
        package init(text: String) {
            name = text
            guard let at = text.lastIndex(of: "@") else { return }
            let parts = text[text.index(after: at)...].split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 3 else { return }
            name = String(text[..<at])
            origin = parts.map(String.init)
        }

        package init(_ series: Series) {
            name = series.name
            origin = [series.node ?? "", series.stack ?? "", series.uid ?? ""]
        }

        fileprivate func matches(_ series: Series) -> Bool {
            name == series.name && (origin == nil || origin == SeriesName(series).origin)
        }

        package var text: String { name + (origin.map { "@" + $0.joined(separator: "/") } ?? "") }
    }

    package struct Request: Hashable, Codable, Sendable {
        package var repository: RepositoryPlace
        /// IDs of points, or begins of them.
        package var points: [String] = []
        /// All points of these.
        package var series: [SeriesName] = []
        /// Takes the last whole point of a series too, the last one that was proven, and points that cannot be read.
        package var overrides = false
        /// The command as others are told of it.
        package var purpose: String
        /// How long the end of others' work in the repository is waited for; nil: not at all.
        package var patience: TimeSpan?

        package init(in repository: RepositoryPlace, purpose: String) {
            self.repository = repository
            self.purpose = purpose
        }
    }

    package struct Outcome: Hashable, Codable, Sendable {
        /// Oldest first.
        package var points: [RestorePoint]
        /// Points that cannot be read.
        package var damaged: [FileID]
        /// Sentences on what follows from it.
        package var warnings: [String]
    }

    private let request: Request
    private let repository: Repository

    package init(_ request: Request, in repository: Repository) {
        self.request = request
        self.repository = repository
    }

    /// The points that would go. Changes nothing, and asks for no lease.
    /// - Throws: where one of them is not there, or must not go without `overrides`.
    package func forecast() throws(BackupError) -> Outcome { try chosen() }

    /// - Parameter progress: asked while others' end is waited for whether that shall end.
    package func run(progress: JobProgress = JobProgress()) throws(BackupError) -> Outcome {
        let reserve = Reserve(of: repository.store)
        let lease = try inRepository { () throws(RepositoryError) in
            try reserve.spend { () throws(RepositoryError) in
                try repository.takeLease(
                    .exclusive, purpose: request.purpose, patience: request.patience, progress: progress)
            }
        }
        defer { lease.giveBack() }
        // Under the lease: nobody adds a point meanwhile, or takes one.
        let chosen = try chosen()
        try inRepository { () throws(RepositoryError) in
            try reserve.spend { () throws(RepositoryError) in
                try Prune(repository, lease: lease).removePoints(chosen.points.map(\.id) + chosen.damaged)
            }
        }
        return chosen
    }

    /// The command that gives a point up which cannot be read, as it is typed: with all of its ID, since the owner of
    /// the medium can make any beginning that of two.
    package static func command(for point: FileID, in place: RepositoryPlace) -> String {
        let words = ["backup", "rm"] + place.options + [point.description, "--force"]
        return PrintedText.oneLine(Command("tuff", words, effect: .mutates).description)
    }

    // MARK: Choosing

    private func chosen() throws(BackupError) -> Outcome {
        let known = try inRepository { () throws(RepositoryError) in try KnownPoints(of: repository) }
        var ids: Set<FileID> = []
        for prefix in request.points {
            ids.insert(
                try inRepository { () throws(RepositoryError) in
                    try PointChoice.anyID(prefix, among: known.points.map(\.id) + known.damaged.map(\.id))
                })
        }
        for name in request.series { ids.formUnion(try points(of: name, in: known)) }
        let points = known.points.filter { ids.contains($0.id) }
        let damaged = known.damaged.map(\.id).filter(ids.contains)
        if !request.overrides, let objection = try objection(to: points, damaged, known) { throw objection }
        return Outcome(points: points, damaged: damaged, warnings: warnings(points, known))
    }

    private func points(of name: SeriesName, in known: KnownPoints) throws(BackupError) -> [FileID] {
        let found = known.points.filter { name.matches($0.record.series) }
        let series = Set(found.map(\.record.series)).map { SeriesName($0).text }.sorted()
        guard series.count <= 1 else {
            throw BackupError(
                "there are \(series.count) series of the name '\(PrintedText.oneLine(name.name))'",
                help: "name one: "
                    + series.prefix(5).map { PrintedText.oneLine("--series \(Command.quoted($0))") }
                    .joined(separator: ", ") + (series.count > 5 ? ", …" : ""), sort: .usage)
        }
        guard !found.isEmpty else {
            throw BackupError(
                "there is no restore point of the series '\(PrintedText.oneLine(name.text))'",
                help: "'tuff backup ls' lists those there are", sort: .missing)
        }
        return found.map(\.id)
    }

    /// The reason against it: nobody can say for every host whether a volume is gone, so that the last point that its
    /// data can come from, and the last that was seen to give it back, need a word of their own.
    private func objection(
        to points: [RestorePoint], _ damaged: [FileID], _ known: KnownPoints
    ) throws(BackupError) -> BackupError? {
        let consent = "--force removes it all the same"
        if let lost = damaged.first {
            return BackupError(
                "restore point \(lost.description.prefix(8)) cannot be read, so nobody knows whose it is", help: consent
            )
        }
        let going = Set(points.map(\.id))
        let proven = Set(
            try inRepository { () throws(RepositoryError) in try repository.receipts() }
                .filter { $0.fault == nil }.compactMap(\.point))
        for series in Set(points.map(\.record.series)).sorted(by: { SeriesName($0).text < SeriesName($1).text }) {
            let every = known.points.filter { $0.record.series == series }
            let whole = every.filter { !known.hurt.contains($0.id) && known.aside[$0.id] == nil }
            // Points that lack something, or are set aside, are better than none.
            for (sort, all) in [
                ("last whole", whole), ("last proven", whole.filter { proven.contains($0.id.description) }),
                ("last", every),
            ] {
                guard let last = all.last, all.allSatisfy({ going.contains($0.id) }) else { continue }
                return BackupError(
                    "\(last.id.description.prefix(8)) of \(last.record.time) is the \(sort) restore point of "
                        + "'\(PrintedText.oneLine(SeriesName(series).text))'", help: consent)
            }
        }
        return nil
    }

    private func warnings(_ points: [RestorePoint], _ known: KnownPoints) -> [String] {
        let newest = Dictionary(known.points.map { ($0.record.series, $0.id) }) { $1 }
        let going = Set(points.map(\.id))
        guard newest.values.contains(where: going.contains) else { return [] }
        return [
            "hosts that know the newest restore point of a series will say that the repository is older than they "
                + "remember (RolledBack), until 'tuff forget BackupRepository/NAME' there says that it is meant"
        ]
    }
}
