import Testing
import TuffTestSupport

/// Rolling back, with a fault at every boundary of it.
@Suite struct RestoreStoryTests {
    static let stories: [Story] = [
        [.declare, .snapshot, .write, .restore],
        // It waits until the volume is detached, and runs with the withdrawal.
        [.declareAttached, .snapshot, .write, .restore, .detach],
        // Once is once, also when something was written since and the document comes again.
        [.declare, .snapshot, .write, .restore, .write, .removeRestore, .restore],
        [.declare, .snapshot, .write, .restore, .write, .extend],
        [.declareAttached, .snapshot, .write, .restore, .detach, .write, .attach],
        [.declare, .snapshot, .protect, .write, .restore],
        [.declare, .snapshot, .write, .extend, .restore],
        // Nobody is let in before it is done.
        Story(.declare, .snapshot, .write, .restore, afterwards: [.attach]),
    ]

    @Test(arguments: stories) func rollingBackSurvivesACrashAnywhere(_ story: Story) async {
        let exhaustive = Exhaustive { sequence, position, violations in
            FaultLog.shared.record(sequence, seed: 1, op: "restore", position: position, violations)
            #expect(violations.isEmpty, "\(sequence), \(position): \(violations)")
        }
        await exhaustive.run(story, .lvm)
    }

    private static func isHalfDone(_ host: Simulation) -> Bool {
        OracleView(host.machine.world).objects.contains { $0.isHalfRestored }
    }

    /// The document goes in the middle, and comes again.
    @Test func whatNobodyDeclaresAnyMoreStaysHalfDoneAndIsFinishedByItsDocument() async {
        for index in 0..<14 {
            var host = Simulation(seed: 1)
            for edit in [Edit.declare, .snapshot, .write, .restore] {
                _ = host.edit(edit, "a", .lvm)
                if edit != .restore { await host.settle() }
            }
            _ = await host.pass(faults: FaultPlan(actions: [index: .crashBefore]))
            host.recover(rebooting: index.isMultiple(of: 2))
            _ = host.edit(.removeRestore, "a", .lvm)
            _ = host.edit(.attach, "a", .lvm)
            await host.settle()
            let isHalf = Self.isHalfDone(host)
            #expect(host.takeViolations().isEmpty, "\(index)")
            if isHalf {
                // Nobody has it: the way on is the document, and then everybody gets it.
                _ = host.edit(.restore, "a", .lvm)
                await host.settle()
                #expect(!Self.isHalfDone(host), "\(index)")
                #expect(!host.machine.world.exportedVolumes().isEmpty, "\(index)")
            }
            #expect(host.takeViolations().isEmpty, "\(index)")
        }
    }

    /// Snapshots with room of their own, which goes with what is written, and with them what they hold.
    static let thickStories: [Story] = [
        [.declare, .snapshot], [.declareAttached, .snapshot], [.declareAttached, .snapshot, .write, .cloneAway],
        [.declareAttached, .snapshot, .write, .clone], [.declareAttached, .snapshot, .removeSnapshot],
        [.declareAttached, .snapshot, .overflow, .cloneAway], [.declareAttached, .snapshot, .extend],
        [.declare, .snapshot, .removeSnapshot, .expire], [.declareAttached, .snapshot, .remove],
        [.declareAttached, .snapshot, .removeSnapshot, .remove, .expire],
        [.declareAttached, .snapshot, .write, .detach, .restore],
        [.declareAttached, .snapshot, .write, .overflow, .detach, .restore],
    ]

    @Test(arguments: thickStories) func thickSnapshotsSurviveACrashAnywhere(_ story: Story) async {
        let exhaustive = Exhaustive { sequence, position, violations in
            FaultLog.shared.record(sequence, seed: 1, op: "thick", position: position, violations)
            #expect(violations.isEmpty, "\(sequence), \(position): \(violations)")
        }
        await exhaustive.run(story, .thick)
    }
}
