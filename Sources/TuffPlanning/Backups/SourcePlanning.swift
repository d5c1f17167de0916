import TuffModel

/// Volumes that begin with a restore point.
///
/// A repository that cannot be read is unknown: never "no backup yet", and nothing blank is made in the place of what
/// it may hold. The point is chosen in the plan, and its id is what is carried out.
extension PlanningPass {
    /// The restore point that `source.backup` names; nil: it may be blank, and there is no such series.
    func restorePoint(
        _ source: BackupSource, for declared: Declared<VolumeSpec>
    ) -> Result<OutsideContent?, MissingSource> {
        let name = source.volume
        let repository: RepositoryView
        switch self.repository(source.repository) {
        case .success(let found): repository = found
        case .failure(let missing): return .failure(missing)
        }
        let series = repository.points(of: name)
        var fitting = series.filter { isNamed($0, by: source) }
        switch source.at {
        case .id(let prefix):
            // Of whatever series, as long as nobody's identity goes with it.
            fitting = (source.identity == .keep ? fitting : series).filter { $0.id.hasPrefix(prefix) }
            guard fitting.count < 2 else {
                return missing(.noRestorePoint, "\(fitting.count) restore points of '\(name)' begin with \(prefix)")
            }
        case .latest:
            if let doubt = doubt(of: repository) { return .failure(doubt) }
            fitting.removeAll(where: \.isSetAside)
        case .notAfter(let time):
            if let doubt = doubt(of: repository) { return .failure(doubt) }
            fitting.removeAll { $0.isSetAside || $0.time > time }
        }
        if fitting.isEmpty {
            if source.orBlank, repository.points(of: name).isEmpty, repository.damaged == 0 {
                return .success(nil)
            }
            return missing(.noRestorePoint, absence(of: name, source, repository))
        }
        switch oneSeries(of: fitting, name: name) {
        case .failure(let missing): return .failure(missing)
        case .success(let chosen):
            guard let point = chosen.last else { return .success(nil) }
            if let obstacle = door.obstacle(to: point, of: context) {
                return .failure(MissingSource(obstacle: obstacle))
            }
            return content(
                of: point, in: repository, keeping: source.identity == .keep,
                notes: sizeNotes(point, declared) + (source.instant ? [Self.notInstant] : []))
        }
    }

    private static let notInstant =
        "source.backup.instant: this version attaches the volume when all of its content is there"

    /// A volume without a source that is new to this host, while a repository has its backups: a blank disk under the
    /// name of a lost one would be the worst that could be made.
    func missingVolume(_ declared: Declared<VolumeSpec>) -> Result<OutsideContent?, MissingSource> {
        let name = declared.metadata.name, resource = ResourceID(.volume, name)
        let wanted = context.consent.restoreMissing
        guard !context.consent.allowBlank.contains(resource) else { return .success(nil) }
        // A lost volume that a person gives up may come back as well, and is not blank without a word either.
        let known = observed.ledger.entry(resource, stack: context.stack)
        if let known {
            guard context.consent.recreate.contains(resource), wanted != nil || known.standing != .purged else {
                return .success(nil)
            }
        }
        // Backups of it may be in what cannot be read: of any volume on a host that was made anew, and of a lost one.
        let isNew = known != nil || remembersNoVolume(besides: resource)
        let names = [name] + (declared.metadata.renamedFrom.map { [$0] } ?? [])
        // The one that was asked for first: another that cannot be read is in nobody's way then.
        for repositoryName in ownRepositories.sorted(by: { ($0 != wanted ? 1 : 0, $0) < ($1 != wanted ? 1 : 0, $1) }) {
            let repository: RepositoryView
            switch self.repository(repositoryName) {
            case .success(let found): repository = found
            case .failure(let fault):
                guard isNew || wanted == repositoryName else { continue }
                return missing(
                    fault.obstacle.reason,
                    "\(fault.obstacle.sentence). Backups of it may be there"
                        + (known == nil ? ", as this host remembers no volumes" : "")
                        + "; if blank is meant: --allow-blank \(resource)"
                )
            }
            let own = names.flatMap(repository.points).filter {
                $0.node == context.config.node && $0.stack == context.stack
            }
            let points = own.filter { !$0.isSetAside && $0.uid != nil }
            guard let newest = points.last else {
                let isAsked = wanted == repositoryName
                let obstacle = unfit(own, of: names, in: repository, isAsked: isAsked, isDoubted: isAsked || isNew)
                guard let obstacle else { continue }
                return missing(.backupExists, "\(obstacle); if blank is meant: --allow-blank \(resource)")
            }
            guard wanted == repositoryName else {
                return missing(
                    .backupExists,
                    "BackupRepository/\(repositoryName) has backups of it, the newest restore point of "
                        + "\(newest.time), \(newest.size), and it is not here; a blank one is not made in its place. "
                        + "To have it back, apply with \(givingUp(resource))--restore-missing \(repositoryName); if "
                        + "blank is meant: --allow-blank \(resource)")
            }
            if let doubt = doubt(of: repository) { return .failure(doubt) }
            switch oneSeries(of: points, name: name) {
            case .failure(let missing): return .failure(missing)
            case .success(let chosen):
                guard let point = chosen.last else { continue }
                return content(of: point, in: repository, keeping: true, notes: sizeNotes(point, declared))
            }
        }
        guard known != nil, let wanted else { return .success(nil) }
        return missing(
            .noRestorePoint,
            "BackupRepository/\(wanted) has no restore point of it, and a blank one is not made in its place; if "
                + "blank is meant: --allow-blank \(resource)")
    }

