import TuffModel

/// Content that a volume is to begin with and that is no volume of this host: the disk in an image, or a restore point.
/// It is there and can be read, as far as was looked.
struct OutsideContent {
    enum Origin {
        case image(ImageSource)
        case point(BackupContent, of: ObservedPoint)
    }

    var origin: Origin
    /// Of the disk or volume in it.
    var size: ByteCount
    /// Bytes of it that are written to an empty volume, at most.
    var content: ByteCount
    /// Identity that the volume continues; nil: it gets one of its own.
    var identity: UID?
    var notes: [String] = []

    var description: String {
        switch origin {
        case .image(let source): "image \(source.path) (\(source.format.rawValue), \(size))"
        case .point(let content, let point):
            "restore point \(point.id.prefix(8)) of \(point.time) in BackupRepository/\(content.repository) (\(size))"
        }
    }

    /// Bytes of the sectors that it was written for; nil: not known.
    var sectors: Int? {
        switch origin {
        case .image: Sectors.ofFiles
        case .point: nil
        }
    }

    func filling(_ volume: VolumeRef) -> VolumeStep {
        switch origin {
        case .image(let source): .fillFromImage(volume, image: source)
        case .point(let content, _): .fillFromBackup(volume, content: content, operation: Marks.copying)
        }
    }

    /// Why a volume of `wanted` cannot be made from it.
    func obstacle(for wanted: ByteCount) -> Obstacle? {
        guard wanted < size else { return nil }
        let needed = size.roundedUp(to: ByteCount(512))
        return switch origin {
        case .image(let source):
            Obstacle(
                .wouldShrink,
                "the disk in \(source.path) has \(size); a volume holds all of its image, write \(needed.quantity) or "
                    + "more")
        case .point:
            Obstacle(
                .tooSmall,
                "the \(description) does not fit into \(wanted); nothing is made, write \(needed.quantity) or more")
        }
    }
}

/// Volumes that begin with what comes from outside. They are made as copies between pools are (`TransferPlanning`):
/// empty and with the mark of unfinished work, then filled, and shown to somebody only after that.
///
/// Filling compares all of the volume with the content as it is at that time. What an interrupted pass wrote of an
/// image that has changed since, or of an earlier restore point, is overwritten, so that a volume that is complete
/// never holds parts of two.
extension PlanningPass {
    /// The content from outside that a document asks for; nil: it asks for none.
    func outsideContent(for declared: Declared<VolumeSpec>) -> Result<OutsideContent?, MissingSource> {
        switch declared.spec.source {
        case .image(let image)?: declaredImage(image)
        case .backup(let source)?: restorePoint(source, for: declared)
        case .cinderBackup(let repository, let backup)?: cinderBackup(backup, in: repository)
        case nil: missingVolume(declared)
        case .volume?, .snapshot?: .success(nil)
        }
    }

    /// The image that `spec.source` names.
    private func declaredImage(_ image: ImageSource) -> Result<OutsideContent?, MissingSource> {
        if let refusal = door.refusal(of: image) { return .failure(MissingSource(obstacle: refusal.obstacle)) }
        func missing(_ sentence: String) -> Result<OutsideContent?, MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(.imageUnusable, sentence)))
        }
        switch observed.images[image] {
        case .known(.usable(let size, let content)?):
            return .success(
                OutsideContent(origin: .image(image), size: size, content: min(size, content ?? size)))
        case .known(.unusable(let sentence)?): return missing("the image \(image.path) \(sentence)")
        case .known(nil): return missing("there is no image \(image.path)")
        case .unknown(let error) where error.code == .exposed:
            return .failure(MissingSource(obstacle: Obstacle(.exposed, error.description)))
        case .unknown(let error): return missing("the image \(image.path) cannot be read: \(error)")
        }
    }

    mutating func planFromOutside(
        _ content: OutsideContent, to stored: StoredVolume, of declared: Declared<VolumeSpec>, in pool: PoolState,
        notes: [String]
    ) -> VolumeOutcome {
        var begun = stored
        begun.marks.operation = Marks.copying
        return addFilling(
            from: content, to: begun, first: [begun.creation(begun.size ?? .zero)], of: declared,
            summary:
                "create \(begun.size ?? .zero) in pool \(pool.name) from \(content.description) (\(begun.location))",
            notes: content.notes + notes + formerNotes(stored.marks, isBlank: false))
    }

    /// Fills a volume whose filling was interrupted, or never begun.
    mutating func planResumedFilling(
        _ stored: StoredVolume, of declared: Declared<VolumeSpec>, in pool: PoolState
    ) -> VolumeOutcome {
        let resource = stored.marks.role.resource
        func stop(_ obstacle: Obstacle) -> VolumeOutcome {
            builder.unavailable(
                resource, by: obstacle, at: declared.location(of: declared.spec.source?.field ?? "metadata.name"),
                uid: stored.uid)
        }
        var begun = stored
        begun.marks.operation = Marks.copying
        // A file may have been claimed and not made, made and not sized yet, or begun as a blank one.
        let isMade =
            stored.location.traits.isOneObject
            || (stored.size ?? .zero) > .zero && stored.marks.operation == Marks.copying
        let wanted = declared.spec.size.roundedUp(to: pool.unit)
        let size = isMade ? max(wanted, stored.size ?? .zero) : wanted
        let content: OutsideContent
        switch resumedContent(stored, declared) {
        case .success(let found): content = found
        case .failure(let missing):
            return stop(
                Obstacle(
                    missing.obstacle.reason,
                    "\(stored.location) was being filled, and \(missing.obstacle.sentence); bring that back, or remove "
                        + "this volume's document"))
        }
        let obstacle = pool.obstacleToFilling ?? suspension(of: stored) ?? content.obstacle(for: size)
        if let obstacle { return stop(obstacle) }
        var first: [StorageStep] = []
        if isMade {
            switch enlargement(of: &begun, to: size, in: pool) {
            case .failure(let obstacle): return stop(obstacle)
            case .success(let steps): first = steps
            }
        } else {
            begun.size = size
            begun.marks.size = begun.backend.recorded(size)
            first = [begun.creation(size)]
        }
        return addFilling(
            from: content, to: begun, first: first, of: declared,
            summary: "finish filling \(size) from \(content.description) (\(stored.location))",
            notes: content.notes)
    }

    private mutating func addFilling(
        from content: OutsideContent, to begun: StoredVolume, first: [StorageStep], of declared: Declared<VolumeSpec>,
        summary: String, notes: [String]
    ) -> VolumeOutcome {
        var made = begun
        made.marks.operation = nil
        made.marks.size = begun.backend.recorded(begun.size ?? .zero)
        made.active = !begun.location.traits.activates
        let steps: [StorageStep] =
            begun.activation + [
                .volume(content.filling(begun.ref)), completion(of: begun, as: made.marks),
            ]
        var digest: [String] = []
        if case .image(let source) = content.origin, let wanted = source.sha256 {
            digest = ["the image must have the SHA-256 \(wanted)"]
        }
        let last = builder.add(
            PlannedChange(
                begun.marks.role.resource, action: .create, summary: summary, risk: .online,
                location: declared.location, uid: begun.uid,
                notes: digest + notes), first + steps)
        return .available(made, after: last)
    }
}
