import TuffHost
import TuffModel
import TuffPlanning

/// Something another person does to an export, what must then be observed, and the steps that mend it.
struct ContractEdit {
    var name: String
    var damage: [HostAction]
    var change: (inout ExportPair) -> Void
    var repair: (TargetRef, ObservedBackstore?) -> [ExportStep]
    /// Steps that somebody has to undo by hand, because no step is about it.
    var undo: [HostAction]

    init(
        _ name: String, damage: [HostAction], undo: [HostAction] = [],
        change: @escaping (inout ExportPair) -> Void,
        repair: @escaping (TargetRef, ObservedBackstore?) -> [ExportStep]
    ) {
        self.name = name
        self.damage = damage
        self.change = change
        self.repair = repair
        self.undo = undo
    }
}

enum ContractEdits {
    static let foreignIQN = "iqn.1999-01.com.example:foreign"

    static func all(_ contract: ExportContract) -> [ContractEdit] {
        contract.kind == .lio ? LIOEdits(contract).all : TgtEdits(contract).all
    }

    static func secrets(_ contract: ExportContract) -> [ContractEdit] {
        contract.kind == .lio ? LIOEdits(contract).secrets : []
    }

    static func makeForeign(_ contract: ExportContract) -> [HostAction] {
        contract.kind == .lio ? LIOEdits(contract).makeForeign : TgtEdits(contract).makeForeign
    }

    static func removeForeign(_ contract: ExportContract) -> [HostAction] {
        contract.kind == .lio ? LIOEdits(contract).removeForeign : TgtEdits(contract).removeTarget("7")
    }
}