    /// Says why a volume may not be blank although none of its restore points can be taken; nil: nothing speaks of it.
    /// - Parameters:
    ///   - own: points of this node and stack under its names.
    ///   - isAsked: a person wants it back from this repository.
    ///   - isDoubted: it may be among points that cannot be read.
    private func unfit(
        _ own: [ObservedPoint], of names: [String], in repository: RepositoryView, isAsked: Bool, isDoubted: Bool
    ) -> String? {
        let has = "BackupRepository/\(repository.name) has restore points that "
        let cure = ", and one may be of it; name it in source.backup"
        guard own.isEmpty else { return has + "were set aside, or do not tell their volume" + cure }
        if isAsked, let other = namesake(of: names, in: repository) { return other }
        return isDoubted && repository.damaged > 0 ? has + "cannot be read" + cure : nil
    }

    /// The option that a lost volume needs besides, for a line to be typed.
    private func givingUp(_ resource: ResourceID) -> String {
        context.consent.recreate.contains(resource) ? "--recreate \(resource) " : ""
    }

    /// A host that remembers volumes was not made anew, and a new one was never among them.
    private func remembersNoVolume(besides resource: ResourceID) -> Bool {
        inputs.rememberedVolumes == (observed.ledger.entry(resource, stack: context.stack) == nil ? 0 : 1)
    }

    /// Says whose backups of a volume of this name a repository has, where this node has none there. A host that takes
    /// the place of a lost one has often another name.
    private func namesake(of names: [String], in repository: RepositoryView) -> String? {
        let others = names.flatMap(repository.points).filter {
            $0.stack == context.stack && $0.node != nil && $0.node != context.config.node && !$0.isSetAside
        }
        // A host's name is short (gethostname(2)); what a medium says may not be.
        guard let newest = others.max(by: { $0.time < $1.time }), let node = newest.node, node.utf8.count <= 253 else {
            return nil
        }
        return
            "BackupRepository/\(repository.name) has no backups of it by this node, \(context.config.node), but by "
            + "\(node), the newest restore point of \(newest.time), \(newest.size). If this host takes that one's "
            + "place, write node: \(node) into its configuration"
    }

    /// For a blank volume on a host that remembers none: it may be meant to be another host's.
    func othersBackupNotes(_ declared: Declared<VolumeSpec>) -> [String] {
        let resource = ResourceID(.volume, declared.metadata.name)
        guard declared.spec.source == nil, !context.consent.allowBlank.contains(resource),
            remembersNoVolume(besides: resource)
        else { return [] }
        let names = [declared.metadata.name] + (declared.metadata.renamedFrom.map { [$0] } ?? [])
        return ownRepositories.sorted().compactMap { name in
            guard case .success(let view) = repository(name) else { return nil }
            return namesake(of: names, in: view).map { "it is blank: \($0)" }
        }
    }

