import TuffController
import TuffHost
import TuffModel
import TuffPlanning

@testable import TuffCLI

/// A small host with two volumes on LVM thin, one of them attached, and documents that want more.
enum World {
    static let webUID = UID("abcdefghijklmnop")!
    static let archiveUID = UID("bbbbbbbbbbbbbbbb")!
    static let webTarget = "iqn.2026-01.dev.tuff:web-data"
    static let secret = SecretReference(file: "/etc/tuff/secrets/web1")
    static let mutualSecret = SecretReference(file: "/etc/tuff/secrets/web1-mutual")
    static let print = SecretFingerprint(text: "0123456789abcdef")
    /// Of the target's own secret, which is another.
    static let mutualPrint = SecretFingerprint(text: "fedcba9876543210")

    static func volume(_ name: String, _ uid: UID, gib: Int64) -> LogicalVolume {
        let marks = Marks(
            uid: uid, role: .volume(name), stack: "default", iqn: "iqn.2026-01.dev.tuff:\(name)")
        return LogicalVolume(
            name: "v-\(name)", uuid: "uuid-\(name)", size: ByteCount(gib << 30), tags: marks.tags, active: true,
            open: true, pool: "tp0")
    }

    static func observed(dataPercent: Double = 63) -> ObservedState {
        let pool = LogicalVolume(
            name: "tp0", uuid: "uuid-tp0", size: ByteCount(380 << 30), layout: .thinPool, active: true,
            dataPercent: dataPercent, metadataPercent: 12)
        let group = VolumeGroup(
            name: "vg0", uuid: "uuid-vg0", size: ByteCount(500 << 30), free: ByteCount(100 << 30),
            logicalVolumes: [pool, volume("web-data", webUID, gib: 10), volume("archive", archiveUID, gib: 20)])
        let acl = ObservedACL(
            initiator: Examples.host, mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: false)],
            chap: ObservedCHAP(user: "web1", password: print, mutualUser: "storage1", mutualPassword: mutualPrint),
            sessions: [ObservedSession(state: "LOGGED_IN", addresses: ["192.0.2.21"])],
            mark: AccessMark(attachment: "web-on-web1", onRemove: .waitForLogout))
        var settings: [TargetSetting: Bool] = [:]
        for setting in TargetSetting.allCases {
            settings[setting] = setting == .authentication || setting == .demoModeWriteProtect
        }
        let target = ObservedTarget(
            iqn: webTarget, enabled: true, settings: settings, portals: [Portal(address: "192.0.2.10")],
            luns: [ObservedLUN(number: 0, backstore: webUID.backstoreName)], acls: [acl])
        let backstore = ObservedBackstore(
            name: webUID.backstoreName, place: "iblock_0", path: "/dev/vg0/v-web-data", enabled: true,
            identity: DiskIdentity(serial: webUID.serial), size: ByteCount(10 << 30), discard: true)
        return ObservedState(
            takenAt: Examples.context.now, volumeGroups: ObservationMap(["vg0": .known(group)]),
            targets: .known(TargetInventory(backstores: [backstore], targets: [target])),
            secrets: ObservationMap([secret.file: .known(print), mutualSecret.file: .known(mutualPrint)]))
    }

    static func desired() -> DesiredState {
        var state = DesiredState()
        func metadata(_ name: String, _ labels: [String: String] = [:]) -> Metadata {
            Metadata(name: name, labels: labels)
        }
        var pool = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp0")))
        pool.overprovision = 4
        state.pools["fast"] = Declared(metadata: metadata("fast"), spec: pool, location: Examples.place(1))
        for (name, gib, line) in [("archive", 10, 31), ("db-data", 20, 3), ("web-data", 10, 12)]
            as [(String, Int64, Int)]
        {
            state.volumes[name] = Declared(
                metadata: metadata(name, ["backup": "nightly"]),
                spec: VolumeSpec(size: ByteCount(gib << 30), placement: .pool("fast")), location: Examples.place(line))
        }
        var web = AttachmentSpec(volume: "web-data", initiator: Examples.host)
        web.chap = CHAPSpec(
            initiator: CHAPCredential(user: "web1", password: secret),
            mutual: CHAPCredential(user: "storage1", password: mutualSecret))
        state.attachments["web-on-web1"] = Declared(
            metadata: metadata("web-on-web1"), spec: web, location: Examples.place(27))
        return state
    }

    static func survey(declared: Bool = true, observed: ObservedState = observed()) -> Survey {
        Survey(desired: declared ? desired() : nil, observed: observed, context: Examples.context)
    }

    static func record(_ kind: Kind, _ name: String, in survey: Survey = survey()) -> ResourceRecord {
        survey.records.first { $0.id == ResourceID(kind, name) }!
    }
}
