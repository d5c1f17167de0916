import TuffHost
import TuffModel

/// The kernel's reactions to mkdir, rmdir, symlink, unlink and write. Paths are components below the root.
extension FakeTargetTree {
    func components(_ path: HostPath) throws(HostError) -> [String] {
        guard isLoaded, path.root == .targetConfiguration else { throw HostError(.notFound, "\(path) is not there") }
        return path.relative.split(separator: "/").map(String.init)
    }

    func node(at path: [String]) -> Node? {
        var node: Node? = root
        for name in path { node = node?.children[name] }
        return node
    }

    mutating func change(_ path: [String], _ body: (inout Node) -> Void) throws(HostError) {
        guard node(at: path) != nil else { throw Self.error(.notFound, errno: "ENOENT", at: path) }
        Self.change(&root, at: path[...], body)
    }

    private static func change(_ node: inout Node, at path: ArraySlice<String>, _ body: (inout Node) -> Void) {
        guard let first = path.first else { return body(&node) }
        change(&node.children[first]!, at: path.dropFirst(), body)
    }

    static func error(_ code: HostError.Code, errno: String, at path: [String]) -> HostError {
        let subject = "/sys/kernel/config/target/" + path.joined(separator: "/")
        return HostError(code, "the kernel refused to change \(subject)", cause: errno, subject: subject)
    }

    mutating func makeDirectory(_ path: [String]) throws(HostError) {
        if let found = node(at: path) {
            guard found.isDirectory else { throw Self.error(.failed, errno: "EEXIST", at: path) }
            return
        }
        guard let name = path.last, let parent = node(at: path.dropLast()), parent.isDirectory else {
            throw Self.error(.notFound, errno: "ENOENT", at: path)
        }
        if path.count == 5, path[3] == "np", isPortalTaken(path) {
            throw Self.error(.failed, errno: "EINVAL", at: path)
        }
        guard let made = try Self.newObject(path) else { throw Self.error(.failed, errno: "EPERM", at: path) }
        try change(path.dropLast()) { $0.children[name] = made }
    }

    /// The object mkdir(2) makes at a path with all that the kernel puts into it; nil where nothing can be made.
    private static func newObject(_ path: [String]) throws(HostError) -> Node? {
        let name = path[path.count - 1]
        if path == ["iscsi"] { return FakeObjects.fabric() }
        if path[0] == "core", path.count == 2 {
            let plugins = ["iblock_", "fileio_", "pscsi_", "rd_mcp_", "user_"]
            guard plugins.contains(where: { name.hasPrefix($0) && Int(name.dropFirst($0.count)) != nil }) else {
                throw error(.failed, errno: "EINVAL", at: path)
            }
            return FakeObjects.adapter()
        }
        if path[0] == "core", path.count == 3, path[1] != "alua" { return FakeObjects.backstore() }
        // Without a number until somebody gives it one.
        if path[0] == "core", path.count == 5, path[3] == "alua" { return .made(FakeObjects.portGroup(number: "")) }
        guard path[0] == "iscsi" else { return nil }
        switch path.count {
        case 2:
            guard ["iqn.", "eui.", "naa."].contains(where: name.hasPrefix) else {
                throw error(.failed, errno: "EINVAL", at: path)
            }
            return FakeObjects.target()
        case 3:
            guard name.hasPrefix("tpgt_"), Int(name.dropFirst(5)) != nil else {
                throw error(.failed, errno: "EINVAL", at: path)
            }
            return FakeObjects.portalGroup()
        case 5 where path[3] == "lun":
            guard name.hasPrefix("lun_"), Int(name.dropFirst(4)) != nil else {
                throw error(.failed, errno: "EINVAL", at: path)
            }
            return .made([
                "alua_tg_pt_gp": .attribute(ObservedPortAccess.standard), "alua_tg_pt_offline": .attribute("0"),
                "statistics": .group(),
            ])
        case 5 where path[3] == "np":
            guard let portal = Portal(text: name), portal.fault == nil || !portal.isIPv6 else {
                throw error(.failed, errno: "EINVAL", at: path)
            }
            return .made(["iser": .attribute("0"), "cxgbit": .attribute("0")])
        case 5 where path[3] == "acls":
            return FakeObjects.acl()
        case 6 where path[3] == "acls":
            guard name.hasPrefix("lun_"), Int(name.dropFirst(4)) != nil else {
                throw error(.failed, errno: "EINVAL", at: path)
            }
            return .made(["write_protect": .attribute("0"), "statistics": .group()])
        default: return nil
        }
    }

