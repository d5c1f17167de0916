import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Plans on a host where jobs run.
@Suite struct JobPlanTests {
    let copyUID = Sample.uid(5)

    func job(_ id: String = "a", keys: [String] = [], objects: [UID] = [], done: Int64 = 12) -> RunningJob {
        RunningJob(
            id: id, kind: "restore", summary: "restoring Volume/copy", keys: keys, objects: objects, pid: 4711,
            since: Sample.context().now,
            progress: WorkProgress(phase: "writing", done: Sample.gibi(done), total: Sample.gibi(100)))
    }

    func plan(_ desired: DesiredState, _ observed: ObservedState, _ jobs: RunningJob...) -> Plan {
        var observed = observed
        observed.jobs = ObservationMap(Dictionary(uniqueKeysWithValues: jobs.map { ($0.id, .known($0)) }))
        return Planner.plan(desired: desired, observed: observed, context: Sample.context())
    }

    func change(_ plan: Plan, _ kind: Kind = .volume, _ name: String = "copy") throws -> PlannedChange {
        try #require(plan.changes.first { $0.resource == ResourceID(kind, name) }, "\(plan.changes)")
    }

    /// A snapshot, and a volume in another pool that is being filled from it.
    func copying() throws -> (DesiredState, ObservedState) {
        let tests = TransferPlanTests()
        return (tests.desired(.snapshot("before")), try tests.observed([tests.interrupted(from: Sample.uid(9))]))
    }

    @Test func aCopyThatGoesOnIsNeitherFinishedNorCalledUnfinished() throws {
        let (desired, observed) = try copying()
        let alive = plan(desired, observed, job(objects: [copyUID]))
        let change = try change(alive)
        #expect(change.action == .blocked && change.reason == .jobRunning)
        #expect(change.summary == "it waits for restoring Volume/copy (pid 4711, since \(Sample.context().now))")
        #expect(change.progress == WorkProgress(phase: "writing", done: Sample.gibi(12), total: Sample.gibi(100)))
        #expect(alive.isEmpty && alive.refusal == nil)
    }

    /// A file's job knows its path alone: neither its marks nor its name change under it.
    @Test func aFileThatIsBeingFilledIsNeitherRenamedNorFilledTwice() throws {
        let tests = FileCopyPlanTests()
        let observed = tests.observed(sharing: true, [tests.entry(tests.snapshotMarks())])
        let idle = plan(tests.rollingBack(), observed)
        #expect(idle.steps.contains { if case .volume(.relabel) = $0.step { true } else { false } })
        let path = "\(FileCopyPlanTests.path)/v-db"
        let busy = plan(tests.rollingBack(), observed, job(keys: ["data:\(path)"]))
        #expect(busy.isEmpty, "\(busy.steps)")
        #expect(busy.changes.contains { $0.reason == .jobRunning })
    }

    @Test func aCopyWithoutAJobIsFinishedAsEver() throws {
        let (desired, observed) = try copying()
        let dead = plan(desired, observed)
        #expect(try change(dead).action == .create)
        #expect(dead.steps.contains { if case .volume(.fill) = $0.step { true } else { false } })
        // Nor does a job on something else hold it up.
        #expect(plan(desired, observed, job(keys: ["data:/dev/vg0/v-other"], objects: [Sample.uid(77)])) == dead)
    }

    @Test func whatComesAfterItWaitsAndTheRestGoesOn() throws {
        var (desired, observed) = try copying()
        desired.attachments = Sample.desired(volumes: ["copy"], attached: ["copy"]).attachments
        desired.volumes["new"] = Sample.declared("new", VolumeSpec(size: Sample.gibi(1), placement: .pool("fast")))
        let plan = plan(desired, observed, job(objects: [copyUID]))
        let access = try change(plan, .attachment, "copy-on-web1")
        #expect(access.reason == .jobRunning, "\(access)")
        #expect(try change(plan, .volume, "new").action == .create)
        #expect(Set(plan.steps.map { plan.changes[$0.change].resource }) == [ResourceID(.volume, "new")])
        observed.jobs = nil
        #expect(try change(self.plan(desired, observed), .attachment, "copy-on-web1").action == .create)
    }

