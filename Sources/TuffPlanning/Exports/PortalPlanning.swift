import TuffModel

extension PlanningPass {
    /// That a portal is in use tells two targets, so that each finds another than itself.
    static func listen(_ iqn: String, portals: [Portal], listening: inout [Portal: [String]]) {
        for portal in portals {
            let known = listening[portal, default: []]
            if known.count < 2, !known.contains(iqn) { listening[portal] = known + [iqn] }
        }
    }

    /// Why an export cannot listen where it should: by the addresses themselves, which documents that were accepted
    /// before and other configurations may still have.
    func portalObstacle(_ portals: [Portal]) -> Obstacle? {
        for (index, portal) in portals.enumerated() {
            if let fault = portal.fault { return Obstacle(.portalUnusable, "portal \(portal): \(fault)") }
            if let other = portals[..<index].first(where: portal.excludes) {
                return Obstacle(
                    .portalUnusable,
                    "portals \(other) and \(portal) cannot both be listened on: \(PortalConflict.rule); "
                        + PortalConflict.advice)
            }
        }
        return nil
    }

    /// Portals of an export that what other targets listen on keeps it from, each with the reason.
    func takenPortals(_ export: DesiredExport) -> [Portal: String] {
        var taken: [Portal: String] = [:]
        for portal in export.portals where targets[export.iqn]?.portals.contains(portal) != true {
            // Few portals on a host differ, however many targets share them.
            for other in listening.keys.filter(portal.excludes).sorted() {
                guard let user = listening[other]?.first(where: { $0 != export.iqn }) else { continue }
                let conflict = PortalConflict(
                    wanted: portal, held: other, target: user, initiators: moves.busy[user] ?? [])
                taken[portal] = conflict.sentence
                break
            }
        }
        return taken
    }
}

/// Two portals of which the kernel lets only one be listened on, and who has the other.
struct PortalConflict {
    var wanted: Portal
    var held: Portal
    /// Name of the target that listens on `held`.
    var target: String
    /// Initiators that are logged in there, which is why it does not go away; empty: nobody wants it to.
    var initiators: [String]

    static let rule = "on one port the kernel listens on every address or on some"
    static let advice = "name the same in both, or use another port"

    var sentence: String {
        let conflict = "portal \(wanted) cannot be listened on beside \(held) of target \(target)"
        guard !initiators.isEmpty else { return "\(conflict): \(Self.rule); \(Self.advice)" }
        let names = initiators.joined(separator: " and ") + (initiators.count == 1 ? " is" : " are")
        return "\(conflict), to which \(names) logged in: \(Self.rule); tuff apply moves it once nobody is, or use "
            + "another port"
    }
}