    /// The way back for a lost volume of which a repository has restore points; empty: there are none, or its document
    /// says that it begins with something else.
    func restoreAdvice(_ resource: ResourceID, uid: UID?) -> String {
        guard resource.kind == .volume, let declared = volumes[resource.name], declared.spec.source == nil else {
            return ""
        }
        for name in ownRepositories.sorted() {
            guard case .success(let view) = repository(name) else { continue }
            let newest = view.points(of: resource.name).last {
                $0.node == context.config.node && $0.stack == context.stack && !$0.isSetAside && $0.uid == uid
            }
            guard let newest, uid != nil else { continue }
            return
                ", or have its newest restore point in BackupRepository/\(name), of \(newest.time): apply with "
                + "--recreate \(resource) --restore-missing \(name)"
        }
        return ""
    }

    /// A consent that names nothing would be passed over, and what it asks for not be done.
    var unknownRepository: Refusal? {
        guard let name = context.consent.restoreMissing, !ownRepositories.contains(name) else { return nil }
        let declared = ownRepositories.sorted().prefix(5).joined(separator: ", ")
        let fault =
            backupRepositories[name]?.spec.format == .cinder
            ? "BackupRepository/\(name) is Cinder's, whose volumes come back by source.cinderBackup"
            : "no document declares BackupRepository/\(name) for this node"
        return Refusal(
            .consentMismatch, "--restore-missing \(name) was given, and \(fault)",
            help: declared.isEmpty ? "the documents declare none" : "declared are: \(declared)")
    }

    /// The content with which filling a volume goes on that was begun so. Where no document says from what, its own uid
    /// does: it is brought back under its old identity.
    func resumedContent(
        _ stored: StoredVolume, _ declared: Declared<VolumeSpec>
    ) -> Result<OutsideContent, MissingSource> {
        switch declared.spec.source {
        case .image?:
            switch outsideContent(for: declared) {
            case .success(let content?): return .success(content)
            case .success(nil): return missing(.noRestorePoint, "its image is not declared any more")
            case .failure(let missing): return .failure(missing)
            }
        case .backup(var source)?:
            // It bears the identity that it is to keep already.
            if source.identity == .keep { (source.identity, source.uid) = (.new, stored.uid) }
            switch restorePoint(source, for: declared) {
            case .success(let content?): return .success(content)
            case .success(nil): return missing(.noRestorePoint, "its restore point is not there any more")
            case .failure(let missing): return .failure(missing)
            }
        case .cinderBackup(let repository, let backup)?:
            switch cinderBackup(backup, in: repository) {
            case .success(let content?): return .success(content)
            case .success(nil): return missing(.noRestorePoint, "Cinder's backup is not there any more")
            case .failure(let missing): return .failure(missing)
            }
        case nil: break
        case .volume?, .snapshot?: return missing(.unfinished, "its source has another form now")
        }
        return resumedMissing(stored, declared)
    }

    /// Of a volume that `--restore-missing` began. Nothing on it says from which repository: it is the one that the
    /// person names again, else the one with the newest point, and then each of them must have been read.
    private func resumedMissing(
        _ stored: StoredVolume, _ declared: Declared<VolumeSpec>
    ) -> Result<OutsideContent, MissingSource> {
        var found: (point: ObservedPoint, view: RepositoryView)?
        for name in context.consent.restoreMissing.map({ [$0] }) ?? ownRepositories.sorted() {
            let view: RepositoryView
            switch repository(name) {
            case .success(let readable): view = readable
            case .failure(let missing): return .failure(missing)
            }
            if let doubt = doubt(of: view) { return .failure(doubt) }
            let own = view.points(of: declared.metadata.name).last {
                $0.uid == stored.uid && $0.node == context.config.node && $0.stack == context.stack && !$0.isSetAside
            }
            if let own, found.map({ $0.point.time < own.time }) ?? true { found = (own, view) }
        }
        guard let found else {
            return missing(
                .noRestorePoint,
                "no restore point of the uid \(stored.uid) is in a repository of this set any more; name another one "
                    + "in source.backup")
        }
        return content(of: found.point, in: found.view, keeping: false, notes: []).flatMap { content in
            content.map { .success($0) } ?? missing(.noRestorePoint, "its restore point is not there any more")
        }
    }

    // MARK: Choosing

