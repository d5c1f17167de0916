import TuffHost
import TuffModel
import TuffPlanning

/// Damage that somebody with a shell does to an export of LIO.
struct LIOEdits {
    let contract: ExportContract

    init(_ contract: ExportContract) { self.contract = contract }

    private var group: String { "iscsi/\(contract.iqn)/tpgt_1" }
    private var lun: String { "\(group)/lun/lun_0" }
    private var acl: String { "\(group)/acls/\(contract.initiator)" }
    private var mapped: String { "\(acl)/lun_0" }

    func write(_ path: String, _ value: String) -> HostAction {
        .writeAttribute(.target(path), value, verify: false)
    }

    func backstore(_ spec: BackstoreSpec) -> String {
        let number = spec.uid.bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
        return "core/\(spec.location.isBlockDevice ? "iblock" : "fileio")_\(number)/\(spec.name)"
    }

    private func map(_ target: TargetRef) -> ExportStep {
        .mapLUN(target, initiator: contract.initiator, number: 0, lun: 0, readOnly: false)
    }

    var all: [ContractEdit] { settings + access + luns + ports }

    private var settings: [ContractEdit] {
        let flips = TargetSetting.allCases.map { setting in
            let wanted = setting == .demoModeWriteProtect
            return ContractEdit(
                "setting \(setting.rawValue)",
                damage: [write("\(group)/attrib/\(setting.rawValue)", wanted ? "0" : "1")],
                change: {
                    $0.target?.settings[setting] = !wanted
                    // The kernel sets this one along with the other, and does not take it back with it.
                    if setting == .generateNodeACLs { $0.target?.settings[.cacheDynamicACLs] = true }
                },
                repair: { target, _ in
                    [.set(target, setting, wanted)]
                        + (setting == .generateNodeACLs ? [.set(target, .cacheDynamicACLs, false)] : [])
                })
        }
        let portal = contract.portal
        let extra = Portal(address: portal.address, port: portal.port + 1)
        // The kernel makes an object of whatever name, and listens on the address.
        let spelled = Portal(objectName: "[::FFFF:\(portal.address)]:\(portal.port + 2)")!
        return flips + [
            ContractEdit(
                "disabled", damage: [write("\(group)/enable", "0")], change: { $0.target?.enabled = false },
                repair: { target, _ in [.enable(target)] }),
            ContractEdit(
                "portal removed", damage: [.removeDirectory(.target("\(group)/np/\(portal)"))],
                change: { $0.target?.portals = [] },
                repair: { target, _ in [.addPortal(target, portal)] }),
            ContractEdit(
                "portal added", damage: [.makeDirectory(.target("\(group)/np/\(extra)"))],
                change: { $0.target?.portals.append(extra) }, repair: { target, _ in [.removePortal(target, extra)] }),
            ContractEdit(
                "portal under another spelling", damage: [.makeDirectory(.target("\(group)/np/\(spelled.objectName)"))],
                change: { $0.target?.portals.append(spelled) },
                repair: { target, _ in [.removePortal(target, spelled)] }),
            ContractEdit(
                "no way to log in", damage: [write("\(group)/param/AuthMethod", "None\n")],
                change: { $0.target?.loginMethods = "None" },
                repair: { target, _ in [.resetLoginMethods(target, demanding: false)] }),
            ContractEdit(
                "portal group added", damage: [.makeDirectory(.target("iscsi/\(contract.iqn)/tpgt_2"))],
                undo: [.removeDirectory(.target("iscsi/\(contract.iqn)/tpgt_2"))],
                change: { $0.target?.extraPortalGroups = ["tpgt_2"] }, repair: { _, _ in [] }),
        ]
    }

