extension Oracle {
    /// Targets, backstores and access: others' stay as they are, sessions live on, secrets guard what they should.
    func exports(before: OracleView, after: OracleView, intent: Intent) -> [Violation] {
        var found: [Violation] = []
        let ours = ownTargets.union((before.objects + after.objects).compactMap { $0.mark("iqn") })
        let foreignTargets = before.targets.filter { iqn in
            !ours.contains(iqn) || handsOutForeign(iqn, before)
        }
        for iqn in foreignTargets.sorted()
        where Self.node(before, "iscsi", iqn) != Self.node(after, "iscsi", iqn) {
            found.append(Violation(.foreign, "target \(iqn) was touched"))
        }
        for backstore in before.backstores.sorted() where !backstore.contains("/tuff-") {
            let path = backstore.split(separator: "/").map(String.init)
            if Self.node(before, "core", path[0], path[1]) != Self.node(after, "core", path[0], path[1]) {
                found.append(Violation(.foreign, "backstore \(backstore) was touched"))
            }
        }
        for old in before.access where !old.isMarked && !foreignTargets.contains(old.iqn) {
            let isDeclared = intent.attachments.values.contains { $0.initiator == old.initiator }
            let path = ["iscsi", old.iqn, "tpgt_1", "acls", old.initiator]
            if !isDeclared, before.world.targets.node(at: path) != after.world.targets.node(at: path) {
                found.append(Violation(.foreign, "the access of \(old.initiator) to \(old.iqn) was touched"))
            }
        }
        for session in before.world.targets.sessions where !after.world.targets.sessions.contains(session) {
            let access = before.access.first { $0.iqn == session.iqn && $0.initiator == session.initiator }
            // Whose mapping is gone already has no disk to lose: it logged in while its access was taken away.
            if access?.isMapped == false { continue }
            if access?.mayBeCut == true || access.map({ intent.forced.contains($0.attachment) }) == true { continue }
            found.append(Violation(.sessions, "the session of \(session.initiator) with \(session.iqn) was cut"))
        }
        found += trashedWhileShown(before, after) + crowded(before: before, after: after, intent: intent)
        found += besideOthers(before: before, after: after)
        return found + exposure(after, intent).subtracting(exposure(before, intent))
    }

    /// A device that somebody else's target has is not ours to hand out: not even half of an export is begun.
    private func besideOthers(before: OracleView, after: OracleView) -> [Violation] {
        func device(_ backstore: String, _ view: OracleView) -> String? {
            let path = backstore.split(separator: "/").map(String.init)
            let control = Self.node(view, "core", path[0], path[1])?.children["control"]?.text
            return control?.split(separator: ",").first { $0.hasPrefix("udev_path=") }.map(String.init)
        }
        let theirs = Set(before.backstores.filter { !$0.contains("/tuff-") }.compactMap { device($0, before) })
        return after.backstores.subtracting(before.backstores).sorted().compactMap { backstore in
            guard backstore.contains("/tuff-"), let path = device(backstore, after), theirs.contains(path) else {
                return nil
            }
            return Violation(.foreign, "\(backstore) was begun for \(path), which somebody else's backstore has")
        }
    }

    /// A volume that initiators may use is taken out of its target before it goes to the trash, also where nothing else
    /// would refuse: a file has no count of its users.
    private func trashedWhileShown(_ before: OracleView, _ after: OracleView) -> [Violation] {
        before.objects.filter(\.isLive).compactMap { old in
            guard let iqn = old.mark("iqn"), let new = after.objects.first(where: { $0.uid == old.uid }), new.isTrashed,
                let shown = after.access.first(where: { $0.iqn == iqn && $0.isMapped && before.access.contains($0) })
            else { return nil }
            return Violation(.sessions, "\(old.place) went to the trash while \(shown.initiator) may use it")
        }
    }

    /// A disk is shown to more initiators, or written to by more, than its documents let it, and than before.
    private func crowded(before: OracleView, after: OracleView, intent: Intent) -> [Violation] {
        func users(_ view: OracleView, _ iqn: String, writing: Bool = false) -> Int {
            view.access.count { $0.iqn == iqn && $0.isMapped && $0.isMarked && ($0.writes || !writing) }
        }
        return after.objects.flatMap { object -> [Violation] in
            guard object.stack == intent.stack, let iqn = object.mark("iqn") else { return [] }
            // A new name may wait for something while its document counts already.
            let heir = intent.volumes.values.first { $0.formerName == object.label }
            let limit = (intent.volumes[object.label] ?? heir)?.limit ?? Intent.Limit()
            var found: [Violation] = []
            let number = users(after, iqn), writers = users(after, iqn, writing: true)
            if number > limit.initiators, number > users(before, iqn) {
                found.append(
                    Violation(
                        .sessions,
                        "\(number) initiators may use \(iqn) at once, and its documents let \(limit.initiators)"))
            }
            if writers > limit.writers, writers > users(before, iqn, writing: true) {
                found.append(
                    Violation(
                        .sessions,
                        "\(writers) initiators may write to \(iqn) at once, and its documents let \(limit.writers)"))
            }
            return found
        }
    }

