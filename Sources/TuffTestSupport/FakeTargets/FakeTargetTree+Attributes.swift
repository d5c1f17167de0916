import TuffHost
import TuffModel

/// The values of attributes, and the effects of writing them.
extension FakeTargetTree {
    /// The whole text the kernel gives, nil where there is no attribute.
    func text(at path: [String]) -> String? {
        guard let found = node(at: path), found.kind == .attribute else { return nil }
        guard let name = path.last else { return nil }
        if path[0] == "core", path.count == 4, name == "info" { return backstoreInfo(Array(path.dropLast())) }
        if path[0] == "core", name == "vpd_unit_serial" { return "T10 VPD Unit Serial Number: \(found.text)\n" }
        guard path[0] == "iscsi" else { return found.text + "\n" }
        if path.count == 6, path[3] == "acls", name == "info" { return sessionInfo(iqn: path[1], initiator: path[4]) }
        if path.count == 4, name == "dynamic_sessions" {
            let acls = node(at: path[..<3] + ["acls"])?.children ?? [:]
            let others = sessions.filter { $0.iqn == path[1] && acls[$0.initiator] == nil }
            // Measured: each name ends in a newline and a NUL ends the list.
            return others.isEmpty ? "" : others.map { "\($0.initiator)\n" }.joined() + "\0"
        }
        if path.count == 6, path[3] == "lun", name == "alua_tg_pt_gp" { return portAccess(Array(path.dropLast())) }
        // The kernel prints this one without a newline (lio_target_nacl_tag_show).
        if path.count == 6, path[3] == "acls", name == "tag" { return found.text }
        if name == "write_protect", node(at: Array(path.dropLast()))?.live != true { return "" }
        return found.text + "\n"
    }

    private func backstoreInfo(_ path: [String]) -> String {
        let object = node(at: path)!
        let control = Self.parameters(object.children["control"]!.text)
        let enabled = object.children["enable"]!.text == "1"
        let status = isLinked(path) ? "ACTIVATED" : "DEACTIVATED"
        let sector = enabled ? "512" : "0"
        let head =
            "Status: \(status)  Max Queue Depth: 0  SectorSize: \(sector)  HwMaxSectors: \(enabled ? "248" : "0")\n"
        if path[1].hasPrefix("fileio_") {
            guard let file = control["fd_dev_name"] else {
                return head + "        TCM FILEIO ID: 0        File:   Size: 0  Mode: O_DSYNC Async: 0\n"
            }
            return head + "        TCM FILEIO ID: 0        File: \(file)  Size: \(control["fd_dev_size"] ?? "0")  "
                + "Mode: \(control["fd_buffered_io"] == "1" ? "Buffered-WCE" : "O_DSYNC") Async: 0\n"
        }
        let device = enabled ? "iBlock device: dm-\(object.minor)  " : "  "
        let number = "Major: \(object.minor == 0 ? 0 : FakeLVM.major) Minor: \(object.minor)"
        let path = control["udev_path"].map { "UDEV PATH: \($0)  " } ?? ""
        return head
            + "        \(device)\(path)readonly: 0\n        \(number)\(enabled ? "  CLAIMED: IBLOCK" : "")\n"
    }

    static func parameters(_ text: String) -> [String: String] {
        text.split(separator: ",").reduce(into: [:]) { result, item in
            let parts = item.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
        }
    }

    private func sessionInfo(iqn: String, initiator: String) -> String {
        guard let session = sessions.first(where: { $0.iqn == iqn && $0.initiator == initiator }) else {
            return "No active iSCSI Session for Initiator Endpoint: \(initiator)\n"
        }
        return """
            InitiatorName: \(initiator)
            InitiatorAlias: \("")
            LIO Session ID: 4   ISID: 0x80 36 fa fa 00 00  TSIH: 4  SessionType: Normal
            Session State: TARG_SESS_STATE_LOGGED_IN
            ---------------------[iSCSI Session Values]-----------------------
              CmdSN/WR  :  CmdSN/WC  :  ExpCmdSN  :  MaxCmdSN  :     ITT    :     TTT
             0x00000040   0x00000040   0x48975656   0x48975695   0x34fdb044   0x000015be
            ----------------------[iSCSI Connections]-------------------------
            CID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN
               Address \(session.address) TCP  StatSN: 0xdae1551e

            """
    }

