import TuffHost
import TuffModel
package import TuffPlanning
package import TuffReconcile

extension LVMDriver {
    /// Seconds after which a changing command is reported as still running. It is never ended.
    static let changeDeadline = 600
    /// Volumes that one command activates: far below any limit on the length of a command line.
    static let activationWidth = 256

    /// Creations and growths are a batch each, so that one that fails takes no other with it (the machine hands
    /// creations to one process of LVM all the same); activations share a command, since LVM reads and writes the whole
    /// group for each.
    ///
    /// Steps that wait for each other are never ready together, so activations may come last.
    package func lower(_ steps: [VolumeStep]) -> [LoweredBatch] {
        var batches: [LoweredBatch] = []
        var activations: [Activation] = []
        for (index, step) in steps.enumerated() {
            switch step {
            case .create(let backend, let location, let size, let marks):
                let (group, name) = Self.place(location)
                let command = Self.create(backend, name, size, marks)
                batches.append(
                    LoweredBatch(
                        steps: [index], actions: [.makeVolume(command, group: group, uid: marks.uid)]))
            case .copy(let source, let sourceUID, let sourceUUID, let location, let marks):
                let (group, origin) = Self.place(source)
                // What is kept of something that is not rolled back then would be one more snapshot with every attempt.
                let condition: Precondition =
                    marks.safety == nil
                    ? .logicalVolume(group: group, name: origin, uuid: sourceUUID, uid: sourceUID, size: nil)
                    : .restorable(group: group, name: origin, uuid: sourceUUID ?? "", uid: sourceUID)
                batches.append(
                    LoweredBatch(
                        steps: [index],
                        actions: [
                            .require(condition),
                            .run(Self.copy("\(group)/\(origin)", Self.place(location).name, marks)),
                        ]))
            case .snapshotThick(let source, let sourceUID, let sourceUUID, let location, let reserve, let marks):
                let (group, origin) = Self.place(source)
                let arguments =
                    ["lvcreate", "-qq", "--yes", "--snapshot", "--size", Self.size(reserve)]
                    + ["--name", Self.place(location).name, "--activate", "n", "--setactivationskip", "n"]
                    + marks.tags.flatMap { ["--addtag", $0] }
                batches.append(
                    LoweredBatch(
                        steps: [index],
                        actions: [
                            .require(
                                .logicalVolume(group: group, name: origin, uuid: sourceUUID, uid: sourceUID, size: nil)),
                            .run(Self.change(arguments + ["--", "\(group)/\(origin)"])),
                        ]))
            case .extend(let location, let uid, let uuid, let from, let to):
                let (group, name) = Self.place(location)
                batches.append(
                    LoweredBatch(
                        steps: [index],
                        actions: [
                            .require(.logicalVolume(group: group, name: name, uuid: uuid, uid: uid, size: from)),
                            .run(Self.change(["lvextend", "-qq", "--size", Self.size(to), "--", "\(group)/\(name)"])),
                        ]))
            case .takeExtents, .wipeExtents, .joinExtents:
                batches.append(LoweredBatch(steps: [index], actions: Self.growing(step)))
            case .wipe, .begin, .fill, .fillFromImage, .deactivate, .complete, .dropGrowth, .confirmMade,
                .confirmWhole, .dropTemporary:
                batches.append(LoweredBatch(steps: [index], actions: Self.thick(step)))
            case .activate(let location, let uid, let uuid):
                let (group, name) = Self.place(location)
                activations.append(
                    Activation(step: index, group: group, name: "\(group)/\(name)", uid: uid, isNew: uuid == nil))
            case .relabel(let change): batches.append(LoweredBatch(steps: [index], actions: Self.relabel(change)))
            case .adopt(let location, let uuid, let marks):
                batches.append(LoweredBatch(steps: [index], actions: Self.adopt(location, uuid, marks)))
            case .disown(let location, let uuid, let marks):
                batches.append(LoweredBatch(steps: [index], actions: Self.disown(location, uuid, marks)))
            case .purge(let location, let uid, let uuid, let until):
                batches.append(LoweredBatch(steps: [index], actions: Self.purge(location, uid, uuid ?? "", until)))
            }
        }
        return batches + Self.activate(activations)
    }

    private struct Activation {
        var step: Int
        var group: String
        var name: String
        var uid: UID
        /// Made in the same plan, which therefore could not know LVM's uuid.
        var isNew: Bool
    }

