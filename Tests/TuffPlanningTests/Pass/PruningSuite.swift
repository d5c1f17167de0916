import TuffModel
import TuffPlanning
import TuffTestSupport

/// A suite about volume `db`, its target and their plans where `--prune` was said.
protocol PruningSuite {}

extension PruningSuite {
    static var prune: PlanContext { Sample.context { $0.prune = true } }
    static var iqn: String { "\(Sample.iqnBase):db" }

    func plan(
        _ desired: DesiredState, _ observed: ObservedState, _ context: PlanContext = Self.prune
    ) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: context)
    }

    func change(_ plan: Plan, _ name: String, _ kind: Kind = .volume) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }
}
