package import TuffModel

/// The action on one resource. Symbols and risk are one table, so that text, JSON and counts agree.
package enum Action: String, Codable, Sendable, CaseIterable {
    /// `untrash` brings back from the trash and `adopt` takes up what was released; `trash` puts there, `release`
    /// lets go of what is to be retained, `withdraw` takes an initiator's access away, `takeDown` what is left of an
    /// export that nobody has access to, `purge` ends the trash's keeping. What a schedule wants by now waits as `due`
    /// for consent to carry it out.
    case create, untrash, adopt, update, withdraw, takeDown, release, trash, purge, due, orphan, blocked, unsupported,
        unchanged

    package var symbol: String {
        switch self {
        case .create, .untrash, .adopt: "+"
        case .update: "~"
        case .withdraw, .takeDown, .release, .trash, .purge: "-"
        case .due: "*"
        case .orphan, .blocked, .unsupported: "!"
        case .unchanged: "="
        }
    }

    /// True if the change has steps to carry out.
    package var acts: Bool {
        switch self {
        case .create, .untrash, .adopt, .update, .withdraw, .takeDown, .release, .trash, .purge: true
        case .due, .orphan, .blocked, .unsupported, .unchanged: false
        }
    }

    /// True if it takes something away, which is what the guard counts and consent is for.
    package var removes: Bool {
        switch self {
        case .withdraw, .release, .trash: true
        case .create, .untrash, .adopt, .update, .takeDown, .purge, .due, .orphan, .blocked, .unsupported, .unchanged:
            false
        }
    }
}

package enum Risk: String, Codable, Sendable, Comparable {
    case online
    case interruptsIO = "interrupts I/O"
    case destroysData = "destroys data"

    package static func < (lhs: Risk, rhs: Risk) -> Bool {
        let order: [Risk] = [.online, .interruptsIO, .destroysData]
        return order.firstIndex(of: lhs)! < order.firstIndex(of: rhs)!
    }
}

