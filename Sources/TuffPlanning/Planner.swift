package import TuffModel

/// Decides. `plan(desired:observed:context:)` is a pure function: no clock, no randomness, no I/O.
package enum Planner {
    package static func plan(desired: DesiredState, observed: ObservedState, context: PlanContext) -> Plan {
        Plan(context: context, changes: [], steps: [])
    }
}
