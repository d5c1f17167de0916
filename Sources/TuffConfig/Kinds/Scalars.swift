import TuffModel
import TuffSchedule

extension Shape where Value == String {
    /// A resource's name, or a reference to one.
    static let name = text(
        "a name such as db-data (a-z, 0-9 and inner hyphens, at most 63)", rule: "name-not-dns-label",
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maximumLength: NameRule.maximumLength,
        advice: { NameRule.isLabel($0.lowercased()) ? "write it in lower case: \(quoted($0.lowercased()))" : nil }
    ) { NameRule.isLabel($0) ? $0 : nil }

    /// Keys and values of labels follow Kubernetes' rules, so that its tools can set them.
    static let labelKey = text(
        "a label key such as tier or example.com/tier", rule: "invalid-label-key",
        pattern: "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
    ) { text in
        guard text.utf8.contains(UInt8(ascii: "/")) else { return NameRule.isLabelWord(text) ? text : nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, NameRule.isLabelWord(String(parts[1])) else { return nil }
        return isPrefix(parts[0]) ? text : nil
    }

    static let labelValue = text(
        "a label value (A-Z, a-z, 0-9 and inner . _ -, at most 63)", rule: "invalid-label-value",
        pattern: "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
    ) { $0.isEmpty || NameRule.isLabelWord($0) ? $0 : nil }

    static let anyText = text("a text", rule: "invalid-text", pattern: nil) { $0 }

    private static func isPrefix(_ text: Substring) -> Bool {
        text.utf8.count <= 253 && Characters.lowerAlphanumeric.boundsAll(String(text), inner: "-.")
    }

    /// An initiator's name, in lower case; see `NameRule.initiator`.
    static let initiator = text(
        "an iSCSI name such as iqn.2004-10.com.example:web1, eui.0123456789abcdef or naa.52004567ba64678d",
        rule: "invalid-iqn",
        pattern:
            #"^(iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9][-a-z0-9.:]*|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16}([0-9A-Fa-f]{16})?)$"#,
        maximumLength: 223,
        advice: { text in
            if NameRule.initiator(text.lowercased()) != nil { return "iSCSI names are in lower case (RFC 3722)" }
            if text.hasPrefix("eui.") { return "'eui.' is followed by 16 hexadecimal digits (RFC 7143 4.2.7.5)" }
            if text.hasPrefix("naa.") { return "'naa.' is followed by 16 or 32 hexadecimal digits (RFC 7143 4.2.7.6)" }
            return nil
        }
    ) { NameRule.initiator($0) }

    /// An IQN as RFC 3720 section 3.2.6.3.1 has it; see `NameRule.isIQN`.
    static let iqn = iqn("an iSCSI name such as iqn.2004-10.com.example:web1", maximumLength: 223)

    /// Leaves room for a colon and the longest name of a volume.
    static let iqnBase = iqn(
        "the beginning of iSCSI names, such as iqn.2026-01.com.example", maximumLength: 223 - 1 - NameRule.maximumLength
    )

    private static func iqn(_ noun: String, maximumLength: Int) -> Self {
        text(
            noun, rule: "invalid-iqn",
            pattern: #"^iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$"#, maximumLength: maximumLength,
            advice: { NameRule.isIQN($0.lowercased()) ? "iSCSI names are in lower case (RFC 3722)" : nil }
        ) { NameRule.isIQN($0) ? $0 : nil }
    }

    /// Unit serial number as it fits an LVM tag (lvm(8): `A-Za-z0-9_+.-/=!:#&`) and a VPD page (254 bytes).
    static let serial = text(
        "a serial number of A-Z, a-z, 0-9, '.', '_' and '-'", rule: "invalid-serial", pattern: "^[A-Za-z0-9._-]+$",
        maximumLength: 254
    ) { !$0.isEmpty && Characters.alphanumeric.holdsAll($0, and: "._-") ? $0 : nil }

    /// lvm(8), VALID NAMES.
    static let volumeGroup = text(
        "the name of a volume group such as vg0", rule: "invalid-lvm-name",
        pattern: #"^(?!\.{1,2}$)[A-Za-z0-9+_.][A-Za-z0-9+_.-]*$"#, maximumLength: 125, parse: LVMName.volumeGroup)

    static let volumeGroupGlob = text(
        "the name of a volume group, or a pattern such as vg-*", rule: "invalid-lvm-name",
        pattern: #"^[A-Za-z0-9+_.*?][A-Za-z0-9+_.*?-]*$"#, maximumLength: 125
    ) { text in
        let isPlain = Characters.alphanumeric.holdsAll(text, and: "+_.-*?")
        return isPlain && !text.isEmpty && !text.hasPrefix("-") ? text : nil
    }

    static let nfsGlob = text(
        "an export such as nas.example.com:/backups, or a pattern such as nas.example.com:/pools/*",
        rule: "invalid-export", pattern: #"^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.:*?-]+):/.*$"#, maximumLength: 1024
    ) { text in
        guard NFSPattern(text) != nil, let colon = text.firstRange(of: ":/") else { return nil }
        return Characters.isPath(String(text[text.index(after: colon.lowerBound)...])) ? text : nil
    }

    static let seriesGlob = text(
        "a host and a stack such as storage2/default, or a pattern such as storage2/*", rule: "invalid-series",
        pattern: #"^[a-z0-9*?-]+/[a-z0-9*?-]+$"#, maximumLength: 127
    ) { text in
        let plain = Set("abcdefghijklmnopqrstuvwxyz0123456789*?-".utf8)
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isPlain = parts.allSatisfy { part in !part.isEmpty && part.allSatisfy(plain.contains) }
        return parts.count == 2 && isPlain ? text : nil
    }

    static let logicalVolume = text(
        "the name of a logical volume such as tp0", rule: "invalid-lvm-name",
        pattern: LVMName.logicalVolumePattern, maximumLength: 125, parse: LVMName.logicalVolume)

    static let path = path("an absolute path such as /srv/tuff", under: "/")
    static let devicePath = path("the path of a device such as /dev/disk/by-id/…", under: "/dev/")

    /// The directory of volumes: both target stacks take the path of a file in a list of options that commas divide, so
    /// that one would smuggle in more.
    static let poolDirectory = path("an absolute path without commas such as /srv/tuff", under: "/", without: ",")

    /// No `.` or `..`, no empty component, nothing a terminal or a configuration file would read as more than a name.
    private static func path(_ noun: String, under root: String, without more: String = "") -> Self {
        text(
            noun, rule: "invalid-path",
            pattern:
                "^(?=\(root))(/(?!\\.{1,2}(/|$))[^/\(more)\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]+)+$",
            maximumLength: 1024,
            advice: { $0.hasPrefix("/") ? "no '.', '..' or empty part, no slash at the end" : "begin it with '/'" }
        ) { text in
            text.hasPrefix(root) && Characters.isPath(text) && !text.contains(where: more.contains) ? text : nil
        }
    }

    /// CHAP names travel as text keys (RFC 3720 section 11.1.4); LIO and tgt keep up to 255 bytes, and LIO takes what
    /// begins with NULL for none (iscsi_target_nodeattrib.c).
    static let chapUser = text(
        "a CHAP user of 1 to 255 printable ASCII characters that does not begin with NULL",
        rule: "invalid-chap-user", pattern: "^(?!NULL)[!-~]+$", maximumLength: 255,
        advice: { text in
            text.contains(" ")
                ? "a blank ends the name in the configuration files of initiators and is cut off at its ends, so that "
                    + "they could not log in"
                : nil
        }
    ) { text in
        let printable = text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        return !text.isEmpty && printable && !text.hasPrefix("NULL") ? text : nil
    }

    static let cron = text(
        "a schedule such as '30 2 * * *' (minute hour day month weekday) or @daily", rule: "invalid-schedule",
        pattern: CronExpression.pattern, advice: { cronProblem($0)?.description },
        parse: { cronProblem($0) == nil ? $0 : nil })

    private static func cronProblem(_ text: String) -> CronExpression.Problem? {
        do throws(CronExpression.Problem) {
            _ = try CronExpression(text)
            return nil
        } catch {
            return error
        }
    }

    static let timeZone = text(
        "a time zone such as Europe/Berlin", rule: "invalid-time-zone",
        pattern: "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*$", maximumLength: 64
    ) { text in
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = text.utf8.first, Characters.letter.contains(first) else { return nil }
        let fits = parts.allSatisfy { part in
            part.utf8.first.map(Characters.alphanumeric.contains) ?? false
                && Characters.alphanumeric.holdsAll(String(part), and: "_+-")
        }
        return fits ? text : nil
    }

    /// Cinder's backup ids are RFC 4122 UUIDs in lower case.
    static let uuid = text(
        "a UUID such as 8f3c1a52-6f0e-4c6b-9a5d-0c1e2f3a4b5c", rule: "invalid-uuid",
        pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
    ) { text in
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.utf8.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.utf8.allSatisfy(Characters.isHex) }
            ? text : nil
    }

    static let sha256 = text(
        "a SHA-256 digest of 64 lower-case hexadecimal digits", rule: "invalid-digest", pattern: "^[0-9a-f]{64}$"
    ) { $0.utf8.count == 64 && $0.utf8.allSatisfy(Characters.isHex) ? $0 : nil }
}

extension Shape where Value == ByteCount {
    private static let pattern = #"^(?!0*(\.0*)?[A-Za-z]*$)[0-9]+(\.[0-9]{1,9})?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"#

