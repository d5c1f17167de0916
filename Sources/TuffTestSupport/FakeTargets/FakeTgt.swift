package import TuffHost
package import TuffModel

/// tgtd as a value, spoken to as `tgtadm` speaks: takes real argument lists and prints what tgt 1.0.85 prints.
///
/// Rules and texts were measured on Debian 12's tgt. A path that is not given a size does not exist.
package struct FakeTgt: Equatable, Sendable {
    package struct LogicalUnit: Equatable, Sendable {
        package var id: String
        package var serial: String
        package var size: ByteCount
        package var path: String
        package var flags: String
        package var online = true
        package var readOnly = false
        package var thin = false
        /// Of the logical volume behind it, 0 for anything else.
        var minor = 0
    }

    package struct Session: Equatable, Sendable {
        package var nexus: Int
        package var initiator: String
        package var address: String
    }

    package struct Target: Equatable, Sendable {
        package var name: String
        package var ready = true
        /// LUN 0, the controller, is not among them.
        package var units: [Int: LogicalUnit] = [:]
        package var accounts: [String] = []
        package var addresses: [String] = []
        package var initiators: [String] = []
        package var sessions: [Session] = []
    }

    package var controlPort: Int
    /// True while the daemon runs.
    package var isRunning = true
    package var targets: [Int: Target] = [:]
    /// As given to `tgtd --iscsi portal=`.
    package var portals: [Portal]
    private var nexus = 0
    private var accounts: Set<String> = []

    package init(controlPort: Int = 0, portals: [Portal] = [Portal(address: "127.0.0.1")]) {
        self.controlPort = controlPort
        self.portals = portals
    }

    /// Runs `tgtadm` with these arguments. `minor` tells the minor number of the logical volume at a path, `fileSize`
    /// the size of the file or device there.
    package mutating func run(
        _ arguments: [String], minor: (String) -> Int = { _ in 0 }, fileSize: (String) -> ByteCount?
    ) -> CommandOutput {
        do throws(Refusal) {
            let request = try FakeTgtRequest(arguments)
            guard isRunning, request.controlPort == controlPort else { throw .noDaemon }
            guard request.driver == nil || request.driver == "iscsi" else { throw .noDriver }
            let text = try handle(request, fileSize)
            if request.mode == "logicalunit", request.operation == "new", let tid = request.tid, let lun = request.lun {
                targets[tid]?.units[lun]?.minor = minor(request.path ?? "")
            }
            return CommandOutput(status: 0, standardOutput: Array(text.utf8))
        } catch {
            return CommandOutput(
                status: error == .noDaemon ? 107 : 22, standardOutput: [], standardError: "tgtadm: \(error.rawValue)\n")
        }
    }

    enum Refusal: String, Error {
        case noDaemon = "failed to send request hdr to tgt daemon, Transport endpoint is not connected"
        case noDriver = "can't find the driver"
        case noTarget = "can't find the target"
        case noUnit = "can't find the logical unit"
        case targetExists = "this target already exists"
        case unitExists = "this logical unit number already exists"
        case targetActive = "this target is still active"
        case ruleExists = "this access control rule already exists"
        case noRule = "this access control rule does not exist"
        case invalid = "invalid request"
        case noAccount = "can't find the account"
    }

    private mutating func handle(_ request: FakeTgtRequest, _ fileSize: (String) -> ByteCount?) throws(Refusal)
        -> String
    {
        switch (request.mode, request.operation) {
        case ("target", "show") where request.tid == nil: return showTargets()
        case ("portal", "show"): return portals.reversed().map { "Portal: \($0),1\n" }.joined()
        case ("portal", "new"):
            guard let portal = request.portal, !portals.contains(portal) else { throw .invalid }
            portals.append(portal)
        case ("portal", "delete"):
            guard let portal = request.portal, portals.contains(portal) else { throw .invalid }
            portals.removeAll { $0 == portal }
        case ("target", "new"):
            guard let tid = request.tid, tid > 0, let name = request.name else { throw .invalid }
            guard targets[tid] == nil, !targets.values.contains(where: { $0.name == name }) else { throw .targetExists }
            targets[tid] = Target(name: name)
        case ("target", let operation):
            guard let tid = request.tid, targets[tid] != nil else { throw .noTarget }
            try changeTarget(tid, operation: operation, request: request)
        case ("logicalunit", let operation):
            guard let tid = request.tid, targets[tid] != nil else { throw .noTarget }
            try changeUnit(tid, operation: operation, request: request, fileSize: fileSize)
        case ("account", "new"):
            guard let user = request.user else { throw .invalid }
            accounts.insert(user)
        case ("account", "delete"):
            guard let user = request.user, accounts.remove(user) != nil else { throw .noAccount }
            for tid in targets.keys { targets[tid]!.accounts.removeAll { $0 == user } }
        case ("account", let operation):
            guard let tid = request.tid, targets[tid] != nil else { throw .noTarget }
            guard let user = request.user, accounts.contains(user) else { throw .noAccount }
            targets[tid]!.accounts.removeAll { $0 == user }
            if operation == "bind" { targets[tid]!.accounts.append(user) }
        default: throw .invalid
        }
        return ""
    }

    private mutating func changeTarget(_ tid: Int, operation: String, request: FakeTgtRequest) throws(Refusal) {
        switch operation {
        case "delete":
            guard targets[tid]!.sessions.isEmpty || request.force else { throw .targetActive }
            targets[tid] = nil
        case "update":
            guard request.parameter == "state", let value = request.value, ["ready", "offline"].contains(value) else {
                throw .invalid
            }
            targets[tid]!.ready = value == "ready"
        case "bind", "unbind":
            guard let rule = request.initiatorName ?? request.initiatorAddress else { throw .invalid }
            let list: WritableKeyPath<Target, [String]> =
                request.initiatorName == nil ? \.addresses : \.initiators
            let known = targets[tid]![keyPath: list].contains(rule)
            if operation == "bind" {
                guard !known else { throw .ruleExists }
                targets[tid]![keyPath: list].append(rule)
            } else {
                guard known else { throw .noRule }
                // Measured: a session goes on when its rule is taken away.
                targets[tid]![keyPath: list].removeAll { $0 == rule }
            }
        default: throw .invalid
        }
    }

    private mutating func changeUnit(
        _ tid: Int, operation: String, request: FakeTgtRequest, fileSize: (String) -> ByteCount?
    ) throws(Refusal) {
        guard let lun = request.lun else { throw .invalid }
        switch operation {
        case "new":
            guard lun > 0, targets[tid]!.units[lun] == nil else { throw .unitExists }
            // Real tgtadm does not take `--params` here: identity always comes second.
            guard request.parameters.isEmpty, let path = request.path, let size = fileSize(path) else {
                throw .invalid
            }
            targets[tid]!.units[lun] = LogicalUnit(
                id: Self.defaultID(tid, lun), serial: "beaf\(tid)\(lun)", size: size, path: path, flags: request.flags)
        case "delete":
            guard lun > 0 else { throw .invalid }
            guard targets[tid]!.units[lun] != nil else { throw .noUnit }
            targets[tid]!.units[lun] = nil
        case "update":
            guard var unit = targets[tid]!.units[lun] else { throw .noUnit }
            for (key, value) in request.parameters {
                switch key {
                case "scsi_id": unit.id = String(value.prefix(36))
                case "scsi_sn": unit.serial = String(value.prefix(36))
                case "readonly": unit.readOnly = value == "1"
                case "online": unit.online = value == "1"
                case "thin_provisioning": unit.thin = value == "1"
                case "vendor_id", "product_id", "product_rev", "removable", "sense_format": break
                default: throw .invalid
                }
            }
            targets[tid]!.units[lun] = unit
        default: throw .invalid
        }
    }

    // MARK: What initiators and other people do

    /// Logs an initiator in, if the target's rules let it. Not possible: CHAP, which Tuff never sets up here.
    package mutating func login(initiator: String, to iqn: String, address: String = "127.0.0.1") -> Bool {
        guard isRunning, !portals.isEmpty, let (tid, target) = targets.first(where: { $0.value.name == iqn }),
            target.ready, target.accounts.isEmpty, discovers(initiator: initiator, iqn)
        else { return false }
        nexus += 1
        targets[tid]!.sessions.append(Session(nexus: nexus, initiator: initiator, address: address))
        return true
    }

    package mutating func logout(initiator: String, from iqn: String) {
        for tid in targets.keys where targets[tid]!.name == iqn {
            targets[tid]!.sessions.removeAll { $0.initiator == initiator }
        }
    }

    /// True if discovery names the target to this initiator.
    package func discovers(initiator: String, _ iqn: String) -> Bool {
        guard let target = targets.values.first(where: { $0.name == iqn }) else { return false }
        return target.initiators.contains(initiator) || target.addresses.contains("ALL")
    }

    /// `Precondition.tgtIdle`: the target is there under this name and nobody is logged in.
    package func isIdle(tid: Int, iqn: String) -> Bool {
        isRunning && targets[tid]?.name == iqn && targets[tid]?.sessions.isEmpty == true
    }
}
