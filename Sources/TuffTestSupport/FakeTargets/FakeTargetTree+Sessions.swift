package import TuffHost
package import TuffModel

/// Acts of initiators and other people.
extension FakeTargetTree {
    /// Logs an initiator in, if the target lets it.
    /// - Parameter chap: User and secret the initiator offers.
    package mutating func login(
        initiator: String, to iqn: String, chap: (user: String, secret: String)? = nil,
        address: String = "192.0.2.77"
    ) -> Bool {
        let group = ["iscsi", iqn, "tpgt_1"]
        guard node(at: group + ["enable"])?.text == "1", node(at: group + ["np"])?.children.isEmpty == false else {
            return false
        }
        let acl = node(at: group + ["acls", initiator])
        if acl == nil, node(at: group + ["attrib", "generate_node_acls"])?.text != "1" { return false }
        // An ACL's own attribute goes before the portal group's; -1 means that it has no opinion.
        let own = acl?.children["attrib"]?.children["authentication"]?.text ?? "-1"
        let demanded = own == "-1" ? node(at: group + ["attrib", "authentication"])?.text == "1" : own == "1"
        if demanded {
            let auth = acl?.children["auth"]?.children
            guard let chap, auth?["userid"]?.text == chap.user, auth?["password"]?.text == chap.secret,
                !chap.user.isEmpty
            else { return false }
        }
        sessions.removeAll { $0.iqn == iqn && $0.initiator == initiator }
        sessions.append(Session(iqn: iqn, initiator: initiator, address: address))
        return true
    }

    package mutating func logout(initiator: String, from iqn: String) {
        sessions.removeAll { $0.iqn == iqn && $0.initiator == initiator }
    }

    /// True if discovery names the target to this initiator.
    package func discovers(initiator: String, _ iqn: String) -> Bool {
        let group = ["iscsi", iqn, "tpgt_1"]
        guard node(at: group + ["enable"])?.text == "1" else { return false }
        return node(at: group + ["acls", initiator]) != nil
            || node(at: group + ["attrib", "demo_mode_discovery"])?.text == "1"
    }

    /// True if an initiator with this ACL could write to the LUN it sees under `number`; nil: it sees none.
    package func isWritable(initiator: String, of iqn: String, number: Int) -> Bool? {
        let mapped = node(at: ["iscsi", iqn, "tpgt_1", "acls", initiator, "lun_\(number)"])
        guard let mapped, mapped.live else { return nil }
        return mapped.children["write_protect"]?.text == "0"
    }

    /// A change by somebody else: any action, with a secret and devices that exist.
    package mutating func meddle(_ action: HostAction) throws(HostError) {
        try perform(action, secret: { _ in "somebody else's" }, device: { _ in 0 })
    }

    /// A change by somebody else to one attribute.
    package mutating func meddle(write value: String, to relative: String) throws(HostError) {
        try meddle(.writeAttribute(.target(relative), value, verify: false))
    }

    /// True if the entry exists.
    package func exists(_ relative: String) -> Bool {
        node(at: relative.split(separator: "/").map(String.init)) != nil
    }
}

extension FakeTargetTree {
    /// Paths of the files and devices that enabled backstores hold open, as they were called then.
    var openPaths: Set<String> {
        let adapters = root.children["core"]?.children.values ?? [:].values
        return Set(adapters.flatMap { $0.children.values.map(\.opened) }).subtracting([""])
    }

    /// Minor numbers of the devices that enabled backstores hold open; 0 stands for everything but logical volumes.
    package var openMinors: Set<Int> {
        let adapters = root.children["core"]?.children.values ?? [:].values
        return Set(adapters.flatMap { $0.children.values.filter { $0.children["enable"]?.text == "1" }.map(\.minor) })
    }
}

extension FakeTargetTree {
    /// Unit serial number of the LUN an initiator with this ACL sees under `number`, nil where it sees none.
    package func serial(initiator: String, of iqn: String, number: Int) -> String? {
        let mapped = node(at: ["iscsi", iqn, "tpgt_1", "acls", initiator, "lun_\(number)"])
        guard let mapped, mapped.live, let lun = mapped.children.values.compactMap(\.link).first,
            let object = node(at: lun)?.children.values.compactMap(\.link).first
        else { return nil }
        return node(at: object + ["wwn", "vpd_unit_serial"])?.text
    }
}
