/// Judges worlds before and after, knowing only what people declared and allowed. It shares no code with the planner,
/// the drivers or the marks: it reads tags and sidecars itself (`OracleView`) and keeps its own history.
///
/// The rules are numbered as in docs/reliability/README.md.
package struct Oracle: Sendable {
    package enum Rule: String, CaseIterable, Sendable {
        /// No byte of a volume not planned for removal changed.
        case bytes = "I1"
        /// Nothing without our mark, and nothing of another stack, was touched.
        case foreign = "I2"
        /// Nothing left use, the trash or the machine but by stored policy, consent and deadline.
        case removal = "I3"
        /// The next passes converge or say why not.
        case convergence = "I4"
        /// The pass after that does nothing.
        case idempotence = "I5"
        /// Nothing is left over, and nothing exists twice.
        case leaks = "I6"
        /// No secret byte anywhere it can be seen.
        case secrets = "I7"
        /// A disk keeps its identity, and what was lost or trashed is never made anew under its name.
        case identity = "I8"
        /// No session is cut and no disk is shown unprotected.
        case sessions = "I9"
        /// A plan that was proven to fit has room.
        case room = "I10"
    }

    package struct Violation: Hashable, Sendable, CustomStringConvertible {
        package var rule: Rule
        package var sentence: String

        package init(_ rule: Rule, _ sentence: String) {
            self.rule = rule
            self.sentence = sentence
        }

        package var description: String { "\(rule.rawValue) \(sentence)" }
    }

    /// Everything left on purpose within the guard's window, and what the clock said at most.
    var departures: [(name: String, isVolume: Bool, at: Int64)] = []
    private(set) var latest: Int64 = 0
    /// Uid of every volume ever seen complete, by stack and name: `default/db`.
    private(set) var known: [String: String] = [:]
    private var everSeen: Set<String> = []
    /// Serial numbers that initiators have seen, by uid.
    private var shown: [String: String] = [:]
    /// The contents of each image during this pass, and the digest of each.
    private var stamps: [String: [UInt64: String]] = [:]
    /// Uids that people ordered or policy allowed to go.
    private(set) var gone: Set<String> = []
    /// The last name of everything that was ever seen, by uid.
    private(set) var labels: [String: String] = [:]

    /// Everything that each object was ever seen to hold, by uid.
    var contents: [String: Set<UInt64>] = [:]

    package init() {}

    /// Repositories that the product saw, by their places, and the points that were ever made for named Backups.
    var repositories: [String: String] = [:]
    var backups: [String: Set<String>] = [:]
    /// Restores that were carried out: name and uid of the volume.
    var restored: Set<[String]> = []
    /// Data that had no marks of ours after people were at work.
    private(set) var unmarkedByPeople: Set<String> = []
    /// Uids that were there before people were at work and not after it.
    private(set) var takenByPeople: Set<String> = []
    /// The last volume that was seen in use under each target's name, and when.
    var bearers: [String: (uid: String, label: String, at: Int64)] = [:]
    /// Names of all targets that any volume of ours ever had.
    private(set) var ownTargets: Set<String> = []

    /// Remembers what is there; called after what people did by themselves, so that it is not laid to the product.
    package mutating func see(_ view: OracleView) {
        let present = Set(view.objects.compactMap(\.uid))
        takenByPeople.formUnion(everSeen.subtracting(present).subtracting(gone))
        remember(view, midway: true)
        unmarkedByPeople.formUnion(view.objects.filter { $0.uid == nil }.map(\.key))
    }

    /// - Parameter midway: no pass has ended, so that nothing counts as once seen complete.
    private mutating func remember(_ view: OracleView, midway: Bool) {
        for object in view.objects {
            guard let uid = object.uid else { continue }
            everSeen.insert(uid)
            labels[uid] = object.label
            hold(object)
            if let iqn = object.mark("iqn"), object.stack == "default" { ownTargets.insert(iqn) }
            guard !object.isScratch else { continue }
            if !midway, object.isLive, object.mark("op") != "create", object.content != nil { introduce(object) }
            if !midway, object.isLive, object.mark("op") != "create", object.content != nil {
                known["\(object.stack)/\(object.label)"] = uid
            }
        }
    }

    /// A person gave up what was lost (`tuff forget`).
    package mutating func forget(_ name: String, stack: String = "default") { known["\(stack)/\(name)"] = nil }

    /// The ledger's file is gone: what is lost before the next pass, nobody can know any more.
    package mutating func forgetAll() {
        known = [:]
        repositories = [:]
        backups = [:]
        bearers = [:]
        departures = []
        latest = 0
    }

    /// Judges one pass of the product, or a part of one between two acts of other people.
    package mutating func judge(
        before: OracleView, after: OracleView, intent: Intent, midway: Bool = false
    ) -> [Violation] {
        var found: [Violation] = []
        let clockIsBehind = intent.now + 300 < latest
        var leaving: Set<String> = []
        for old in before.objects {
            guard old.uid != nil else {
                found += foreign(old, before: before, after: after, intent: intent)
                continue
            }
            guard old.stack == intent.stack, intent.homes.contains(old.home) else {
                if after.object(old.key) != old {
                    found.append(Violation(.foreign, "\(old.place) of another stack, or in no pool of this node"))
                }
                continue
            }
            if old.isCache, successor(of: old, in: after) == nil {
                found += old.isScratch ? scratchGone(old, before: before) : old.isBase ? [] : temporaryGone(old)
                gone.insert(old.uid!)
                continue
            }
            let isExpired = isExpired(old, after: after, intent: intent) && !clockIsBehind
            guard let new = successor(of: old, in: after) else {
                found += isExpired ? [] : vanished(old, intent: intent, clockIsBehind: clockIsBehind)
                found += awaited(old, before: before, after: after, intent: intent)
                if !old.isTrashed, !isExpired, !isUncounted(old, in: before, intent: intent) {
                    leaving.insert(old.label)
                }
                gone.insert(old.uid!)
                continue
            }
            guard !old.isBase else {
                found += base(new, since: old, intent: intent)
                continue
            }
            guard !old.isScratch else {
                // One that somebody marked is left as it is.
                let isSound = old.isPureScratch ? new.isPureScratch : new == old
                found += isSound ? [] : [Violation(.foreign, "\(new.place) was a scratch volume")]
                continue
            }
            found += changed(
                old, to: new, intent: intent, clockIsBehind: clockIsBehind, isExpired: isExpired,
                isPolicys: [.named, .volumeLost].contains(care(old, in: before, intent: intent)))
            found += rolledBack(old, to: new, before: before, after: after, intent: intent)
            if old.isLive, !new.isLive, !isExpired, !isUncounted(old, in: before, intent: intent) {
                leaving.insert(old.label)
            }
            if old.isLive, !new.isLive { found += awaited(old, before: before, after: after, intent: intent) }
            if old.isLive, !new.isLive || new.label != old.label { known["\(old.stack)/\(old.label)"] = nil }
        }
        for view in [before, after] { hold(view) }
        for new in after.objects where new.uid != nil && predecessor(of: new, in: before) == nil {
            guard !new.isBase else {
                found += base(new, since: nil, intent: intent)
                continue
            }
            guard !new.isScratch else {
                found += scratch(new, intent: intent)
                continue
            }
            found +=
                new.isTemporary
                ? taken(new, after: after, intent: intent) : created(new, before: before, after: after, intent: intent)
        }
        for new in after.objects where new.stack == intent.stack {
            found += copied(new, predecessor(of: new, in: before))
        }
        for new in after.objects where new.showsEarlierData && new.uid != nil && new.stack == intent.stack {
            // A person may have grown it.
            let old = before.object(new.key)
            let isTheirs = old?.showsEarlierData == true && old?.isHidden == false
            if !new.isHidden, !isTheirs, !intent.unwiped.contains(new.home) {
                found.append(Violation(.bytes, "\(new.place) shows what earlier volumes left"))
            }
        }
        for (path, image) in Array(before.world.images) + Array(after.world.images) {
            stamps[path, default: [:]][image.stamp] = image.sha256
        }
        for new in after.objects where new.stack == intent.stack {
            found += filled(new, from: predecessor(of: new, in: before), intent: intent)
        }
        if !midway { stamps = [:] }
        found += twins(before: before, after: after, intent: intent)
        found += exports(before: before, after: after, intent: intent)
        found += devices(before: before, after: after, intent: intent)
        found += scratchesShown(after) + drilled(before: before, after: after, intent: intent)
        var withdrawn: Set<String> = []
        for old in before.access where old.isMarked {
            if !after.access.contains(where: { $0.iqn == old.iqn && $0.initiator == old.initiator }),
                intent.attachments[old.attachment]?.initiator != old.initiator
            {
                // Exchanging one initiator for another is no removal.
                if intent.attachments[old.attachment] == nil { withdrawn.insert(old.attachment) }
            }
        }
        found += guarded(leaving: leaving, withdrawn: withdrawn, before: before, intent: intent)
        latest = max(latest, intent.now)
        for (uid, serial) in serials(after).sorted(by: { $0.key < $1.key }) {
            if let earlier = shown[uid], earlier != serial {
                found.append(Violation(.identity, "the disk of \(uid) was \(earlier) and now is \(serial)"))
            }
            shown[uid] = serial
        }
        remember(after, midway: midway)
        return found
    }

    // MARK: Data

    /// A volume that is made from an image is shown when it holds all of the image, as that was during the pass, and
    /// not before.
    private func filled(_ new: OracleObject, from old: OracleObject?, intent: Intent) -> [Violation] {
        guard old.map(\.isIncomplete) ?? !everSeen.contains(new.uid ?? ""), !new.isIncomplete, new.mark("from") == nil,
            let declared = intent.volumes[new.label]?.image
        else { return [] }
        if let image = new.image, let digest = stamps[declared.path]?[image], digest == declared.digest ?? digest {
            return []
        }
        return [Violation(.bytes, "\(new.place) is shown and does not hold \(declared.path)")]
    }

    private func successor(of old: OracleObject, in view: OracleView) -> OracleObject? {
        if old.content == nil { return view.objects.first { $0.uid == old.uid } }
        return view.object(old.key) ?? (old.isHidden ? view.objects.first { $0.uid == old.uid } : nil)
    }

    private func predecessor(of new: OracleObject, in view: OracleView) -> OracleObject? {
        if let same = view.object(new.key) { return same }
        return view.objects.first { $0.uid == new.uid && ($0.content == nil || new.content == nil || $0.isHidden) }
    }

    /// A pool is activated with the volumes in it; nothing else of others may change. A file is known by its name
    /// alone: one that somebody puts where a sidecar waits for its file is not touched by that; a sidecar made
    /// afterwards claims it.
    private func foreign(
        _ old: OracleObject, before: OracleView, after: OracleView, intent: Intent
    ) -> [Violation] {
        guard var new = after.object(old.key) else {
            return old.grownVolume == nil ? [Violation(.foreign, "\(old.place) is gone")] : []
        }
        if new.home.hasPrefix("/") {
            if let uid = new.uid, !before.objects.contains(where: { $0.uid == uid }) {
                return [Violation(.foreign, "\(old.place) is somebody's and is claimed by \(uid)")]
            }
            new.tags = old.tags
        }
        // Adopted on somebody's order: marks are all that may be added.
        if let identity = intent.adopted[old.key], new.stack == intent.stack {
            guard new.identity == identity else {
                return [Violation(.identity, "\(old.place) was adopted as \(new.identity), and not as \(identity)")]
            }
            new.tags = new.foreignTags
        }
        if case .thinPool? = before.world.lvm[old.home, old.name]?.kind { new.active = old.active }
        if old.grownVolume != nil { new.takeUse(of: old) }
        return new == old ? [] : [Violation(.foreign, "\(old.place) is now \(new)")]
    }

    private func vanished(_ old: OracleObject, intent: Intent, clockIsBehind: Bool) -> [Violation] {
        let what = "\(old.place) (\(old.label), uid \(old.uid ?? "")) is gone"
        if old.isProtected { return [Violation(.removal, "\(what) and was protected")] }
        if intent.ordered.contains(old.uid!), old.isTrashed { return [] }
        guard intent.prune, !clockIsBehind else { return [Violation(.removal, "\(what) without consent")] }
        if let deadline = old.deadline {
            // Put in the trash and destroyed by one plan, somebody else having acted in between.
            let isAtOnce = old.isKeptForNoTime && intent.destroy && deadline == intent.now
            guard deadline < intent.now || isAtOnce else { return [Violation(.removal, "\(what) before its time")] }
            return []
        }
        guard old.isKeptForNoTime, intent.destroy, intent.volumes[old.label] == nil, old.isLive else {
            return [Violation(.removal, "\(what) and was not in the trash")]
        }
        return []
    }

    private func changed(
        _ old: OracleObject, to new: OracleObject, intent: Intent, clockIsBehind: Bool, isExpired: Bool,
        isPolicys: Bool
    ) -> [Violation] {
        var found: [Violation] = []
        func say(_ rule: Rule, _ sentence: String) {
            found.append(Violation(rule, "\(old.place) (\(old.label)): \(sentence)"))
        }
        // Nobody was shown what is not wiped yet.
        let isBlank = old.isHidden || isRestore(old, new)
        if new.content != old.content, old.content != nil, new.content != nil, !isBlank { say(.bytes, "other bytes") }
        if old.content != nil, new.content == nil, !mayVanish(old, intent) { say(.bytes, "only its marks are left") }
        if new.size < old.size, new.content != nil { say(.bytes, "it shrank") }
        if let much = outgrown(old, to: new, intent: intent) { say(.convergence, much) }
        guard new.uid == old.uid else {
            // Let go on somebody's order, an adopted one is what it was before.
            if old.mark("adopted") != nil, intent.ordered.contains(old.uid!), new.uid == nil {
                var expected = old
                expected.tags = old.foreignTags
                if new != expected { say(.removal, "let go it is \(new)") }
                return found
            }
            // A purge that was cut short leaves nothing of ours.
            say(.removal, "its marks are gone")
            return found
        }
        if old.mark("adopted") != nil, new.name != old.name { say(.identity, "adopted, and renamed to \(new.name)") }
        if new.identity != old.identity { say(.identity, "\(old.identity) became \(new.identity)") }
        if new.stack != old.stack { say(.foreign, "it went to stack \(new.stack)") }
        let isOrdered = intent.ordered.contains(old.uid!)
        let isDeclared =
            intent.volumes[old.label] != nil || intent.volumes.values.contains { $0.formerName == old.label }
        if old.isProtected, !new.isProtected, !isOrdered {
            let declared = intent.volumes[new.label]
            if declared?.endsProtection != true { say(.removal, "its protection ended by itself") }
        }
        if !old.isTrashed, new.isTrashed, !isExpired {
            if old.isProtected { say(.removal, "protected, and put in the trash") }
            if !intent.prune || isDeclared || isPolicys { say(.removal, "put in the trash without consent") }
            if old.isRetained { say(.removal, "to be retained, and put in the trash") }
            if clockIsBehind { say(.removal, "put in the trash by a clock that is behind") }
        }
        if old.isTrashed, !new.isTrashed, !isOrdered, !isDeclared { say(.removal, "brought back though undeclared") }
        // An order to destroy it makes it due at once.
        if let before = old.deadline, let after = new.deadline, before != after, !isOrdered || after != intent.now {
            say(.removal, "another deadline")
        }
        if old.isLive, new.isReleased, !isOrdered {
            if !intent.prune || isDeclared || !old.isRetained { say(.removal, "let go without consent") }
            if old.isProtected { say(.removal, "protected, and let go") }
        }
        if old.label != new.label, intent.volumes[new.label]?.formerName != old.label {
            say(.identity, "renamed to \(new.label) though nobody said so")
        }
        return found
    }

    private func mayVanish(_ old: OracleObject, _ intent: Intent) -> Bool {
        vanished(old, intent: intent, clockIsBehind: intent.now + 300 < latest).isEmpty
    }

    private func created(
        _ new: OracleObject, before: OracleView, after: OracleView, intent: Intent
    ) -> [Violation] {
        var found: [Violation] = []
        let what = "\(new.place) (\(new.label), uid \(new.uid ?? ""))"
        if everSeen.contains(new.uid!) { found.append(Violation(.identity, "\(what) has a used identity")) }
        let keeps = intent.restores.contains { "before-\($0.name)" == new.label && $0.uid == new.mark("from") }
        let isRun = new.mark("due") != nil
        if isRun { found += run(new, before: before, after: after, intent: intent) }
        guard new.stack == intent.stack, intent.volumes[new.label] != nil || keeps || isRun else {
            return found + [Violation(.foreign, "\(what) was made and nobody declared it")]
        }
        found += misplaced(new, intent)
        if let source = new.mark("from") {
            // One that was not wiped or filled when a part of the pass began became other data since.
            let origins = (before.objects + after.objects).filter { $0.uid == source }
            if origins.first?.isOverflowed == true, !new.isHidden {
                found.append(Violation(.bytes, "\(what) is made from \(source), which overflowed"))
            }
            if !origins.contains(where: { $0.content == new.content }), !new.isHidden {
                found.append(Violation(.bytes, "\(what) is no copy of \(source)"))
            }
        } else if let other = before.objects.first(where: {
            $0.home == new.home && $0.content == new.content && new.content != nil
        }) {
            found.append(Violation(.bytes, "\(what) was made blank and holds what \(other.place) holds"))
        }
        if keeps, new.isTrashed { return found }
        for other in before.objects
        where other.uid != nil && other.stack == new.stack && other.label == new.label && other.uid != new.uid {
            found.append(Violation(.identity, "\(what) was made while \(other.place) has its name"))
        }
        if let lost = known["\(new.stack)/\(new.label)"], lost != new.uid, !gone.contains(lost),
            !intent.recreate.contains(new.label)
        {
            found.append(Violation(.identity, "\(what) was made in the place of \(lost), which is lost"))
        }
        return found
    }
}
