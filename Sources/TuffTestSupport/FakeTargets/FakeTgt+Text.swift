import TuffHost
import TuffModel

extension FakeTgt {
    /// The name that tgt gives a unit that nobody named: `_spc_lu_init` formats tid and LUN as `IET     %04x%04x`.
    static func defaultID(_ tid: Int, _ lun: Int) -> String {
        "IET     \(Hex.digits(tid, width: 4))\(Hex.digits(lun, width: 4))"
    }

    func showTargets() -> String {
        targets.sorted { $0.key < $1.key }.map { tid, target in
            var text = "Target \(tid): \(target.name)\n    System information:\n        Driver: iscsi\n"
            text += "        State: \(target.ready ? "ready" : "offline")\n    I_T nexus information:\n"
            for session in target.sessions {
                text += "        I_T nexus: \(session.nexus)\n            Initiator: \(session.initiator) alias: none\n"
                text += "            Connection: 0\n                IP Address: \(session.address)\n"
            }
            text += "    LUN information:\n"
            text += Self.show(0, id: Self.defaultID(tid, 0), serial: "beaf\(tid)0", nil)
            for (lun, unit) in target.units.sorted(by: { $0.key < $1.key }) {
                text += Self.show(lun, id: unit.id, serial: unit.serial, unit)
            }
            text += "    Account information:\n" + target.accounts.map { "        \($0)\n" }.joined()
            let rules = target.addresses + target.initiators
            return text + "    ACL information:\n" + rules.map { "        \($0)\n" }.joined()
        }.joined()
    }

    private static func show(_ lun: Int, id: String, serial: String, _ unit: LogicalUnit?) -> String {
        func word(_ value: Bool) -> String { value ? "Yes" : "No" }
        // Decimal megabytes, rounded to the nearest.
        let size = unit.map { ($0.size.bytes + 500_000) / 1_000_000 } ?? 0
        return """
                    LUN: \(lun)
                        Type: \(unit == nil ? "controller" : "disk")
                        SCSI ID: \(id)
                        SCSI SN: \(serial)
                        Size: \(size) MB, Block size: \(unit == nil ? 1 : 512)
                        Online: \(word(unit?.online ?? true))
                        Removable media: No
                        Prevent removal: No
                        Readonly: \(word(unit?.readOnly ?? false))
                        SWP: No
                        Thin-provisioning: \(word(unit?.thin ?? false))
                        Backing store type: \(unit == nil ? "null" : "rdwr")
                        Backing store path: \(unit?.path ?? "None")
                        Backing store flags: \(unit?.flags ?? "")

            """
    }
}

/// The arguments of one `tgtadm` call.
struct FakeTgtRequest {
    var controlPort = 0
    var driver: String?
    var operation = ""
    var mode = ""
    var tid: Int?
    var lun: Int?
    var name: String?
    var path: String?
    var flags = ""
    var parameters: [(String, String)] = []
    var portal: Portal?
    var parameter: String?
    var value: String?
    var initiatorName: String?
    var initiatorAddress: String?
    var user: String?
    var force = false

    init(_ arguments: [String]) throws(FakeTgt.Refusal) {
        var rest = arguments[...]
        while let option = rest.popFirst() {
            if option == "--force" || option == "-F" {
                force = true
                continue
            }
            guard let argument = rest.popFirst() else { throw .invalid }
            try take(option, argument)
        }
    }

    private mutating func take(_ option: String, _ argument: String) throws(FakeTgt.Refusal) {
        switch option {
        case "-C", "--control-port": controlPort = try number(argument)
        case "-L", "--lld": driver = argument
        case "-o", "--op": operation = argument
        case "-m", "--mode": mode = argument
        case "-t", "--tid": tid = try number(argument)
        case "-l", "--lun": lun = try number(argument)
        case "-T", "--targetname": name = argument
        case "-b", "--backing-store": path = argument
        case "-f", "--bsoflags": flags = argument
        case "-n", "--name": parameter = argument
        case "-v", "--value": value = argument
        case "-Q", "--initiator-name": initiatorName = argument
        case "-I", "--initiator-address": initiatorAddress = argument
        case "--user": user = argument
        case "--password": break
        case "-P", "--params", "--param":
            for item in argument.split(separator: ",") {
                let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2 else { throw .invalid }
                if parts[0] == "portal" {
                    portal = Portal(text: parts[1])
                } else {
                    parameters.append((parts[0], parts[1]))
                }
            }
        default: throw .invalid
        }
    }

    private func number(_ text: String) throws(FakeTgt.Refusal) -> Int {
        guard let value = Int(text), value >= 0 else { throw .invalid }
        return value
    }
}
