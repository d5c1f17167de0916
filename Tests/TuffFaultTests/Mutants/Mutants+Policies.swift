import TuffHost
import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend the wishes of schedules.
    static let policies: [Mutant] = [
        Mutant("reckons every schedule in UTC") { mutant in
            mutant.documents = onPolicies { $0.schedule.timeZone = nil }
        },
        Mutant("lets policies select everything") { mutant in
            mutant.documents = onPolicies { policy in
                if case .labels = policy.volumes { policy.volumes = .labels(LabelSelector(matchLabels: [:])) }
            }
        },
        Mutant("forgets which runs were taken") {
            $0.tags = { tags in tags.filter { !$0.hasPrefix("tuff:due") } }
        },
        Mutant("runs what is due unasked") {
            $0.context = { context in
                var context = context
                context.consent.runDue = true
                return context
            }
        },
        Mutant("makes up for the day before") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .volume(.copy(let source, let location, var marks)) = step,
                        let run = marks.occasion
                    else { return step }
                    marks.occasion?.time = run.time.advanced(by: TimeSpan(seconds: -86400))
                    return .volume(.copy(source: source, location: location, marks: marks))
                }
            }
        },
        Mutant("forgets that a document named a run") {
            $0.tags = { tags in tags.map { $0.hasSuffix("/kept") ? String($0.dropLast("/kept".count)) : $0 } }
        },
    ]

    private static func onPolicies(
        _ change: @escaping @Sendable (inout SnapshotPolicySpec) -> Void
    ) -> @Sendable (DesiredState) -> DesiredState {
        { desired in
            var desired = desired
            for (name, policy) in desired.snapshotPolicies {
                var policy = policy
                change(&policy.spec)
                desired.snapshotPolicies[name] = policy
            }
            return desired
        }
    }
}