/// One word that programs match on. Extensible, hence not an enum; the words in use are listed here.
package struct Reason: RawRepresentable, Hashable, Codable, Sendable, CustomStringConvertible {
    package var rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package var description: String { rawValue }

    /// The source this depends on could not be observed.
    package static let unknown = Reason(rawValue: "Unknown")
    /// It is declared as imported, and what it was imported from is not marked as ours.
    package static let notAdopted = Reason(rawValue: "NotAdopted")
    /// A resource this one needs is itself blocked.
    package static let dependencyBlocked = Reason(rawValue: "DependencyBlocked")
    /// This version does not carry out what the document asks for.
    package static let notSupportedYet = Reason(rawValue: "NotSupportedYet")
    package static let driverCannot = Reason(rawValue: "DriverCannot")
    package static let wouldShrink = Reason(rawValue: "WouldShrink")
    package static let moveNotSupported = Reason(rawValue: "MoveNotSupported")
    package static let inUse = Reason(rawValue: "InUse")
    package static let poolMissing = Reason(rawValue: "PoolMissing")
    /// The NFS share of a pool is not mounted: what is in the pool is not known.
    package static let notMounted = Reason(rawValue: "NotMounted")
    /// Something else than a pool's share is mounted at its directory.
    package static let wrongMount = Reason(rawValue: "WrongMount")
    package static let poolUnhealthy = Reason(rawValue: "PoolUnhealthy")
    /// A volume group of another host, by its system ID.
    package static let foreignGroup = Reason(rawValue: "ForeignGroup")
    /// Room of a volume group that LVM does not hand out.
    package static let notAllocatable = Reason(rawValue: "NotAllocatable")
    /// Others than root and the user Tuff runs as could change it.
    package static let exposed = Reason(rawValue: "Exposed")
    /// The host's administrator did not name it in `allow` of the controller's configuration.
    package static let notAllowed = Reason(rawValue: "NotAllowed")
    package static let insufficientCapacity = Reason(rawValue: "InsufficientCapacity")
    /// A pool that does not have the labels which a volume's selector asks for.
    package static let notSelected = Reason(rawValue: "NotSelected")
    package static let secretUnavailable = Reason(rawValue: "SecretUnavailable")
    /// The image a volume is to be made from is missing, damaged, or of a sort that is not read.
    package static let imageUnusable = Reason(rawValue: "ImageUnusable")
    /// A declared document waits for it, or may mean it: it is not taken away.
    package static let awaited = Reason(rawValue: "Awaited")
    /// It would be new beside something undeclared of its pool and size, and may be that under another name.
    package static let renameUnclear = Reason(rawValue: "RenameUnclear")
    package static let nameTaken = Reason(rawValue: "NameTaken")
    package static let marksDamaged = Reason(rawValue: "MarksDamaged")
    package static let dataMissing = Reason(rawValue: "DataMissing")
    /// It has fewer bytes than it had.
    package static let truncated = Reason(rawValue: "Truncated")
    package static let notOurs = Reason(rawValue: "NotOurs")
    /// A restore waits for this rather than detach anybody.
    package static let attached = Reason(rawValue: "Attached")
    /// A restore of another disk that had the name.
    package static let obsolete = Reason(rawValue: "Obsolete")
    /// A restore that was carried out, and never will be again.
    package static let executed = Reason(rawValue: "Executed")
    /// Two documents want what only one can have.
    package static let conflict = Reason(rawValue: "Conflict")
    /// A snapshot whose room of its own is full: what it held is lost.
    package static let overflowed = Reason(rawValue: "Overflowed")
    /// A snapshot in a thick pool without room of its own.
    package static let reserveMissing = Reason(rawValue: "ReserveMissing")
    package static let suspended = Reason(rawValue: "Suspended")
    package static let unfinished = Reason(rawValue: "Unfinished")
    package static let notDeclared = Reason(rawValue: "NotDeclared")
    /// A snapshot that a policy took of a volume which no document declares any more.
    package static let volumeNotDeclared = Reason(rawValue: "VolumeNotDeclared")
    /// A snapshot that a policy took of a volume which is lost, or cannot be made out.
    package static let volumeUnseen = Reason(rawValue: "VolumeUnseen")
    /// A snapshot that its policy's rule keeps no longer.
    package static let expired = Reason(rawValue: "Expired")
    package static let noPortal = Reason(rawValue: "NoPortal")
    /// No target can listen on a portal: by its address, or beside what others listen on.
    package static let portalUnusable = Reason(rawValue: "PortalUnusable")
    /// A secret that would not do what it is for: longer than the kernel takes, or used in both directions.
    package static let secretUnusable = Reason(rawValue: "SecretUnusable")
    /// Seen ready once and gone now: never made again without a person's word.
    package static let lost = Reason(rawValue: "Lost")
    /// The documents give this node no pool, though it has held volumes.
    package static let noPools = Reason(rawValue: "NoPools")
    package static let protected = Reason(rawValue: "Protected")
    /// The host's clock is behind what an earlier pass saw, so no deadline means anything.
    package static let clockBehind = Reason(rawValue: "ClockBehind")
    /// The host's clock was set ahead by more than a day, so deadlines may have passed too early.
    package static let clockAhead = Reason(rawValue: "ClockAhead")
    /// More would be removed at once than the guard lets pass.
    package static let tooManyRemovals = Reason(rawValue: "TooManyRemovals")
    /// The number given as consent is not the number of removals.
    package static let consentMismatch = Reason(rawValue: "ConsentMismatch")
    package static let consentNeeded = Reason(rawValue: "ConsentNeeded")
    /// The kernel wants the metadata of a thin pool checked before it writes to it.
    package static let needsCheck = Reason(rawValue: "NeedsCheck")
    package static let dataFull = Reason(rawValue: "DataFull")
    package static let metadataFull = Reason(rawValue: "MetadataFull")
    /// New chunks of a thin pool show what earlier volumes left there.
    package static let notZeroed = Reason(rawValue: "NotZeroed")
    package static let coarseChunks = Reason(rawValue: "CoarseChunks")
    package static let autoExtendOff = Reason(rawValue: "AutoExtendOff")
    package static let cannotGrow = Reason(rawValue: "CannotGrow")
    /// A volume, or what it stands on, is on devices that its group misses.
    package static let devicesMissing = Reason(rawValue: "DevicesMissing")
    package static let readOnly = Reason(rawValue: "ReadOnly")
    package static let deviceMissing = Reason(rawValue: "DeviceMissing")
    /// A device that a pool is to be made of holds something, or is in use.
    package static let deviceNotBlank = Reason(rawValue: "DeviceNotBlank")
    /// A BackupRepository that cannot be read: nobody knows what is in it.
    package static let repositoryUnreachable = Reason(rawValue: "RepositoryUnreachable")
    /// There is no repository at the place that a BackupRepository names.
    package static let repositoryMissing = Reason(rawValue: "RepositoryMissing")
    /// Restore points cannot be read, so nothing is removed from their repository.
    package static let pointsDamaged = Reason(rawValue: "PointsDamaged")
    /// Another repository is where one of another id was.
    package static let repositoryReplaced = Reason(rawValue: "RepositoryReplaced")
    /// A repository lacks points that it had: somebody put an older copy in its place.
    package static let rolledBack = Reason(rawValue: "RolledBack")
    package static let noRestorePoint = Reason(rawValue: "NoRestorePoint")
    /// Restore points of several volumes have the name that is asked for.
    package static let seriesUnclear = Reason(rawValue: "SeriesUnclear")
    /// A new, blank volume would take the name of one whose backups are there.
    package static let backupExists = Reason(rawValue: "BackupExists")
    /// A volume is declared smaller than the restore point that it is to hold.
    package static let tooSmall = Reason(rawValue: "TooSmall")
    /// Nothing gives a backup a single moment: somebody writes to the volume, and its pool takes no snapshots.
    package static let noPointInTime = Reason(rawValue: "NoPointInTime")
    /// A job that runs has the same object, or one of its keys.
    package static let jobRunning = Reason(rawValue: "JobRunning")
    /// Bringing exports back: the volume is not in use here, and nothing is made in its place.
    package static let volumeMissing = Reason(rawValue: "VolumeMissing")
}

