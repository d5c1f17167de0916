import TuffModel
import TuffPlanning

/// Which pool a volume with a `poolSelector` has, and how the others fared.
struct PlacementTable {
    var placement: Placement

    /// One row a pool, the volume's own first; scores are what pools are weighed by.
    var text: String {
        let rows = placement.verdicts.map { verdict in
            [verdict.pool, verdict.obstacle == nil || isOwn(verdict) ? verdict.score.description : "-", why(verdict)]
        }
        return Layout.table([["POOL", "SCORE", "PLACEMENT"]] + rows, indent: "  ")
    }

    var tree: Tree {
        .object([
            "matchLabels": .map(placement.selector.matchLabels.mapValues { .text($0) }),
            "pool": .text(placement.chosen), "settled": .bool(placement.isSettled),
            "explanation": .text(placement.explanation),
            "pools": .list(placement.verdicts.map(tree)),
        ])
    }

    private func tree(_ verdict: Placement.Verdict) -> Tree {
        .object([
            "name": .text(verdict.pool), "scoreBytes": .int(verdict.score.bytes),
            "fits": .bool(verdict.obstacle == nil),
            "reason": .text(verdict.obstacle?.reason), "message": .text(verdict.obstacle?.sentence),
        ])
    }

    private func isOwn(_ verdict: Placement.Verdict) -> Bool { verdict.pool == placement.chosen }

    private func why(_ verdict: Placement.Verdict) -> String {
        guard isOwn(verdict) else { return verdict.obstacle.map { "out: \($0.sentence)" } ?? "would fit" }
        guard placement.isSettled else {
            return placement.isNear ? "chosen: what it is copied from is there" : "chosen: the highest score"
        }
        return "it is there, and stays" + (verdict.obstacle.map { ", though \($0.sentence)" } ?? "")
    }
}
