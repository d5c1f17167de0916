import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning

/// Damage that somebody with `tgtadm` does to an export of tgtd.
struct TgtEdits {
    let contract: ExportContract
    private let port: Int
    private let tid: String

    init(_ contract: ExportContract) {
        self.contract = contract
        port = (contract.driver as? TgtDriver)?.controlPort ?? 0
        // The number that a new target of this name gets.
        tid = String(TgtDriver.tid(of: contract.iqn))
    }

    private func tgtadm(_ arguments: String) -> HostAction {
        .run(
            Command(
                "tgtadm", ["-C", String(port), "--lld", "iscsi"] + arguments.split(separator: " ").map(String.init),
                effect: .mutates))
    }

    private func unit(_ operation: String, _ rest: String = "") -> HostAction {
        tgtadm("--op \(operation) --mode logicalunit --tid \(tid) --lun 1 \(rest)")
    }

    private func map(_ target: TargetRef) -> ExportStep {
        .mapLUN(target, initiator: contract.initiator, number: 0, lun: 0, readOnly: false)
    }

    var all: [ContractEdit] { settings + access + units }

    private var settings: [ContractEdit] {
        [
            ContractEdit(
                "offline", damage: [tgtadm("--op update --mode target --tid \(tid) --name state --value offline")],
                change: { $0.target?.enabled = false }, repair: { target, _ in [.enable(target)] }),
            ContractEdit(
                "account bound",
                damage: [
                    tgtadm("--op new --mode account --user mallory --password not-a-secret"),
                    tgtadm("--op bind --mode account --tid \(tid) --user mallory"),
                ], undo: [tgtadm("--op delete --mode account --user mallory")],
                change: { [tid] in
                    $0.target?.settings[.authentication] = true
                    $0.target?.place = "\(tid) mallory"
                }, repair: { target, _ in [.set(target, .authentication, false)] }),
        ]
    }

    private var access: [ContractEdit] {
        let initiator = contract.initiator
        return [
            ContractEdit(
                "LUN read-only", damage: [unit("update", "--params readonly=1")],
                change: { $0.target?.acls[0].mappedLUNs[0].readOnly = true },
                repair: { target, _ in [.setReadOnly(target, initiator: initiator, number: 0, readOnly: false)] }),
            ContractEdit(
                "rule removed",
                damage: [tgtadm("--op unbind --mode target --tid \(tid) --initiator-name \(initiator)")],
                change: { $0.target?.acls = [] },
                repair: { target, _ in [.createACL(target, initiator: initiator), map(target)] }),
            ContractEdit(
                "everybody let in", damage: [tgtadm("--op bind --mode target --tid \(tid) --initiator-address ALL")],
                change: { pair in
                    guard var acl = pair.target?.acls.first else { return }
                    acl.initiator = "ALL"
                    pair.target?.acls.insert(acl, at: 0)
                }, repair: { target, _ in [.removeACL(target, initiator: "ALL", mapped: [0], disconnecting: false)] }),
        ]
    }

    private var units: [ContractEdit] {
        let spec = contract.spec
        let again: (TargetRef, ObservedBackstore?) -> [ExportStep] = { target, _ in
            [.createBackstore(spec), .addLUN(target, number: 0, spec), map(target)]
        }
        func repaired(enable: Bool) -> (TargetRef, ObservedBackstore?) -> [ExportStep] {
            { _, found in
                var placed = spec
                placed.place = found?.place ?? ""
                return [.repairBackstore(placed, enable: enable)]
            }
        }
        return [
            ContractEdit(
                "LUN removed", damage: [unit("delete")],
                change: {
                    $0.target?.luns = []
                    $0.target?.acls[0].mappedLUNs = []
                    $0.backstore = nil
                }, repair: again),
            ContractEdit(
                "LUN made and not yet named",
                damage: [unit("delete"), unit("new", "--backing-store \(spec.location.path)")],
                change: {
                    $0.target?.luns[0] = ObservedLUN(number: 0, backstore: nil, path: spec.location.path)
                    $0.backstore = nil
                },
                repair: { target, _ in
                    var begun = spec
                    begun.isBegun = true
                    return [.addLUN(target, number: 0, begun), map(target)]
                }),
            ContractEdit(
                "discard off", damage: [unit("update", "--params thin_provisioning=0")],
                change: { $0.backstore?.discard = false },
                repair: repaired(enable: false)),
            ContractEdit(
                "LUN offline", damage: [unit("update", "--params online=0")], change: { $0.backstore?.enabled = false },
                repair: repaired(enable: true)),
            ContractEdit(
                "another serial", damage: [unit("update", "--params scsi_sn=4242")],
                change: { $0.backstore?.identity = DiskIdentity(serial: "4242") },
                repair: { target, found in
                    [.removeLUN(target, number: 0), .removeBackstore(uid: spec.uid, place: found?.place ?? "")]
                        + again(target, nil)
                }),
        ]
    }

    func removeTarget(_ place: String) -> [HostAction] {
        [tgtadm("--op delete --mode target --tid \(place.prefix { $0 != " " })")]
    }

    var makeForeign: [HostAction] {
        [
            tgtadm("--op new --mode target --tid 7 --targetname \(ContractEdits.foreignIQN)"),
            tgtadm("--op new --mode logicalunit --tid 7 --lun 1 --backing-store \(contract.other.location.path)"),
            tgtadm("--op bind --mode target --tid 7 --initiator-name \(contract.stranger)"),
        ]
    }
}