    /// `-K` activates volumes that carry the flag "skip activation" too, which snapshots get by default.
    ///
    /// `-S` makes LVM itself look for our uid, under the lock of the group: what has the name and is not ours is passed
    /// over. That takes no command of its own, and no uuid, which a volume made in the same plan does not have yet.
    private static func activate(_ activations: [Activation]) -> [LoweredBatch] {
        var batches: [LoweredBatch] = []
        let groups = Dictionary(grouping: activations, by: \.group).sorted { $0.key < $1.key }
        for (group, members) in groups {
            for start in stride(from: 0, to: members.count, by: activationWidth) {
                let part = members[start..<min(start + activationWidth, members.count)]
                let ours = part.map { "lv_tags={\"tuff:uid=\($0.uid)\"}" }.joined(separator: " || ")
                let command = change(
                    ["lvchange", "-qq", "--activate", "y", "-K", "-S", ours, "--"] + part.map(\.name))
                let new = part.filter(\.isNew).map(\.uid)
                batches.append(
                    LoweredBatch(
                        steps: part.map(\.step),
                        actions: [.activate(command, volumes: part.map(\.name))]
                            + (new.isEmpty ? [] : [.identify(group: group, new)])))
            }
        }
        return batches
    }

    /// One `lvcreate` that sets every tag, so that no moment exists at which the volume lacks its marks: LVM commits
    /// the logical volume, its tags and the message to the thin pool in one write of the group's metadata. A message that a
    /// crash left unsent is sent when the volume is activated (`ThinPoolMessages`). Hence no `tuff:op=` tag is needed.
    ///
    /// A taken name is refused by lvcreate itself. `--wipesignatures n`: a new thin volume reads zeros.
    private static func create(
        _ backend: StorageBackend, _ name: String, _ size: ByteCount, _ marks: Marks
    ) -> Command {
        let kind: [String], home: String
        switch backend {
        case .thinPool(let group, let pool): (kind, home) = (["--thin", "--virtualsize"], "\(group)/\(pool)")
        // Inactive, so neither zeroed nor searched for signatures: `tuff:op=wipe` says that it shows what was there.
        case .thick(let group): (kind, home) = (["--zero", "n", "--type", "linear", "--size"], group)
        // The executor hands files to the other driver.
        case .directory: preconditionFailure("\(name) is to be a file in \(backend)")
        }
        return change(
            ["lvcreate", "-qq", "--yes"] + kind + [
                Self.size(size), "--name", name, "--activate", "n", "--setactivationskip", "n", "--wipesignatures", "n",
            ] + marks.tags.flatMap { ["--addtag", $0] } + ["--", home])
    }

    /// A growth by wiped extents. They are removed without a discard, whatever lvm.conf says: what a device shows of
    /// discarded extents is not promised, and they were wiped to be handed on.
    private static func growing(_ step: VolumeStep) -> [HostAction] {
        let (group, name) = place(step.location)
        func removal(_ uid: UID) -> HostAction {
            let holder = ThickGrowth.holder(of: uid)
            // By selection in the group, so that nothing to remove is no error.
            let selection = "lv_name=\"\(holder)\" && lv_tags={\"\(ThickGrowth.tag)\"}"
            return .run(
                change(
                    ["lvremove", "-qq", "--yes", "--config", "devices/issue_discards=0", "-S", selection, "--", group]))
        }
        switch step {
        case .takeExtents(_, let uid, let uuid, let from, let to):
            let holder = ThickGrowth.holder(of: uid)
            return [
                .require(.logicalVolume(group: group, name: name, uuid: uuid, uid: uid, size: from)),
                removal(uid),
                .run(
                    change(
                        ["lvcreate", "-qq", "--yes", "--type", "linear", "--size", size(to - from), "--name", holder]
                            + ["--activate", "n", "--zero", "n", "--wipesignatures", "n", "--addtag", ThickGrowth.tag]
                            + ["--", group])),
                .run(change(["lvchange", "-qq", "--activate", "y", "--", "\(group)/\(holder)"])),
            ]
        case .wipeExtents(_, let uid, let wipe):
            return wipe.method.map { [.wipeExtents(group: group, uid: uid, $0)] } ?? []
        case .joinExtents(_, let uid, let uuid, let from, let to):
            let still = HostAction.require(.logicalVolume(group: group, name: name, uuid: uuid, uid: uid, size: from))
            // Asked again at the end: removing the holder takes its time, and lvextend(8) takes a name and no selection.
            return [
                still, .require(.wipedExtents(group: group, uid: uid)), removal(uid), still,
                .joinExtents(group: group, name: name, uid: uid, to: to),
            ]
        default: return []
        }
    }

