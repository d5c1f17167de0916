import TuffModel

/// Refuses a plan that removes more than a slip of the hand should: a document deleted by mistake is one volume, an
/// empty folder is all of them. Counted over 24 hours, so that ten small slips are not ten small plans.
struct Guard {
    private let limits: GuardLimits
    private let volumes: Count
    private let attachments: Count
    private let planned: Int
    private let consent: Int?

    private struct Count {
        /// Resources that are there, and those that were a day ago.
        var all: Set<ResourceID>
        var going: Set<ResourceID>
        var planned: Int
    }

    init(changes: [PlannedChange], pass: PlanningPass) {
        let context = pass.context
        limits = context.config.guardLimits
        consent = context.consent.allowRemovals
        let removing = changes.filter(\.isGuarded)
        planned = removing.count
        guard planned > 0 else {
            // Shares are taken of what there is only where something goes, which most plans do not have.
            let nothing = Count(all: [], going: [], planned: 0)
            volumes = nothing
            attachments = nothing
            return
        }
        var live: Set<ResourceID> = []
        for volume in pass.ownVolumes
        where volume.standing == .live && pass.isAtHome(volume) && !pass.isOutsideShares(volume) {
            live.insert(ResourceID(volume.marks.kind, volume.marks.name))
        }
        let capabilities = context.config.exportCapabilities
        var granted: Set<ResourceID> = []
        for volume in pass.ownVolumes where volume.standing != .released {
            let export = ObservedExport(volume, targets: pass.targets, backstores: pass.backstores)
            for acl in export.granted(capabilities) {
                granted.insert(ResourceID(.attachment, acl.mark?.attachment ?? volume.marks.name))
            }
        }
        // What was brought back since does not count as removed.
        let windowStart = context.now.secondsSince1970 - Ledger.removalWindow
        let recent = pass.observed.ledger.removals.filter {
            $0.stack == context.stack && $0.at.secondsSince1970 > windowStart
        }
        func count(_ present: Set<ResourceID>, _ kinds: Set<Kind>) -> Count {
            let now = Set(removing.map(\.resource).filter { kinds.contains($0.kind) })
            let earlier = Set(recent.map(\.resource).filter { kinds.contains($0.kind) }).subtracting(present)
            return Count(all: present.union(earlier).union(now), going: earlier.union(now), planned: now.count)
        }
        volumes = count(live, [.volume, .snapshot])
        attachments = count(granted, [.attachment])
    }

    /// Nil: the plan may be carried out.
    var refusal: Refusal? {
        if let consent {
            guard consent != planned else { return nil }
            return Refusal(
                .consentMismatch, "--allow-removals \(consent) was given, and this plan removes \(planned)",
                help: "read the plan; if it is meant: --allow-removals \(planned)")
        }
        let most = min(max(Self.share(limits.volumes, of: volumes.all.count), 1), limits.mostVolumes)
        let isEverything = volumes.all.count >= 2 && volumes.going.count == volumes.all.count
        if volumes.planned > 0, volumes.going.count > most || isEverything {
            return refuse(volumes, "volumes", most: isEverything ? min(most, volumes.all.count - 1) : most)
        }
        let mostAccess = min(Self.share(limits.attachments, of: attachments.all.count), limits.mostAttachments)
        if attachments.planned > 0, attachments.going.count > mostAccess {
            return refuse(attachments, "attachments", most: mostAccess)
        }
        return nil
    }

    private func refuse(_ count: Count, _ what: String, most: Int) -> Refusal {
        let earlier = count.going.count - count.planned
        let also = earlier > 0 ? ", after \(earlier) in the last 24 hours" : ""
        return Refusal(
            .tooManyRemovals,
            "this plan removes \(count.planned) of \(count.all.count) \(what)\(also); the guard lets \(most) pass in 24 hours",
            help: "if it is meant: --allow-removals \(planned)")
    }

    /// A share of a count, rounded up.
    private static func share(_ share: Percentage, of count: Int) -> Int { (share.percent * count + 99) / 100 }
}
