package import TuffModel
package import TuffPlanning

/// Small, complete worlds for tests: one node, one thin pool, and what a test adds to them.
package enum Sample {
    package static let iqnBase = "iqn.2026-01.dev.tuff"
    package static let initiator = "iqn.2004-10.com.example:web1"
    package static let uid = UID("aaaabbbbccccdddd")!

    package static let config = ControllerConfig(
        node: "storage1", portals: [Portal(address: "192.0.2.10")], iqnBase: iqnBase,
        allow: Reach(everythingBeneath: ["/etc/tuff", "/srv"]))

    package static func context(
        _ seed: String = "00112233445566778899aabbccddeeff", _ consent: (inout Consent) -> Void = { _ in }
    ) -> PlanContext {
        var given = Consent()
        consent(&given)
        return PlanContext(now: Instant(secondsSince1970: 1_795_339_800), seed: seed, config: config, consent: given)
    }

    /// A declared resource whose fields all stand in `main.yaml`.
    package static func declared<Spec>(
        _ name: String, _ spec: Spec, labels: [String: String] = [:], fields: FieldPlaces = [:]
    ) -> Declared<Spec> {
        Declared(
            metadata: Metadata(name: name, labels: labels), spec: spec,
            location: SourceLocation(file: "main.yaml", line: 3, column: 9), fields: fields)
    }

    package static func gibi(_ count: Int64) -> ByteCount { ByteCount(count * ByteCount.gibi) }

    /// Pool `fast` in vg0/tp0 with the named volumes of 10 GiB, and an attachment `NAME-on-web1` for each of
    /// `attached`.
    package static func desired(volumes: [String] = ["db"], attached: [String] = []) -> DesiredState {
        var state = DesiredState()
        var pool = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp0")))
        pool.overprovision = 4
        state.pools["fast"] = declared("fast", pool)
        for name in volumes {
            state.volumes[name] = declared(name, VolumeSpec(size: gibi(10), placement: .pool("fast")))
        }
        for name in attached {
            state.attachments["\(name)-on-web1"] = declared(
                "\(name)-on-web1", AttachmentSpec(volume: name, initiator: initiator))
        }
        return state
    }

    /// vg0 of 100 GiB with thin pool tp0 of 90 GiB, and `volumes` in it.
    package static func group(_ volumes: [LogicalVolume] = []) -> VolumeGroup {
        let pool = LogicalVolume(
            name: "tp0", uuid: "pool-uuid", size: gibi(90), layout: .thinPool, active: true, dataPercent: 1.5,
            metadataPercent: 2.5, metadataSize: ByteCount(128 << 20), chunkSize: ByteCount(64 << 10))
        return VolumeGroup(
            name: "vg0", uuid: "vg-uuid", size: gibi(100), free: gibi(10), logicalVolumes: [pool] + volumes)
    }

    package static func marks(_ name: String = "db", uid: UID = Sample.uid, stack: String = "default") -> Marks {
        Marks(uid: uid, role: .volume(name), stack: stack, iqn: "\(iqnBase):\(name)")
    }

    package static func volume(
        _ name: String = "db", size: ByteCount = gibi(10), uid: UID = Sample.uid, active: Bool = false,
        stack: String = "default", _ change: (inout Marks) -> Void = { _ in }
    ) -> LogicalVolume {
        var marks = marks(name, uid: uid, stack: stack)
        change(&marks)
        return LogicalVolume(
            name: marks.until == nil ? "v-\(name)" : "t-\(uid)", uuid: "uuid-\(name)", size: size, tags: marks.tags,
            layout: .thin, active: active, open: false, pool: "tp0")
    }

    /// A uid for each number.
    package static func uid(_ number: UInt8) -> UID { UID(bytes: Array(repeating: number, count: UID.byteCount)) }

    package static func observed(
        _ volumes: [LogicalVolume] = [], targets: TargetInventory = TargetInventory()
    ) -> ObservedState {
        ObservedState(
            takenAt: context().now, volumeGroups: ObservationMap(["vg0": .known(group(volumes))]),
            targets: .known(targets))
    }

    /// Volume `db` exported to `initiator` just as an attachment without CHAP wants it.
    package static func export(_ change: (inout ObservedTarget, inout ObservedBackstore) -> Void = { _, _ in })
        -> TargetInventory
    {
        var backstore = ObservedBackstore(
            name: uid.backstoreName, place: "iblock_7", path: "/dev/vg0/v-db", enabled: true,
            identity: DiskIdentity(serial: uid.serial), discard: true)
        var target = ObservedTarget(
            iqn: "\(iqnBase):db", enabled: true,
            settings: [
                .authentication: false, .generateNodeACLs: false, .cacheDynamicACLs: false,
                .demoModeWriteProtect: true, .demoModeDiscovery: false,
            ], portals: [Portal(address: "192.0.2.10")], luns: [ObservedLUN(number: 0, backstore: uid.backstoreName)],
            acls: [
                ObservedACL(
                    initiator: initiator, mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: false)],
                    mark: AccessMark(attachment: "db-on-web1", onRemove: .waitForLogout))
            ])
        change(&target, &backstore)
        return TargetInventory(backstores: [backstore], targets: [target])
    }
}
