import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Keep rules under the eye of the oracle: of the real controller it says nothing, and it finds out each that takes
/// away what is to stay. One that prunes without the exclusive lease is in DuePruneTests, on a real repository.
@Suite struct KeepMutantTests {
    static let site = BackupRepositorySpec.Site.directory("/srv/backups/keep")
    static let day: Int64 = 86400

    static let mutants: [Mutant] = [
        Mutant("removes the newest good point") { $0.plan = adding { $0.id == "whole" } },
        Mutant("removes points of a named Backup") { $0.plan = adding { $0.backup != nil } },
        Mutant("removes points of other policies") { $0.plan = adding { $0.policy == "weekly" } },
        Mutant("removes points of other hosts") { $0.plan = adding { $0.node == "storage2" } },
        Mutant("removes points that are set aside") { $0.plan = adding { $0.isSetAside } },
        Mutant("keeps fewer than the rule says") { mutant in
            mutant.documents = { desired in
                var desired = desired
                desired.backupPolicies["nightly"]?.spec.keep?.last = 1
                return desired
            }
        },
        Mutant("runs what is due unasked") { mutant in
            mutant.context = { context in
                var context = context
                context.consent.runDue = true
                return context
            }
        },
    ]

    /// A plan whose prune takes these away, too.
    private static func adding(
        _ isMeant: @escaping @Sendable (ObservedPoint) -> Bool
    ) -> @Sendable (Plan, ObservedState) -> Plan {
        { plan, observed in
            var plan = plan
            let points = observed.repositories?.entries.values.compactMap(\.value).flatMap(\.points) ?? []
            for index in plan.steps.indices {
                guard case .backup(.prune(var task)) = plan.steps[index].step else { continue }
                task.expired += points.filter(isMeant).map { PruneTask.Expired($0.id, of: $0.policy ?? "") }
                plan.steps[index].step = .backup(.prune(task))
            }
            return plan
        }
    }

    /// A repository with points of all sorts, the newest of the policy's two hours old and not whole.
    private static func repository(_ uid: UID, now: Int64) -> FakeRepository {
        func point(_ id: String, _ age: Int64, _ change: (inout ObservedPoint) -> Void = { _ in }) -> ObservedPoint {
            var point = ObservedPoint(
                id: id, volume: "a", stack: "default", node: "storage1", uid: uid,
                time: Instant(secondsSince1970: now - age), size: ByteCount(16 << 20), content: ByteCount(1 << 20))
            point.policy = "nightly"
            change(&point)
            return point
        }
        var repository = FakeRepository(id: "r")
        repository.points = [
            point("old3", 6 * day), point("old2", 5 * day), point("old1", 4 * day),
            point("weekly", 5 * day + 60) { $0.policy = "weekly" },
            point("named", 5 * day + 120) { $0.backup = "before" },
            point("theirs", 5 * day + 180) { $0.node = "storage2" },
            point("aside", 5 * day + 240) { $0.isSetAside = true },
            point("whole", 3 * day), point("hurt", 7200) { $0.isHurt = true },
        ].sorted { $0.time < $1.time }
        return repository
    }

    /// One pass over the repository: what is gone afterwards, and what the oracle says of it.
    private func pass(_ mutant: Mutant?, runDue: Bool) async throws -> (gone: Set<String>, [Oracle.Violation]) {
        var host = Simulation(seed: 1, mutant: mutant)
        _ = host.edit(.declare, "a", .lvm)
        var consent = Consent()
        _ = await host.pass(consent)
        let object = try #require(OracleView(host.machine.world).objects.first { $0.label == "a" && $0.isLive })
        let uid = try #require(object.uid.flatMap { UID($0) })
        let now = host.machine.now().secondsSince1970
        let before = Self.repository(uid, now: now)
        host.meddle { $0.repositories[Self.site.description] = before }
        var repository = BackupRepositorySpec(site: Self.site)
        repository.prune = Schedule(cron: "* * * * *")
        host.desired.backupRepositories["nas"] = Sample.declared("nas", repository)
        var policy = BackupPolicySpec(
            volumes: .names(["a"]), repository: "nas", schedule: Schedule(cron: "0 0 1 1 *"))
        policy.keep = KeepRule()
        policy.keep?.last = 3
        host.desired.backupPolicies["nightly"] = Sample.declared("nightly", policy)
        consent.runDue = runDue
        let intent = Oracle.PointIntent(
            node: "storage1", stack: "default", policies: ["nightly": 3], runDue: runDue,
            now: host.machine.now().secondsSince1970)
        _ = await host.pass(consent)
        let after = try #require(host.machine.world.repositories[Self.site.description])
        let gone = Set(before.points.map(\.id)).subtracting(after.points.map(\.id))
        return (gone, Oracle.points(before: before, after: after, intent: intent))
    }

    @Test(arguments: [true, false]) func ofTheRealControllerItSaysNothing(_ runDue: Bool) async throws {
        let (gone, violations) = try await pass(nil, runDue: runDue)
        #expect(violations == [])
        // What lacks something takes no other's place.
        #expect(gone == (runDue ? ["old3"] : []))
    }

    @Test(arguments: mutants.indices) func everyMutantIsCaught(_ number: Int) async throws {
        let mutant = Self.mutants[number]
        // That which asks nobody shows itself where nobody asked.
        let (_, violations) = try await pass(mutant, runDue: mutant.context == nil)
        #expect(violations != [], "the mutant '\(mutant)' was not noticed")
    }
}