    mutating func write(_ path: [String], _ value: String, device: (String) -> Int?) throws(HostError) {
        guard let found = node(at: path) else { throw Self.error(.notFound, errno: "ENOENT", at: path) }
        guard found.kind == .attribute, found.mode & 0o222 != 0 else {
            throw Self.error(.permissionDenied, errno: "EACCES", at: path)
        }
        let name = path[path.count - 1]
        if path[0] == "core", path.count >= 4 {
            return try writeBackstore(Array(path[..<3]), name: name, path: path, value: value, device: device)
        }
        if path.count == 6, path[3] == "acls", name == "info" {
            throw Self.error(.permissionDenied, errno: "EACCES", at: path)
        }
        switch name {
        case "alua_tg_pt_gp" where path[3] == "lun":
            let lun = Array(path.dropLast())
            guard isHandingOut(lun), let group = group(value.trimmingNewline, of: lun), group.hasNumber else {
                throw Self.error(.failed, errno: "EINVAL", at: path)
            }
            return try change(path) { $0.text = value.trimmingNewline }
        case "alua_tg_pt_offline" where path[3] == "lun":
            guard isHandingOut(Array(path.dropLast())) else { throw Self.error(.failed, errno: "ENODEV", at: path) }
        case "AuthMethod":
            // What follows `=` in the kernel's text, less its last character.
            return try change(path) { $0.text = String(value.dropLast()) }
        case "tag" where path.count == 6 && path[3] == "acls":
            // core_tpg_set_initiator_node_tag: MAX_ACL_TAG_SIZE with its NUL, and a word that unsets.
            guard value.utf8.count < 64 else { throw Self.error(.failed, errno: "EINVAL", at: path) }
            return try change(path) { $0.text = value.hasPrefix("NULL") ? "" : value }
        case "userid", "password", "userid_mutual", "password_mutual":
            guard value.utf8.count < 256 else { throw Self.error(.failed, errno: "EINVAL", at: path) }
        case "write_protect":
            // Without a device list entry the kernel takes the value and forgets it.
            guard node(at: Array(path.dropLast()))?.live == true else { return }
            fallthrough
        case _ where path.count == 5 && path[3] == "attrib", "enable":
            guard value == "0" || value == "1" else { throw Self.error(.failed, errno: "EINVAL", at: path) }
        case "authentication":
            guard ["-1", "0", "1"].contains(value) else { throw Self.error(.failed, errno: "EINVAL", at: path) }
        default: break
        }
        if try coupled(path, name: name, value: value) { return }
        try change(path) { $0.text = value }
        if path.count == 5, path[3] == "attrib", name == "authentication" {
            try change(path[..<3] + ["param", "AuthMethod"]) { $0.text = value == "1" ? "CHAP" : "CHAP,None" }
        }
        if path.count == 4, name == "enable", value == "0" { sessions.removeAll { $0.iqn == path[1] } }
    }

    /// iscsi_target_tpg.c: demo mode switches on the keeping of made-up ACLs, and while it is on quietly refuses to
    /// have that switched off.
    /// - Returns: whether the write is taken and forgotten.
    private mutating func coupled(_ path: [String], name: String, value: String) throws(HostError) -> Bool {
        let attributes = Array(path.dropLast())
        if name == "generate_node_acls", value == "1" {
            try change(attributes + ["cache_dynamic_acls"]) { $0.text = "1" }
        }
        return name == "cache_dynamic_acls" && value == "0"
            && node(at: attributes + ["generate_node_acls"])?.text == "1"
    }

