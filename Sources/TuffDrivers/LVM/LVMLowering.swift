import TuffHost
import TuffModel
package import TuffPlanning
package import TuffReconcile

extension LVMDriver {
    /// Seconds after which a changing command is reported as still running. It is never ended.
    static let changeDeadline = 600

    /// Each is a batch of its own, so that one that fails takes no other with it; the machine hands creations to one
    /// process of LVM all the same.
    package func lower(_ steps: [VolumeStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in LoweredBatch(steps: [index], actions: Self.actions(step)) }
    }

    package func reading(_ volume: VolumeRef) -> ContentReading { ContentSource(volume).reading }

    private static func actions(_ step: VolumeStep) -> [HostAction] {
        let (group, name) = place(step.location)
        switch step {
        case .create(let backend, _, let size, let marks):
            return [.makeVolume(create(backend, name: name, size: size, marks: marks), group: group, uid: marks.uid)]
        case .copy(let source, _, let marks):
            let origin = source.location.objectName
            // What is kept of something that is not rolled back then would be one more snapshot with every attempt.
            let condition: Precondition =
                marks.safety == nil
                ? .logicalVolume(group: group, name: origin, uuid: source.uuid, uid: source.uid, size: nil)
                : .restorable(group: group, name: origin, uuid: source.uuid ?? "", uid: source.uid)
            return [.require(condition), .run(copy("\(group)/\(origin)", name: name, marks: marks))]
        case .extend(let volume, let from, let to):
            return [
                still(volume, size: from),
                .run(change(["lvextend", "-qq", "--size", size(to), "--", "\(group)/\(name)"])),
            ]
        case .fill(let volume, let source, let operation):
            let source = ContentSource(source)
            let device = DevicePlace(group: group, name: name, uid: volume.uid, uuid: nil)
            return source.conditions + [
                .require(.unfinished(group: group, name: name, uid: volume.uid, operation: operation)),
                .copyBytes(from: source.place, to: .device(device)),
            ]
        case .fillFromImage(let volume, let image):
            let device = DevicePlace(group: group, name: name, uid: volume.uid, uuid: nil)
            return [
                .require(.unfinished(group: group, name: name, uid: volume.uid, operation: Marks.copying)),
                .copyImage(image, to: .device(device)),
            ]
        case .fillFromBackup(let volume, let content, let operation):
            let device = DevicePlace(group: group, name: name, uid: volume.uid, uuid: nil)
            return [
                .require(.unfinished(group: group, name: name, uid: volume.uid, operation: operation)),
                .restore(content, to: .device(device)),
            ]
        case .drill(let volume, let task):
            let device = DevicePlace(group: group, name: name, uid: volume.uid, uuid: nil)
            return [
                .require(.unfinished(group: group, name: name, uid: volume.uid, operation: Marks.drilling)),
                .drill(task, on: .device(device)),
            ]
        case .dropScratch(let volume, let marks, _): return drop(volume, marks)
        case .confirmMade(let volume): return [still(volume)]
        case .relabel(let change): return relabel(change)
        case .purge(let volume, let until): return purge(volume, until)
        }
    }

    /// One `lvcreate` that sets every tag, so that no moment exists at which the volume lacks its marks: LVM commits
    /// the logical volume, its tags and the message to the thin pool in one write of the group's metadata. A message
    /// that a crash left unsent is sent when the volume is activated (`ThinPoolMessages`). Hence no `tuff:op=` tag is
    /// needed.
    ///
    /// A taken name is refused by lvcreate itself. `--wipesignatures n`: a new thin volume reads zeros.
    private static func create(
        _ backend: StorageBackend, name: String, size: ByteCount, marks: Marks
    ) -> Command {
        let kind: [String], home: String
        switch backend {
        case .thinPool(let group, let pool): (kind, home) = (["--thin", "--virtualsize"], "\(group)/\(pool)")
        // Inactive, so neither zeroed nor searched for signatures: `tuff:op=wipe` says that it shows what was there.
        // Steps on files go to the other driver. The path of a directory is no name of a group, and LVM would say so.
        case .thick(let place), .directory(let place):
            (kind, home) = (["--zero", "n", "--type", "linear", "--size"], place)
        }
        return change(
            ["lvcreate", "-qq", "--yes"] + kind + [
                Self.size(size), "--name", name, "--activate", "n", "--setactivationskip", "n", "--wipesignatures", "n",
            ] + marks.tags.flatMap { ["--addtag", $0] } + ["--", home])
    }

