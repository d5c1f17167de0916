import TuffModel

/// The memory that this host has of repositories and named Backups.
///
/// It concludes nothing from what was not seen: a place that could not be opened, a point among those that cannot be
/// read. What may prove that a repository is older than it was is in docs/design/backups-in-plans.md.
extension Ledger {
    /// Remembers the repositories that were read, and the Backups of this host that they hold.
    mutating func seeRepositories(
        in observed: ObservedState, by index: StorageIndex, of desired: DesiredState, _ context: PlanContext
    ) {
        for (name, declared) in desired.backupRepositories.inKeyOrder
        where declared.spec.format == .tuff {
            guard case .known(let found?)? = observed.repositories?[name] else { continue }
            let site = declared.spec.site
            let former = repository(name, stack: context.stack, at: site.description, id: found.id)
            // Another one at the place of the one that is known stays to be told.
            if let former, former.id != found.id, former.place == site.description { continue }
            let known = former.flatMap { $0.id == found.id ? $0 : nil }
            remember(
                RepositoryMemory(
                    of: found, named: name, at: site, since: known, node: context.config.node, stack: context.stack,
                    now: context.now))
            see(found, named: name, by: index, of: desired, context)
        }
    }

    private mutating func see(
        _ found: ObservedRepository, named repository: String, by index: StorageIndex, of desired: DesiredState,
        _ context: PlanContext
    ) {
        let declared = desired.backups.values.filter { $0.spec.repository == repository }
        if !declared.isEmpty {
            let view = RepositoryView(repository, at: RepositoryAccess(.directory("")), seen: found)
            for backup in declared {
                let uid = index.live(.volume(backup.spec.volume), context.stack).first?.uid
                guard let point = view.point(madeFor: backup, of: uid, context) else { continue }
                remember(
                    BackupMemory(
                        point, for: backup.metadata.name, stack: context.stack, in: repository, id: found.id))
            }
        }
        // A memory of something that neither a document nor the repository has any more is over.
        guard found.damaged == 0, let known = backups, !known.isEmpty else { return }
        let ids = Set(found.points.map(\.id))
        backups?.removeAll {
            $0.stack == context.stack && $0.repositoryID == found.id && desired.backups[$0.name] == nil
                && !ids.contains($0.point)
        }
    }
}

extension RepositoryIndex.Standing {
    /// The same, as somebody sees it who remembers what was there.
    func remembering(
        _ name: String, as spec: BackupRepositorySpec, in observed: ObservedState, _ context: PlanContext
    ) -> Self {
        let place = spec.site.description
        let id: String? = if case .known(let found?)? = observed.repositories?[name] { found.id } else { nil }
        let own = observed.ledger.repository(name, stack: context.stack, at: place, id: id)
        // By whatever name, and for whatever set of documents: another name for a place makes nothing of it new.
        let anyones = observed.ledger.repositories?.first { $0.place == place }
        guard let known = own.flatMap({ $0.place == place ? $0 : nil }) ?? anyones ?? own,
            spec.format == .tuff,
            case .some(let seen) = observed.repositories?[name]
        else { return self }
        let isSamePlace = known.place == place
        let giving =
            "tuff forget BackupRepository/\(known.name)"
            + (known.stack == context.stack ? "" : " --stack \(known.stack)")
        switch (self, seen) {
        case (.readable(var view), .known(let found?)):
            if found.id == known.id {
                guard known == own else { return self }
                view.rollback =
                    RepositoryMemory(
                        of: found, named: name, at: spec.site, since: known, node: context.config.node,
                        stack: context.stack, now: context.now
                    ).rollback
                return .readable(view)
            }
            // A document that names another place means another repository.
            guard isSamePlace else { return self }
            return .obstructed(
                Obstacle(
                    .repositoryReplaced,
                    "another repository (id \(found.id.prefix(8))) is at \(spec.site), where this host knows that of "
                        + "the id \(known.id.prefix(8)); nothing is read from it or stored in it. Bring that back; or, "
                        + "if this one is meant from now on: \(giving)"))
        case (.obstructed(let obstacle), .known(nil)) where obstacle.reason == .repositoryMissing && isSamePlace:
            return .obstructed(
                Obstacle(
                    .lost,
                    "the repository \(known.id.prefix(8)), last seen at \(known.seen), is not at \(spec.site) any "
                        + "more; none is made in its place. Look where it went: a disk that is not mounted, another "
                        + "export. If it is given up: \(giving)"))
        case (.obstructed, .unknown(let error)) where error.code == .damaged && isSamePlace:
            return .obstructed(
                Obstacle(
                    .lost,
                    "the repository \(known.id.prefix(8)), last seen at \(known.seen), is damaged: \(error). None is "
                        + "made in its place; bring a copy of it back. If it is given up: \(giving)"))
        case (.readable, .known(nil)), (.readable, .unknown), (.obstructed, _): return self
        }
    }
}

extension Obstacle {
    /// It comes from what this host remembers of a repository.
    var isOfMemory: Bool { reason == .lost || reason == .repositoryReplaced }
}

extension RepositoryMemory.Rollback {
    /// - Parameter resource: the BackupRepository.
    func sentence(of resource: ResourceID) -> String {
        let first = missing.first.map { "\($0.point.prefix(8)) of \($0.time) of '\($0.volume)'" } ?? ""
        let others = missing.count > 1 ? ", and the newest of \(missing.count - 1) more series" : ""
        return "it is older than this host remembers since \(since): its restore point \(first)\(others) is gone. "
            + "An older copy may have been put in its place, or somebody removed it; its points can be used. If "
            + "that is meant: tuff forget \(resource)"
    }

    /// - Parameter repository: its document's name.
    func warning(in repository: String) -> String {
        "BackupRepository/\(repository) is older than this host remembers, so a later restore point may be missing"
    }
}

extension RepositoryView {
    /// The point that was made for a Backup document of this host and stack.
    /// - Parameter uid: of the document's volume; nil: that is not here.
    func point(
        madeFor declared: Declared<BackupSpec>, of uid: UID?, _ context: PlanContext
    ) -> ObservedPoint? {
        backups(named: declared.metadata.name).first { point in
            guard point.node == context.config.node, point.stack == context.stack else { return false }
            // A volume that was renamed is the same.
            return uid.map { point.uid == $0 } ?? (point.volume == declared.spec.volume)
        }
    }
}

extension PlanningPass {
    /// A named Backup is made once: one whose point somebody removed is not made again, of another content.
    /// - Parameter uid: of its volume; nil: that is not here.
    func loss(of declared: Declared<BackupSpec>, uid: UID?, in repository: RepositoryView) -> Obstacle? {
        let resource = ResourceID(.backup, declared.metadata.name)
        guard let known = observed.ledger.backup(resource.name, stack: context.stack),
            uid.map({ known.uid == $0 }) ?? (known.volume == declared.spec.volume),
            !context.consent.recreate.contains(resource)
        else { return nil }
        let made = "it was made as restore point \(known.point.prefix(8)) of \(known.time)"
        let place =
            known.repositoryID == repository.id
            ? "which is not in BackupRepository/\(repository.name) any more"
            : "in the repository \(known.repositoryID.prefix(8)) (BackupRepository/\(known.repository)), which is not "
                + "the one that its document names"
        return Obstacle(
            .lost,
            "\(made), \(place); a backup of now would be another one. Remove the document, or have one made of now: "
                + "tuff forget \(resource), or apply with --recreate \(resource)")
    }
}
