import TuffHost
import TuffModel

/// Patterns, put before those of the machine, that keep LVM from looking into volumes; lvm.conf(5), `filter` and
/// `global_filter`.
///
/// LVM takes a device that both lists take. A list looks at each name of a device by itself, and the first pattern that
/// matches the name counts. It takes the device where one name is accepted, or where no name is rejected. So in a list
/// without patterns that accept, `/dev/dm-7` is all that has to be rejected, and that is short. In one with such
/// patterns every name has to be.
struct LVMFilter {
    /// Bytes of a list. LVM's engine for patterns takes memory with the square of them: up to 190 MiB for these, and
    /// 350 MiB for 28 KiB (measured with 2.03.16).
    static let limit = 16 << 10

    private let global: LVMPatternList
    private let local: LVMPatternList

    /// - Parameters: `devices/global_filter` and `devices/filter` as `lvmconfig` prints them; nil: not set.
    init(global: String?, local: String?) {
        self.global = LVMPatternList(global)
        self.local = LVMPatternList(local)
    }

    /// The settings under which LVM looks into volumes, and not into these.
    func settings(passingOver devices: [LogicalVolumeDevice]) throws(HostError) -> String {
        guard !devices.isEmpty else { return "devices/scan_lvs=1" }
        let lists = [("global_filter", global), ("filter", local)]
        let (name, list) = lists.first { !$0.1.accepts } ?? lists.first { !$0.1.rejects } ?? lists[0]
        // Patterns that only accept take everything, as none do.
        let theirs = list.rejects ? [list.patterns] : []
        let names = devices.flatMap { $0.names(all: list.accepts && list.rejects) }
        let value = (["\"r|^\(LVMPattern(names).text)$|\""] + theirs).joined(separator: ",")
        guard value.utf8.count <= Self.limit else {
            throw HostError(
                .failed,
                "LVM is not asked: devices/scan_lvs is 1, and the patterns that keep it from looking into "
                    + "\(devices.count) logical volumes, with those of devices/\(name), have "
                    + "\(value.utf8.count) bytes, where \(Self.limit) is the most that Tuff gives it; set "
                    + "devices { scan_lvs = 0 } in lvm.conf, or leave nothing but a few reject patterns in one of "
                    + "devices/global_filter and devices/filter",
                subject: "devices/\(name)")
        }
        return "devices{scan_lvs=1 \(name)=[\(value)]}"
    }
}

/// One of LVM's lists of patterns, as `lvmconfig` prints it: `["a|^/dev/sd|","r|.*|"]`, or one text alone.
struct LVMPatternList {
    /// The patterns with commas between.
    let patterns: String
    /// One accepts, or may.
    let accepts: Bool
    let rejects: Bool

    init(_ setting: String?) {
        let text = setting ?? ""
        patterns = text.hasPrefix("[") ? String(text.dropFirst().dropLast()) : text
        let kinds = Self.kinds(patterns)
        accepts = kinds.contains { $0 != "r" }
        rejects = kinds.contains { $0 != "a" }
    }

    /// The first character of each pattern: a for those that accept, r for those that reject. What stands outside of
    /// quotes may be either.
    private static func kinds(_ patterns: String) -> [Character] {
        enum Place { case outside, first, inside, escaped }
        var place = Place.outside
        var kinds: [Character] = []
        for character in patterns {
            switch place {
            case .outside:
                if character == "\"" { place = .first } else if character != ",", character != " " { kinds.append("?") }
            case .first:
                kinds.append(character)
                place = character == "\"" ? .outside : .inside
            case .inside:
                if character == "\\" { place = .escaped } else if character == "\"" { place = .outside }
            case .escaped: place = .inside
            }
        }
        return kinds
    }
}

/// Names folded into one regular expression of LVM's dialect that matches them and nothing else: numbers of devices
/// become a tree of digits, `/dev/dm-(1[0-3]?|27)`.
///
/// A byte that has no plain place in that dialect is matched by any other, too: a backslash would have to go through
/// two parsers.
struct LVMPattern {
    private var isEnd = false
    private var next: [UInt8: LVMPattern] = [:]

    init(_ names: [String]) {
        for name in names { insert(name.utf8[...]) }
    }

    private init() {}

    private mutating func insert(_ name: Substring.UTF8View) {
        guard let byte = name.first else {
            isEnd = true
            return
        }
        next[byte, default: LVMPattern()].insert(name.dropFirst())
    }

    var text: String {
        // Bytes that the same follows stand in one class.
        var bytes: [String: [UInt8]] = [:]
        for (byte, rest) in next.inKeyOrder { bytes[rest.text, default: []].append(byte) }
        let branches = bytes.sorted { $0.value[0] < $1.value[0] }.flatMap { rest, bytes in
            Self.sets(bytes).map { (text: $0 + rest, isSingle: rest.isEmpty) }
        }
        guard let first = branches.first else { return "" }
        if branches.count == 1 {
            if !isEnd { return first.text }
            if first.isSingle { return first.text + "?" }
        }
        return "(\(branches.map(\.text).joined(separator: "|")))\(isEnd ? "?" : "")"
    }

    /// Expressions that each match one byte, and together these.
    private static func sets(_ bytes: [UInt8]) -> [String] {
        let plain = bytes.filter(isPlain)
        let other = plain.count < bytes.count ? ["."] : []
        guard let first = plain.first else { return other }
        let isItself = plain.count == 1 && !".+".utf8.contains(first)
        return [isItself ? character(first) : "[\(members(plain))]"] + other
    }

    /// The inside of a class. Runs of digits are shortened, and a hyphen that stands for itself comes first.
    private static func members(_ bytes: [UInt8]) -> String {
        let hyphen = UInt8(ascii: "-")
        var text = bytes.contains(hyphen) ? "-" : ""
        var rest = bytes.filter { $0 != hyphen }[...]
        while let first = rest.first {
            var last = first
            while isDigit(first), let following = rest.dropFirst(Int(last - first) + 1).first, following == last + 1,
                isDigit(following)
            { last = following }
            let count = Int(last - first) + 1
            text += count > 3 ? "\(character(first))-\(character(last))" : rest.prefix(count).map(character).joined()
            rest = rest.dropFirst(count)
        }
        return text
    }

    private static func character(_ byte: UInt8) -> String { String(UnicodeScalar(byte)) }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isPlain(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || "_-/:=@,.+".utf8.contains(byte)
    }
}
