import Testing
import TuffTestSupport

@Suite struct RandomFaultTests {
    static let lanes = 4

    /// `FAULTS_WALK=n` replays one walk alone.
    @Test(arguments: 0..<lanes) func longHistoriesKeepEveryPromise(_ lane: Int) async {
        if let text = environment("FAULTS_WALK"), let seed = UInt64(text) {
            if lane == 0 { #expect(await walk(seed)) }
            return
        }
        let end = Budget.deadline()
        var number = UInt64(lane)
        repeat {
            let seed = Budget.seed &* 1_000_003 &+ number
            #expect(await walk(seed), "FAULTS_WALK=\(seed)")
            number += UInt64(Self.lanes)
        } while ContinuousClock().now < end
    }

    /// True if the oracle had nothing to say; what it says is recorded where it says it.
    private func walk(_ seed: UInt64) async -> Bool {
        let steps = 6
        var walk = await RandomWalk(seed: seed) { position, violations in
            FaultLog.shared.record("FAULTS_WALK=\(seed)", seed: Budget.seed, op: "walk", position: position, violations)
        }
        return await walk.run(steps: steps)
    }
}