    /// Steps that only thick volumes have.
    private static func thick(_ step: VolumeStep) -> [HostAction] {
        let (group, name) = place(step.location)
        switch step {
        case .wipe(_, let uid, _, let wipe):
            // Identified anew, also where the plan knew the uuid: the device was activated a moment ago.
            let device = DevicePlace(group: group, name: name, uid: uid, uuid: nil)
            return wipe.method.map {
                [
                    .identify(group: group, [uid]),
                    .require(.unfinished(group: group, name: name, uid: uid, operation: Marks.wiping)),
                    .wipe(device, $0),
                ]
            } ?? []
        case .begin(_, let uid, let uuid, let operation, let kept):
            // A command that said it made the snapshot is not believed.
            let keeping = kept.map { kept in
                let (group, name) = place(kept.location)
                return HostAction.require(.logicalVolume(group: group, name: name, uuid: nil, uid: kept.uid, size: nil))
            }
            return (keeping.map { [$0] } ?? []) + [
                .require(.restorable(group: group, name: name, uuid: uuid ?? "", uid: uid)),
                .run(
                    change(
                        ["lvchange", "-qq", "--addtag", "tuff:op=\(operation)"]
                            + ["-S", selection(uuid ?? "", ["tuff:uid=\(uid)"]), "--", "\(group)/\(name)"])),
            ]
        case .fill(_, let uid, let source, let sourceUID, let sourceUUID, let operation):
            let source = ContentSource(source, uid: sourceUID, uuid: sourceUUID)
            return [.identify(group: group, [uid])] + source.conditions + [
                .require(.unfinished(group: group, name: name, uid: uid, operation: operation)),
                .copyBytes(
                    from: source.place, to: .device(DevicePlace(group: group, name: name, uid: uid, uuid: nil))),
            ]
        case .fillFromImage(_, let uid, let image):
            let device = DevicePlace(group: group, name: name, uid: uid, uuid: nil)
            return [
                .identify(group: group, [uid]),
                .require(.unfinished(group: group, name: name, uid: uid, operation: Marks.copying)),
                .copyImage(image, to: .device(device)),
            ]
        case .deactivate(_, let uid):
            let ours = ["-S", "lv_tags={\"tuff:uid=\(uid)\"}", "--", "\(group)/\(name)"]
            return [.run(change(["lvchange", "-qq", "--activate", "n"] + ours))]
        case .complete(_, let uid, let length, let operation):
            let mark = "tuff:op=\(operation)"
            // What somebody made larger meanwhile has an end that was not written.
            let selection = "lv_size=\(length.bytes)b && lv_tags={\"tuff:uid=\(uid)\" && \"\(mark)\"}"
            let unfinished = ["-S", selection, "--", "\(group)/\(name)"]
            let ours = ["-S", "lv_tags={\"tuff:uid=\(uid)\"}", "--", "\(group)/\(name)"]
            let record = Marks.record(ofCompleted: operation).map { ["--addtag", $0] } ?? []
            return [
                // A selection that matches nothing ends well, and what waits for this would go on.
                .require(.logicalVolume(group: group, name: name, uuid: nil, uid: uid, size: length)),
                .require(.unfinished(group: group, name: name, uid: uid, operation: operation)),
                .run(change(["lvchange", "-qq", "--deltag", mark] + record + unfinished)),
                .run(change(["lvchange", "-qq", "--activate", "n"] + ours)),
            ]
        case .dropGrowth:
            return [
                .run(
                    change(["lvremove", "-qq", "--yes", "-S", "lv_tags={\"tuff-growth\"}", "--", "\(group)/\(name)"]))
            ]
        case .confirmMade(_, let uid):
            return [.require(.logicalVolume(group: group, name: name, uuid: nil, uid: uid, size: nil))]
        case .confirmWhole(_, let uid, let uuid):
            return [.require(.wholeSnapshot(group: group, name: name, uuid: uuid, uid: uid))]
        case .dropTemporary(let snapshot):
            // LVM selects once more under the group's lock. What somebody holds open it refuses to remove.
            var terms = ["lv_tags={" + snapshot.tags.map { "\"\($0)\"" }.joined(separator: " && ") + "}"]
            if let uuid = snapshot.uuid { terms.insert("lv_uuid=\"\(uuid)\"", at: 0) }
            return [
                .require(.temporarySnapshot(snapshot)),
                .run(
                    change(
                        ["lvremove", "-qq", "--yes", "-S", terms.joined(separator: " && "), "--", "\(group)/\(name)"])),
            ]
        default: return []
        }
    }

    /// A thin snapshot, which LVM makes of thin volumes when no size is given, in one write of the group's metadata like
    /// `create`. It has none of its origin's tags (measured). What is to be used as a volume is activated when somebody
    /// attaches it, a snapshot never by itself. An active origin is suspended for that moment, so that its content is that
    /// of a machine whose power was cut then.
    private static func copy(_ source: String, _ name: String, _ marks: Marks) -> Command {
        let isSnapshot = if case .snapshot = marks.role { true } else { false }
        return change(
            [
                "lvcreate", "-qq", "--yes", "--snapshot", "--name", name, "--activate", "n",
                "--setactivationskip", isSnapshot ? "y" : "n",
            ] + marks.tags.flatMap { ["--addtag", $0] } + ["--", source])
    }

