package import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// The kernel's iSCSI target, through configfs and nothing else (Documentation/target/ in the kernel's sources; rules
/// beyond it were measured on Linux 6.1 and are noted where they matter).
///
/// Where things are, below `/sys/kernel/config/target`:
///
///     core/iblock_N/tuff-<uid>                    a block device as backstore (fileio_N: a file); N is of the uid
///     iscsi/<iqn>/tpgt_1/lun/lun_0/backstore      a link to it
///     iscsi/<iqn>/tpgt_1/acls/<initiator>/lun_0/lun    a link to that LUN: what this initiator sees
///     iscsi/<iqn>/tpgt_1/np/192.0.2.10:3260       where it listens
package struct LIODriver: ExportDriver {
    package init() {}

    /// Exactly the files whose content is compared, and the names of everything else. Details of backstores are read
    /// for ours only: other people's cost a directory entry.
    package static let queries =
        [TreeQuery("core/*", .presence), TreeQuery("iscsi/*", .presence)]
        + backstoreQueries(adapter: "*") + targetQueries("*")

    static func backstoreQueries(adapter: String) -> [TreeQuery] {
        let object = "core/\(adapter)/tuff-*"
        let texts =
            [
                "enable", "info", "udev_path", "wwn/vpd_unit_serial", "wwn/vendor_id",
                "wwn/product_id", "attrib/emulate_tpu",
            ] + BackstoreSetting.allCases.map { "attrib/\($0.rawValue)" }
        return [TreeQuery("core/\(adapter)/*", .presence)] + texts.map { TreeQuery("\(object)/\($0)", .text) }
    }

    static func targetQueries(_ iqn: String, group name: String = LIOPath.ownGroup) -> [TreeQuery] {
        let group = "iscsi/\(iqn)/\(name)"
        let initiator = "\(group)/acls/*"
        let present = [
            "iscsi/\(iqn)/tpgt_*", "\(group)/np/*", "\(group)/lun/lun_*",
            "\(group)/lun/lun_*/*",
            initiator, "\(initiator)/lun_*", "\(initiator)/lun_*/*",
        ]
        let texts =
            [
                "\(group)/enable", "\(group)/dynamic_sessions", "\(group)/\(LIOPath.loginMethods)",
                "\(group)/lun/lun_*/alua_tg_pt_gp", "\(initiator)/info", "\(initiator)/tag",
                "\(initiator)/attrib/authentication", "\(initiator)/auth/userid", "\(initiator)/auth/userid_mutual",
                "\(initiator)/lun_*/write_protect",
            ] + TargetSetting.allCases.map { "\(group)/attrib/\($0.rawValue)" }
        let secrets = LIOPath.secretFiles.map { "\(initiator)/auth/\($0)" }
        return present.map { TreeQuery($0, .presence) } + texts.map { TreeQuery($0, .text) }
            + secrets.flatMap { [TreeQuery($0, .fingerprint), TreeQuery($0, .status)] }
    }

    package func observe(_ machine: any Machine, key: FingerprintKey) async -> Observation<TargetInventory> {
        do {
            let entries = try await machine.readTree(.targetConfiguration, Self.queries, key: key)
            return .known(try LIODecoder.inventory(entries))
        } catch  where error.code == .timeout {
            return await LIOPieces(machine: machine, key: key).observe()
        } catch  where error.code == .notFound {
            return .unknown(
                HostError(
                    .notFound, "the kernel's iSCSI target is not loaded: modprobe iscsi_target_mod",
                    subject: "/sys/kernel/config/target"))
        } catch {
            return .unknown(error)
        }
    }

    package func lower(_ steps: [ExportStep]) -> [LoweredBatch] {
        let made = Set(
            steps.compactMap { step in
                if case .createTarget(let target) = step { target.iqn } else { nil }
            })
        var prepared = made
        return steps.enumerated().map { index, step in
            var actions = LIOLowering.actions(step)
            // A target that somebody left without its portal group gets one before its first setting is written.
            if case .set(let target, _, _) = step, prepared.insert(target.iqn).inserted {
                actions.insert(.makeDirectory(.target(LIOPath.group(target.iqn))), at: 0)
            }
            return LoweredBatch(steps: [index], actions: actions)
        }
    }
}

/// Names in the tree.
package enum LIOPath {
    /// Attributes of an ACL's `auth` that hold a secret.
    package static let secretFiles = ["password", "password_mutual"]
    /// All of `auth` that is ours to write; made 0600 together, names and secrets.
    package static let credentialFiles = ["userid", "password", "userid_mutual", "password_mutual"]

    /// Below a portal group.
    package static let loginMethods = "param/AuthMethod"

    /// The portal group that Tuff makes and no other.
    package static let ownGroup = "tpgt_1"

    package static func group(_ iqn: String) -> String { "iscsi/\(iqn)/\(ownGroup)" }
    package static func lun(_ iqn: String, _ number: Int) -> String { "\(group(iqn))/lun/lun_\(number)" }
    package static func acl(_ iqn: String, _ initiator: String) -> String { "\(group(iqn))/acls/\(initiator)" }
    package static func mapped(_ iqn: String, initiator: String, number: Int) -> String {
        "\(acl(iqn, initiator))/lun_\(number)"
    }

    /// The directory beneath `core` where the driver makes a backstore: LIO wants a number per adapter, and one that
    /// comes from the uid needs no counter that two runs could disagree about. 31 bits; two volumes that share one
    /// simply share the directory.
    package static func adapter(_ uid: UID, isBlockDevice: Bool) -> String {
        let number = uid.bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
        return "\(isBlockDevice ? "iblock" : "fileio")_\(number)"
    }

    package static func backstore(_ spec: BackstoreSpec) -> String {
        "core/\(place(spec))/\(spec.name)"
    }

    static func place(_ spec: BackstoreSpec) -> String {
        spec.place.isEmpty ? adapter(spec.uid, isBlockDevice: spec.location.isBlockDevice) : spec.place
    }
}
