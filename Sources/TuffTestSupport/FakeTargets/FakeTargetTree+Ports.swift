import TuffHost
import TuffModel

/// Groups of target ports (asymmetric logical unit access), by which a LUN that is mapped may still answer nothing:
/// drivers/target/target_core_alua.c.
extension FakeTargetTree {
    /// The backstore that a LUN hands out.
    private func backstore(of lun: [String]) -> [String]? {
        node(at: lun)?.children.values.compactMap(\.link).first
    }

    func isHandingOut(_ lun: [String]) -> Bool { backstore(of: lun) != nil }

    /// A group of the backstore that a LUN hands out.
    func group(_ name: String, of lun: [String]) -> Node? {
        backstore(of: lun).flatMap { node(at: $0 + ["alua", name]) }
    }

    /// `core_alua_show_tg_pt_gp_info`.
    func portAccess(_ lun: [String]) -> String {
        guard let name = node(at: lun)?.children["alua_tg_pt_gp"]?.text, let group = group(name, of: lun) else {
            return ""
        }
        let states = ["0": "Active/Optimized", "1": "Active/NonOptimized", "2": "Standby", "3": "Unavailable"]
        let state = states[group.children["alua_access_state"]?.text ?? ""] ?? "Unknown"
        let isOffline = node(at: lun)?.children["alua_tg_pt_offline"]?.text == "1"
        return """
            TG Port Alias: \(name)
            TG Port Group ID: \(group.children["tg_pt_gp_id"]?.text ?? "")
            TG Port Primary Access State: \(state)
            TG Port Primary Access Status: None
            TG Port Secondary Access State: \(isOffline ? "Offline" : "None")
            TG Port Secondary Access Status: None

            """
    }

    /// bind(2) is refused where another socket of the port has every address, or one of those that this one wants, and
    /// an address that a target has under another spelling (iscsit_add_np, iscsit_setup_np; measured).
    func isPortalTaken(_ path: [String]) -> Bool {
        guard let wanted = Portal(objectName: path[4]) else { return false }
        for (iqn, target) in node(at: ["iscsi"])?.children ?? [:] {
            for (group, node) in target.children {
                for name in node.children["np"]?.children.keys ?? [:].keys {
                    guard let portal = Portal(objectName: name) else { continue }
                    if portal.excludes(wanted) { return true }
                    let isSameTarget = iqn == path[1] && group == path[2]
                    let isSameFamily = name.hasPrefix("[") == path[4].hasPrefix("[")
                    if portal == wanted, name != path[4], isSameTarget || !isSameFamily { return true }
                }
            }
        }
        return false
    }

    /// LUNs of a group that goes fall back to the one that the kernel made (`core_alua_free_tg_pt_gp`).
    mutating func leave(_ group: [String]) throws(HostError) {
        for (iqn, target) in node(at: ["iscsi"])?.children ?? [:] {
            for (portals, node) in target.children {
                for lun in node.children["lun"]?.children.keys ?? [:].keys {
                    let path = ["iscsi", iqn, portals, "lun", lun]
                    guard backstore(of: path) == Array(group.prefix(3)),
                        self.node(at: path)?.children["alua_tg_pt_gp"]?.text == group.last
                    else { continue }
                    try change(path + ["alua_tg_pt_gp"]) { $0.text = ObservedPortAccess.standard }
                }
            }
        }
    }
}

extension FakeTargetTree.Node {
    /// A group of ports without one takes no state and no LUN.
    var hasNumber: Bool { children["tg_pt_gp_id"]?.text.isEmpty == false }
}

extension String {
    var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
