import TuffModel

/// The changes to the portals of one target.
struct PortalSteps {
    /// Removals that make room on a port. They come before every addition of the plan, since the kernel refuses one
    /// address of a port while any target listens on all of them.
    var clearing: [ExportStep] = []
    /// Additions, and removals of what is in nobody's way: a target that has a portal has one all the time.
    var following: [ExportStep] = []

    var isEmpty: Bool { clearing.isEmpty && following.isEmpty }
}

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

    mutating func comparePortals() {
        // Most targets listen where they should.
        if capabilities.portalsPerTarget, target?.portals == wanted.portals { return }
        let found = Set(target?.portals ?? [])
        guard capabilities.portalsPerTarget else { return compareDaemonPortals(found) }
        let extra = found.subtracting(wanted.portals).sorted()
        var coming: [Portal] = []
        for portal in wanted.portals.sorted() where !found.contains(portal) {
            if let sentence = conflict(portal, beside: extra) {
                waiting = Obstacle(.portalUnusable, sentence)
                notes.append(sentence)
            } else {
                coming.append(portal)
            }
        }
        let isReached = !coming.isEmpty || wanted.portals.contains(where: found.contains)
        let going = maySpare(extra, isReached: isReached) ? extra : []
        let first = going.filter { company.leaving.contains($0) || coming.contains(where: $0.excludes) }
        if company.leaving.isEmpty {
            portals.following = removals(of: first)
        } else {
            portals.clearing = removals(of: first)
        }
        for portal in coming {
            portals.following.append(.addPortal(reference, portal))
            differences.append(FieldDifference("portal", from: nil, to: portal.description))
        }
        portals.following += removals(of: going.filter { !first.contains($0) })
    }

    /// Why a portal cannot be listened on: by what initiators are logged in through here, or by other targets.
    private func conflict(_ portal: Portal, beside extra: [Portal]) -> String? {
        guard !sessions.isEmpty, let held = extra.first(where: portal.excludes) else {
            return company.takenPortals[portal]
        }
        return PortalConflict(wanted: portal, held: held, target: wanted.iqn, initiators: sessions).sentence
    }

    /// True if portals that no document asks for may go. Initiators that lose their connection come back through the
    /// portal they know, and a target that nobody can reach serves nobody.
    private mutating func maySpare(_ extra: [Portal], isReached: Bool) -> Bool {
        guard !extra.isEmpty else { return false }
        let names = extra.map(\.description).joined(separator: ", ")
        if !sessions.isEmpty {
            notes.append(
                "portal \(names) is not declared and stays while \(sessions.joined(separator: ", ")) is logged in")
        } else if !isReached {
            notes.append("portal \(names) is not declared and stays until one that is declared can be listened on")
        }
        return sessions.isEmpty && isReached
    }

    private mutating func removals(of portals: [Portal]) -> [ExportStep] {
        differences += portals.map { FieldDifference("portal", from: $0.description, to: nil) }
        return portals.map { .removePortal(reference, $0) }
    }
}

extension ObservedTarget {
    /// Initiators with a session, with an ACL of their own or without.
    var loggedIn: [String] { acls.filter { !$0.sessions.isEmpty }.map(\.initiator) + dynamicSessions }
}