/// One field that differs. Values are texts for people; secrets read `(sensitive)`.
package struct FieldDifference: Hashable, Codable, Sendable {
    package var field: String
    package var from: String?
    package var to: String?

    package init(_ field: String, from: String?, to: String?) {
        self.field = field
        self.from = from
        self.to = to
    }
}

/// One resource in the plan, and one line of its text.
package struct PlannedChange: Hashable, Codable, Sendable {
    package var resource: ResourceID
    package var action: Action
    /// The action and the reason for it, one line: `create 20 GiB thin in pool fast (vg0/tp0)`.
    package var summary: String
    package var differences: [FieldDifference]
    package var risk: Risk?
    /// Why it is blocked, unsupported or an orphan.
    package var reason: Reason?
    package var location: SourceLocation?
    /// Uid of the volume concerned, where there is one.
    package var uid: UID?
    /// Things worth a line of their own that change nothing: fields this version does not carry out.
    package var notes: [String]
    /// Progress of the job that it waits for. It goes on by itself, and is no part of what is planned.
    package var progress: WorkProgress?

    package init(
        _ resource: ResourceID, action: Action, summary: String, differences: [FieldDifference] = [],
        risk: Risk? = nil, reason: Reason? = nil, location: SourceLocation? = nil, uid: UID? = nil, notes: [String] = []
    ) {
        self.resource = resource
        self.action = action
        self.summary = summary
        self.differences = differences
        self.risk = risk
        self.reason = reason
        self.location = location
        self.uid = uid
        self.notes = notes
    }
}

extension PlannedChange {
    /// True if it counts for the guard. What a policy took of a volume that is removed does not, since the volume
    /// counts itself; what a policy that is gone or does not select the volume any more has left, does.
    package var isGuarded: Bool { action.removes && reason != .volumeNotDeclared }
}

/// A step with its place in the graph.
package struct PlannedStep: Hashable, Codable, Sendable {
    /// Index in `Plan.steps`; a step only ever waits for smaller ids, so the order of ids is a valid order.
    package var id: Int
    /// Index in `Plan.changes` of the change it belongs to.
    package var change: Int
    package var step: Step
    package var keys: [ExclusiveKey]
    /// Steps that must have succeeded.
    package var after: [Int]
    /// Steps that must have ended, however: they want something in turn and need nothing of each other.
    package var behind: [Int]

    package init(id: Int, change: Int, step: Step, keys: [ExclusiveKey], after: [Int], behind: [Int] = []) {
        self.id = id
        self.change = change
        self.step = step
        self.keys = keys
        self.after = after
        self.behind = behind
    }
}

/// Why a whole plan is refused, and what a person can do about it.
package struct Refusal: Hashable, Codable, Sendable {
    package var reason: Reason
    package var sentence: String
    package var help: String

    package init(_ reason: Reason, _ sentence: String, help: String) {
        self.reason = reason
        self.sentence = sentence
        self.help = help
    }
}

package struct PlanCounts: Hashable, Codable, Sendable {
    package var add = 0
    package var change = 0
    package var remove = 0
    package var blocked = 0
    package var unsupported = 0
    package var orphaned = 0
    /// Work that schedules want and that waits for consent; no change.
    package var due = 0
    package var unchanged = 0

    package init() {}
}

/// The steps to carry out, in an order that is safe to stop at any point. A value: showing it, hashing it and carrying
/// it out are for others.
package struct Plan: Hashable, Codable, Sendable {
    package var context: PlanContext
    /// Sorted by resource.
    package var changes: [PlannedChange]
    package var steps: [PlannedStep]
    /// Why none of it may be carried out; nil: it may.
    package var refusal: Refusal?

    package init(context: PlanContext, changes: [PlannedChange], steps: [PlannedStep], refusal: Refusal? = nil) {
        self.context = context
        self.changes = changes
        self.steps = steps
        self.refusal = refusal
    }

    /// The plan without what goes on by itself meanwhile: two that are the same in this do the same.
    package var settled: Plan {
        guard changes.contains(where: { $0.progress != nil }) else { return self }
        var plan = self
        for index in plan.changes.indices { plan.changes[index].progress = nil }
        return plan
    }

    /// True if carrying the plan out would change nothing.
    package var isEmpty: Bool { steps.isEmpty }

    package var counts: PlanCounts {
        var counts = PlanCounts()
        for change in changes {
            switch change.action {
            case .create, .untrash, .adopt: counts.add += 1
            case .update: counts.change += 1
            case .withdraw, .takeDown, .release, .trash, .purge: counts.remove += 1
            case .due: counts.due += 1
            case .orphan: counts.orphaned += 1
            case .blocked: counts.blocked += 1
            case .unsupported: counts.unsupported += 1
            case .unchanged: counts.unchanged += 1
            }
        }
        return counts
    }
}
