import TuffHost
import TuffModel
package import TuffPlanning
package import TuffReconcile

extension LVMDriver {
    /// Volumes that one command activates: far below any limit on the length of a command line.
    static let activationWidth = 256

    /// A step is a batch of its own, but activations share a command, since LVM reads and writes the whole group for
    /// each. Steps that wait for each other are never ready together, so activations may come last.
    package func lower(_ steps: [LVMStep]) -> [LoweredBatch] {
        var batches: [LoweredBatch] = []
        var activations: [Activation] = []
        for (index, step) in steps.enumerated() {
            let actions: [HostAction]
            switch step {
            case .snapshotThick(let source, let location, let reserve, let marks):
                actions = Self.snapshotThick(of: source, at: location, reserve: reserve, marks: marks)
            case .takeExtents(let volume, let from, let to):
                actions = Self.takeExtents(volume, from: from, to: to)
            case .wipeExtents(let holder, let wipe):
                let holder = Self.holder(of: holder.uid, in: holder.location.home)
                actions = wipe.method.map { [.wipeExtents(holder: holder, $0)] } ?? []
            case .joinExtents(let volume, let from, let to):
                actions = Self.joinExtents(volume, from: from, to: to)
            case .wipe(let volume, let wipe): actions = wipe.method.map { Self.wipe(volume, $0) } ?? []
            case .begin(let volume, let operation, let kept):
                actions = Self.begin(volume, operation: operation, keptIn: kept)
            case .confirmWhole(let volume): actions = [Self.confirmWhole(volume)]
            case .dropTemporary(let snapshot): actions = Self.drop(snapshot)
            case .activate(let volume):
                activations.append(Activation(step: index, volume: volume))
                continue
            case .deactivate(let volume): actions = [Self.deactivation(volume)]
            case .complete(let volume, let size, let operation):
                actions = Self.complete(volume, size: size, operation: operation)
            case .makeBase(let base, let volume): actions = Self.makeBase(base, of: volume)
            case .dropBase(let base, let volume): actions = Self.dropBase(base, volume)
            case .dropGrowth(let location): actions = [Self.dropGrowth(location)]
            case .adopt(let location, let uuid, let marks): actions = Self.adopt(location, uuid: uuid, marks: marks)
            case .disown(let location, let uuid, let marks): actions = Self.disown(location, uuid: uuid, marks: marks)
            }
            batches.append(LoweredBatch(steps: [index], actions: actions))
        }
        return batches + Self.activate(activations)
    }

    private struct Activation {
        var step: Int
        var volume: VolumeRef

        var group: String { volume.location.home }
        var name: String { "\(group)/\(volume.location.objectName)" }
    }

    /// `-K` activates volumes that carry the flag "skip activation" too, which snapshots get by default.
    ///
    /// `-S` makes LVM itself look for our uid, under the lock of the group: what has the name and is not ours is passed
    /// over. That takes no command of its own, and no uuid, which a volume made in the same plan does not have yet.
    private static func activate(_ activations: [Activation]) -> [LoweredBatch] {
        var batches: [LoweredBatch] = []
        let groups = Dictionary(grouping: activations, by: \.group).inKeyOrder
        for (group, members) in groups {
            for start in stride(from: 0, to: members.count, by: activationWidth) {
                let part = members[start..<min(start + activationWidth, members.count)]
                let ours = part.map { "lv_tags={\"tuff:uid=\($0.volume.uid)\"}" }.joined(separator: " || ")
                let command = change(
                    ["lvchange", "-qq", "--activate", "y", "-K", "-S", ours, "--"] + part.map(\.name))
                let new = part.filter { $0.volume.uuid == nil }.map(\.volume.uid)
                batches.append(
                    LoweredBatch(
                        steps: part.map(\.step),
                        actions: [.activate(command, volumes: part.map(\.name))]
                            + (new.isEmpty ? [] : [LogicalVolumeNames.identification(of: new, in: group)])))
            }
        }
        return batches
    }

    private static func snapshotThick(
        of source: VolumeRef, at location: VolumeLocation, reserve: ByteCount, marks: Marks
    ) -> [HostAction] {
        let (group, origin) = place(source.location)
        let arguments =
            ["lvcreate", "-qq", "--yes", "--snapshot", "--size", size(reserve), "--name", location.objectName]
            + ["--activate", "n", "--setactivationskip", "n"] + marks.tags.flatMap { ["--addtag", $0] }
        return [still(source), .run(change(arguments + ["--", "\(group)/\(origin)"]))]
    }

    // MARK: Growth by wiped extents

    private static func takeExtents(_ volume: VolumeRef, from: ByteCount, to: ByteCount) -> [HostAction] {
        let group = volume.location.home, holder = ThickGrowth.holder(of: volume.uid)
        return [
            still(volume, size: from),
            removal(ofExtentsFor: volume),
            .run(
                change(
                    ["lvcreate", "-qq", "--yes", "--type", "linear", "--size", size(to - from), "--name", holder]
                        + ["--activate", "n", "--zero", "n", "--wipesignatures", "n", "--addtag", ThickGrowth.tag]
                        + ["--", group])),
            .run(change(["lvchange", "-qq", "--activate", "y", "--", "\(group)/\(holder)"])),
        ]
    }

    private static func joinExtents(_ volume: VolumeRef, from: ByteCount, to: ByteCount) -> [HostAction] {
        let (group, name) = place(volume.location), still = still(volume, size: from)
        // Asked again at the end: removing the holder takes its time, and lvextend(8) takes a name and no selection.
        // The extents follow when the machine runs it.
        let joining = change(["lvextend", "-qq", "--size", "\(to.bytes)b", "--", "\(group)/\(name)"])
        return [
            still, .require(.wipedExtents(holder: holder(of: volume.uid, in: group))),
            removal(ofExtentsFor: volume), still,
            .joinExtents(joining, group: group, name: name, uid: volume.uid, to: to),
        ]
    }

