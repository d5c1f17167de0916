import TuffModel

/// Where a target listens.
extension ExportDiff {
    /// The daemon's own portals serve every target; it says which they are only with a target.
    private mutating func compareDaemonPortals(_ found: Set<Portal>) {
        guard target != nil else { return }
        let wildcards = Set(found.filter(\.isWildcard).map(\.port))
        let missing = wanted.portals.filter { !found.contains($0) && !wildcards.contains($0.port) }
        guard !missing.isEmpty else { return }
        obstacle = Obstacle(
            .driverCannot,
            "the target daemon does not listen on \(missing.map(\.description).joined(separator: ", ")) and Tuff does "
                + "not start it; it listens on \(found.sorted().map(\.description).joined(separator: ", "))")
    }

    /// Portals that go, go first: the kernel refuses one address of a port while it listens on all of them.
    mutating func comparePortals() {
        let found = Set(target?.portals ?? [])
        guard capabilities.portalsPerTarget else { return compareDaemonPortals(found) }
        let extra = found.subtracting(wanted.portals).sorted()
        if sessions.isEmpty {
            for portal in extra {
                add(.removePortal(reference, portal), "portal", from: portal.description, to: nil)
            }
        } else if !extra.isEmpty {
            let names = extra.map(\.description).joined(separator: ", ")
            notes.append(
                "portal \(names) is not declared and stays while \(sessions.joined(separator: ", ")) is logged in")
        }
        for portal in wanted.portals.sorted() where !found.contains(portal) {
            var obstacle = company.takenPortals[portal]
            if !sessions.isEmpty, let other = extra.first(where: portal.excludes) {
                obstacle = "portal \(portal) cannot be listened on beside \(other), on which initiators are logged in"
            }
            if let obstacle {
                waiting = Obstacle(.portalUnusable, obstacle)
                notes.append(obstacle)
            } else {
                add(.addPortal(reference, portal), "portal", from: nil, to: portal.description)
            }
        }
    }
}