    private mutating func writeBackstore(
        _ object: [String], name: String, path: [String], value: String, device: (String) -> Int?
    ) throws(HostError) {
        let found = node(at: object)!
        let enabled = found.children["enable"]?.text == "1"
        switch name {
        case "control":
            guard !enabled else { throw Self.error(.failed, errno: "EEXIST", at: path) }
            let merged = Self.parameters(found.children["control"]!.text).merging(Self.parameters(value)) { $1 }
            try change(path) { node in
                node.text = merged.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")
            }
            return
        case "enable":
            guard value == "1" else { throw Self.error(.failed, errno: "EINVAL", at: path) }
            guard !enabled else { throw Self.error(.failed, errno: "EEXIST", at: path) }
            let control = Self.parameters(found.children["control"]!.text)
            guard let wanted = control["udev_path"] ?? control["fd_dev_name"] else {
                throw Self.error(.failed, errno: "EINVAL", at: path)
            }
            // The kernel follows whatever is in the path by now.
            let devicePath = exchanged[wanted] ?? wanted
            guard let minor = device(devicePath) else { throw Self.error(.notFound, errno: "ENOENT", at: path) }
            // Another backstore that has the device is in the way; files have no such fence.
            guard minor == 0 || !openMinors.contains(minor) else { throw Self.error(.busy, errno: "EBUSY", at: path) }
            try change(object) {
                $0.minor = minor
                $0.opened = devicePath
            }
        case "vpd_unit_serial", "vendor_id", "product_id":
            guard !isLinked(object) else { throw Self.error(.failed, errno: "EINVAL", at: path) }
            let limit = name == "vendor_id" ? 8 : name == "product_id" ? 16 : 254
            guard value.utf8.count <= limit else { throw Self.error(.failed, errno: "EOVERFLOW", at: path) }
        case "emulate_tpu", "emulate_tpws":
            guard value == "0" || value == "1" else { throw Self.error(.failed, errno: "EINVAL", at: path) }
            // Linux 6.1 follows a null pointer here (iblock_configure_unmap without a device): the machine is gone.
            guard enabled else { throw Self.error(.failed, errno: "kernel oops", at: path) }
        case _ where BackstoreSetting(rawValue: name) != nil:
            guard value == "0" || value == "1" else { throw Self.error(.failed, errno: "EINVAL", at: path) }
        case "alua_access_state":
            let group = node(at: Array(path.dropLast()))
            guard enabled, group?.hasNumber == true, ["1", "3"].contains(group?.children["alua_access_type"]?.text)
            else { throw Self.error(.failed, errno: "EINVAL", at: path) }
        case "tg_pt_gp_id", "alua_access_type":
            guard let number = Int(value), (0...(name == "tg_pt_gp_id" ? 0xffff : 3)).contains(number) else {
                throw Self.error(.failed, errno: "EINVAL", at: path)
            }
        default: break
        }
        try change(path) { $0.text = value }
    }
}

/// The objects that mkdir(2) brings forth.
enum FakeObjects {
    typealias Node = FakeTargetTree.Node

    static func fabric() -> Node {
        .made([
            "discovery_auth": .group(["userid": .attribute(""), "password": .attribute("")]),
            "lio_version": .attribute("Datera Inc. iSCSI Target v4.1.0", mode: 0o444),
        ])
    }

    static func adapter() -> Node {
        .made(["hba_info": .attribute("", mode: 0o444), "hba_mode": .attribute("0")])
    }

    static func backstore() -> Node {
        .made([
            "control": .attribute("", mode: 0o200), "enable": .attribute("0"),
            "info": .attribute("", mode: 0o444), "udev_path": .attribute(""), "alias": .attribute(""),
            "attrib": .group(
                BackstoreSetting.allCases.reduce(into: ["emulate_tpu": .attribute("0")]) {
                    $0[$1.rawValue] = .attribute($1 == .writeSameUnmap ? "0" : "1")
                }),
            "alua": .group(["default_tg_pt_gp": .group(portGroup(number: "0"))]),
            "wwn": .group([
                "vpd_unit_serial": .attribute(""), "vendor_id": .attribute("LIO-ORG"), "product_id": .attribute(""),
            ]),
            "statistics": .group(),
        ])
    }

    /// Attributes of a group of target ports.
    static func portGroup(number: String) -> [String: Node] {
        [
            "tg_pt_gp_id": .attribute(number), "alua_access_state": .attribute("0"),
            // 1 implicit, 2 explicit, and both.
            "alua_access_type": .attribute("3"), "members": .attribute("", mode: 0o444),
        ]
    }

    static func target() -> Node {
        .made(["fabric_statistics": .group(), "param": .group(["cmd_completion_affinity": .attribute("-1")])])
    }

    static func portalGroup() -> Node {
        let attributes = [
            "authentication": "1", "cache_dynamic_acls": "0", "demo_mode_discovery": "1",
            "demo_mode_write_protect": "1", "generate_node_acls": "0", "prod_mode_write_protect": "0",
        ]
        return .made([
            "acls": .group(), "lun": .group(), "np": .group(), "enable": .attribute("0"),
            "param": .group(["AuthMethod": .attribute("CHAP")]),
            "dynamic_sessions": .attribute("", mode: 0o444),
            "attrib": .group(attributes.mapValues { .attribute($0) }),
        ])
    }

    static func acl() -> Node {
        .made([
            "attrib": .group(["authentication": .attribute("-1")]), "fabric_statistics": .group(),
            "info": .attribute("", mode: 0o444), "cmdsn_depth": .attribute("64"), "tag": .attribute(""),
            "auth": .group([
                "userid": .attribute(""), "password": .attribute(""), "userid_mutual": .attribute(""),
                "password_mutual": .attribute(""), "authenticate_target": .attribute("0", mode: 0o444),
            ]),
        ])
    }
}