    private static func holder(of uid: UID, in group: String) -> DevicePlace {
        DevicePlace(group: group, name: ThickGrowth.holder(of: uid), uid: uid, uuid: nil)
    }

    /// They are removed without a discard, whatever lvm.conf says: what a device shows of discarded extents is not
    /// promised, and they were wiped to be handed on. By selection in the group, so that nothing to remove is no error.
    private static func removal(ofExtentsFor volume: VolumeRef) -> HostAction {
        let selection = "lv_name=\"\(ThickGrowth.holder(of: volume.uid))\" && lv_tags={\"\(ThickGrowth.tag)\"}"
        return .run(
            change(
                ["lvremove", "-qq", "--yes", "--config", "devices/issue_discards=0", "-S", selection, "--"]
                    + [volume.location.home]))
    }

    private static func dropGrowth(_ location: VolumeLocation) -> HostAction {
        let (group, name) = place(location)
        return .run(
            change(["lvremove", "-qq", "--yes", "-S", "lv_tags={\"tuff-growth\"}", "--", "\(group)/\(name)"]))
    }

    // MARK: Work on a volume

    /// The condition finds the device anew, also where the plan knew the uuid: it was activated a moment ago.
    private static func wipe(_ volume: VolumeRef, _ method: WipeMethod) -> [HostAction] {
        let (group, name) = place(volume.location)
        return [
            .require(.unfinished(group: group, name: name, uid: volume.uid, operation: Marks.wiping)),
            .wipe(DevicePlace(group: group, name: name, uid: volume.uid, uuid: nil), method),
        ]
    }

    private static func begin(_ volume: VolumeRef, operation: String, keptIn kept: VolumeRef?) -> [HostAction] {
        let (group, name) = place(volume.location), uuid = volume.uuid ?? ""
        // A command that said it made the snapshot is not believed.
        return (kept.map { [still($0)] } ?? []) + [
            .require(.restorable(group: group, name: name, uuid: uuid, uid: volume.uid)),
            .run(
                change(
                    ["lvchange", "-qq", "--addtag", "tuff:op=\(operation)"]
                        + ["-S", selection(uuid, ["tuff:uid=\(volume.uid)"]), "--", "\(group)/\(name)"])),
        ]
    }

    private static func confirmWhole(_ volume: VolumeRef) -> HostAction {
        let (group, name) = place(volume.location)
        return .require(.wholeSnapshot(group: group, name: name, uuid: volume.uuid, uid: volume.uid))
    }

    private static func complete(_ volume: VolumeRef, size: ByteCount, operation: String) -> [HostAction] {
        let (group, name) = place(volume.location)
        let mark = "tuff:op=\(operation)"
        // What somebody made larger meanwhile has an end that was not written.
        let selection = "lv_size=\(size.bytes)b && lv_tags={\"tuff:uid=\(volume.uid)\" && \"\(mark)\"}"
        let record = Marks.record(ofCompleted: operation).map { ["--addtag", $0] } ?? []
        return [
            // A selection that matches nothing ends well, and what waits for this would go on.
            .require(.logicalVolume(group: group, name: name, uuid: nil, uid: volume.uid, size: size)),
            .require(.unfinished(group: group, name: name, uid: volume.uid, operation: operation)),
            .run(
                change(
                    ["lvchange", "-qq", "--deltag", mark] + record + ["-S", selection, "--", "\(group)/\(name)"])),
            deactivation(volume),
        ]
    }

    private static func deactivation(_ volume: VolumeRef) -> HostAction {
        let (group, name) = place(volume.location)
        let ours = ["-S", "lv_tags={\"tuff:uid=\(volume.uid)\"}", "--", "\(group)/\(name)"]
        return .run(change(["lvchange", "-qq", "--activate", "n"] + ours))
    }

    /// LVM selects once more under the group's lock. What somebody holds open it refuses to remove.
    private static func drop(_ snapshot: TemporarySnapshot) -> [HostAction] {
        var terms = ["lv_tags={" + snapshot.tags.map { "\"\($0)\"" }.joined(separator: " && ") + "}"]
        if let uuid = snapshot.uuid { terms.insert("lv_uuid=\"\(uuid)\"", at: 0) }
        return [
            .require(.temporarySnapshot(snapshot)),
            .run(
                change(
                    ["lvremove", "-qq", "--yes", "-S", terms.joined(separator: " && "), "--"]
                        + ["\(snapshot.group)/\(snapshot.name)"])),
        ]
    }

    // MARK: Marks on what was there before

    /// All tags in one write of the group's metadata, and LVM selects the uuid again under its lock.
    private static func adopt(_ location: VolumeLocation, uuid: String, marks: Marks) -> [HostAction] {
        let (group, name) = place(location)
        return [
            .require(.unmarkedVolume(group: group, name: name, uuid: uuid)),
            .run(
                change(
                    ["lvchange", "-qq"] + marks.tags.flatMap { ["--addtag", $0] }
                        + ["-S", "lv_uuid=\"\(uuid)\"", "--", "\(group)/\(name)"])),
        ]
    }

    private static func disown(_ location: VolumeLocation, uuid: String, marks: Marks) -> [HostAction] {
        let (group, name) = place(location)
        return [
            still(VolumeRef(location, uid: marks.uid, uuid: uuid)),
            .run(
                change(
                    ["lvchange", "-qq"] + marks.tagsThatEnd.flatMap { ["--deltag", $0] }
                        + ["-S", selection(uuid, ["tuff:uid=\(marks.uid)"]), "--", "\(group)/\(name)"])),
        ]
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