    @Test func whatNeedsAKeyOfItWaits() throws {
        let (desired, observed) = try copying()
        let key = "data:\(VolumeLocation.logicalVolume(group: "vg0", name: "v-copy").path)"
        let plan = plan(desired, observed, job(keys: ["repository:nas", key]))
        #expect(try change(plan).reason == .jobRunning && plan.isEmpty)
    }

    /// Its progress is for people: a plan that a person approved is still the plan.
    @Test func howFarItIsMakesNoOtherPlan() throws {
        let (desired, observed) = try copying()
        let early = plan(desired, observed, job(objects: [copyUID], done: 12))
        let late = plan(desired, observed, job(objects: [copyUID], done: 13))
        #expect(early != late && early.settled == late.settled)
        #expect(plan(desired, observed).settled != early.settled)
    }

    @Test func nothingOfWhatItReadsIsRemoved() throws {
        var (desired, observed) = try copying()
        desired.snapshots = [:]
        desired.volumes["copy"] = nil
        observed.jobs = ObservationMap(["a": .known(job(objects: [Sample.uid(9)]))])
        let context = Sample.context {
            $0.prune = true; $0.allowRemovals = 1
        }
        let kept = Planner.plan(desired: desired, observed: observed, context: context)
        #expect(try change(kept, .snapshot, "before").reason == .jobRunning)
        observed.jobs = nil
        let gone = Planner.plan(desired: desired, observed: observed, context: context)
        #expect(try change(gone, .snapshot, "before").action != .blocked)
    }

    @Test func anOrderByHandWaitsToo() throws {
        var observed = Sample.observed([
            Sample.volume { $0.until = Sample.context().now.advanced(by: TimeSpan(seconds: 60)) }
        ])
        let order = Order.purge("db")
        #expect(try !Planner.plan(order, observed: observed, context: Sample.context()).isEmpty)
        observed.jobs = ObservationMap(["a": .known(job(objects: [Sample.uid]))])
        let plan = try Planner.plan(order, observed: observed, context: Sample.context())
        #expect(plan.isEmpty && plan.changes.map(\.reason) == [.jobRunning])
    }

    /// A host that goes down takes its exports down, whatever runs.
    @Test func whoMayLogInIsNoMatterOfAJob() throws {
        var observed = Sample.observed([Sample.volume(active: true)], targets: Sample.export())
        let free = try Planner.plan(.withdrawExports, observed: observed, context: Sample.context())
        observed.jobs = ObservationMap(["a": .known(job(objects: [Sample.uid]))])
        let beside = try Planner.plan(.withdrawExports, observed: observed, context: Sample.context())
        #expect(!free.isEmpty && beside == free)
    }

    /// A volume that is rolled back says so itself; whether that goes on only its job can tell.
    @Test func aRollBackThatGoesOnIsNotCalledInterrupted() throws {
        let key = RestoreKey.of("again", Sample.uid)
        let observed = Sample.observed([Sample.volume { $0.operation = Marks.restoring(key) }])
        #expect(try change(plan(Sample.desired(), observed), .volume, "db").reason == .unfinished)
        let alive = plan(Sample.desired(), observed, job(objects: [Sample.uid]))
        #expect(try change(alive, .volume, "db").reason == .jobRunning)
    }

    /// Unknown is not absent: a job that nobody can read may have anything of the storage, and nothing of the targets.
    @Test func whereJobsCannotBeSeenNothingIsDoneToStorage() throws {
        var observed = Sample.observed([Sample.volume(active: true)])
        let desired = Sample.desired(volumes: ["db", "new"], attached: ["db"])
        for jobs in [
            ObservationMap<RunningJob>(unlisted: HostError(.permissionDenied, "it is not for us")),
            ObservationMap(["a": .unknown(HostError(.malformed, "it is damaged"))]),
        ] {
            observed.jobs = jobs
            let plan = Planner.plan(desired: desired, observed: observed, context: Sample.context())
            #expect(try change(plan, .volume, "new").reason == .unknown)
            #expect(try change(plan, .attachment, "db-on-web1").action == .create)
        }
    }
}