    /// Nobody writes who is to read: read-only is what the attachment says when a pass calls itself finished.
    func modes(_ view: OracleView, intent: Intent, mine: [OracleObject], blocked: Set<String>) -> [Violation] {
        intent.attachments.sorted { $0.key < $1.key }.compactMap { name, attachment in
            guard !blocked.contains(name), !blocked.contains(attachment.volume),
                let iqn = mine.first(where: { $0.isLive && $0.label == attachment.volume })?.mark("iqn"),
                let access = view.access.first(where: { $0.iqn == iqn && $0.initiator == attachment.initiator }),
                access.isMapped, access.writes == attachment.isReadOnly
            else { return nil }
            let what = access.writes ? "may write, and is to read" : "only reads, and is to write"
            return Violation(.convergence, "\(attachment.initiator) at \(iqn) \(what)")
        }
    }

    private func handsOutForeign(_ iqn: String, _ view: OracleView) -> Bool {
        let luns = Self.node(view, "iscsi", iqn, "tpgt_1", "lun")?.children.values.flatMap { $0.children.values } ?? []
        return luns.contains { $0.link.map { $0.last?.hasPrefix("tuff-") == false } ?? false }
    }

    private static func node(_ view: OracleView, _ path: String...) -> FakeTargetTree.Node? {
        view.world.targets.node(at: path)
    }

    /// Disks that an initiator could use without the secret its attachment asks for.
    private func exposure(_ view: OracleView, _ intent: Intent) -> Set<Violation> {
        var found: Set<Violation> = []
        for access in view.access where access.isMapped && view.enabled.contains(access.iqn) {
            guard
                let declared = intent.attachments.values.first(where: { attachment in
                    attachment.initiator == access.initiator
                        && view.objects.contains { $0.mark("iqn") == access.iqn && $0.label == attachment.volume }
                }), declared.demandsCHAP
            else { continue }
            if !view.demandsCHAP.contains(access.iqn) || !access.hasUser {
                found.insert(
                    Violation(.sessions, "\(access.initiator) may use \(access.iqn) without its secret"))
            }
        }
        return found
    }

    /// Judges a world that a pass called finished: everything declared is there, and nothing else of ours.
    /// - Parameter blocked: names of volumes and attachments that the pass said it could not bring about.
    package func settled(_ view: OracleView, _ intent: Intent, blocked: Set<String>) -> [Violation] {
        var found: [Violation] = []
        func say(_ sentence: String, _ rule: Rule = .leaks) { found.append(Violation(rule, sentence)) }
        let mine = view.objects.filter { $0.uid != nil && $0.stack == intent.stack }
        found += policiesSettled(mine, intent: intent, blocked: blocked) + temporariesSettled(mine, blocked)
        found += scratchesSettled(view, mine: mine)
        found += growthsSettled(view, mine: mine, blocked: blocked)
        var count: [String: Int] = [:]
        for object in mine where !blocked.contains(object.label) && !object.isCache {
            if object.isLive {
                count[object.label, default: 0] += 1
                if intent.volumes[object.label] == nil, intent.prune, !mayStay(object, in: view, intent: intent) {
                    say("\(object.place) is undeclared")
                }
                // A name that a person gave is kept; one of ours must be the right one.
                let prefix = object.run == nil ? (object.mark("snap") == nil ? "v-" : "s-") : "p-"
                let name = prefix + object.label
                if Self.isOurs(object.name), object.name != name { say("\(object.place) should be named \(name)") }
            } else if object.isTrashed {
                // What was adopted keeps the name it came with.
                if object.mark("adopted") == nil, object.name != "t-\(object.uid!)" {
                    say("\(object.place) is in the trash under another name")
                }
                if object.active, !object.isThickSnapshot { say("\(object.place) is in the trash and active") }
                if object.home == "vg0", !object.skipsActivation, !object.isThickSnapshot {
                    say("\(object.place) comes back at boot")
                }
            }
            if let operation = object.mark("op"), !object.isHidden || object.isLive {
                say("\(object.place) is still marked \(operation)")
            }
            // What was to be kept of a volume that the pass does not touch waits for it.
            let origin = object.mark("from").flatMap { labels[$0] }
            if object.content == nil, object.isLive || origin.map(blocked.contains) != true {
                say("\(object.place) has marks and no data")
            }
        }
        for (name, number) in count where number > 1 { say("\(name) exists \(number) times", .identity) }
        for name in intent.volumes.keys.sorted() where count[name] == nil && !blocked.contains(name) {
            say("\(name) is declared and not there", .convergence)
        }
        for object in view.objects
        where object.uid == nil && !unmarkedByPeople.contains(object.key) && Self.isOurs(object.name) {
            say("\(object.place) lost its marks")
        }
        return found + settledExports(view, intent: intent, mine: mine, blocked: blocked)
    }

