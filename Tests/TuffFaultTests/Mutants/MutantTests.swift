import Synchronization
import Testing
import TuffTestSupport

/// Guards the guard: each controller with a deliberate fault must be found out by the harness that the real one passes.
@Suite(.enabled(if: environment("FAULTS_MUTANTS") != nil, "make mutants")) struct MutantTests {
    /// Tried after the stories in which nothing fails, and before those with faults, each of which takes a minute.
    static let walks: UInt64 = 400
    /// Those whose names have `FAULTS_MUTANT` in them, where that is set.
    static let chosen = Mutant.all.indices.filter { index in
        environment("FAULTS_MUTANT").map { Mutant.all[index].description.contains($0) } ?? true
    }

    @Test(arguments: chosen) func everyMutantIsCaught(_ index: Int) async {
        let mutant = Mutant.all[index]
        let caught = await Self.catching(mutant)
        print("mutant '\(mutant)': \(caught.map { "caught, \($0)" } ?? "MISSED")")
        #expect(caught != nil, "the mutant '\(mutant)' was not noticed in \(Self.walks) walks and all stories")
    }

    private static func catching(_ mutant: Mutant) async -> String? {
        if let told { return await first(in: [told], mutant) }
        if let story = mutant.story, let found = await first(in: [story], mutant, on: [mutant.backend]) { return found }
        if let found = await first(in: stories, mutant, isDisturbed: false) { return found }
        if let found = await firstInWalks(mutant, 0..<walks) { return found }
        return await first(in: stories, mutant)
    }

    private static func firstInWalks(_ mutant: Mutant, _ seeds: Range<UInt64>) async -> String? {
        for seed in seeds {
            // A history in which the real controller is at fault tells nothing about the mutant.
            if let found = await firstViolation(seed, mutant), await firstViolation(seed, nil) == nil { return found }
        }
        return nil
    }

    /// Short sequences in which each kind of fault has its chance, at every boundary of the last change.
    private static let stories: [Story] = [
        [.declare], [.declareAttached], [.declareAttached, .detach], [.declareAttached, .remove], [.declare, .extend],
        [.declare, .remove, .declare], [.declare, .keepForNoTime, .remove], [.declare, .remove, .expire],
        [.declare, .protect, .remove], [.declare, .rename], [.declareFromImage], [.declareAttached, .replaceInitiator],
        [.declareAttached, .handOver], [.declareAttached, .handOver, .detach],
        [.declare, .snapshot, .write, .restore], [.declare, .snapshot, .write, .restore, .write, .attach],
        [.declareAttached, .snapshot, .write, .restore], [.declareAttached, .snapshot, .overflow, .cloneAway],
        [.declare, .snapshot, .cloneAway], [.declareAttached, .clone], [.declarePool], [.declare, .declarePolicy],
        [.declare, .declarePolicy, .expire],
        [.declareAttached, .crowd, .extend, .clone], [.declareAttached, .shareReaders, .addSharer, .swapWriter],
        [.declareAttached, .login, .replaceInitiator], [.declare, .place],
        [.orderAdoptServed], [.orderAdoptServed, .serveByHand], [.declare, .loseLedger],
        [.loseImage, .declareFromDigest, .changeImage], [.declare, .declareZonedPolicy], [.askForCheck, .declare],
        [.loseDevice, .declare],
        [.declare, .declarePolicy, .keepRun, .keepRun], [.declare, .declarePolicy, .remove],
        [.declareAttached, .rename, .revertRename], [.declare, .rename, .revertRename, .renameBack],
        [.declare, .renamePlainly],
        [.declare, .snapshot, .removeSnapshot, .remove],
        Story(.declare, .snapshot, .write, .restore, afterwards: [.attach]),
        [.declare, .attach, .replaceInitiator, .login, .detach, .addSharer],
        Story(.declareAttached, .write, .detach, .place, of: ["a", "b", "c"]),
        [.declare, .rename, .remove, .expire, .declare], [.declare, .rename, .revertRename, .remove, .expire],
        [.declare, .retain, .rename, .revertRename, .declare],
        [.declare, .declareBackup], [.declareAttached, .declareBackup], [.declare, .declareBackup, .dropPoint],
        [.declare, .declareBackup, .loseRepository], [.declare, .declareBackup, .write, .restoreBackup],
        [.declare, .declareBackup, .attach, .write, .restoreBackup],
    ]

    private static func first(
        in stories: [Story], _ mutant: Mutant, on backends: [Simulation.Backend] = Simulation.Backend.allCases,
        isDisturbed: Bool = true
    ) async -> String? {
        for story in stories {
            for backend in backends {
                let found = Mutex<String?>(nil)
                var exhaustive = Exhaustive(mutant: mutant) { sequence, position, violations in
                    guard let first = violations.first else { return }
                    found.withLock { $0 = $0 ?? "\(sequence), \(position): \(first)" }
                }
                exhaustive.isEnough = { found.withLock { $0 != nil } }
                await exhaustive.run(story, backend, isDisturbed: isDisturbed)
                if let found = found.withLock({ $0 }) { return found }
            }
        }
        return nil
    }

    /// The one story that `FAULTS_STORY` names, for whoever looks for one that shows a mutant: `declare,extend`, or
    /// `declare,write,place of a,b,c`.
    private static let told = environment("FAULTS_STORY").map { text in
        Story(text: text) ?? { fatalError("FAULTS_STORY has a word that is no edit: \(text)") }()
    }

    /// The stories are clean with the real controller, so that what they say of a mutant is about the mutant.
    @Test(arguments: told.map { [$0] } ?? stories, Simulation.Backend.allCases)
    func theStoriesAreCleanWithoutAMutant(_ story: Story, _ backend: Simulation.Backend) async {
        let exhaustive = Exhaustive { sequence, position, violations in
            FaultLog.shared.record(sequence, seed: 1, op: "story", position: position, violations)
        }
        await exhaustive.run(story, backend)
    }

    private static func firstViolation(_ seed: UInt64, _ mutant: Mutant?) async -> String? {
        let found = Mutex<String?>(nil)
        var walk = await RandomWalk(seed: seed, mutant: mutant) { position, violations in
            guard let first = violations.first else { return }
            found.withLock { $0 = $0 ?? "walk \(seed), \(position): \(first)" }
        }
        if found.withLock({ $0 }) == nil { _ = await walk.run(steps: 6) }
        return found.withLock { $0 }
    }
}