    /// Whole sectors, at least 1 MiB: what a target can present and LVM can hold in one extent's fraction.
    static let volumeSize = size("a size such as 20Gi, at least 1Mi", atLeast: ByteCount.mebi, multipleOf: 512)
    static let size = size("a size such as 5Gi, at least 1Mi", atLeast: ByteCount.mebi, multipleOf: 512)
    /// lvmthin(7): 64 KiB to 1 GiB in steps of 64 KiB.
    static let chunkSize = size(
        "a chunk size such as 64Ki, a multiple of 64Ki up to 1Gi", atLeast: 64 << 10, atMost: ByteCount.gibi,
        multipleOf: 64 << 10)

    private static func size(
        _ noun: String, atLeast minimum: Int64, atMost maximum: Int64 = .max, multipleOf unit: Int64
    ) -> Self {
        text(
            noun, rule: "invalid-size", pattern: pattern,
            advice: { text in
                guard let size = ByteCount(quantity: text) else { return correction(text) }
                // Who writes 20 hardly means bytes.
                if size.bytes < minimum, size.bytes > 0, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
                    return "a number without a unit is bytes, and these are too few; \(text)Gi are as many GiB"
                }
                if size.bytes % unit != 0, size.bytes >= minimum, size.bytes <= .max - unit {
                    return "it must be a multiple of \(ByteCount(unit).quantity) bytes; the next one is "
                        + size.roundedUp(to: ByteCount(unit)).quantity
                }
                return nil
            }
        ) { text in
            guard let size = ByteCount(quantity: text), (minimum...maximum).contains(size.bytes) else { return nil }
            return size.bytes % unit == 0 ? size : nil
        }
    }

