package import TuffModel

/// Documents for other nodes. Only pools name a node; volumes follow their pool, and attachments their volume.
extension DesiredState {
    /// The node that owns a pool; nil: any node that applies the documents.
    private func node(ofPool name: String) -> String? { pools[name]?.spec.node }

    /// The node that a volume's document is for; nil: this one, or none in particular.
    package func node(ofVolume name: String) -> String? {
        guard case .pool(let pool) = volumes[name]?.spec.placement else { return nil }
        return node(ofPool: pool)
    }

    /// Numbers of pools, volumes and attachments for other nodes than `node`, by node.
    package func elsewhere(than node: String) -> [String: Int] {
        let all =
            pools.keys.map { self.node(ofPool: $0) } + volumes.keys.map { self.node(ofVolume: $0) }
            + attachments.values.map { self.node(ofVolume: $0.spec.volume) }
        return all.reduce(into: [:]) { counts, owner in
            if let owner, owner != node { counts[owner, default: 0] += 1 }
        }
    }
}

extension ResourceRecord {
    /// Whether it belongs to another node: nothing is known of it here, and nothing is wrong.
    package var isElsewhere: Bool { ready.isElsewhere }
}

extension Condition {
    private static let otherNode = "OtherNode"

    package var isElsewhere: Bool { reason == Self.otherNode }

    /// The condition of a resource that is declared for another node.
    static func elsewhere(_ node: String) -> Condition {
        Condition("Ready", .unknown, reason: otherNode, message: "it is for node \(node)")
    }
}
