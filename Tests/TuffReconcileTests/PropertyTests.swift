import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The two properties of every plan, and what holds of every world, over random histories. A failure prints its seed;
/// `TUFF_SEED=n` replays it alone.
@Suite struct PropertyTests {
    static let walks = 150
    static let steps = 8

    static var seeds: [UInt64] {
        if let text = environment("TUFF_SEED"), let seed = UInt64(text) { return [seed] }
        let first = UInt64(environment("TUFF_SEED_BASE").flatMap { UInt64($0) } ?? 1)
        return (0..<UInt64(walks)).map { first &* 1_000_003 &+ $0 }
    }

    @Test(arguments: seeds)
    func anAppliedPlanLeavesNothingToDo(seed: UInt64) async throws {
        var walk = Walk(seed: seed)
        for step in 0..<Self.steps {
            let before = walk.machine.world
            let report = try await walk.apply()
            #expect(left(report) == "", "seed \(seed), step \(step)")
            #expect(report.outcome == .converged, "seed \(seed), step \(step): \(bad(report))")
            expectForeignUntouched(before, walk.machine.world, "seed \(seed), step \(step)")
            expectNothingLost(before, walk.machine.world, "seed \(seed), step \(step)")
            if Bool.random(using: &walk.generator) { walk.edit() } else { walk.meddle() }
        }
    }

    @Test(arguments: seeds)
    func anyExecutedPrefixPlannedAgainConverges(seed: UInt64) async throws {
        var walk = Walk(seed: seed)
        for step in 0..<Self.steps {
            let before = walk.machine.world
            let at = Int.random(in: 0..<40, using: &walk.generator)
            let fault = FaultPlan.ActionFault.samples.randomElement(using: &walk.generator)!
            _ = try await walk.apply(FaultPlan(actions: [at: fault]))
            expectForeignUntouched(before, walk.machine.world, "seed \(seed), step \(step), \(fault) at \(at)")
            if Int.random(in: 0..<4, using: &walk.generator) == 0 {
                walk.machine.reboot()
            } else {
                walk.machine.restartController()
            }
            let note = "seed \(seed), step \(step), \(fault) at \(at)"
            expectNothingLost(before, walk.machine.world, note)
            let report = try await walk.apply()
            #expect(left(report) == "", "\(note)")
            let again = try await walk.apply()
            #expect(again.plan.steps.map { "\($0.step)" } == [], "\(note): the second run still does something")
            expectNothingLost(before, walk.machine.world, note)
            expectNoDuplicates(walk, note)
            if Bool.random(using: &walk.generator) { walk.edit() } else { walk.meddle() }
        }
    }

