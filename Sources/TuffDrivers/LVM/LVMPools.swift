import TuffHost
import TuffModel
package import TuffPlanning
package import TuffReconcile

extension LVMDriver {
    /// A batch for each step: they depend on each other.
    package func lower(_ steps: [PoolStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in LoweredBatch(steps: [index], actions: Self.actions(step)) }
    }

    /// Never `--yes` where a device or a group is made: with `-qq` alone every question of LVM's is answered with no, and
    /// where its own libblkid finds a signature it refuses (measured: status 5, and the signature stays).
    private static func actions(_ step: PoolStep) -> [HostAction] {
        switch step {
        case .prepare(let device, _, let uuid):
            // pvcreate(8): a uuid of one's own wants --norestorefile, and one device at a time. The size of the area counts
            // here and not in vgcreate, which leaves physical volumes that exist as they are.
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
        case .complete(let group, let marks):
            return [
                .require(.volumeGroup(group, uuid: nil, tags: marks.tags)),
                .run(pool(["vgchange", "-qq", "--deltag", PoolMarks.begun, "--", group])),
            ]
        }
    }

    /// Everything is said: LVM's own chunk size grows to megabytes with the pool and can never be changed, and its zeroing
    /// of new chunks, its spare and what happens when it is full are settings of the machine.
    ///
    /// What happens when full is said as configuration: `--errorwhenfull` is refused together with the type (measured,
    /// 2.03.16), and a second command would leave a moment in which writes wait for ever.
    private static func create(_ new: NewThinPool) -> [HostAction] {
        let arguments =
            ["lvcreate", "-qq", "--yes", "--type", "thin-pool"]
            + ["--config", "activation/error_when_full=\(new.failsWhenFull ? 1 : 0)"]
            + ["--size", "\(new.size.bytes)b", "--chunksize", "\(new.chunkSize.bytes)b"]
            + ["--poolmetadatasize", "\(new.metadataSize.bytes)b", "--poolmetadataspare", "y"]
            + ["--zero", "y", "--discards", "passdown", "--name", new.name, "--", new.group]
        return [
            .require(.volumeGroup(new.group, uuid: new.groupUUID, tags: new.marks?.tags ?? [])), .run(pool(arguments)),
        ]
    }

    private static func pool(_ arguments: [String]) -> Command {
        Command("lvm", arguments, effect: .mutates, deadline: changeDeadline)
    }
}