    /// A correction of texts that people write for a quantity: `20GB`, `20 GiB`, `20g`.
    private static func correction(_ text: String) -> String? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        let units = [
            "gib": "Gi", "gb": "G", "g": "Gi", "mib": "Mi", "mb": "M", "m": "Mi", "tib": "Ti", "tb": "T", "t": "Ti",
            "kib": "Ki", "kb": "k", "pib": "Pi", "pb": "P",
        ]
        guard let known = units[unit], ByteCount(quantity: digits) != nil else { return nil }
        return "did you mean '\(digits)\(known)'?"
    }
}

extension Shape where Value == Percentage {
    static let share = share(0...100, pattern: "^0*(100|[0-9]{1,2})%$")
    /// A share of at least 1 %, for fields in which 0 % would be a mistake.
    static let positiveShare = share(1...100, pattern: "^0*(100|[1-9][0-9]?)%$")

    private static func share(_ range: ClosedRange<Int>, pattern: String) -> Self {
        text(
            "a share from \(range.lowerBound)% to 100%, such as 10%", rule: "invalid-percentage", pattern: pattern,
            advice: { Percentage(text: $0 + "%") == nil ? nil : "write \($0)%" }
        ) { text in Percentage(text: text).flatMap { range.contains($0.percent) ? $0 : nil } }
    }
}

extension Shape where Value == TimeSpan {
    static let duration = text(
        "a duration such as 7d, 90m or 1h30m", rule: "invalid-duration",
        pattern: "^(?=.)([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$"
    ) { TimeSpan(text: $0) }
}

extension Shape where Value == Portal {
    static let portal = text(
        "an address such as 192.0.2.10:3260 or [2001:db8::1]:3260", rule: "invalid-portal",
        pattern:
            #"^((0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}|\[[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,15})?\])(:[0-9]{1,9})?$"#,
        advice: { text in
            if let fault = Portal(text: text)?.fault { return fault }
            return Portal(text: "[\(text)]") == nil ? nil : "write IPv6 addresses in brackets: [\(text)]"
        }
    ) { text in Portal(text: text).flatMap { $0.fault == nil ? $0 : nil } }
}

extension Shape where Value == [Portal] {
    /// Portals that can be listened on beside each other.
    static func portals(mayBeEmpty: Bool = false) -> Self {
        let list = list(of: .portal, mayBeEmpty: mayBeEmpty)
        return Self(form: list.form) { node, decoding in
            guard let portals = list.decode(node, decoding), case .sequence(let items) = node.content else {
                return nil
            }
            var fits = true
            for (index, portal) in portals.enumerated() {
                decoding.descend(into: "\(index)", items[index], at: items[index].position) {
                    if let other = portals[..<index].first(where: portal.excludes) {
                        decoding.refuse(
                            items[index], rule: "portal-conflict", complaint: "cannot be listened on beside \(other)",
                            help:
                                "on one port the kernel listens on every address or on some: name the addresses, or "
                                + "use another port"
                        )
                        fits = false
                    } else if portal.isWildcard {
                        decoding.warn(
                            items[index], rule: "wildcard-portal", remark: "listens on every network this host is in",
                            help: "name the addresses that initiators use")
                    }
                }
            }
            return fits ? portals : nil
        }
    }
}

extension Shape where Value == RestorePointName {
    static let restorePoint = text(
        "latest, a time such as 2026-11-22T09:30:00Z, or a restore point id", rule: "invalid-restore-point",
        pattern: "^(latest|[0-9a-f]{8,32}|\(Moment.pattern))$",
        advice: { Spelling.closest(to: $0, among: ["latest"]).map { "did you mean '\($0)'?" } }
    ) { text in
        if text == "latest" { return .latest }
        if (8...32).contains(text.utf8.count), text.utf8.allSatisfy(Characters.isHex) { return .id(text) }
        return Moment.instant(text).map(RestorePointName.notAfter)
    }
}

extension Shape where Value == UID {
    static let uid = text(
        "the uid of a volume, 16 characters of a-z and 2-7", rule: "invalid-uid", pattern: "^[a-z2-7]{16}$"
    ) { UID($0) }
}