    private var access: [ContractEdit] {
        let longest = AccessMark(attachment: String(repeating: "n", count: 63), onRemove: .disconnect)
        let initiator = contract.initiator
        let mapping: [HostAction] = [.unlink(.target("\(mapped)/*")), .removeDirectory(.target(mapped))]
        return [
            ContractEdit(
                "write protection", damage: [write("\(mapped)/write_protect", "1")],
                change: { $0.target?.acls[0].mappedLUNs[0].readOnly = true },
                repair: { target, _ in [.setReadOnly(target, initiator: initiator, number: 0, readOnly: false)] }),
            ContractEdit(
                "mapping's link removed", damage: [.unlink(.target("\(mapped)/*"))],
                change: { $0.target?.acls[0].mappedLUNs[0].lun = nil }, repair: { target, _ in [map(target)] }),
            ContractEdit(
                "mapping's link under another name",
                damage: [.unlink(.target("\(mapped)/*")), .link(.target("\(mapped)/f00d"), to: .target(lun))],
                change: { _ in },
                repair: { target, _ in
                    [.unmapLUN(target, initiator: initiator, number: 0), map(target)]
                }),
            ContractEdit(
                "mapping removed", damage: mapping, change: { $0.target?.acls[0].mappedLUNs = [] },
                repair: { target, _ in [map(target)] }),
            ContractEdit(
                "ACL removed", damage: mapping + [.removeDirectory(.target(acl))], change: { $0.target?.acls = [] },
                repair: { [mark = contract.mark] target, _ in
                    [
                        .createACL(target, initiator: initiator), .markACL(target, initiator: initiator, mark),
                        map(target),
                    ]
                }),
            ContractEdit(
                "mark removed", damage: [write("\(acl)/tag", "NULL")], change: { $0.target?.acls[0].mark = nil },
                repair: { [mark = contract.mark] target, _ in [.markACL(target, initiator: initiator, mark)] }),
            ContractEdit(
                "somebody else's tag", damage: [write("\(acl)/tag", "webservers")],
                change: { $0.target?.acls[0].mark = nil },
                repair: { [mark = contract.mark] target, _ in [.markACL(target, initiator: initiator, mark)] }),
            ContractEdit(
                "mark of the longest name that disconnects", damage: [write("\(acl)/tag", longest.text)],
                change: { [longest] in $0.target?.acls[0].mark = longest },
                repair: { [mark = contract.mark] target, _ in [.markACL(target, initiator: initiator, mark)] }),
            ContractEdit(
                "another ACL", damage: [.makeDirectory(.target("\(group)/acls/\(contract.stranger)"))],
                change: { [stranger = contract.stranger] in
                    $0.target?.acls.insert(ObservedACL(initiator: stranger), at: 0)
                },
                repair: { [stranger = contract.stranger] target, _ in
                    [.removeACL(target, initiator: stranger, mapped: [], disconnecting: false)]
                }),
            ContractEdit(
                "ACL waives CHAP", damage: [write("\(acl)/attrib/authentication", "0")],
                change: { $0.target?.acls[0].chap.followsTarget = false },
                repair: { target, _ in [.setCHAP(target, initiator: initiator, nil)] }),
        ]
    }

    private var luns: [ContractEdit] {
        let spec = contract.spec
        let mapping: [HostAction] = [.unlink(.target("\(mapped)/*")), .removeDirectory(.target(mapped))]
        let removal: [HostAction] = [.unlink(.target("\(lun)/*")), .removeDirectory(.target(lun))]
        return [
            ContractEdit(
                "LUN's link removed", damage: [.unlink(.target("\(lun)/*"))],
                change: {
                    $0.target?.luns[0].backstore = nil
                    $0.target?.acls[0].mappedLUNs[0].lun = nil
                }, repair: { target, _ in [.addLUN(target, number: 0, spec), map(target)] }),
            ContractEdit(
                "LUN removed", damage: mapping + removal,
                change: {
                    $0.target?.luns = []
                    $0.target?.acls[0].mappedLUNs = []
                }, repair: { target, _ in [.addLUN(target, number: 0, spec), map(target)] }),
            ContractEdit(
                "backstore removed", damage: mapping + removal + [.removeDirectory(.target(backstore(spec)))],
                change: {
                    $0.target?.luns = []
                    $0.target?.acls[0].mappedLUNs = []
                    $0.backstore = nil
                },
                repair: { target, _ in
                    [.createBackstore(spec), .addLUN(target, number: 0, spec), map(target)]
                }),
            ContractEdit(
                "discard off", damage: [write("\(backstore(spec))/attrib/emulate_tpu", "0")],
                change: { $0.backstore?.discard = false },
                repair: { _, found in
                    var placed = spec
                    placed.place = found?.place ?? ""
                    return [.repairBackstore(placed, enable: false)]
                }),
            ContractEdit(
                "backstore made and left unfinished",
                damage: mapping + removal + [
                    .removeDirectory(.target(backstore(spec))), .makeDirectory(.target(backstore(spec))),
                ],
                change: {
                    $0.target?.luns = []
                    $0.target?.acls[0].mappedLUNs = []
                    $0.backstore?.path = nil
                    $0.backstore?.device = nil
                    $0.backstore?.enabled = false
                    $0.backstore?.identity = nil
                    $0.backstore?.size = nil
                    $0.backstore?.discard = nil
                },
                repair: { target, found in
                    var placed = spec
                    placed.place = found?.place ?? ""
                    return [
                        .repairBackstore(placed, enable: true), .addLUN(target, number: 0, placed), map(target),
                    ]
                }),
        ]
    }