    mutating func removeDirectory(_ path: [String]) throws(HostError) {
        guard let found = node(at: path) else { return }
        guard case .directory(made: true) = found.kind else { throw Self.error(.failed, errno: "EPERM", at: path) }
        guard !Self.holdsObjects(found) else { throw Self.error(.failed, errno: "ENOTEMPTY", at: path) }
        // An item that a link leads to is pinned: configfs_detach_prep in fs/configfs/dir.c.
        guard !isLinked(path) else { throw Self.error(.busy, errno: "EBUSY", at: path) }
        if path[0] == "core", path.count == 5 { try leave(path) }
        try change(path.dropLast()) { $0.children[path[path.count - 1]] = nil }
        if path.count == 5, path[3] == "acls" {
            sessions.removeAll { $0.iqn == path[1] && $0.initiator == path[4] }
        } else if path[0] == "iscsi", path.count <= 3 {
            sessions.removeAll { path.count == 1 || $0.iqn == path[1] }
        }
    }

    /// True if there is a link or a directory somebody made in it; what the kernel made goes with its parent.
    static func holdsObjects(_ node: Node) -> Bool {
        node.children.values.contains { child in
            switch child.kind {
            case .directory(let made): made || holdsObjects(child)
            case .attribute: false
            case .link: true
            }
        }
    }

    func isLinked(_ path: [String]) -> Bool {
        func leads(_ node: Node) -> Bool {
            node.children.values.contains { $0.link == path || ($0.isDirectory && leads($0)) }
        }
        return leads(root)
    }

    mutating func link(_ path: [String], to target: [String]) throws(HostError) {
        guard let directory = node(at: path.dropLast()), let destination = node(at: target) else {
            throw Self.error(.notFound, errno: "ENOENT", at: path)
        }
        if let found = directory.children[path[path.count - 1]] {
            guard found.link == target else { throw Self.error(.failed, errno: "EEXIST", at: path) }
            return
        }
        let isLUN = path.count == 6 && path[3] == "lun"
        let isMapping = path.count == 7 && path[3] == "acls"
        if isLUN {
            guard target.count == 3, target[0] == "core" else { throw Self.error(.failed, errno: "EINVAL", at: path) }
            guard destination.children["enable"]?.text == "1" else {
                throw Self.error(.failed, errno: "ENODEV", at: path)
            }
            guard !directory.children.values.contains(where: { $0.link != nil }) else {
                throw Self.error(.failed, errno: "EEXIST", at: path)
            }
        } else if isMapping {
            guard target.count == 5, target[..<3] == path[..<3], target[3] == "lun",
                destination.children.values.contains(where: { $0.link != nil }),
                !directory.children.values.contains(where: { $0.link != nil })
            else { throw Self.error(.failed, errno: "EINVAL", at: path) }
        } else {
            throw Self.error(.failed, errno: "EPERM", at: path)
        }
        try change(path.dropLast()) { $0.children[path[path.count - 1]] = Node(kind: .link(target), mode: 0o777) }
        guard isMapping else { return }
        // The link makes the device list entry, writable unless `prod_mode_write_protect` says otherwise:
        // target_fabric_mappedlun_link in drivers/target/target_core_fabric_configfs.c.
        let locked = node(at: path[..<3] + ["attrib", "prod_mode_write_protect"])?.text == "1"
        try change(path.dropLast()) {
            $0.live = true
            $0.children["write_protect"]!.text = locked ? "1" : "0"
        }
    }

    /// Removes a link; with a last component `*`, every link of the directory.
    mutating func unlink(_ path: [String]) throws(HostError) {
        guard let directory = node(at: path.dropLast()) else { return }
        if path.last == "*" {
            for (name, child) in directory.children where child.link != nil {
                try unlink(path.dropLast() + [name])
            }
            return
        }
        guard let found = directory.children[path[path.count - 1]] else { return }
        guard found.link != nil else { throw Self.error(.failed, errno: "EPERM", at: path) }
        try change(path.dropLast()) {
            $0.children[path[path.count - 1]] = nil
            $0.live = false
        }
        // With a LUN's link every ACL's entry for it dies, and the mapped LUNs' links stay: core_dev_del_lun.
        guard path.count == 6, path[3] == "lun" else { return }
        let lun = Array(path.dropLast())
        for (initiator, acl) in node(at: path[..<3] + ["acls"])?.children ?? [:] {
            for (name, mapped) in acl.children where mapped.children.values.contains(where: { $0.link == lun }) {
                try change(path[..<3] + ["acls", initiator, name]) { $0.live = false }
            }
        }
    }
}
