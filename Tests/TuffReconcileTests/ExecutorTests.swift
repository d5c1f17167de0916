import Synchronization
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

@Suite struct ExecutorTests {
    let machine = RecordingMachine()

    func reconciler() -> Reconciler {
        Reconciler(
            machine: machine, config: Sample.config, volumeGroups: NamingDriver(), directories: NamingDriver(),
            exports: NamingDriver())
    }

    func plan(_ volumes: [String], attached: [String] = []) -> Plan {
        Planner.plan(
            desired: Sample.desired(volumes: volumes, attached: attached), observed: Sample.observed(),
            context: Sample.context())
    }

    func run(
        _ plan: Plan, interrupted: @escaping @Sendable () -> Bool = { false }
    ) async throws -> (report: ApplyReport, log: [String]) {
        let report = try await reconciler().apply(
            plan, desired: DesiredState(), observed: Sample.observed(), interrupted: interrupted)
        return (report, machine.state.withLock { $0.log })
    }

    @Test func stepsOfOneVolumeGroupNeverOverlap() async throws {
        let log = try await run(plan(["a", "b", "c"])).log
        #expect(log.count == 6)
        for (index, entry) in log.enumerated() { #expect(entry.hasPrefix(index.isMultiple(of: 2) ? "+" : "-")) }
    }

    @Test func targetsAreBuiltAFewAtATimeAndSideBySide() async throws {
        let names = (10..<30).map { "v\($0)" }
        let log = try await run(plan(names, attached: names)).log
        for name in names { #expect(log.contains { $0.hasPrefix("-export") && $0.hasSuffix(":\(name)") }) }
        // How many are ready at once is a matter of timing.
        #expect((2...8).contains(machine.state.withLock { $0.mostTogether }))
        #expect(machine.state.withLock { $0.mostRunning } > 1)
    }

    @Test func targetsThatWereNotBegunAreAskedForAgain() async throws {
        machine.state.withLock { $0.reluctance = 2 }
        let log = try await run(plan(["a", "b", "c"], attached: ["a", "b", "c"])).log
        for name in ["a", "b", "c"] {
            let begun = log.filter { $0.hasPrefix("+export") && $0.hasSuffix(":\(name)") }
            #expect(!begun.isEmpty && begun.count == Set(begun).count)
        }
    }

    @Test func targetsAreBuiltTogetherAfterTheirDevices() async throws {
        let log = try await run(plan(["a", "b", "c"], attached: ["a", "b", "c"])).log
        #expect(machine.state.withLock { $0.mostTogether } == 3)
        let lastActivation = log.lastIndex { $0.hasPrefix("-activate") }
        let firstExport = log.firstIndex { $0.hasPrefix("+export") }
        #expect(lastActivation != nil && firstExport != nil)
        for name in ["a", "b", "c"] {
            let activated = log.firstIndex(of: "-activate /dev/vg0/v-\(name)")!
            let exported = log.firstIndex { $0.hasPrefix("+export") && $0.hasSuffix(":\(name)") }!
            #expect(activated < exported)
        }
    }

    @Test func aFailedStepSkipsItsDependentsAndNobodyElses() async throws {
        machine.state.withLock { $0.failing = ["create /dev/vg0/v-a"] }
        let log = try await run(plan(["a", "b"], attached: ["a", "b"])).log
        #expect(!log.contains { $0.contains("activate /dev/vg0/v-a") })
        #expect(!log.contains { $0.contains("export") && $0.hasSuffix(":a") })
        #expect(log.contains("-activate /dev/vg0/v-b"))
        #expect(log.contains { $0.contains("export") && $0.hasSuffix(":b") })
    }

    @Test func aCommandThatOutlivesItsDeadlineFencesItsVolumeGroup() async throws {
        machine.state.withLock {
            $0.failing = ["create /dev/vg0/v-a"]
            $0.code = .timeout
        }
        let (report, log) = try await run(plan(["a", "b"], attached: ["b"]))
        #expect(log == ["+create /dev/vg0/v-a", "-create /dev/vg0/v-a"])
        #expect(report.changes.first { $0.resource.name == "b" }?.detail == "skipped because Volume/a failed")
        #expect(!report.interrupted)
    }

    @Test func skippedChangesNameTheResourceThatFailed() async throws {
        machine.state.withLock { $0.failing = ["create /dev/vg0/v-a"] }
        let plan = plan(["a"], attached: ["a"])
        let events = Mutex<[String]>([])
        let tell: @Sendable (ExecutionEvent) -> Void = { event in
            if case .skipped(let change, let cause) = event {
                events.withLock { $0.append("\(plan.changes[change].resource) because of \(cause)") }
            }
        }
        _ = try await reconciler().apply(plan, desired: DesiredState(), observed: Sample.observed(), events: tell)
        #expect(events.withLock { $0 } == ["Attachment/a-on-web1 because of Volume/a"])
    }

    @Test func anInterruptStartsNothingNewAndEndsWhatRuns() async throws {
        let machine = machine
        let begun: @Sendable () -> Bool = { machine.state.withLock { state in !state.log.isEmpty } }
        let (report, log) = try await run(plan(["a", "b", "c"], attached: ["a"]), interrupted: begun)
        // Volumes that are made together are one command's work.
        #expect(log == ["a", "b", "c"].flatMap { ["+create /dev/vg0/v-\($0)", "-create /dev/vg0/v-\($0)"] })
        #expect(report.interrupted)
        #expect(report.outcome == .interrupted)
    }

    /// Thick volumes that are wiped for ever, and a volume that needs no wiping.
    private func wiping(_ count: Int) -> DesiredState {
        var desired = Sample.desired(volumes: ["z"], attached: ["z"])
        desired.volumes["z"]!.spec.size = Sample.gibi(1)
        desired.pools["slow"] = Sample.declared("slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        for index in 0..<count {
            desired.volumes["w\(index)"] = Sample.declared(
                "w\(index)", VolumeSpec(size: ByteCount(4 << 20), placement: .pool("slow")))
        }
        return desired
    }

    /// An interrupt that comes when `isDue` says so of what was logged, and for certain after longer than all tests
    /// beside this one keep the processors.
    private func interrupt(_ isDue: @escaping @Sendable ([String]) -> Bool) -> @Sendable () -> Bool {
        let machine = machine, end = ContinuousClock.now + .seconds(900)
        return { ContinuousClock.now > end || machine.state.withLock { isDue($0.log) } }
    }

    private func plan(_ desired: DesiredState) -> Plan {
        var observed = Sample.observed(), group = Sample.group()
        group.free = Sample.gibi(50)
        observed.volumeGroups.entries["vg0"] = .known(group)
        return Planner.plan(desired: desired, observed: observed, context: Sample.context())
    }

    @Test func whatTakesHoursHoldsUpNothingElse() async throws {
        machine.state.withLock { $0.isSlow = true }
        let isExported: @Sendable ([String]) -> Bool = { $0.contains { $0.hasPrefix("-export") } }
        // On a busy machine the export may be done before the last of the four has begun.
        let isDue: @Sendable ([String]) -> Bool = { isExported($0) && $0.count { $0.hasPrefix("+write") } >= 4 }
        let log = try await run(plan(wiping(6)), interrupted: interrupt(isDue)).log
        #expect(log.count { $0.hasPrefix("+write") } == 4)
        #expect(isExported(log), "the export waited for wipes of other volumes")
    }

    /// Others would take for left behind what waits for its turn, and nobody had told them of.
    @Test func allThatWasBegunIsHeldWhileThePassIsAway() async throws {
        final class Leaving: Tenure {
            let held = Mutex<[UID]>([])
            func leave(_ objects: [UID]) -> Bool {
                held.withLock { $0 = objects }
                return true
            }
            func comeBack() async -> Absence? { .undisturbed }
        }
        machine.state.withLock { $0.isSlow = true }
        let leaving = Leaving(), end = ContinuousClock.now + .seconds(900)
        let plan = plan(wiping(6))
        _ = try await reconciler().apply(
            plan, desired: DesiredState(), observed: Sample.observed(),
            interrupted: { ContinuousClock.now > end || leaving.held.withLock { !$0.isEmpty } }, tenure: leaving)
        let wiped = plan.changes.filter { $0.resource.name.hasPrefix("w") }.compactMap(\.uid)
        #expect(wiped.count == 6)
        #expect(Set(leaving.held.withLock { $0 }).isSuperset(of: wiped), "four are at work, two wait for their turn")
    }

    @Test func aCopyThatFailsKeepsNoOtherCopyOfItsSourceFromBeingMade() async throws {
        var desired = Sample.desired()
        desired.pools["slow"] = Sample.declared("slow", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        for name in ["a", "b"] {
            var spec = VolumeSpec(size: Sample.gibi(10), placement: .pool("slow"))
            spec.source = .volume("db")
            desired.volumes[name] = Sample.declared(name, spec)
        }
        var observed = Sample.observed([Sample.volume()]), group = Sample.group([Sample.volume()])
        group.free = Sample.gibi(50)
        observed.volumeGroups.entries["vg0"] = .known(group)
        let plan = Planner.plan(desired: desired, observed: observed, context: Sample.context())
        machine.state.withLock { $0.failing = ["write /dev/vg0/v-a"] }
        let log = try await run(plan).log
        let failed = try #require(log.firstIndex(of: "-write /dev/vg0/v-a"))
        let begun = try #require(log.firstIndex(of: "+create /dev/vg0/v-b"), "\(log)")
        #expect(failed < begun && log.contains("-complete /dev/vg0/v-b"))
        #expect(!log.contains("+complete /dev/vg0/v-a"))
    }

    @Test func anInterruptIsToldAtOnceAndEndsWhatMovesData() async throws {
        machine.state.withLock { $0.isSlow = true }
        let told = Mutex<[String]>([])
        let isWiping: @Sendable ([String]) -> Bool = { $0.count { $0.hasPrefix("+write") } == 2 }
        let plan = plan(wiping(2))
        let report = try await reconciler().apply(
            plan, desired: DesiredState(), observed: Sample.observed(), interrupted: interrupt(isWiping)
        ) { event in
            switch event {
            case .stopping(_, let leaving): told.withLock { $0.append("stopping, \(leaving)") }
            case .failed(let change, _): told.withLock { $0.append("\(plan.changes[change].resource) failed") }
            default: break
            }
        }
        #expect(told.withLock { $0 } == ["stopping, 2"])
        #expect(report.outcome == .interrupted)
        #expect(report.changes.first { $0.resource.name == "w0" }?.verdict == .interrupted)
        #expect(!machine.state.withLock { $0.log }.contains { $0.contains("complete") })
    }

    @Test func aCommandThatFailedAfterItsWorkIsJudgedByItsWork() async throws {
        machine.state.withLock { $0.failing = ["create /dev/vg0/v-a"] }
        var reconciler = reconciler()
        // The volume is there, whatever its command reported.
        reconciler.volumeGroups = SeeingDriver(groups: Sample.observed([Sample.volume("a")]).volumeGroups)
        let desired = Sample.desired(volumes: ["a"])
        let report = try await reconciler.apply(plan(["a"]), desired: desired, observed: Sample.observed())
        let change = report.changes.first { $0.resource == ResourceID(.volume, "a") }
        #expect(change?.verdict == .done)
        #expect(change?.error?.code == .failed)
        #expect(report.outcome == .converged)
    }

    @Test func aCommandThatSucceededWithoutItsWorkIsAFailure() async throws {
        let desired = Sample.desired(volumes: ["a"])
        var reconciler = reconciler()
        reconciler.volumeGroups = SeeingDriver(groups: Sample.observed().volumeGroups)
        let report = try await reconciler.apply(plan(["a"]), desired: desired, observed: Sample.observed())
        let change = report.changes.first { $0.resource == ResourceID(.volume, "a") }
        #expect(change?.verdict == .failed)
        #expect(change?.detail?.contains("still says") == true)
        #expect(report.outcome != .converged)
    }
}
