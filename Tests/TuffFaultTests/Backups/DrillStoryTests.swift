import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Drills with a fault at every boundary, under the eye of the oracle; and controllers that are at fault in them.
@Suite struct DrillStoryTests {
    static let site = "/srv/backups/nas"
    static let point = FakeRepository.name(5)

    /// A host with a volume, and a repository with a point of it whose drill is due.
    static func host(
        _ pool: Simulation.Backend, mutant: Mutant? = nil, _ change: (inout FakeRepository) -> Void = { _ in }
    ) async throws -> Simulation {
        var host = Simulation(seed: 1, mutant: mutant)
        for name in ["a", "keep"] { _ = host.edit(.declare, name, .lvm) }
        await host.settle()
        let object = try #require(OracleView(host.machine.world).objects.first { $0.label == "a" && $0.isLive })
        var point = ObservedPoint(
            id: point, volume: "a", stack: "default", node: "storage1", uid: object.uid.flatMap { UID($0) },
            time: Instant(secondsSince1970: host.machine.now().secondsSince1970 - 2 * 86400),
            size: ByteCount(16 << 20), content: ByteCount(4 << 20))
        point.policy = "nightly"
        var repository = FakeRepository(id: FakeRepository.name(7))
        repository.points = [point]
        repository.stamps[point.id] = 4711
        change(&repository)
        host.meddle { $0.repositories[site] = repository }
        var spec = BackupRepositorySpec(site: .directory(site))
        spec.prune = Schedule(cron: "0 0 1 1 *")
        host.desired.backupRepositories["nas"] = Sample.declared("nas", spec)
        var policy = BackupPolicySpec(
            volumes: .names(["a"]), repository: "nas", schedule: Schedule(cron: "0 0 1 1 *"))
        policy.drill = DrillSpec(cron: "0 0 * * *", pool: pool.pool)
        host.desired.backupPolicies["nightly"] = Sample.declared("nightly", policy)
        _ = host.takeViolations()
        return host
    }

    static func receipts(_ host: Simulation) -> [ObservedReceipt] {
        host.machine.world.repositories[site]?.receipts.filter { $0.work == .drill } ?? []
    }

    static func scratches(_ host: Simulation) -> [OracleObject] {
        OracleView(host.machine.world).objects.filter { $0.tags.contains { $0.hasPrefix("tuff:drill=") } }
    }

    /// Leaves a scratch volume, as a drill that is killed does.
    private static func leaving(_ pool: Simulation.Backend, mutant: Mutant? = nil) async throws -> Simulation {
        var host = try await host(pool, mutant: mutant)
        for index in 0..<20 {
            var one = host.forked()
            _ = await one.pass(faults: FaultPlan(actions: [index: .crashBefore]))
            guard let left = scratches(one).first, left.content != nil else { continue }
            one.recover(rebooting: false)
            host = one
            break
        }
        #expect(scratches(host).count == 1)
        _ = host.takeViolations()
        return host
    }

    // MARK: The real controller

    @Test(arguments: Simulation.Backend.allCases) func aDrillSurvivesACrashAnywhere(
        _ pool: Simulation.Backend
    ) async throws {
        let host = try await Self.host(pool)
        var whole = host.forked()
        let outcome = await whole.pass()
        await whole.settle()
        #expect(whole.takeViolations() == [] && outcome.actions > 5)
        #expect(Self.receipts(whole).map(\.point) == [Self.point])
        #expect(Self.receipts(whole).allSatisfy { $0.fault == nil })
        #expect(Self.scratches(whole).isEmpty)
        for index in 0...outcome.actions {
            for fault in Exhaustive.Fault.allCases {
                var one = host.forked()
                _ = await one.pass(faults: fault.plan(at: index))
                one.recover(rebooting: fault == .powerLost)
                await one.settle()
                let violations = one.takeViolations()
                FaultLog.shared.record(
                    "drill on \(pool)", seed: 1, op: "drill", position: "\(fault) at \(index)", violations)
                #expect(violations.isEmpty, "\(fault) at action \(index): \(violations)")
                #expect(Self.scratches(one).isEmpty, "\(fault) at action \(index)")
                #expect(Self.receipts(one).filter { $0.fault == nil }.count == 1, "\(fault) at action \(index)")
            }
        }
    }

