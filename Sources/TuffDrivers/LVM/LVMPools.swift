import TuffHost
import TuffModel
package import TuffPlanning
package import TuffReconcile

extension LVMDriver {
    /// A batch for each step: they depend on each other.
    package func lower(_ steps: [PoolStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in LoweredBatch(steps: [index], actions: Self.actions(step)) }
    }

    /// Never `--yes` where a device or a group is made: with `-qq` alone every question of LVM's is answered with no,
    /// and where its own libblkid finds a signature it refuses (measured: status 5, and the signature stays).
    private static func actions(_ step: PoolStep) -> [HostAction] {
        switch step {
        case .prepare(let device, _, let uuid):
            // pvcreate(8): a uuid of one's own wants --norestorefile, and one device at a time. The size of the area
            // counts here and not in vgcreate, which leaves physical volumes that exist as they are.
            let size = ["--metadatasize", "\(ThinPoolSizes.metadataArea.bytes)b"]
            return [
                .require(.blankDevice(device)),
                .run(pool(["pvcreate", "-qq", "--uuid", uuid, "--norestorefile"] + size + ["--", device.path])),
            ]
        case .createGroup(let group, let devices, let marks):
            let size = ["--physicalextentsize", "\(ThinPoolSizes.extent.bytes)b"]
            let tags = marks.tags.flatMap { ["--addtag", $0] }
            return devices.map { .require(.physicalVolume(path: $0.path, uuid: $0.uuid)) } + [
                .run(pool(["vgcreate", "-qq"] + size + tags + ["--", group] + devices.map(\.path)))
            ]
        case .createThinPool(let new): return create(new)
        case .setAutoExtend(let group, let name, let uuid, let wanted):
            return setAutoExtend(group, name: name, uuid: uuid, wanted: wanted)
        case .complete(let group, let thinPool, let marks):
            return [
                .require(.thinPool(group: group, name: thinPool)),
                .require(.volumeGroup(group, uuid: nil, tags: marks.tags)),
                .run(pool(["vgchange", "-qq", "--deltag", PoolMarks.begun, "--", group])),
            ]
        }
    }

    /// Everything is said: LVM's own chunk size grows to megabytes with the pool and can never be changed, and its
    /// zeroing of new chunks, its spare and what happens when it is full are settings of the machine.
    ///
    /// The behaviour of a full pool is set by configuration: `--errorwhenfull` is refused together with the type
    /// (measured, 2.03.16), and a second command would leave a moment in which writes wait for ever.
    private static func create(_ new: NewThinPool) -> [HostAction] {
        let arguments =
            ["lvcreate", "-qq", "--yes", "--type", "thin-pool"]
            + ["--config", "activation/error_when_full=\(new.failsWhenFull ? 1 : 0)"]
            + ["--size", "\(new.size.bytes)b", "--chunksize", "\(new.chunkSize.bytes)b"]
            + ["--poolmetadatasize", "\(new.metadataSize.bytes)b", "--poolmetadataspare", "y"]
            + ["--zero", "y", "--discards", "passdown"]
            + (new.autoExtend.map { ["--metadataprofile", $0.profile, "--monitor", "y"] } ?? [])
            + ["--name", new.name, "--", new.group]
        let still = HostAction.require(.volumeGroup(new.group, uuid: new.groupUUID, tags: new.marks?.tags ?? []))
        return (new.autoExtend.map { [profile($0)] } ?? []) + [still, .run(pool(arguments))]
    }

    private static func profile(_ profile: AutoExtend) -> HostAction {
        .replaceFile(HostPath(.lvmProfiles, profile.file), profile.text)
    }

    /// LVM itself looks for the pool's uuid. Two commands, since changing a profile and monitoring are told apart when
    /// one of them fails.
    private static func setAutoExtend(
        _ group: String, name: String, uuid: String, wanted: AutoExtend?
    ) -> [HostAction] {
        let only = ["-S", "lv_uuid=\"\(uuid)\"", "--", "\(group)/\(name)"]
        guard let wanted else { return [.run(pool(["lvchange", "-qq", "--detachprofile"] + only))] }
        return [
            profile(wanted),
            .run(pool(["lvchange", "-qq", "--metadataprofile", wanted.profile] + only)),
            .run(pool(["lvchange", "-qq", "--monitor", "y"] + only)),
        ]
    }

    private static func pool(_ arguments: [String]) -> Command {
        Command("lvm", arguments, effect: .mutates, deadline: changeDeadline)
    }
}
