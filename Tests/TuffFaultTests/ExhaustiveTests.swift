import Synchronization
import Testing
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

    /// One sequence alone, with faults at its last change.
    func run(_ sequence: [Edit], _ backend: Simulation.Backend) async {
        var host = await inUse(backend)
        for edit in sequence.dropLast() {
            _ = host.edit(edit, "a", backend)
            _ = await host.pass(Self.consent(edit), order: edit.order?("a"))
            await host.settle(Self.settling(edit))
        }
        let name = sequence.map(\.rawValue).joined(separator: ", ") + " on \(backend)"
        record(name, "before", host.takeViolations())
        guard let last = sequence.last, host.edit(last, "a", backend) else { return }
        await injectAll(host, last, name)
    }

    private mutating func extend(
        _ before: Simulation, _ sequence: [Edit], _ backend: Simulation.Backend, _ more: Int
    ) async {
        var here = before.forked()
        let edit = sequence[sequence.count - 1]
        guard here.edit(edit, "a", backend) else { return }
        let name = sequence.map(\.rawValue).joined(separator: ", ") + " on \(backend)"
        number += 1
        if number % shard.of == shard.index { await injectAll(here, edit, name) }
        guard more > 0 else { return }
        _ = await here.pass(Self.consent(edit), order: edit.order?("a"))
        await here.settle(Self.settling(edit))
        // Told where this sequence was the last.
        _ = here.takeViolations()
        for next in Edit.allCases { await extend(here, sequence + [next], backend, more - 1) }
    }

    private static func consent(_ edit: Edit) -> Consent { Simulation.consent(edit) }

    /// Work that was begun with consent is finished with it.
    private static func settling(_ edit: Edit) -> Consent {
        var consent = Simulation.consent(edit)
        consent.allowDestroy = false
        return consent
    }

    private func injectAll(_ edited: Simulation, _ edit: Edit, _ name: String) async {
        var whole = edited.forked()
        let outcome = await whole.pass(Self.consent(edit), order: edit.order?("a"))
        await whole.settle(Self.settling(edit))
        record(name, "no fault", whole.takeViolations())
        for index in 0...outcome.actions {
            for fault in faults where index < outcome.actions || fault == .killed {
                guard !isEnough() else { return }
                var one = edited.forked()
                _ = await one.pass(Self.consent(edit), order: edit.order?("a"), faults: fault.plan(at: index))
                one.recover(rebooting: fault == .powerLost)
                await one.settle(Self.settling(edit))
                record(name, "\(fault) at action \(index)", one.takeViolations())
            }
        }
        for index in 0..<outcome.actions {
            for choice in Meddling.choices {
                guard !isEnough() else { return }
                var one = edited.forked()
                let act = Meddling(choice: choice, name: "a", seed: 7)
                let machine = one.machine
                let interference = Interference(before: index) { machine.meddle { act.carryOut(&$0) } }
                _ = await one.pass(Self.consent(edit), order: edit.order?("a"), interference: interference)
                await one.settle(Self.settling(edit))
                record(name, "\(act) before action \(index)", one.takeViolations())
            }
        }
        for save in 0...1 where outcome.report != nil {
            for isDurable in [false, true] {
                var one = edited.forked()
                one.ledger.crash(at: save, isDurable: isDurable)
                _ = await one.pass(Self.consent(edit), order: edit.order?("a"))
                one.recover(rebooting: false)
                await one.settle(Self.settling(edit))
                record(name, "ledger save \(save), durable \(isDurable)", one.takeViolations())
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
