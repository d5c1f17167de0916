import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

private struct Sum: JobRequest {
    typealias Outcome = Int
    static let kind = "sum"
    var numbers: [Int]
    var summary: String { "adding \(numbers.count) numbers" }
    var keys: [String] { [] }
}

/// Passes on a machine where somebody's job runs.
@Suite struct JobTests {
    private func apply(_ desired: DesiredState, on machine: FakeMachine, _ seed: String) async throws -> ApplyReport {
        let context = Sample.context(seed)
        let reconciler = Reconciler(
            machine: machine, config: Sample.config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: LIODriver())
        let observed = try await reconciler.observe(desired, context: context)
        return try await reconciler.apply(
            Planner.plan(desired: desired, observed: observed, context: context), desired: desired, observed: observed)
    }

    @Test func whatAJobWorksOnIsLeftAloneUntilItEnds() async throws {
        let machine = FakeMachine()
        #expect(try await apply(Sample.desired(), on: machine, "1").outcome == .converged)
        let tags = try #require(machine.world.lvm["vg0", "v-db"]?.tags)
        let uid = try #require(tags.first { $0.hasPrefix("tuff:uid=") }.flatMap { UID(String($0.dropFirst(9))) })
        let job = RunningJob(
            id: "a", kind: "backup", summary: "backing Volume/db up", objects: [uid], pid: 4711,
            since: machine.clock().civil)
        machine.meddle { $0.jobs = ObservationMap(["a": .known(job)]) }
        var desired = Sample.desired(volumes: ["db", "web"])
        desired.volumes["db"]?.spec.size = Sample.gibi(12)
        let beside = try await apply(desired, on: machine, "2")
        let verdicts = Dictionary(uniqueKeysWithValues: beside.changes.map { ($0.resource.name, $0.verdict) })
        #expect(verdicts["db"] == .blocked && verdicts["web"] == .done, "\(beside.changes)")
        #expect(machine.world.lvm["vg0", "v-db"]?.size == Sample.gibi(10))
        machine.meddle { $0.jobs = ObservationMap() }
        #expect(try await apply(desired, on: machine, "3").outcome == .converged)
        #expect(machine.world.lvm["vg0", "v-db"]?.size == Sample.gibi(12))
    }

    @Test func aMachineOfTestsHasATableOfItsOwn() async throws {
        var handlers = JobHandlers()
        handlers.register(Sum.self) { request, control throws(HostError) in
            try control.demandGoingOn()
            return request.numbers.reduce(0, +)
        }
        let machine = FakeMachine(jobs: handlers)
        #expect(try await machine.run(Sum(numbers: [1, 2, 3]), telling: { _ in }, until: { false }) == 6)
        let stopped = await #expect(throws: HostError.self) {
            _ = try await machine.run(Sum(numbers: []), telling: { _ in }, until: { true })
        }
        #expect(stopped?.code == .interrupted)
        let unknown = await #expect(throws: HostError.self) {
            _ = try await FakeMachine().run(Sum(numbers: []), telling: { _ in }, until: { false })
        }
        #expect(unknown?.code == .malformed)
    }
}
