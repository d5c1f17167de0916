package import TuffHost
package import TuffModel

/// Reads what configfs says. Pure; what cannot be what LIO means makes the target or backstore it belongs to unseen.
/// Half-built objects are not malformed.
package enum LIODecoder {
    package static func inventory(_ entries: [TreeEntry]) throws(HostError) -> TargetInventory {
        let tree = LIOTree(entries)
        // Without these two lists nothing is known of what is absent.
        for list in ["", "core", "iscsi"] { if let error = tree.faults[list] { throw error } }
        var inventory = TargetInventory()
        var unseen = UnseenTargets()
        for adapter in tree.directories("core").sorted() where isAdapter(adapter) {
            if let error = tree.faults["core/\(adapter)"] { unseen.unlisted = error }
            for name in tree.directories("core/\(adapter)").sorted() {
                do throws(HostError) {
                    if let error = tree.fault(of: "core/\(adapter)/\(name)") { throw error }
                    inventory.backstores.append(try backstore(name, adapter: adapter, tree: tree))
                } catch {
                    unseen.backstores[name] = error
                }
            }
        }
        // `discovery_auth` and the like are the fabric's own.
        for iqn in tree.directories("iscsi").sorted() where isTarget(iqn) {
            do throws(HostError) {
                if let error = tree.fault(of: "iscsi/\(iqn)") { throw error }
                inventory.targets.append(try target(iqn, tree))
            } catch {
                unseen.targets[iqn] = error
            }
        }
        if !unseen.isEmpty { inventory.unseen = unseen }
        return inventory
    }

    static func isTarget(_ name: String) -> Bool { name.contains(".") }

    /// `core/alua` is the kernel's own; every adapter is `<plugin>_<number>`.
    static func isAdapter(_ name: String) -> Bool {
        guard let underscore = name.lastIndex(of: "_") else { return false }
        return UInt64(name[name.index(after: underscore)...]) != nil
    }

    private static func backstore(
        _ name: String, adapter: String, tree: LIOTree
    ) throws(HostError) -> ObservedBackstore {
        let path = "core/\(adapter)/\(name)"
        guard UID(backstoreName: name) != nil else {
            return ObservedBackstore(name: name, place: adapter, path: nil, enabled: true, identity: nil)
        }
        let enabled = try tree.flag("\(path)/enable")
        let info = try deviceInfo(try tree.text("\(path)/info"), "\(path)/info")
        // What is not enabled has no identity yet: it can still be written.
        let identity =
            enabled
            ? DiskIdentity(
                serial: try serial(tree, path), vendor: trimmed(try tree.text("\(path)/wwn/vendor_id")),
                product: trimmed(try tree.text("\(path)/wwn/product_id"))) : nil
        // `info` has the path that the device was opened by, for good; a renamed one is told here.
        let renamed = enabled && tree.has("\(path)/udev_path") ? trimmed(try tree.text("\(path)/udev_path")) : ""
        return ObservedBackstore(
            name: name, place: adapter, path: renamed.isEmpty || info.path == nil ? info.path : renamed,
            enabled: enabled, identity: identity, size: info.size,
            discard: enabled ? try tree.flag("\(path)/attrib/emulate_tpu") : nil, device: info.device,
            altered: enabled ? try altered(path, tree) : nil, isBuffered: enabled && info.isBuffered ? true : nil)
    }

    /// Settings that older kernels lack are as they are.
    private static func altered(_ backstore: String, _ tree: LIOTree) throws(HostError) -> [BackstoreSetting]? {
        var altered: [BackstoreSetting] = []
        for setting in BackstoreSetting.allCases {
            let path = "\(backstore)/attrib/\(setting.rawValue)"
            if tree.has(path), try tree.flag(path) != setting.isOn { altered.append(setting) }
        }
        return altered.isEmpty ? nil : altered
    }

    private static func serial(_ tree: LIOTree, _ object: String) throws(HostError) -> String {
        let path = "\(object)/wwn/vpd_unit_serial"
        let text = try tree.text(path)
        let label = "T10 VPD Unit Serial Number: "
        guard text.hasPrefix(label) || text + " " == label else { throw tree.malformed(path, text) }
        return trimmed(String(text.dropFirst(label.count)))
    }

    /// Path, size and device from `info`:
    ///
    ///     Status: ACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 248
    ///             iBlock device: dm-3  UDEV PATH: /dev/vg0/v-a  readonly: 0
    ///             Major: 254 Minor: 3  CLAIMED: IBLOCK
    ///             TCM FILEIO ID: 0        File: /srv/a  Size: 67108864  Mode: O_DSYNC Async: 0     (a file's)
    struct DeviceInfo {
        var path: String?
        var size: ByteCount?
        var device: DeviceNumber?
        var isBuffered = false
    }

    static func deviceInfo(_ text: String, _ subject: String) throws(HostError) -> DeviceInfo {
        let lines = text.split(separator: "\n")
        guard let first = lines.first, first.hasPrefix("Status: "), lines.count >= 2 else {
            throw LIOTree.malformed(subject, text)
        }
        let line = lines[1]
        if let file = line.firstRange(of: "File: "), line.contains("TCM FILEIO ID: ") {
            let rest = line[file.upperBound...]
            guard let label = rest.ranges(of: "  Size: ").last,
                let size = Int64(rest[label.upperBound...].prefix { $0 != " " })
            else { throw LIOTree.malformed(subject, text) }
            let path = rest[..<label.lowerBound]
            let isBuffered = rest[label.upperBound...].contains("  Mode: Buffered-WCE ")
            return path.isEmpty
                ? DeviceInfo() : DeviceInfo(path: String(path), size: ByteCount(size), isBuffered: isBuffered)
        }
        guard let end = line.ranges(of: "readonly: ").last else { throw LIOTree.malformed(subject, text) }
        guard let label = line.firstRange(of: "UDEV PATH: "), label.upperBound <= end.lowerBound else {
            return DeviceInfo()
        }
        return DeviceInfo(
            path: trimmed(String(line[label.upperBound..<end.lowerBound])),
            device: try device(lines.dropFirst(2).first ?? "", subject))
    }

    /// `Major: 254 Minor: 3  CLAIMED: IBLOCK`; twice 0 while there is none.
    private static func device(_ line: Substring, _ subject: String) throws(HostError) -> DeviceNumber? {
        let words = line.split(separator: " ")
        guard words.count >= 4, words[0] == "Major:", words[2] == "Minor:", let major = Int(words[1]),
            let minor = Int(words[3])
        else { throw LIOTree.malformed(subject, String(line)) }
        return major == 0 && minor == 0 ? nil : DeviceNumber(major: major, minor: minor)
    }

    private static func target(_ iqn: String, _ tree: LIOTree) throws(HostError) -> ObservedTarget {
        let groups = tree.directories("iscsi/\(iqn)").filter { $0.hasPrefix("tpgt_") }
        var target = ObservedTarget(iqn: iqn, extraPortalGroups: groups.filter { $0 != LIOPath.ownGroup }.sorted())
        if groups.contains(LIOPath.ownGroup) { try read(LIOPath.group(iqn), into: &target, tree) }
        return target
    }

    /// A portal group, beneath `iscsi/IQN`.
    static func read(_ group: String, into target: inout ObservedTarget, _ tree: LIOTree) throws(HostError) {
        target.enabled = try tree.flag("\(group)/enable")
        for setting in TargetSetting.allCases {
            let path = "\(group)/attrib/\(setting.rawValue)"
            if tree.has(path) { target.settings[setting] = try tree.flag(path) }
        }
        target.loginMethods = try loginMethods(group, demanding: target.settings[.authentication], tree: tree)
        for name in tree.directories("\(group)/np") { target.portals.append(try portal(name, "\(group)/np/\(name)")) }
        target.portals.sort()
        for (number, path) in numbered(tree, "\(group)/lun") {
            var lun = ObservedLUN(number: number, backstore: nil)
            if let link = try tree.onlyLink(path) {
                lun.backstore = try leaf(link, parent: "core", depth: 3, subject: path)
                lun.portAccess = try portAccess("\(path)/\(LIOTree.portGroup)", tree)
            }
            target.luns.append(lun)
        }
        for initiator in tree.directories("\(group)/acls").sorted() {
            target.acls.append(try acl(initiator, path: "\(group)/acls/\(initiator)", tree: tree))
        }
        // Each name ends in a newline; a NUL ends the list.
        target.dynamicSessions = try tree.text("\(group)/dynamic_sessions")
            .split { $0 == "\n" || $0 == "\0" }.map(String.init).sorted()
    }

    /// Nil where they follow the setting, as the kernel has them do when that is written.
    private static func loginMethods(
        _ group: String, demanding: Bool?, tree: LIOTree
    ) throws(HostError) -> String? {
        let path = "\(group)/\(LIOPath.loginMethods)"
        guard let demanding, tree.has(path) else { return nil }
        let text = try tree.text(path)
        let expected: Set<Substring> = demanding ? ["CHAP"] : ["CHAP", "None"]
        return Set(text.split(separator: ",")) == expected ? nil : text
    }

    /// The text that `core_alua_show_tg_pt_gp_info` prints, a line each, in this order; nothing for a backstore without
    /// such groups.
    private static func portAccess(_ path: String, _ tree: LIOTree) throws(HostError) -> ObservedPortAccess? {
        guard tree.has(path) else { return nil }
        let text = try tree.text(path)
        guard !text.isEmpty else { return nil }
        var fields: [Substring: String] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstRange(of: ": ") else { continue }
            fields[line[..<colon.lowerBound]] = String(line[colon.upperBound...])
        }
        guard let group = fields["TG Port Alias"], let state = fields["TG Port Primary Access State"],
            let secondary = fields["TG Port Secondary Access State"]
        else { throw tree.malformed(path, text) }
        let access = ObservedPortAccess(group: group, state: state, isOffline: secondary == "Offline")
        return access.isNormal ? nil : access
    }

    private static func acl(_ initiator: String, path: String, tree: LIOTree) throws(HostError) -> ObservedACL {
        var acl = ObservedACL(initiator: initiator)
        for (number, mapped) in numbered(tree, path) {
            let link = try tree.onlyLink(mapped)
            let protection = try tree.text("\(mapped)/write_protect")
            guard protection.isEmpty || protection == "0" || protection == "1" else {
                throw tree.malformed("\(mapped)/write_protect", protection)
            }
            var lun: Int?
            // A mapping whose LUN lost its backstore keeps its link, but the kernel has nothing behind it: this
            // attribute then reads empty.
            if let link, !protection.isEmpty {
                let name = try leaf(link, parent: "lun", depth: 2, subject: mapped)
                guard let number = lunNumber(name) else { throw tree.malformed(mapped, link) }
                lun = number
            }
            acl.mappedLUNs.append(ObservedMappedLUN(number: number, lun: lun, readOnly: protection == "1"))
        }
        acl.chap = try chap(path, tree)
        // Anybody may write there; older kernels have no such attribute.
        if tree.has("\(path)/tag") { acl.mark = AccessMark(text: try tree.text("\(path)/tag")) }
        acl.sessions = try sessions(try tree.text("\(path)/info"), "\(path)/info")
        return acl
    }

    private static func chap(_ path: String, _ tree: LIOTree) throws(HostError) -> ObservedCHAP {
        func name(_ attribute: String) throws(HostError) -> String? {
            let text = try tree.text("\(path)/auth/\(attribute)")
            // The kernel takes any name that begins with NULL for none.
            return trimmed(text).isEmpty || text.hasPrefix("NULL") ? nil : text
        }
        var chap = ObservedCHAP(
            user: try name("userid"), password: try tree.entry("\(path)/auth/password").fingerprint,
            mutualUser: try name("userid_mutual"),
            mutualPassword: try tree.entry("\(path)/auth/password_mutual").fingerprint)
        for file in LIOPath.secretFiles {
            let entry = try tree.entry("\(path)/auth/\(file)")
            guard let mode = entry.mode else { throw tree.malformed("\(path)/auth/\(file)", "no mode") }
            if entry.fingerprint != nil, mode & 0o077 != 0 { chap.exposed.append(file) }
        }
        let demand = "\(path)/attrib/authentication"
        // Kernels before 5.x have no such attribute, and then nothing to follow but the target.
        chap.followsTarget = tree.has(demand) ? try tree.text(demand) == "-1" : true
        return chap
    }

    /// Sessions from an ACL's `info`; the kernel shows at most one.
    static func sessions(_ text: String, _ subject: String) throws(HostError) -> [ObservedSession] {
        if text.hasPrefix("No active iSCSI Session") { return [] }
        guard text.hasPrefix("InitiatorName: ") else { throw LIOTree.malformed(subject, text) }
        var session: ObservedSession?
        for line in text.split(separator: "\n") {
            if line.hasPrefix("Session State: ") {
                let state = line.dropFirst("Session State: ".count)
                let prefix = "TARG_SESS_STATE_"
                session = ObservedSession(
                    state: String(state.hasPrefix(prefix) ? state.dropFirst(prefix.count) : state))
            } else if line.hasPrefix("   Address ") {
                session?.addresses.append(String(line.dropFirst("   Address ".count).prefix { $0 != " " }))
            }
        }
        guard let session else { throw LIOTree.malformed(subject, text) }
        return [session]
    }

    /// `lun_7` directories of a directory, by number.
    private static func numbered(_ tree: LIOTree, _ directory: String) -> [(Int, String)] {
        tree.directories(directory).compactMap { name in lunNumber(name).map { ($0, "\(directory)/\(name)") } }
            .sorted { $0.0 < $1.0 }
    }

    private static func lunNumber(_ name: String) -> Int? {
        name.hasPrefix("lun_") ? Int(name.dropFirst("lun_".count)) : nil
    }

    /// The last component of a link's text, whose component `depth` from the end must be `parent`.
    private static func leaf(
        _ link: String, parent: String, depth: Int, subject: String
    ) throws(HostError) -> String {
        let parts = link.split(separator: "/")
        guard parts.count >= depth, parts[parts.count - depth] == parent else {
            throw LIOTree.malformed(subject, link)
        }
        return String(parts[parts.count - 1])
    }

    /// A portal's directory name. Forms of IPv6 addresses that documents may not use are still somebody's portals.
    private static func portal(_ name: String, _ subject: String) throws(HostError) -> Portal {
        if let portal = Portal(objectName: name) { return portal }
        guard let colon = name.lastIndex(of: ":"), let port = Int(name[name.index(after: colon)...]) else {
            throw LIOTree.malformed(subject, name)
        }
        var address = name[..<colon]
        if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
        var portal = Portal(address: String(address), port: port)
        portal.spelling = name
        return portal
    }

    private static func trimmed(_ text: String) -> String {
        var text = Substring(text)
        while let last = text.last, last == " " || last == "\n" { text.removeLast() }
        return String(text)
    }
}
