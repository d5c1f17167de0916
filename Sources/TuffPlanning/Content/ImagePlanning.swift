import TuffModel

/// A disk image that is there and can be read, as far as was looked.
struct DeclaredImage {
    var source: ImageSource
    /// Of the disk in it.
    var size: ByteCount
    /// Bytes of it that are written to an empty volume, at most.
    var content: ByteCount

    var description: String { "image \(source.path) (\(source.format.rawValue), \(size))" }

    /// Why a volume of `wanted` cannot be made from it.
    func obstacle(for wanted: ByteCount) -> Obstacle? {
        guard wanted < size else { return nil }
        let needed = size.roundedUp(to: ByteCount(512))
        return Obstacle(
            .wouldShrink,
            "the disk in \(source.path) has \(size); a volume holds all of its image, write \(needed.quantity) or more")
    }
}

/// Volumes that begin with what an image holds. They are made as copies between pools are (`TransferPlanning`): empty
/// and with the mark of unfinished work, then filled, and shown to somebody only after that.
///
/// Filling compares all of the volume with the image as it is at that time. What an interrupted pass wrote of an image
/// that has changed since is overwritten, so that a volume that is complete never holds parts of two.
extension PlanningPass {
    /// The image that `spec.source` names; nil: it names none.
    func declaredImage(_ source: VolumeSource?) -> Result<DeclaredImage?, MissingSource> {
        guard case .image(let image)? = source else { return .success(nil) }
        if let refusal = door.refusal(of: image) { return .failure(MissingSource(obstacle: refusal.obstacle)) }
        func missing(_ sentence: String) -> Result<DeclaredImage?, MissingSource> {
            .failure(MissingSource(obstacle: Obstacle(.imageUnusable, sentence)))
        }
        switch observed.images[image] {
        case .known(.usable(let size, let content)?):
            return .success(DeclaredImage(source: image, size: size, content: min(size, content ?? size)))
        case .known(.unusable(let sentence)?): return missing("the image \(image.path) \(sentence)")
        case .known(nil): return missing("there is no image \(image.path)")
        case .unknown(let error) where error.code == .exposed:
            return .failure(MissingSource(obstacle: Obstacle(.exposed, error.description)))
        case .unknown(let error): return missing("the image \(image.path) cannot be read: \(error)")
        }
    }

    mutating func planFromImage(
        _ image: DeclaredImage, to stored: StoredVolume, _ declared: Declared<VolumeSpec>, _ pool: PoolState,
        _ notes: [String]
    ) -> VolumeOutcome {
        var begun = stored
        begun.marks.operation = Marks.copying
        return addFilling(
            from: image, to: begun, [begun.creation(begun.size ?? .zero)], declared,
            "create \(begun.size ?? .zero) in pool \(pool.name) from \(image.description) (\(begun.location))",
            notes + formerNotes(stored.marks))
    }

    /// Fills a volume whose filling was interrupted, or never begun.
    mutating func planResumedImage(
        _ stored: StoredVolume, _ declared: Declared<VolumeSpec>, _ pool: PoolState
    ) -> VolumeOutcome {
        let resource = stored.marks.role.resource
        func stop(_ obstacle: Obstacle) -> VolumeOutcome {
            builder.add(
                PlannedChange(
                    resource, .blocked, obstacle.sentence, reason: obstacle.reason,
                    location: declared.location(of: "spec.source.image"), uid: stored.uid))
            return .unavailable(obstacle.sentence)
        }
        var begun = stored
        begun.marks.operation = Marks.copying
        // A file may have been claimed and not made, made and not sized yet, or begun as a blank one.
        let isMade =
            stored.location.traits.isOneObject
            || (stored.size ?? .zero) > .zero && stored.marks.operation == Marks.copying
        let wanted = declared.spec.size.roundedUp(to: pool.unit)
        let size = isMade ? max(wanted, stored.size ?? .zero) : wanted
        let image: DeclaredImage
        switch declaredImage(declared.spec.source) {
        case .success(let found?): image = found
        case .success(nil): return .unavailable("it has no image")
        case .failure(let missing):
            return stop(
                Obstacle(
                    missing.obstacle.reason,
                    "\(stored.location) was being filled, and \(missing.obstacle.sentence); bring the image back, or remove "
                        + "this volume's document"))
        }
        let obstacle = pool.obstacleToFilling ?? suspension(of: stored) ?? image.obstacle(for: size)
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
            from: image, to: begun, first, declared,
            "finish filling \(size) from \(image.description) (\(stored.location))", [])
    }

    private mutating func addFilling(
        from image: DeclaredImage, to begun: StoredVolume, _ first: [StorageStep], _ declared: Declared<VolumeSpec>,
        _ summary: String, _ notes: [String]
    ) -> VolumeOutcome {
        var made = begun
        made.marks.operation = nil
        made.marks.size = begun.backend.recorded(begun.size ?? .zero)
        made.active = !begun.location.traits.activates
        let steps: [StorageStep] =
            begun.activation + [
                .volume(.fillFromImage(begun.ref, image: image.source)), completion(of: begun, as: made.marks),
            ]
        let digest = image.source.sha256.map { ["the image must have the SHA-256 \($0)"] } ?? []
        let last = builder.add(
            PlannedChange(
                begun.marks.role.resource, .create, summary, risk: .online, location: declared.location, uid: begun.uid,
                notes: digest + notes), first + steps)
        return .available(made, after: last)
    }
}
