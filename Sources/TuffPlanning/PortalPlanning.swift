import TuffModel

extension PlanningPass {
    /// That a portal is in use tells two targets, so that each finds another than itself.
    static func listen(_ iqn: String, _ portals: [Portal], _ listening: inout [Portal: [String]]) {
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
                    .portalUnusable, "portals \(other) and \(portal) cannot both be listened on: \(Self.exclusion)")
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
                taken[portal] =
                    "portal \(portal) cannot be listened on beside \(other) of target \(user): \(Self.exclusion)"
                break
            }
        }
        return taken
    }

    private static let exclusion =
        "on one port the kernel listens on every address or on some; name the same in both, or use another port"
}