    private func isNamed(_ point: ObservedPoint, by source: BackupSource) -> Bool {
        if let uid = source.uid, point.uid != uid { return false }
        // One that was made by hand belongs to no host.
        guard point.node != nil || point.stack != nil || point.uid != nil else {
            return source.node == nil && source.stack == nil
        }
        return point.node == source.node ?? context.config.node && point.stack == source.stack ?? context.stack
    }

    /// The points of one volume among those of one name. Where several volumes bore it, it is that which is not here
    /// any more, if there is one such.
    private func oneSeries(of points: [ObservedPoint], name: String) -> Result<[ObservedPoint], MissingSource> {
        let volumes = Dictionary(grouping: points, by: \.uid)
        guard volumes.count > 1 else { return .success(points) }
        let gone = volumes.filter { uid, _ in uid.map { index.bearer(of: $0) == nil } ?? false }
        if gone.count == 1, let series = gone.first?.value { return .success(series) }
        let list = volumes.values.compactMap(\.last).sorted { $0.time < $1.time }.map { point in
            "\(point.uid.map(\.description) ?? "by hand") (\(point.time), \(point.size))"
        }
        return missing(
            .seriesUnclear,
            "restore points of \(volumes.count) volumes are called '\(name)': "
                + "\(list.joined(separator: ", ")); say which "
                + "by uid: in source.backup")
    }

    private func content(
        of point: ObservedPoint, in repository: RepositoryView, keeping: Bool, notes: [String]
    ) -> Result<OutsideContent?, MissingSource> {
        if let obstacle = point.obstacle(in: repository.name) { return .failure(MissingSource(obstacle: obstacle)) }
        let content = BackupContent(
            repository: repository.name, access: repository.access, point: point.id, size: point.size,
            content: point.content)
        var result = OutsideContent(
            origin: .point(content, of: point), size: point.size, content: min(point.size, point.content))
        result.notes = notes + (repository.rollback.map { [$0.warning(in: repository.name)] } ?? [])
        guard keeping else { return .success(result) }
        guard let uid = point.uid else {
            return missing(
                .noRestorePoint,
                "restore point \(point.id.prefix(8)) was made by hand and has no identity to keep; leave identity: out")
        }
        if let bearer = index.bearer(of: uid) {
            return missing(
                .nameTaken, "the uid \(uid) is here already, as \(bearer.location); two disks cannot have one identity")
        }
        result.identity = uid
        return .success(result)
    }

    private func absence(of name: String, _ source: BackupSource, _ repository: RepositoryView) -> String {
        let others = repository.points(of: name)
        var text = "BackupRepository/\(repository.name) has no restore point of '\(name)'"
        switch source.at {
        case .latest: break
        case .notAfter(let time): text += " that is not after \(time)"
        case .id(let prefix): text += " whose id begins with \(prefix)"
        }
        if others.isEmpty {
            let names = repository.names.prefix(5).joined(separator: ", ")
            text += names.isEmpty ? "; it holds none at all" : "; it has such of \(names)"
        } else {
            let hosts = Set(others.map { "\($0.node ?? "by hand")/\($0.stack ?? "-")" }).sorted().prefix(5)
            text += "; it has \(others.count) of the name (node/stack \(hosts.joined(separator: ", ")))"
        }
        return repository.damaged == 0 ? text : text + ", and \(repository.damaged) that cannot be read"
    }

    /// Of points that cannot be read one may be the newest: whoever wants an older one names it.
    func doubt(of repository: RepositoryView) -> MissingSource? {
        guard repository.damaged > 0 else { return nil }
        return MissingSource(
            obstacle: Obstacle(
                .noRestorePoint,
                "\(repository.damaged) restore points in BackupRepository/\(repository.name) cannot be read, and the "
                    + "newest may be "
                    + "among them; name one by its id (at:), or see 'tuff backup check'"))
    }

    private func sizeNotes(_ point: ObservedPoint, _ declared: Declared<VolumeSpec>) -> [String] {
        guard declared.spec.size > point.size else { return [] }
        return [
            "the restore point has \(point.size); the rest reads zeros, and a GPT's second header is not at the end "
                + "any more"
        ]
    }

    private func missing<Value>(_ reason: Reason, _ sentence: String) -> Result<Value, MissingSource> {
        .failure(MissingSource(obstacle: Obstacle(reason, sentence)))
    }
}
