import TuffModel

/// Names of documents that are made from other people's names: DNS labels, each given once.
struct ImportNames {
    private var volumes: Set<String>
    private var attachments: Set<String>
    private var pools: Set<String>

    init(volumes: Set<String>, attachments: Set<String>, pools: Set<String>) {
        self.volumes = volumes
        self.attachments = attachments
        self.pools = pools
    }

    /// `volume-<uuid>` of Cinder stays what it is.
    mutating func volume(_ name: String, group: String) -> String {
        // A volume of that name beside it would be GROUP-v--NAME, which the kernel takes up to 127 bytes of; a suffix
        // that tells it from another wants some too.
        let room = 127 - "-v--".count - Self.doubled("-1000") - Self.doubled(group)
        var label = Self.label(name, maximum: NameRule.maximumLength)
        while Self.doubled(label) > room, !label.isEmpty { label = Self.label(String(label.dropLast()), maximum: 63) }
        return Self.take(label.isEmpty ? "volume" : label, from: &volumes)
    }

    mutating func attachment(_ volume: String, initiator: String) -> String {
        let own = initiator.split(separator: ":").last.map(String.init) ?? initiator
        let host = Self.label(own, maximum: 40)
        let room = NameRule.maximumLength - "-on-".count - max(host.utf8.count, 1)
        return Self.take(
            "\(Self.label(volume, maximum: room))-on-\(host.isEmpty ? "x" : host)", from: &attachments)
    }

    mutating func pool(_ backend: StorageBackend) -> String {
        let text =
            switch backend {
            case .thinPool(let group, let pool): "\(group)-\(pool)"
            case .thick(let group): group
            case .directory(let path): path
            }
        let label = Self.label(text, maximum: NameRule.maximumLength)
        return Self.take(label.isEmpty ? "pool" : label, from: &pools)
    }

    private static func doubled(_ text: String) -> Int {
        text.utf8.count + text.utf8.count { $0 == UInt8(ascii: "-") }
    }

    /// Lower case, and a hyphen for whatever a label may not have.
    static func label(_ text: String, maximum: Int) -> String {
        var result: [UInt8] = []
        let hyphen = UInt8(ascii: "-")
        for byte in text.lowercased().utf8 {
            let isPlain = NameRule.isLabel(String(decoding: [byte], as: UTF8.self))
            if isPlain { result.append(byte) } else if let last = result.last, last != hyphen { result.append(hyphen) }
        }
        result = Array(result.prefix(maximum))
        while result.last == hyphen { result.removeLast() }
        return String(decoding: result, as: UTF8.self)
    }

    private static func take(_ label: String, from taken: inout Set<String>) -> String {
        if taken.insert(label).inserted { return label }
        for number in 2... {
            let suffix = "-\(number)"
            let name = Self.label(label, maximum: NameRule.maximumLength - suffix.count) + suffix
            if taken.insert(name).inserted { return name }
        }
        return label
    }
}
