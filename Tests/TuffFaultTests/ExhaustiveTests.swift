import Synchronization
import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Every sequence of a few changes to one volume on a fresh host, with the controller killed (or a command failing
/// after its work, or the power going) at every boundary of the last change. Sequences that end earlier cover the
/// boundaries of earlier changes.
struct Exhaustive {
    enum Fault: CaseIterable, Sendable {
        case killed, killedInChild, powerLost, failedAfter, pretended

        func plan(at index: Int) -> FaultPlan {
            switch self {
            case .killed, .powerLost: FaultPlan(actions: [index: .crashBefore])
            case .killedInChild: FaultPlan(actions: [index: .late(calls: 500), index + 1: .crashBefore])
            case .failedAfter: FaultPlan(actions: [index: .failAfter])
            case .pretended: FaultPlan(actions: [index: .pretend])
            }
        }
    }

    let mutant: Mutant?
    /// Called with every fault and what the oracle found.
    let record: (_ sequence: String, _ position: String, [Oracle.Violation]) -> Void
    var shard: (index: Int, of: Int) = (0, 1)
    var faults = Fault.allCases
    /// Asked before each fault: nothing more need be known.
    var isEnough: () -> Bool = { false }
    private var number = 0
    /// More than a pass makes of one source.
    private static let readsOfPass = 12

    init(
        mutant: Mutant? = nil, shard: (index: Int, of: Int) = (0, 1),
        record: @escaping (String, String, [Oracle.Violation]) -> Void
    ) {
        self.mutant = mutant
        self.shard = shard
        self.record = record
    }

    /// Sequences that begin with `first` and go on with up to `more` changes.
    mutating func run(_ first: Edit, _ backend: Simulation.Backend, more: Int) async {
        await extend(await inUse(backend), [first], backend, more)
    }

    /// A fresh host with two other volumes in use, so that removing one is not removing all.
    private func inUse(_ backend: Simulation.Backend) async -> Simulation {
        var fresh = Simulation(seed: 1, mutant: mutant)
        for name in ["keep", "stay"] { _ = fresh.edit(.declareAttached, name, backend) }
        await fresh.settle()
        for name in ["keep", "stay"] {
            _ = fresh.edit(.write, name, backend)
            _ = fresh.edit(.login, name, backend)
        }
        record("fresh host, \(backend)", "none", fresh.takeViolations())
        return fresh
    }

    /// One story alone.
    /// - Parameter isDisturbed: with every fault at its last change; without: as it goes where nothing fails.
    func run(_ story: Story, _ backend: Simulation.Backend, isDisturbed: Bool = true) async {
        guard let last = story.edits.last else { return }
        var host = await inUse(backend)
        for edit in story.edits.dropLast() {
            for name in story.names { _ = Self.make(edit, name, &host, backend) }
            _ = await host.pass(Self.consent(edit), order: edit.order?(host.place("a")))
            await host.settle(Self.settling(edit))
        }
        let name = "\(story) on \(backend)"
        record(name, "before", host.takeViolations())
        guard story.names.allSatisfy({ Self.make(last, $0, &host, backend) }) else { return }
        let change = Change(name: name, edit: last, afterwards: story.afterwards, backend: backend)
        if isDisturbed { await injectAll(host, change) } else { _ = await undisturbed(host, change) }
    }

    private mutating func extend(
        _ before: Simulation, _ sequence: [Edit], _ backend: Simulation.Backend, _ more: Int
    ) async {
        var here = before.forked()
        let edit = sequence[sequence.count - 1]
        guard Self.make(edit, "a", &here, backend) else { return }
        number += 1
        if number % shard.of == shard.index {
            let name = sequence.map(\.rawValue).joined(separator: ",") + " on \(backend)"
            await injectAll(here, Change(name: name, edit: edit, backend: backend))
        }
        guard more > 0 else { return }
        _ = await here.pass(Self.consent(edit), order: edit.order?(here.place("a")))
        await here.settle(Self.settling(edit))
        // Told where this sequence was the last.
        _ = here.takeViolations()
        for next in Edit.allCases { await extend(here, sequence + [next], backend, more - 1) }
    }

    /// To the volume under the name it has by now; where there is nothing to do to that, to what had the name first.
    private static func make(
        _ edit: Edit, _ name: String, _ host: inout Simulation, _ backend: Simulation.Backend
    ) -> Bool {
        host.edit(edit, host.place(name), backend) || (host.place(name) != name && host.edit(edit, name, backend))
    }

    private static func consent(_ edit: Edit) -> Consent { Simulation.consent(edit) }

    /// Work that was begun with consent is finished with it.
    private static func settling(_ edit: Edit) -> Consent {
        var consent = Simulation.consent(edit)
        consent.allowDestroy = false
        return consent
    }

    /// The change that is disturbed, in documents already.
    private struct Change {
        var name: String
        var edit: Edit
        /// Changed after the pass that was disturbed, before the next one.
        var afterwards: [Edit] = []
        var backend: Simulation.Backend
    }

    private func pass(
        _ host: inout Simulation, _ change: Change, faults: FaultPlan = FaultPlan(), interference: Interference? = nil
    ) async -> Simulation.Outcome {
        let order = change.edit.order?(host.place("a"))
        return await host.pass(Self.consent(change.edit), order: order, faults: faults, interference: interference)
    }

    private func settle(_ host: inout Simulation, _ change: Change) async {
        for edit in change.afterwards { _ = Self.make(edit, "a", &host, change.backend) }
        await host.settle(Self.settling(change.edit))
    }

    private func undisturbed(_ edited: Simulation, _ change: Change) async -> Simulation.Outcome {
        var whole = edited.forked()
        let outcome = await pass(&whole, change)
        if environment("FAULTS_WALK") != nil { Self.tell(outcome, of: change.name) }
        await settle(&whole, change)
        record(change.name, "no fault", whole.takeViolations())
        return outcome
    }

    private static func tell(_ outcome: Simulation.Outcome, of name: String) {
        print("\(name): \(outcome.actions) actions \(outcome.refusal?.sentence ?? "")")
        for change in outcome.plan?.changes ?? [] {
            print("  \(change.resource) \(change.action): \(change.summary) \(change.notes)")
        }
    }

    private func injectAll(_ edited: Simulation, _ change: Change) async {
        let outcome = await undisturbed(edited, change)
        await blind(edited, change)
        for index in 0...outcome.actions {
            for fault in faults where index < outcome.actions || fault == .killed {
                guard !isEnough() else { return }
                var one = edited.forked()
                _ = await pass(&one, change, faults: fault.plan(at: index))
                one.recover(rebooting: fault == .powerLost)
                await settle(&one, change)
                record(change.name, "\(fault) at action \(index)", one.takeViolations())
            }
        }
        for index in 0..<outcome.actions {
            for choice in Meddling.choices {
                guard !isEnough() else { return }
                var one = edited.forked()
                let act = Meddling(choice: choice, name: "a", seed: 7)
                let machine = one.machine
                let interference = Interference(before: index) { machine.meddle { act.carryOut(&$0) } }
                _ = await pass(&one, change, interference: interference)
                await settle(&one, change)
                record(change.name, "\(act) before action \(index)", one.takeViolations())
            }
        }
        guard outcome.report != nil else { return }
        await forget(edited, change)
    }

    /// One source cannot be read during the pass, and can be again afterwards.
    private func blind(_ edited: Simulation, _ change: Change) async {
        for source in [FaultPlan.Source.lvm, .targets, .directories] {
            guard !isEnough() else { return }
            var one = edited.forked()
            var faults = FaultPlan()
            for index in 0..<Self.readsOfPass { faults.reads[FaultPlan.Read(source, index)] = .fail(.timeout) }
            _ = await pass(&one, change, faults: faults)
            await settle(&one, change)
            record(change.name, "\(source) cannot be read", one.takeViolations())
        }
    }

    /// The controller dies as it writes its ledger.
    private func forget(_ edited: Simulation, _ change: Change) async {
        for save in 0...1 {
            for isDurable in [false, true] {
                var one = edited.forked()
                one.ledger.crash(at: save, isDurable: isDurable)
                _ = await pass(&one, change)
                one.recover(rebooting: false)
                await settle(&one, change)
                record(change.name, "ledger save \(save), durable \(isDurable)", one.takeViolations())
            }
        }
    }
}

@Suite struct ExhaustiveTests {
    static let starts = Edit.first.flatMap { edit in Simulation.Backend.allCases.map { (edit, $0) } }

    @Test(arguments: starts) func everySequenceSurvivesACrashAnywhere(
        _ first: Edit, _ backend: Simulation.Backend
    ) async {
        let looked = Mutex((positions: 0, violations: 0))
        var exhaustive = Exhaustive(shard: Budget.shard) { sequence, position, violations in
            FaultLog.shared.record(sequence, seed: 1, op: "exhaustive", position: position, violations)
            looked.withLock { $0 = ($0.positions + 1, $0.violations + violations.count) }
        }
        await exhaustive.run(first, backend, more: Budget.depth)
        let (positions, violations) = looked.withLock { $0 }
        #expect(positions > 0 && violations == 0, "\(violations) violations at \(positions) positions")
    }
}