    @Test(arguments: Simulation.Backend.allCases) func aPointThatComesBackOtherwiseIsSaidToAndTheScratchVolumeGoes(
        _ pool: Simulation.Backend
    ) async throws {
        for change in [{ $0.rotten = [Self.point] }, { $0.stamps = [:] }] as [(inout FakeRepository) -> Void] {
            var host = try await Self.host(pool, change)
            let outcome = await host.pass()
            let change = try #require(
                outcome.report?.changes.first { $0.resource == ResourceID(.backupPolicy, "nightly") && $0.error != nil }
            )
            #expect(change.verdict == .failed)
            #expect(Self.receipts(host).map { $0.fault == nil } == [false] && Self.scratches(host).isEmpty)
            // It is judged, and so not due again before its next time.
            await host.settle()
            #expect(Self.receipts(host).count == 1 && host.takeViolations() == [])
        }
    }

    @Test(arguments: Simulation.Backend.allCases) func whatALiveJobWorksOnStaysUntilThatEnds(
        _ pool: Simulation.Backend
    ) async throws {
        var host = try await Self.leaving(pool)
        let left = try #require(Self.scratches(host).first)
        let path = left.home.hasPrefix("/") ? "\(left.home)/\(left.name)" : "/dev/\(left.home)/\(left.name)"
        let job = RunningJob(
            id: "j", kind: "drill", summary: "restoring", keys: ["data:\(path)"], pid: 4711, since: host.machine.now())
        host.meddle { $0.jobs.entries["j"] = .known(job) }
        _ = await host.pass()
        #expect(Self.scratches(host).map(\.key) == [left.key] && Self.receipts(host).isEmpty)
        host.meddle { $0.jobs = ObservationMap() }
        await host.settle()
        #expect(Self.scratches(host).isEmpty && Self.receipts(host).count == 1)
        #expect(host.takeViolations() == [])
    }

    @Test func theScratchVolumeOfAnotherStackAndOneThatIsProtectedStay() async throws {
        var host = try await Self.host(.lvm)
        for (number, name) in [(21, "other"), (22, "default")] as [(UInt8, String)] {
            let marks = Marks.scratch(Sample.uid(number), of: "nightly", stack: name)
            let tags = marks.tags + (name == "default" ? ["tuff:protect"] : [])
            host.meddle {
                try? $0.lvm.create(marks.objectName, in: "vg0", pool: "tp0", size: Sample.gibi(1), tags: tags)
            }
        }
        await host.settle()
        #expect(Self.scratches(host).count == 2 && Self.receipts(host).count == 1)
        #expect(host.takeViolations() == [])
    }

    // MARK: Mutants

    private static func withoutCheck(_ actions: [HostAction]) -> [HostAction] {
        actions.compactMap { action in
            if case .require(.scratchVolume) = action { return nil }
            guard case .run(var command) = action, command.arguments.first == "lvremove",
                let index = command.arguments.firstIndex(of: "-S")
            else { return action }
            command.arguments.removeSubrange(index...index + 1)
            return .run(command)
        }
    }

    static let mutants: [Mutant] = [
        Mutant("leaves scratch volumes") {
            $0.volumeSteps = { steps in steps.filter { if case .volume(.dropScratch) = $0 { false } else { true } } }
        },
        Mutant("removes what a live job works on") { mutant in
            mutant.plan = { plan, observed in
                var plan = plan
                for scratch in StorageIndex(observed).scratches where scratch.marks.stack == "default" {
                    let resource = ResourceID(.pool, "fast")
                    plan.changes.append(PlannedChange(resource, action: .update, summary: "remove", uid: scratch.uid))
                    plan.steps.append(
                        PlannedStep(
                            id: plan.steps.count, change: plan.changes.count - 1,
                            step: .volume(.dropScratch(scratch.ref, scratch.marks, isMade: true)),
                            keys: [.volumeGroup("vg0")], after: []))
                }
                return plan
            }
        },
        Mutant("removes scratch volumes of other stacks") { mutant in
            mutant.tags = { tags in tags.map { $0.hasPrefix("tuff:stack=") ? "tuff:stack=default" : $0 } }
            mutant.actions = { withoutCheck($0) }
        },
        Mutant("does not look at the marks again") { $0.actions = { withoutCheck($0) } },
        Mutant("drills unasked") { mutant in
            mutant.context = { context in
                var context = context
                context.consent.runDue = true
                return context
            }
        },
        Mutant("compares nothing") { _ in },
    ]

    /// All that a controller at fault could do wrong; of the real one the oracle says nothing.
    /// - Parameter compares: false: its worker leaves a good receipt without having compared anything.
    private func violations(_ mutant: Mutant?, compares: Bool = true) async throws -> [Oracle.Violation] {
        var found: [Oracle.Violation] = []
        var unasked = try await Self.host(.lvm, mutant: mutant)
        _ = await unasked.pass(Consent())
        found += unasked.takeViolations()
        var host = try await Self.host(.lvm, mutant: mutant) {
            $0.rotten = [Self.point]
            $0.isCompared = compares
        }
        let other = Marks.scratch(Sample.uid(21), of: "nightly", stack: "other")
        host.meddle {
            try? $0.lvm.create(other.objectName, in: "vg0", pool: "tp0", size: Sample.gibi(1), tags: other.tags)
        }
        _ = await host.pass()
        await host.settle()
        found += host.takeViolations()
        // Somebody protects what is left, after it was looked at.
        var left = try await Self.leaving(.lvm)
        if let mutant { left = left.taken(over: mutant) }
        let machine = left.machine
        let protection = Interference(before: 0) {
            machine.meddle { world in
                for name in world.lvm["vg0"]?.volumes.keys.sorted() ?? [] where name.hasPrefix("d-") {
                    world.lvm["vg0", name]?.tags.append("tuff:protect")
                }
            }
        }
        _ = await left.pass(Consent(), interference: protection)
        found += left.takeViolations()
        var busy = try await Self.leaving(.lvm)
        if let mutant { busy = busy.taken(over: mutant) }
        let uid = try #require(Self.scratches(busy).first?.uid.flatMap { UID($0) })
        let job = RunningJob(
            id: "j", kind: "drill", summary: "restoring", objects: [uid], pid: 4711, since: busy.machine.now())
        busy.meddle { $0.jobs.entries["j"] = .known(job) }
        _ = await busy.pass()
        return found + busy.takeViolations()
    }

    @Test func ofTheRealControllerTheOracleSaysNothing() async throws {
        #expect(try await violations(nil) == [])
    }

    @Test(arguments: mutants.indices) func everyMutantIsCaught(_ number: Int) async throws {
        let mutant = Self.mutants[number], compares = mutant.name != "compares nothing"
        #expect(
            try await violations(compares ? mutant : nil, compares: compares) != [],
            "the mutant '\(mutant)' was not noticed")
    }
}
