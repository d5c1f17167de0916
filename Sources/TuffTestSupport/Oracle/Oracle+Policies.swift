/// Snapshots that policies take and destroy, by the tag `tuff:due=POLICY/TIME`.
extension Oracle {
    /// True if its policy may destroy it: enough newer ones of the same volume are there, and nobody holds on to it.
    func isExpired(_ old: OracleObject, after: OracleView, intent: Intent) -> Bool {
        guard !old.isProtected, intent.runDue, intent.volumes[old.label] == nil, let run = old.run, !run.isKept,
            let policy = intent.policies[run.policy]
        else { return false }
        // What was begun, by this pass or an earlier one, is finished; what --prune put in the trash is not the
        // policy's to take.
        if let deadline = old.deadline { return old.isKeptForNoTime && deadline <= intent.now }
        guard old.isLive, let keep = policy.keep else { return false }
        let newer = after.objects.filter { other in
            guard let its = other.run else { return false }
            return other.isLive && its.policy == run.policy && its.time > run.time
                && other.mark("from") == old.mark("from")
        }
        return newer.count >= keep
    }

    /// The name of the document of a volume whose marks say `label`: a new name may wait for something, and counts
    /// already.
    private func declaredName(of label: String, _ intent: Intent) -> String? {
        intent.volumes[label] == nil ? intent.volumes.first { $0.value.formerName == label }?.key : label
    }

    enum Care { case named, notNamed, volumeGone, volumeLost }

    /// The interest of a declared policy in a snapshot that it took and no document names; nil: none.
    func care(_ object: OracleObject, in view: OracleView, intent: Intent) -> Care? {
        guard let run = object.run, !run.isKept, let policy = intent.policies[run.policy],
            intent.volumes[object.label] == nil
        else { return nil }
        guard let uid = object.mark("from"), let label = labels[uid] else { return .volumeLost }
        guard let name = declaredName(of: label, intent), !gone.contains(uid) else { return .volumeGone }
        let isSelected = policy.volumes.contains(name)
        // People may have taken the volume after the guard counted what the policy does not name.
        guard view.objects.contains(where: { $0.uid == uid }) else { return isSelected ? .volumeLost : .volumeGone }
        return isSelected ? .named : .notNamed
    }

    /// It may stay though nobody names it: its policy keeps it, or its volume is not to be seen, which may be a loss.
    func mayStay(_ object: OracleObject, in view: OracleView, intent: Intent) -> Bool {
        guard let care = care(object, in: view, intent: intent) else { return false }
        return care == .named || !view.objects.contains { $0.uid == object.mark("from") }
    }

    /// It is no removal to be counted: it is its policy's, or its volume's, which counts itself.
    func isUncounted(_ object: OracleObject, in view: OracleView, intent: Intent) -> Bool {
        object.isCache
            || [.named, .volumeGone, .volumeLost].contains(care(object, in: view, intent: intent))
    }

    /// A snapshot that nobody declared is a policy's, of a volume it names, for a time that has come, and the only one.
    func run(_ new: OracleObject, before: OracleView, after: OracleView, intent: Intent) -> [Violation] {
        let what = "\(new.place) (\(new.mark("due") ?? ""))"
        guard intent.runDue, let run = new.run, let policy = intent.policies[run.policy] else {
            return [Violation(.foreign, "\(what) was taken and no policy asked for it")]
        }
        var found: [Violation] = []
        // One that this pass brings back from the trash is selected again, and a time may have come meanwhile.
        let origin = (before.objects + after.objects).first { object in
            object.uid == new.mark("from") && object.isLive && before.objects.contains { $0.uid == object.uid }
        }
        if origin.flatMap({ declaredName(of: $0.label, intent) }).map(policy.volumes.contains) != true {
            found.append(Violation(.foreign, "\(what) was taken of what its policy does not name"))
        }
        // Midnight of this day: what was missed before is not made up for day by day. It may be late by as much as
        // jitter lets it.
        let midnight = intent.now - (intent.now + policy.offset) % 86400
        let isLate = intent.now - midnight < policy.jitter && OracleObject.seconds(run.time) == midnight - 86400
        if OracleObject.seconds(run.time) != midnight, !isLate {
            found.append(Violation(.foreign, "\(what) was not taken for the newest time that passed"))
        }
        for other in before.objects + after.objects
        where other.uid != new.uid && other.run?.policy == run.policy && other.mark("from") == new.mark("from") {
            if let time = other.run?.time, time >= run.time {
                found.append(Violation(.leaks, "\(what) was taken though \(other.place) is as new"))
            }
        }
        return found
    }

    /// A finished pass has left each volume as many of a policy's snapshots as that keeps, and at least one.
    func policiesSettled(_ mine: [OracleObject], intent: Intent, blocked: Set<String>) -> [Violation] {
        guard intent.runDue else { return [] }
        var found: [Violation] = []
        for (name, policy) in intent.policies.sorted(by: { $0.key < $1.key }) where !blocked.contains(name) {
            for volume in mine where volume.isLive && volume.mark("vol") != nil && policy.volumes.contains(volume.label)
            {
                let taken = mine.filter { $0.run?.policy == name && $0.mark("from") == volume.uid }
                let free = taken.filter {
                    $0.isLive && !$0.isProtected && $0.run?.isKept == false && intent.volumes[$0.label] == nil
                }
                if taken.contains(where: { blocked.contains($0.label) }) || blocked.contains(volume.label) { continue }
                if let keep = policy.keep, free.count > keep {
                    found.append(Violation(.convergence, "\(volume.place) has \(free.count) snapshots of \(name)"))
                }
            }
        }
        return found
    }
}

extension OracleObject {
    /// The run of a policy that took it. Times of this form sort as texts.
    var run: (policy: String, time: String, isKept: Bool)? {
        guard let parts = mark("due")?.split(separator: "/").map(String.init), parts.count >= 2 else { return nil }
        return (parts[0], parts[1], parts.count > 2)
    }
}
