import Synchronization
import Testing
import TuffTestSupport

/// Guards the guard: each controller with a deliberate fault must be found out by the harness that the real one passes.
@Suite(.enabled(if: environment("FAULTS_MUTANTS") != nil, "make mutants")) struct MutantTests {
    static let walks: UInt64 = 400

    @Test(arguments: Mutant.all.indices) func everyMutantIsCaught(_ index: Int) async {
        let mutant = Mutant.all[index]
        var caught: String?
        var seed: UInt64 = 0
        while caught == nil, seed < Self.walks {
            // A history in which the real controller is at fault tells nothing about the mutant.
            if let found = await Self.firstViolation(seed, mutant), await Self.firstViolation(seed, nil) == nil {
                caught = found
            }
            seed += 1
        }
        print("mutant '\(mutant)': \(caught.map { "caught, \($0)" } ?? "MISSED")")
        #expect(caught != nil, "the mutant '\(mutant)' was not noticed in \(Self.walks) walks")
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