    /// Edits of an export whose CHAP is user `web1` with the first secret.
    var secrets: [ContractEdit] {
        let initiator = contract.initiator
        let chap = CHAPCredentials(user: "web1", password: contract.secrets.0)
        let again: (TargetRef, ObservedBackstore?) -> [ExportStep] = { target, _ in
            [.setCHAP(target, initiator: initiator, chap)]
        }
        return [
            ContractEdit(
                "other user", damage: [write("\(acl)/auth/userid", "mallory")],
                change: { $0.target?.acls[0].chap.user = "mallory" },
                repair: again),
            ContractEdit(
                "user unset", damage: [write("\(acl)/auth/userid", "NULL")],
                change: { $0.target?.acls[0].chap.user = nil },
                repair: again),
            ContractEdit(
                "password unset", damage: [write("\(acl)/auth/password", "NULL")],
                change: { $0.target?.acls[0].chap.password = nil },
                repair: again),
            ContractEdit(
                "mutual user", damage: [write("\(acl)/auth/userid_mutual", "mallory")],
                change: { $0.target?.acls[0].chap.mutualUser = "mallory" }, repair: again),
            ContractEdit(
                "password readable by others", damage: [.setMode(.target("\(acl)/auth/password"), 0o644)],
                change: { $0.target?.acls[0].chap.exposed = ["password"] },
                repair: { target, _ in [.protectSecrets(target, initiator: initiator)] }),
            ContractEdit(
                "CHAP not demanded", damage: [write("\(group)/attrib/authentication", "0")],
                change: { $0.target?.settings[.authentication] = false },
                repair: { target, _ in [.set(target, .authentication, true)] }),
        ]
    }

    private var foreign: (object: String, group: String) {
        (
            "core/\(contract.other.location.isBlockDevice ? "iblock" : "fileio")_0/theirs",
            "iscsi/\(ContractEdits.foreignIQN)/tpgt_1"
        )
    }

    var makeForeign: [HostAction] {
        let (object, group) = foreign
        let device = contract.other.location
        let control =
            device.isBlockDevice
            ? "udev_path=\(device.path)" : "fd_dev_name=\(device.path),fd_dev_size=\(contract.other.size.bytes)"
        let adapter = object.split(separator: "/").prefix(2).joined(separator: "/")
        let directories = [
            "iscsi", "iscsi/\(ContractEdits.foreignIQN)", group, "\(group)/lun/lun_3",
            "\(group)/acls/\(contract.stranger)",
        ]
        return [adapter, object].map { .makeDirectory(.target($0)) }
            + [write("\(object)/control", control), write("\(object)/enable", "1")]
            + directories.map { .makeDirectory(.target($0)) }
            + [.link(.target("\(group)/lun/lun_3/f00d"), to: .target(object))]
    }

    var removeForeign: [HostAction] {
        let (object, group) = foreign
        return [.unlink(.target("\(group)/lun/lun_3/f00d"))]
            + [
                "\(group)/lun/lun_3", "\(group)/acls/\(contract.stranger)", group, "iscsi/\(ContractEdits.foreignIQN)",
                object,
            ].map { .removeDirectory(.target($0)) }
    }
}