    @Test(arguments: seeds)
    func nothingUnknownEverYieldsAStep(seed: UInt64) async throws {
        var walk = Walk(seed: seed)
        for step in 0..<Self.steps {
            if Bool.random(using: &walk.generator) { _ = try await walk.apply() }
            let context = walk.context()
            let whole = try await walk.reconciler.observe(walk.desired, context: context)
            let all = Set(
                Planner.plan(desired: walk.desired, observed: whole, context: context).steps.map(\.step))
            for mask in 1..<1 << Self.sources {
                let partial = forget(mask, of: whole)
                let plan = Planner.plan(desired: walk.desired, observed: partial, context: context)
                let extra = plan.steps.filter { !all.contains($0.step) }
                #expect(extra.isEmpty, "seed \(seed), step \(step), mask \(mask): \(extra.map(\.step))")
                for planned in plan.steps {
                    #expect(
                        !touches(planned, mask, partial),
                        "seed \(seed), step \(step), mask \(mask): \(planned.step)")
                    if case .volume(.create) = planned.step {
                        #expect(mask & 3 == 0, "seed \(seed): created while a pool was not seen")
                    }
                }
            }
            if Bool.random(using: &walk.generator) { walk.edit() } else { walk.meddle() }
        }
    }

    @Test(arguments: seeds.prefix(40))
    func damagedReadsNeverDestroyAnything(seed: UInt64) async throws {
        var walk = Walk(seed: seed)
        _ = try await walk.apply()
        for step in 0..<Self.steps {
            let before = walk.machine.world
            let note = "seed \(seed), step \(step)"
            _ = try await walk.apply(FaultPlan.random(seed: walk.generator.next(), calls: 60, percent: 15))
            walk.machine.restartController()
            expectNothingLost(before, walk.machine.world, note)
            var report = try await walk.apply()
            for _ in 0..<2 where !report.remaining.isEmpty { report = try await walk.apply() }
            #expect(left(report) == "", "\(note)")
            expectNothingLost(before, walk.machine.world, note)
            if Bool.random(using: &walk.generator) { walk.edit() } else { walk.meddle() }
        }
    }

    /// The changes that a pass left undone and why, short enough to read.
    func left(_ report: ApplyReport) -> String {
        report.remaining.isEmpty ? "" : bad(report)
    }

    func bad(_ report: ApplyReport) -> String {
        report.changes.filter { ![.done, .unchanged].contains($0.verdict) }.map {
            "\($0.resource) \($0.verdict): \($0.error?.description ?? $0.detail ?? $0.summary)"
        }.joined(separator: "; ")
    }

    // MARK: What holds of every world

    /// Of what others made nothing has changed at all. Not to be asked across a reboot.
    func expectForeignUntouched(_ before: FakeWorld, _ after: FakeWorld, _ note: String) {
        #expect(before.lvm["vg0", "foreign"] == after.lvm["vg0", "foreign"], "\(note)")
        #expect(before.files[Walk.directory, "notes.txt"] == after.files[Walk.directory, "notes.txt"], "\(note)")
        for path in ["iscsi/\(Walk.foreignTarget)", "core/iblock_0/foreign"] {
            #expect(before.targets.exists(path) == after.targets.exists(path), "\(note)")
        }
    }

    /// No data is gone, remade, shrunk or unmarked, and nobody else's object has changed.
    func expectNothingLost(_ before: FakeWorld, _ after: FakeWorld, _ note: String) {
        let now = after.data()
        for (key, old) in before.data() {
            guard let new = now[key] else {
                Issue.record("\(note): \(key) is gone")
                continue
            }
            #expect(new.content == old.content, "\(note): \(key) has other bytes")
            #expect(new.size >= old.size, "\(note): \(key) shrank")
            #expect(new.tags == old.tags, "\(note): tags of \(key) changed")
        }
    }

    /// Each declared volume exists once, and nothing of ours is there that nobody declared.
    func expectNoDuplicates(_ walk: Walk, _ note: String) {
        var seen: [String: Int] = [:]
        for group in walk.machine.world.lvm.groups {
            for volume in group.volumes.values {
                if case .ours(let marks) = Marks.read(volume.tags), case .volume(let name) = marks.role {
                    seen[name, default: 0] += 1
                }
            }
        }
        for (name, count) in seen {
            #expect(count == 1, "\(note): \(name) exists \(count) times")
            #expect(walk.desired.volumes[name] != nil, "\(note): \(name) is undeclared")
        }
    }

    private static let sources = 6

    /// The observation with some sources unknown: bit 0 LVM, 1 directories, 2 targets, 3 secrets, 4 the first target,
    /// 5 the last backstore.
    func forget(_ mask: Int, of whole: ObservedState) -> ObservedState {
        let error = HostError(.timeout, "not seen (test)")
        var partial = whole
        if mask & 1 != 0 { partial.volumeGroups = ObservationMap(unlisted: error) }
        if mask & 2 != 0 { partial.directories = ObservationMap(unlisted: error) }
        if case .known(var inventory) = partial.targets, mask & 48 != 0 {
            var unseen = UnseenTargets()
            if mask & 16 != 0, let target = inventory.targets.first {
                unseen.targets[target.iqn] = error
                inventory.targets.removeFirst()
            }
            if mask & 32 != 0, let backstore = inventory.backstores.popLast() {
                unseen.backstores[backstore.name] = error
            }
            inventory.unseen = unseen
            partial.targets = .known(inventory)
        }
        if mask & 4 != 0 { partial.targets = .unknown(error) }
        if mask & 8 != 0 { partial.secrets = ObservationMap(unlisted: error) }
        return partial
    }

    func touches(_ planned: PlannedStep, _ mask: Int, _ partial: ObservedState) -> Bool {
        switch planned.step {
        case .volume(let step): step.location.traits == .lvm ? mask & 1 != 0 : mask & 2 != 0
        case .lvm, .pool: mask & 1 != 0
        case .mount: mask & 2 != 0
        case .backup(let step): step.location.map { $0.traits == .lvm ? mask & 1 != 0 : mask & 2 != 0 } ?? false
        case .export(let step):
            mask & 4 != 0
                || step.target.flatMap { partial.targets.value?.fault(target: $0.iqn) } != nil
                || step.backstore.flatMap { partial.targets.value?.fault(backstore: $0) } != nil
        }
    }
}

extension ExportStep {
    /// Name of the backstore a step makes, changes or hands out.
    fileprivate var backstore: String? {
        switch self {
        case .createBackstore(let spec), .repairBackstore(let spec, _), .addLUN(_, _, let spec): spec.name
        case .removeBackstore(let uid, _): uid.backstoreName
        default: nil
        }
    }
}
