import TuffHost
import TuffModel

/// Walks the lines of `tgtadm --op show --mode target` (`tgt_target_show_all` in usr/target.c of tgt).
struct TgtParser {
    private let lines: [Substring]
    private var next = 0

    init(lines: [Substring]) { self.lines = lines }

    mutating func targets() throws(HostError) -> [TgtTarget] {
        var targets: [TgtTarget] = []
        while next < lines.count {
            let target = try self.target()
            guard !targets.contains(where: { $0.tid == target.tid || $0.name == target.name }) else {
                throw malformed("target \(target.tid) (\(target.name)) twice")
            }
            targets.append(target)
        }
        return targets
    }

    private func malformed(_ found: String? = nil) -> HostError {
        let line = next < lines.count ? "line \(next + 1): \(lines[next])" : "an end before its time"
        return TgtDecoder.malformed("target", found ?? line)
    }

    /// The rest of the next line if it has exactly this indentation, without consuming it.
    private func peek(_ indentation: Int) -> Substring? {
        guard next < lines.count else { return nil }
        let line = lines[next]
        let rest = line.drop { $0 == " " }
        return line.count - rest.count == indentation && !rest.isEmpty ? rest : nil
    }

    /// The value of the next line, which must be `key: value` at this indentation. A value may be empty.
    private mutating func value(_ key: String, _ indentation: Int) throws(HostError) -> String {
        guard let line = peek(indentation), line.hasPrefix("\(key):") else { throw malformed() }
        let rest = line.dropFirst(key.count + 1)
        guard rest.isEmpty || rest.hasPrefix(" ") else { throw malformed() }
        next += 1
        return String(rest.dropFirst())
    }

    private mutating func number(_ key: String, _ indentation: Int) throws(HostError) -> Int {
        let text = try value(key, indentation)
        guard let number = Int(text), number >= 0 else {
            next -= 1
            throw malformed()
        }
        return number
    }

    private mutating func flag(_ key: String, _ indentation: Int) throws(HostError) -> Bool {
        switch try value(key, indentation) {
        case "Yes": return true
        case "No": return false
        default:
            next -= 1
            throw malformed()
        }
    }

    private mutating func header(_ name: String) throws(HostError) {
        guard try value(name, 4).isEmpty else {
            next -= 1
            throw malformed()
        }
    }

    private mutating func target() throws(HostError) -> TgtTarget {
        // Target 5: iqn.2026-01.dev.tuff:a
        guard let line = peek(0), line.hasPrefix("Target "), let colon = line.firstRange(of: ": "),
            let tid = Int(line[line.index(line.startIndex, offsetBy: 7)..<colon.lowerBound]), tid > 0
        else { throw malformed() }
        var target = TgtTarget(tid: tid, name: String(line[colon.upperBound...]))
        guard !target.name.isEmpty else { throw malformed() }
        next += 1
        try header("System information")
        guard try value("Driver", 8) == "iscsi" else { throw malformed("a driver that is not iscsi") }
        target.state = try value("State", 8)
        // Intervals of NOP probes are printed when they are set.
        while peek(8)?.hasPrefix("Nop ") == true { next += 1 }
        try header("I_T nexus information")
        while peek(8) != nil { target.nexuses.append(try nexus()) }
        try header("LUN information")
        while peek(8) != nil {
            let unit = try self.unit()
            guard !target.units.contains(where: { $0.lun == unit.lun }) else {
                throw malformed("LUN \(unit.lun) of target \(tid) twice")
            }
            target.units.append(unit)
        }
        guard target.units.first?.lun == 0, target.units.first?.type == "controller" else {
            throw malformed("target \(tid) without its controller LUN")
        }
        try header("Account information")
        // Outgoing ones are what the target proves to initiators; they demand nothing.
        target.accounts = names().filter { !$0.hasSuffix(" (outgoing)") }
        try header("ACL information")
        target.rules = names()
        guard Set(target.rules).count == target.rules.count else { throw malformed("a rule of target \(tid) twice") }
        return target
    }

    private mutating func names() -> [String] {
        var names: [String] = []
        while let line = peek(8) {
            names.append(String(line))
            next += 1
        }
        return names
    }

    private mutating func nexus() throws(HostError) -> TgtTarget.Nexus {
        _ = try number("I_T nexus", 8)
        let line = try value("Initiator", 12)
        guard let alias = line.firstRange(of: " alias: "), alias.lowerBound > line.startIndex else {
            next -= 1
            throw malformed()
        }
        var nexus = TgtTarget.Nexus(initiator: String(line[..<alias.lowerBound]))
        while peek(12)?.hasPrefix("Connection:") == true {
            _ = try number("Connection", 12)
            nexus.addresses.append(try value("IP Address", 16))
        }
        return nexus
    }

    private mutating func unit() throws(HostError) -> TgtUnit {
        var unit = TgtUnit(lun: try number("LUN", 8))
        unit.type = try value("Type", 12)
        unit.id = try value("SCSI ID", 12)
        unit.serial = try value("SCSI SN", 12)
        // Size: 67 MB, Block size: 512
        let size = try value("Size", 12)
        let words = size.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 5, words[1] == "MB,", words[2] == "Block", words[3] == "size:", Int(words[4]) != nil,
            let megabytes = Int64(words[0]), (0...Int64.max / 1_000_000).contains(megabytes)
        else {
            next -= 1
            throw malformed()
        }
        unit.megabytes = megabytes
        unit.online = try flag("Online", 12)
        _ = try flag("Removable media", 12)
        _ = try flag("Prevent removal", 12)
        unit.readOnly = try flag("Readonly", 12)
        _ = try flag("SWP", 12)
        unit.thin = try flag("Thin-provisioning", 12)
        _ = try value("Backing store type", 12)
        unit.path = try value("Backing store path", 12)
        _ = try value("Backing store flags", 12)
        return unit
    }
}
