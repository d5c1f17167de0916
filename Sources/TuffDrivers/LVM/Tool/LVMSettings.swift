import FoundationEssentials

/// The settings of lvm.conf(5) that Tuff decides itself, in every call of `lvm`.
///
/// They change what a report looks like or what a command does to us, and an administrator who sets them has people in
/// mind or other programs. Everything else stays as the machine has it. docs/design/lvm-settings.md goes through
/// lvmconfig(8)'s whole list and says why.
enum LVMSettings {
    struct Section {
        var name: String
        var values: [(name: String, value: String)]
    }

    /// Reports as LVM 2.03.16 prints them without an lvm.conf, and the few settings that an unattended program must not
    /// leave to chance.
    static let overrides = [
        Section(
            name: "report",
            values: [
                ("output_format", #""basic""#), ("compact_output", "0"), ("compact_output_cols", #""""#),
                ("aligned", "1"),
                ("buffered", "1"), ("headings", "1"), ("separator", #"" ""#), ("list_item_separator", #"",""#),
                ("prefixes", "0"), ("quoted", "1"), ("columns_as_rows", "0"), ("binary_values_as_numeric", "0"),
                ("mark_hidden_devices", "1"), ("two_word_unknown_device", "0"), ("lvs_sort", #""vg_name,lv_name""#),
                ("vgs_sort", #""vg_name""#), ("pvs_sort", #""pv_name""#),
                ("segs_sort", #""vg_name,lv_name,seg_start""#), ("pvsegs_sort", #""pv_name,pvseg_start""#),
                ("lvs_sort_full", #""vg_name,lv_name""#), ("vgs_sort_full", #""vg_name""#),
                ("pvs_sort_full", #""pv_name""#), ("segs_sort_full", #""lv_uuid,seg_start""#),
                ("pvsegs_sort_full", #""pv_uuid,pvseg_start""#),
            ]),
        Section(
            name: "log",
            values: [
                ("report_command_log", "0"), ("verbose", "0"), ("silent", "0"), ("indent", "1"), ("command_names", "0"),
                ("prefix", #""  ""#),
            ]),
        Section(
            name: "global",
            values: [("units", #""r""#), ("suffix", "1"), ("si_unit_consistency", "1"), ("wait_for_locks", "1")]),
        Section(name: "allocation", values: [("use_blkid_wiping", "1")]),
        Section(name: "activation", values: [("activation_mode", #""degraded""#)]),
        Section(name: "devices", values: [("allow_changes_with_duplicate_pvs", "0")]),
    ]

    static let text = overrides.map { section in
        "\(section.name){" + section.values.map { "\($0.name)=\($0.value)" }.joined(separator: " ") + "}"
    }.joined(separator: " ")

    /// The arguments of a command with these settings, and with more that depend on the machine.
    ///
    /// LVM takes `--config` once, so a command's own, which says more about that command, is joined to it; of a setting
    /// that is there twice the last counts (measured with 2.03.16). `lvmconfig` is asked for what the machine has. A
    /// script of commands has a path for a verb, and takes no options: see `LVMScript`.
    static func arguments(_ arguments: [String], with more: [String]) -> [String] {
        guard let verb = arguments.first, takesSettings(verb) else { return arguments }
        var rest = Array(arguments.dropFirst())
        var texts = [text] + more
        // Behind `--` stand names.
        if let own = rest.prefix(while: { $0 != "--" }).firstIndex(of: "--config"), own + 1 < rest.count {
            texts.append(rest[own + 1])
            rest.removeSubrange(own...own + 1)
        }
        return [verb, "--config", texts.joined(separator: " ")] + rest
    }

    private static func takesSettings(_ verb: String) -> Bool {
        verb != "lvmconfig" && !verb.contains("/") && !verb.hasPrefix("-")
    }

    /// The names of these settings, and of those in `others`, that the machine's own files set. Comments do not count.
    ///
    /// - Parameter directory: `/etc/lvm`: lvm.conf, lvmlocal.conf, and lvm_TAG.conf for host tags.
    /// - Returns: nil where a file cannot be read, which may say anything.
    static func named(in directory: String, among others: Set<String> = []) -> Set<String>? {
        let ours = Set(overrides.flatMap(\.values).map(\.name)).union(others)
        guard FileManager.default.fileExists(atPath: directory) else { return [] }
        guard let files = try? FileManager.default.contentsOfDirectory(atPath: directory) else { return nil }
        var found: Set<String> = []
        for file in files where file.hasSuffix(".conf") {
            guard let content = FileManager.default.contents(atPath: "\(directory)/\(file)") else { return nil }
            found.formUnion(words(in: content).filter(ours.contains))
        }
        return found
    }

    /// Words outside of quoted texts and comments, lvm.conf(5), SYNTAX.
    static func words(in content: Data) -> Set<String> {
        enum Place { case plain, quoted, escaped, comment }
        var place = Place.plain
        var word: [UInt8] = []
        var found: Set<String> = []
        func end() {
            if !word.isEmpty { found.insert(String(decoding: word, as: UTF8.self)) }
            word = []
        }
        for byte in content {
            switch place {
            case .plain:
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"): word.append(byte)
                case UInt8(ascii: "\""): place = .quoted
                case UInt8(ascii: "#"): place = .comment
                default: end()
                }
            case .quoted:
                if byte == UInt8(ascii: "\\") { place = .escaped } else if byte == UInt8(ascii: "\"") { place = .plain }
            case .escaped: place = .quoted
            case .comment: if byte == 0x0a { place = .plain }
            }
            if place != .plain { end() }
        }
        end()
        return found
    }
}