    /// One write of the group's metadata changes all tags and whether the device comes back by itself at boot
    /// (measured: `vg_seqno` goes up by one), and the name follows. The device goes first, which LVM refuses while
    /// anybody holds it open; that leaves a volume in use that the next pass activates again.
    private static func relabel(_ change: Relabelling) -> [HostAction] {
        let (group, name) = place(change.from), newName = place(change.to).name
        let still = HostAction.require(condition(group, name, change.uuid, change.uid, size: nil))
        let only = ["-S", selection(change.uuid ?? "", ["tuff:uid=\(change.uid)"]), "--", "\(group)/\(name)"]
        var actions = [still]
        if change.goesOutOfService { actions.append(.run(Self.change(["lvchange", "-qq", "--activate", "n"] + only))) }
        var marks = change.addedTags.flatMap { ["--addtag", $0] } + change.removedTags.flatMap { ["--deltag", $0] }
        if change.goesOutOfService { marks += ["--setactivationskip", "y"] }
        if change.comesIntoService { marks += ["--setactivationskip", "n"] }
        if !marks.isEmpty { actions.append(.run(Self.change(["lvchange", "-qq"] + marks + only))) }
        if newName != name {
            // lvrename knows no selection; a taken name it refuses itself.
            if actions.count > 1 { actions.append(still) }
            actions.append(.run(Self.change(["lvrename", "-qq", "--", group, name, newName])))
        }
        return actions
    }

    /// All tags in one write of the group's metadata, and LVM selects the uuid again under its lock.
    private static func adopt(_ location: VolumeLocation, _ uuid: String, _ marks: Marks) -> [HostAction] {
        let (group, name) = place(location)
        return [
            .require(.unmarkedVolume(group: group, name: name, uuid: uuid)),
            .run(
                change(
                    ["lvchange", "-qq"] + marks.tags.flatMap { ["--addtag", $0] }
                        + ["-S", "lv_uuid=\"\(uuid)\"", "--", "\(group)/\(name)"])),
        ]
    }

    private static func disown(_ location: VolumeLocation, _ uuid: String, _ marks: Marks) -> [HostAction] {
        let (group, name) = place(location)
        return [
            .require(condition(group, name, uuid, marks.uid, size: nil)),
            .run(
                change(
                    ["lvchange", "-qq"] + marks.tagsThatEnd.flatMap { ["--deltag", $0] }
                        + ["-S", selection(uuid, ["tuff:uid=\(marks.uid)"]), "--", "\(group)/\(name)"])),
        ]
    }

    /// What is destroyed is selected by LVM itself, under the lock of the group: uuid, uid and deadline. A selection
    /// that matches nothing removes nothing and ends with status 0 (measured), which the next observation tells.
    /// Without `--force`, so a device that somebody holds open is refused.
    private static func purge(
        _ location: VolumeLocation, _ uid: UID, _ uuid: String, _ until: Instant
    ) -> [HostAction] {
        let (group, name) = place(location)
        let expired = selection(uuid, ["tuff:uid=\(uid)", "tuff:until=\(until)"])
        return [
            .require(.expiredVolume(group: group, name: name, uuid: uuid, uid: uid, until: until)),
            .run(change(["lvremove", "-qq", "--yes", "-S", expired, "--", "\(group)/\(name)"])),
        ]
    }

    /// lvmreport(7), SELECTION CRITERIA: the uuid, and every one of these tags among the volume's.
    private static func selection(_ uuid: String, _ tags: [String]) -> String {
        "lv_uuid=\"\(uuid)\" && lv_tags={" + tags.map { "\"\($0)\"" }.joined(separator: " && ") + "}"
    }

    /// An empty uuid matches nothing: a step without one is refused, not carried out on whatever has the name.
    private static func condition(
        _ group: String, _ name: String, _ uuid: String?, _ uid: UID, size: ByteCount?
    ) -> Precondition {
        .logicalVolume(group: group, name: name, uuid: uuid ?? "", uid: uid, size: size)
    }

    private static func change(_ arguments: [String]) -> Command {
        Command("lvm", arguments, effect: .mutates, deadline: changeDeadline)
    }

    /// LVM takes sizes in bytes only in multiples of 512, and rounds up to extents itself.
    private static func size(_ size: ByteCount) -> String { "\(size.roundedUp(to: ByteCount(512)).bytes)b" }

    private static func place(_ location: VolumeLocation) -> (group: String, name: String) {
        guard case .logicalVolume(let group, let name) = location else {
            // The executor hands each step to the driver of its location.
            preconditionFailure("\(location) is no logical volume")
        }
        return (group, name)
    }
}

extension LVMPoolSpec.Wipe {
    /// Nil: what earlier volumes left is shown, as the pool's document says.
    fileprivate var method: WipeMethod? {
        switch self {
        case .zero: .zero
        case .discard: .discard
        case .none: nil
        }
    }
}
