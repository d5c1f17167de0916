import TuffHost
package import TuffModel

/// One LUN as `tgtadm` shows it.
struct TgtUnit: Equatable {
    var lun: Int
    var type = ""
    var id = ""
    var serial = ""
    var megabytes: Int64 = 0
    var online = false
    var readOnly = false
    var thin = false
    var path = ""
    /// Exact where the file behind it agrees with the megabytes, the megabytes where it does not, nil where there is
    /// no file to ask: a rounded size must not pass for a difference.
    var size: ByteCount?
    var sizeIsRounded = false

    /// The volume it carries, nil for other people's.
    var uid: UID? { UID(backstoreName: id) }

    mutating func measure(_ file: ByteCount?) {
        guard let file, file.bytes >= 0 else { return }
        // tgtd prints decimal megabytes, rounded to the nearest (measured: 500224 bytes are 1 MB, 499712 are 0).
        let rounded = file.bytes / 1_000_000 + (file.bytes % 1_000_000 >= 500_000 ? 1 : 0)
        sizeIsRounded = rounded != megabytes
        size = sizeIsRounded ? ByteCount(megabytes * 1_000_000) : file
    }
}

/// One target as `tgtadm` shows it.
struct TgtTarget: Equatable {
    struct Nexus: Equatable {
        var initiator = ""
        var addresses: [String] = []
    }

    var tid: Int
    var name: String
    var state = ""
    var nexuses: [Nexus] = []
    var units: [TgtUnit] = []
    var accounts: [String] = []
    var rules: [String] = []
}

/// Reads `tgtadm --op show`. Pure and strict: every line must be one that tgt prints, in tgt's order; whatever else
/// it is, it is not a reading. A text cut at the end of a line inside the last target's list of rules cannot be told
/// from a whole one; it shows too few targets or rules, and steps to make those are refused by tgtd.
package enum TgtDecoder {
    /// The inventory in two answers, sizes aside: those need the files behind the LUNs (`TgtDriver.observe`).
    package static func inventory(targets: [UInt8], portals: [UInt8]) throws(HostError) -> TargetInventory {
        inventory(try self.targets(targets), portals: try self.portals(portals))
    }

    package static func portals(_ output: [UInt8]) throws(HostError) -> [Portal] {
        var portals: [Portal] = []
        for line in try lines(output, "portal") {
            // Portal: 127.0.0.1:3260,1
            guard line.hasPrefix("Portal: "), let comma = line.lastIndex(of: ","),
                Int(line[line.index(after: comma)...]) != nil,
                let colon = line[..<comma].lastIndex(of: ":"),
                let port = Int(line[line.index(after: colon)..<comma])
            else { throw malformed("portal", line) }
            var address = line[line.index(line.startIndex, offsetBy: 8)..<colon]
            if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
            guard !address.isEmpty else { throw malformed("portal", line) }
            let name = line[line.index(line.startIndex, offsetBy: 8)..<comma]
            portals.append(Portal(text: name) ?? Portal(address: String(address), port: port))
        }
        return portals.sorted()
    }

    static func targets(_ output: [UInt8]) throws(HostError) -> [TgtTarget] {
        var parser = TgtParser(lines: try lines(output, "target"))
        return try parser.targets()
    }

    private static func lines(_ output: [UInt8], _ mode: String) throws(HostError) -> [Substring] {
        guard !output.isEmpty else { return [] }
        guard let text = String(validating: output, as: UTF8.self), !output.contains(0) else {
            throw malformed(mode, "bytes that are no text")
        }
        guard text.hasSuffix("\n") else { throw malformed(mode, "an end in the middle of a line") }
        return text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
    }

    static func malformed(_ mode: String, _ found: some StringProtocol) -> HostError {
        HostError(
            .malformed, "tgtadm's list of \(mode)s does not read as tgtadm writes it", cause: String(found.prefix(120)),
            subject: "tgtadm --op show --mode \(mode)")
    }

    /// Translates it into the words that all target stacks share.
    static func inventory(_ targets: [TgtTarget], portals: [Portal]) -> TargetInventory {
        var inventory = TargetInventory()
        for target in targets {
            let units = target.units.filter { $0.type != "controller" }
            for unit in units where !isUnfinished(unit, of: target) {
                inventory.backstores.append(
                    ObservedBackstore(
                        name: unit.id, place: TgtNames.place(tid: target.tid, lun: unit.lun), path: unit.path,
                        enabled: unit.online,
                        identity: identity(of: unit), size: unit.size,
                        sizeIsRounded: unit.sizeIsRounded ? true : nil, discard: unit.thin))
            }
            inventory.targets.append(observed(target, units: units, portals: portals))
        }
        inventory.backstores.sort { ($0.name, $0.place) < ($1.name, $1.place) }
        inventory.targets.sort { $0.iqn < $1.iqn }
        return inventory
    }

    /// Vendor and product are not told: ours are what we set, others' unknown.
    private static func identity(of unit: TgtUnit) -> DiskIdentity {
        unit.uid == nil
            ? DiskIdentity(serial: unit.serial, vendor: "", product: "") : DiskIdentity(serial: unit.serial)
    }

    /// A LUN that we may have made and were stopped before naming: unnamed, in a target of ours. Whether somebody else
    /// added it the planner tells by its path.
    private static func isUnfinished(_ unit: TgtUnit, of target: TgtTarget) -> Bool {
        target.tid == TgtNames.tid(target.name) && unit.id == TgtNames.defaultID(tid: target.tid, lun: unit.lun)
    }

    private static func observed(_ target: TgtTarget, units: [TgtUnit], portals: [Portal]) -> ObservedTarget {
        // Every initiator that is let in sees every LUN, read-only or not as the LUN is.
        let mapped = units.map { ObservedMappedLUN(number: $0.lun - 1, lun: $0.lun - 1, readOnly: $0.readOnly) }
        func sessions(_ initiator: String) -> [ObservedSession] {
            target.nexuses.filter { $0.initiator == initiator }.map {
                ObservedSession(state: "LOGGED_IN", addresses: $0.addresses)
            }
        }
        return ObservedTarget(
            iqn: target.name, place: TgtNames.place(tid: target.tid, accounts: target.accounts),
            enabled: target.state == "ready", settings: [.authentication: !target.accounts.isEmpty], portals: portals,
            luns: units.map { unit in
                isUnfinished(unit, of: target)
                    ? ObservedLUN(number: unit.lun - 1, backstore: nil, path: unit.path)
                    : ObservedLUN(number: unit.lun - 1, backstore: unit.id)
            },
            acls: target.rules.sorted().map {
                ObservedACL(initiator: $0, mappedLUNs: mapped, sessions: sessions($0))
            },
            dynamicSessions: target.nexuses.map(\.initiator).filter { !target.rules.contains($0) }.sorted())
    }
}