    /// A thin snapshot, which LVM makes of thin volumes when no size is given, in one write of the group's metadata
    /// like `create`. It has none of its origin's tags (measured). What is to be used as a volume is activated when
    /// somebody attaches it, a snapshot never by itself. An active origin is suspended for that moment, so that its
    /// content is that of a machine whose power was cut then.
    private static func copy(_ source: String, name: String, marks: Marks) -> Command {
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
        // An empty uuid matches nothing: a step without one is refused, not carried out on whatever has the name.
        let still = still(VolumeRef(change.from, uid: change.uid, uuid: change.uuid ?? ""))
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

    /// LVM itself selects the volume to destroy, under the lock of the group: uuid, uid and deadline. A selection
    /// that matches nothing removes nothing and ends with status 0 (measured), which the next observation tells.
    /// Without `--force`, so a device that somebody holds open is refused.
    private static func purge(_ volume: VolumeRef, _ until: Instant) -> [HostAction] {
        let (group, name) = place(volume.location)
        // An empty uuid matches nothing.
        let uuid = volume.uuid ?? ""
        let expired = selection(uuid, ["tuff:uid=\(volume.uid)", "tuff:until=\(until)"])
        return [
            .require(.expiredVolume(group: group, name: name, uuid: uuid, uid: volume.uid, until: until)),
            .run(change(["lvremove", "-qq", "--yes", "-S", expired, "--", "\(group)/\(name)"])),
        ]
    }

    /// LVM selects once more under the group's lock, by every mark. What somebody holds open it refuses to remove.
    private static func drop(_ scratch: VolumeRef, _ marks: Marks) -> [HostAction] {
        let (group, name) = place(scratch.location)
        let ours =
            scratch.uuid.map { selection($0, marks.tags) }
            ?? "lv_tags={" + marks.tags.map { "\"\($0)\"" }.joined(separator: " && ") + "}"
        return [
            .require(.scratchVolume(group: group, name: name, uuid: scratch.uuid, tags: marks.tags)),
            .run(change(["lvremove", "-qq", "--yes", "-S", ours, "--", "\(group)/\(name)"])),
        ]
    }

    /// lvmreport(7), SELECTION CRITERIA: the uuid, and every one of these tags among the volume's.
    static func selection(_ uuid: String, _ tags: [String]) -> String {
        "lv_uuid=\"\(uuid)\" && lv_tags={" + tags.map { "\"\($0)\"" }.joined(separator: " && ") + "}"
    }

    /// That a volume is what the plan took it for. One that the same plan made is told by its uid.
    static func still(_ volume: VolumeRef, size: ByteCount? = nil) -> HostAction {
        let (group, name) = place(volume.location)
        return .require(.logicalVolume(group: group, name: name, uuid: volume.uuid, uid: volume.uid, size: size))
    }

    static func change(_ arguments: [String]) -> Command {
        Command("lvm", arguments, effect: .mutates, deadline: changeDeadline)
    }

    /// LVM takes sizes in bytes only in multiples of 512, and rounds up to extents itself.
    static func size(_ size: ByteCount) -> String { "\(size.roundedUp(to: ByteCount(512)).bytes)b" }

    static func place(_ location: VolumeLocation) -> (group: String, name: String) {
        (location.home, location.objectName)
    }
}
