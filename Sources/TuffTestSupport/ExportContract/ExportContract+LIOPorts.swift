import TuffHost
import TuffModel
import TuffPlanning

/// Something that somebody does to a disk that stays mapped and yet does not answer as its attachment promises.
extension LIOEdits {
    private func placed(_ found: ObservedBackstore?) -> BackstoreSpec {
        var spec = contract.spec
        spec.place = found?.place ?? ""
        return spec
    }

    var ports: [ContractEdit] {
        let object = backstore(contract.spec), lun = "iscsi/\(contract.iqn)/tpgt_1/lun/lun_0"
        let standard = "\(object)/alua/default_tg_pt_gp", theirs = "\(object)/alua/g1"
        let reactivate: (TargetRef, ObservedBackstore?) -> [ExportStep] = { target, found in
            [.reactivateLUN(target, number: 0, placed(found))]
        }
        func access(_ group: String, _ state: String, offline: Bool = false) -> (inout ExportPair) -> Void {
            { $0.target?.luns[0].portAccess = ObservedPortAccess(group: group, state: state, isOffline: offline) }
        }
        return BackstoreSetting.allCases.map { setting in
            ContractEdit(
                "attribute \(setting.rawValue)",
                damage: [write("\(object)/attrib/\(setting.rawValue)", setting.isOn ? "0" : "1")],
                change: { $0.backstore?.altered = [setting] },
                repair: { _, found in [.resetBackstore(placed(found), setting)] })
        } + [
            ContractEdit(
                "in somebody's group of ports, on standby",
                damage: [
                    .makeDirectory(.target(theirs)), write("\(theirs)/tg_pt_gp_id", "7"),
                    write("\(theirs)/alua_access_state", "2"), write("\(lun)/alua_tg_pt_gp", "g1"),
                ], undo: [.removeDirectory(.target(theirs))], change: access("g1", "Standby"), repair: reactivate),
            ContractEdit(
                "ports on standby", damage: [write("\(standard)/alua_access_state", "2")],
                change: access("default_tg_pt_gp", "Standby"), repair: reactivate),
            ContractEdit(
                "ports on standby for good",
                damage: [write("\(standard)/alua_access_state", "2"), write("\(standard)/alua_access_type", "0")],
                change: access("default_tg_pt_gp", "Standby"), repair: reactivate),
            ContractEdit(
                "LUN offline", damage: [write("\(lun)/alua_tg_pt_offline", "1")],
                change: access("default_tg_pt_gp", "Active/Optimized", offline: true), repair: reactivate),
        ]
    }
}
