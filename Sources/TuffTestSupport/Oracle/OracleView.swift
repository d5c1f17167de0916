import FoundationEssentials
import TuffModel

/// One piece of data, or marks without data, as the oracle sees it. Nothing here is read by the product's own code:
/// a fault of `Marks`, `Sidecar` or `StorageIndex` must not hide itself.
package struct OracleObject: Equatable, Sendable {
    /// The identity of the data for its whole life: LVM's uuid, or the file's content; `marks:UID` where no data is.
    package var key: String
    /// Volume group or directory.
    package var home: String
    /// Name in it.
    package var name: String
    /// Stands for the bytes; nil: marks without data.
    package var content: UInt64?
    package var size: Int64
    package var tags: [String]
    package var active = false
    package var skipsActivation = false
    /// The thin pool whose blocks it has; nil: it has extents, or is a file.
    package var thinPool: String?
    /// Stands for the image whose disk it holds, every byte of it.
    package var image: UInt64?
    /// A snapshot whose device is its origin's affair.
    package var isThickSnapshot = false
    package var isOverflowed = false
    /// It holds what earlier volumes left in its extents.
    package var showsEarlierData = false

    package var place: String { "\(home)/\(name)" }

    /// The value of the one tag under this key, `""` for a tag without one.
    package func mark(_ key: String) -> String? {
        for tag in tags {
            if tag == "tuff:\(key)" { return "" }
            if tag.hasPrefix("tuff:\(key)=") { return String(tag.dropFirst("tuff:\(key)=".count)) }
        }
        return nil
    }

    /// The tags that are not under our prefix.
    package var foreignTags: [String] { tags.filter { !$0.hasPrefix("tuff:") } }
    package var uid: String? { mark("uid") }
    package var label: String { mark("vol") ?? mark("snap") ?? mark("temp") ?? "?" }
    package var stack: String { mark("stack") ?? "?" }
    /// Parts of two contents: nobody is shown it.
    package var isHalfRestored: Bool { mark("op")?.hasPrefix("restore/") == true }
    /// Not wiped, or not filled yet: nobody is shown it.
    package var isHidden: Bool { ["wipe", "copy", "move-copy", "drill"].contains(operation) }
    /// Not made, or not filled yet.
    package var isIncomplete: Bool { ["create", "copy", "move-copy"].contains(operation) }
    /// `copy/ROOM` is a copy whose temporary snapshot once overflowed.
    private var operation: String { mark("op").map { $0.hasPrefix("copy/") ? "copy" : $0 } ?? "" }
    package var isTrashed: Bool { mark("until") != nil }
    package var isReleased: Bool { mark("released") != nil }
    package var isLive: Bool { uid != nil && !isTrashed && !isReleased }
    package var isProtected: Bool { mark("protect") != nil }
    package var isRetained: Bool { mark("policy") == "Retain" }
    package var isKeptForNoTime: Bool { mark("policy") == "Trash/0" }
    package var deadline: Int64? { mark("until").flatMap(Self.seconds) }
    /// The facts that must never change while the object lives.
    package var identity: [String] { ["iqn", "serial", "lun"].map { mark($0) ?? "" } }

    /// `2026-11-22T09:30:00Z` in seconds since 1970, by counting days year by year.
    static func seconds(_ text: String) -> Int64? {
        let numbers = text.split { !$0.isNumber }.compactMap { Int64($0) }
        guard numbers.count == 6, text.hasSuffix("Z"), numbers[0] >= 1970 else { return nil }
        func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
        var days: Int64 = 0
        for year in 1970..<numbers[0] { days += isLeap(year) ? 366 : 365 }
        let months: [Int64] = [31, isLeap(numbers[0]) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...12).contains(numbers[1]) else { return nil }
        days += months[..<Int(numbers[1] - 1)].reduce(0, +) + numbers[2] - 1
        return ((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5]
    }
}

/// One initiator's access to one target.
package struct OracleAccess: Equatable, Sendable {
    package var iqn: String
    package var initiator: String
    package var tag: String
    package var isMapped: Bool
    /// Through one of its mappings at least.
    package var writes: Bool
    package var hasUser: Bool

    package var isMarked: Bool { tag.hasPrefix("tuff:") || tag.hasPrefix("tuff!") }
    package var mayBeCut: Bool { tag.hasPrefix("tuff!") }
    package var attachment: String { String(tag.dropFirst(5)) }
}

/// Everything there is in a world, read anew from its raw parts.
package struct OracleView: Sendable {
    package private(set) var objects: [OracleObject] = []
    package private(set) var access: [OracleAccess] = []
    /// IQNs of all targets, and of those that let initiators in.
    package private(set) var targets: Set<String> = []
    package private(set) var enabled: Set<String> = []
    package private(set) var demandsCHAP: Set<String> = []
    package private(set) var listening: Set<String> = []
    /// `adapter/name`.
    package private(set) var backstores: Set<String> = []
    package let world: FakeWorld

    package init(_ world: FakeWorld) {
        self.world = world
        for group in world.lvm.groups {
            for volume in group.volumes.values.sorted(by: { $0.name < $1.name }) {
                var object = OracleObject(
                    key: volume.uuid, home: group.name, name: volume.name, content: volume.content,
                    size: volume.size.bytes, tags: volume.tags.sorted(), active: volume.active,
                    skipsActivation: volume.skipsActivation, image: volume.image,
                    showsEarlierData: volume.showsEarlierData)
                object.thinPool = volume.pool
                if case .copyOnWrite = volume.kind {
                    object.isThickSnapshot = true
                    object.isOverflowed = volume.dataPercent >= 100
                }
                objects.append(object)
            }
        }
        for (home, directory) in world.files.places.sorted(by: { $0.home < $1.home }) { read(home, directory) }
        readTargets(world.targets)
    }

    package func object(_ key: String) -> OracleObject? { objects.first { $0.key == key } }

    /// A sidecar's file may lie under the old name or the new one while it is moved.
    private mutating func read(_ path: String, _ directory: FakeFiles.Directory) {
        struct Sidecar: Decodable {
            var file: String
            var tags: [String]
        }
        var files: [String: FakeFiles.File] = [:]
        var sidecars: [(uid: String, sidecar: Sidecar)] = []
        for (name, entry) in directory.entries {
            guard case .file(let file) = entry else { continue }
            if name.hasPrefix(".tuff/") {
                guard let text = file.text, let sidecar = try? JSONDecoder().decode(Sidecar.self, from: Data(text.utf8))
                else { continue }
                sidecars.append((String(name.dropFirst(6).prefix(16)), sidecar))
            } else {
                files[name] = file
            }
        }
        var claimed: Set<String> = []
        for (uid, sidecar) in sidecars.sorted(by: { $0.uid < $1.uid }) {
            var object = OracleObject(
                key: "marks:\(uid)", home: path, name: sidecar.file, content: nil, size: 0, tags: sidecar.tags.sorted())
            let names =
                ["move", "move-copy"].contains(object.mark("op"))
                ? [sidecar.file, "t-\(uid)"] + ["v", "s", "p"].map { "\($0)-\(object.label)" } : [sidecar.file]
            if let name = names.first(where: { files[$0] != nil && !claimed.contains($0) }), let file = files[name] {
                claimed.insert(name)
                // What is being filled becomes other data each time.
                object.key = object.isHidden ? "\(path)#\(uid)" : "\(path)#\(file.birth)"
                object.image = file.image
                object.name = name
                object.content = file.content
                object.size = file.size.bytes
            }
            objects.append(object)
        }
        for (name, file) in files.sorted(by: { $0.key < $1.key }) where !claimed.contains(name) {
            objects.append(
                OracleObject(
                    key: "\(path)#\(file.birth)", home: path, name: name, content: file.content,
                    size: file.size.bytes, tags: []))
        }
    }

    private mutating func readTargets(_ tree: FakeTargetTree) {
        for (adapter, node) in tree.root.children["core"]?.children ?? [:] where adapter != "alua" {
            let names = node.children.filter { if case .directory(made: true) = $0.value.kind { true } else { false } }
            backstores.formUnion(names.keys.map { "\(adapter)/\($0)" })
        }
        for (iqn, target) in tree.root.children["iscsi"]?.children ?? [:] where iqn.hasPrefix("iqn.") {
            targets.insert(iqn)
            guard let group = target.children["tpgt_1"] else { continue }
            if group.children["enable"]?.text == "1" { enabled.insert(iqn) }
            if group.children["attrib"]?.children["authentication"]?.text == "1" { demandsCHAP.insert(iqn) }
            if group.children["np"]?.children.isEmpty == false { listening.insert(iqn) }
            for (initiator, acl) in group.children["acls"]?.children ?? [:] {
                let user = acl.children["auth"]?.children["userid"]?.text ?? ""
                access.append(
                    OracleAccess(
                        iqn: iqn, initiator: initiator, tag: acl.children["tag"]?.text ?? "",
                        isMapped: acl.children.values.contains(where: \.live),
                        writes: acl.children.values.contains {
                            $0.live && $0.children["write_protect"]?.text == "0"
                        }, hasUser: !["", "NULL"].contains(user)))
            }
        }
        access.sort { ($0.iqn, $0.initiator) < ($1.iqn, $1.initiator) }
    }
}