    /// True if it is a name that only the product gives.
    private static func isOurs(_ name: String) -> Bool {
        ["v-", "s-", "p-", "t-", "c-"].contains { name.hasPrefix($0) }
    }

    private func settledExports(
        _ view: OracleView, intent: Intent, mine: [OracleObject], blocked: Set<String>
    ) -> [Violation] {
        var found: [Violation] = []
        func say(_ sentence: String, _ rule: Rule = .leaks) { found.append(Violation(rule, sentence)) }
        for (name, attachment) in intent.attachments.sorted(by: { $0.key < $1.key })
        where !blocked.contains(name) && !blocked.contains(attachment.volume) {
            guard let volume = mine.first(where: { $0.isLive && $0.label == attachment.volume }),
                let iqn = volume.mark("iqn")
            else { continue }
            let access = view.access.first { $0.iqn == iqn && $0.initiator == attachment.initiator }
            if access?.isMapped != true || !view.enabled.contains(iqn) || !view.listening.contains(iqn) {
                say("\(name) is declared and \(attachment.initiator) cannot use \(iqn)", .convergence)
            } else if access?.isMarked != true || !name.hasPrefix(access?.attachment ?? "-") {
                say("\(name) has access marked '\(access?.tag ?? "")'")
            }
        }
        found += modes(view, intent: intent, mine: mine, blocked: blocked)
        guard intent.prune else { return found }
        for access in view.access where access.isMarked && !blocked.contains(access.attachment) {
            guard let volume = mine.first(where: { $0.mark("iqn") == access.iqn }), !blocked.contains(volume.label)
            else { continue }
            let isWanted = intent.attachments.values.contains {
                $0.volume == volume.label && $0.initiator == access.initiator
            }
            if !isWanted { say("\(access.initiator) may use \(access.iqn), and nobody declares it") }
        }
        for volume in mine where !blocked.contains(volume.label) {
            let wanted = volume.isLive && intent.attachments.values.contains { $0.volume == volume.label }
            guard !wanted, let uid = volume.uid else { continue }
            let strangers = view.access.contains { $0.iqn == volume.mark("iqn") && !$0.isMarked }
            if strangers { continue }
            if let iqn = volume.mark("iqn"), view.targets.contains(iqn), !handsOutForeign(iqn, view) {
                say("target \(iqn) of \(volume.label) is left")
            }
            if view.backstores.contains(where: { $0.hasSuffix("/tuff-\(uid)") }) {
                say("the backstore of \(volume.label) is left")
            }
        }
        // Nobody can tell whose the export of a volume is whose marks a person took away.
        let uids = takenByPeople.union(view.objects.compactMap(\.uid))
        for backstore in view.backstores {
            let name = backstore.split(separator: "/")[1]
            if name.hasPrefix("tuff-"), !uids.contains(String(name.dropFirst(5))) { say("\(backstore) is nobody's") }
        }
        return found
    }
}

extension Oracle {
    /// The unit serial numbers that initiators see, by the uid of the volume behind them.
    func serials(_ view: OracleView) -> [String: String] {
        var found: [String: String] = [:]
        for volume in view.objects {
            guard let uid = volume.uid, let iqn = volume.mark("iqn"), view.enabled.contains(iqn) else { continue }
            let number = volume.mark("lun").flatMap { Int($0) } ?? 0
            for access in view.access where access.iqn == iqn && access.isMapped {
                if let serial = view.world.targets.serial(initiator: access.initiator, of: iqn, number: number) {
                    found[uid] = serial
                }
            }
        }
        return found
    }
}
