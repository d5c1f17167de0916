import TuffModel

/// A declared repository that could be read, with its points by the volume's name.
struct RepositoryView {
    var name: String
    /// Its own; empty for one that the same plan makes.
    var id: String
    var access: RepositoryAccess
    var damaged: Int
    /// Work of hosts in it, oldest first.
    var receipts: [ObservedReceipt]
    /// Points that it lacks and this host saw in it; nil: none, as far as this host can tell.
    var rollback: RepositoryMemory.Rollback?
    private var byVolume: [String: [ObservedPoint]]
    private var byBackup: [String: [ObservedPoint]]

    init(_ name: String, at access: RepositoryAccess, seen observed: ObservedRepository) {
        self.name = name
        self.access = access
        id = observed.id
        damaged = observed.damaged
        receipts = observed.receipts ?? []
        byVolume = Dictionary(grouping: observed.points, by: \.volume)
        byBackup = Dictionary(grouping: observed.points.filter { $0.backup != nil }) { $0.backup ?? "" }
    }

    /// Those that were made for Backup documents of this name, of whatever host, oldest first.
    func backups(named backup: String) -> [ObservedPoint] { byBackup[backup] ?? [] }

    /// Oldest first.
    func points(of volume: String) -> [ObservedPoint] { byVolume[volume] ?? [] }

    /// There is no restore point in it.
    var isEmpty: Bool { byVolume.isEmpty && damaged == 0 }

    /// Of volumes that it has points of, sorted.
    var names: [String] { byVolume.keys.sorted() }
}

/// Repositories of backups, each with what is known of it.
struct RepositoryIndex {
    enum Standing {
        case readable(RepositoryView)
        case obstructed(Obstacle)
    }

    private(set) var standings: [String: Standing] = [:]

    init(_ desired: DesiredState, seen observed: ObservedState, through door: ReachDoor, for context: PlanContext) {
        for (name, declared) in desired.backupRepositories {
            standings[name] = Self.standing(of: name, declared.spec, seen: observed, through: door)
                .remembering(name, as: declared.spec, in: observed, context)
        }
    }

    private static func standing(
        of name: String, _ spec: BackupRepositorySpec, seen observed: ObservedState, through door: ReachDoor
    ) -> Standing {
        if let refusal = door.refusal(of: spec) { return .obstructed(refusal.obstacle) }
        guard let seen = observed.repositories else {
            return .obstructed(
                Obstacle(
                    .repositoryUnreachable, "it was not looked at by whoever observed this host"))
        }
        switch seen[name] {
        case .known(let found?): return .readable(RepositoryView(name, at: spec.access, seen: found))
        case .known(nil):
            return .obstructed(
                Obstacle(.repositoryMissing, "there is no repository at \(spec.site)"))
        case .unknown(let error):
            return .obstructed(
                Obstacle(.repositoryUnreachable, "it cannot be read: \(error)"))
        }
    }
}

extension PlanningPass {
    func repository(_ name: String) -> Result<RepositoryView, MissingSource> {
        switch repositories[name] {
        case .readable(let view)?: .success(view)
        case .obstructed(let obstacle)?:
            .failure(
                MissingSource(
                    obstacle: Obstacle(
                        obstacle.isOfMemory ? .dependencyBlocked : obstacle.reason,
                        "BackupRepository/\(name) is not available, see its own line")))
        case nil:
            .failure(
                MissingSource(
                    obstacle: Obstacle(.dependencyBlocked, "no document declares BackupRepository/\(name)")))
        }
    }

    /// A line for each declared repository.
    mutating func planRepositories(_ desired: DesiredState) {
        for (name, declared) in desired.backupRepositories.inKeyOrder {
            let resource = ResourceID(.backupRepository, name)
            switch repositories[name] {
            case .readable(let view)?:
                builder.add(
                    PlannedChange(
                        resource, action: .unchanged, summary: summary(of: view, at: declared.spec.site),
                        reason: view.rollback.map { _ in .rolledBack }, location: declared.location,
                        notes: (view.rollback.map { [$0.sentence(of: resource)] } ?? [])
                            + (view.damaged == 0 ? [] : ["\(view.damaged) restore points cannot be read"])))
            case .obstructed(let obstacle)?:
                if obstacle.reason == .repositoryMissing, planCreation(of: declared, resource) { continue }
                builder.block(
                    resource, by: obstacle, as: obstacle.reason == .notSupportedYet ? .unsupported : .blocked,
                    at: declared.location)
            case nil: continue
            }
        }
    }

    /// - Returns: false where the document does not ask for it.
    private mutating func planCreation(
        of declared: Declared<BackupRepositorySpec>, _ resource: ResourceID
    ) -> Bool {
        guard declared.spec.creates else { return false }
        guard context.consent.allowRepositoryCreate else {
            builder.add(
                PlannedChange(
                    resource, action: .blocked,
                    summary:
                        "there is no repository at \(declared.spec.site), and making one needs "
                        + "--allow-repository-create",
                    reason: .consentNeeded, location: declared.location))
            return true
        }
        let kind = declared.spec.key == nil ? "a repository" : "an encrypted repository"
        // Backups of the same plan are stored after that.
        repositoryMakers[resource.name] = builder.add(
            PlannedChange(
                resource, action: .create, summary: "make \(kind) at \(declared.spec.site)", risk: .online,
                location: declared.location),
            [.backup(.makeRepository(resource.name, declared.spec.access))])
        repositories[resource.name] = .readable(
            RepositoryView(resource.name, at: declared.spec.access, seen: ObservedRepository(id: "")))
        return true
    }

    private func summary(of view: RepositoryView, at site: BackupRepositorySpec.Site) -> String {
        let points = view.names.flatMap(view.points)
        guard let newest = points.map(\.time).max() else { return "no restore points yet (\(site))" }
        let volumes = view.names.count == 1 ? "1 volume" : "\(view.names.count) volumes"
        return "\(points.count) restore points of \(volumes), the newest of \(newest) (\(site))"
    }
}
