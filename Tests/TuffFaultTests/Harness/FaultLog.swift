import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffTestSupport

/// The amount of work that is run, from the environment: `make faults` and `.ci/run` set it, a plain `swift test` runs
/// a taste.
enum Budget {
    /// The seed everything random follows from. Printed with every violation.
    static let seed = environment("FAULTS_SEED").flatMap { UInt64($0) } ?? 1
    /// Seconds that each open-ended test may take.
    static let seconds = environment("FAULTS_SECONDS").flatMap { Double($0) } ?? 2
    /// Changes after the first in the exhaustive sequences.
    static let depth = environment("FAULTS_DEPTH").flatMap { Int($0) } ?? 0
    /// `2/5`: the second of five equal parts of the exhaustive sequences.
    static let shard: (index: Int, of: Int) = {
        let parts = (environment("FAULTS_SHARD") ?? "1/1").split(separator: "/").compactMap { Int($0) }
        return parts.count == 2 && parts[1] > 0 ? (parts[0] - 1, parts[1]) : (0, 1)
    }()

    static func deadline() -> ContinuousClock.Instant { ContinuousClock().now + .seconds(seconds) }
}

/// One line of JSON for every injected fault, in the file that FAULTS_LOG names; Tests/Faults/summary counts them.
final class FaultLog: Sendable {
    static let shared = FaultLog()

    private struct State {
        var lines: [String] = []
        var file: Int32 = -1
    }

    private let state = Mutex(State())

    private init() {
        guard let path = environment("FAULTS_LOG") else { return }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        state.withLock { $0.file = file }
    }

    private struct Line: Encodable {
        var id: String
        var level: String
        var seed: UInt64
        var op: String
        var position: String
        var verdict: String
    }

    /// - Parameters:
    ///   - id: what was done, enough to do it again together with the seed.
    ///   - position: where the fault was.
    func record(
        _ id: String, seed: UInt64, op: String, position: String, _ violations: [Oracle.Violation]
    ) {
        for violation in violations {
            Issue.record("\(violation) — \(id), \(op) at \(position), FAULTS_SEED=\(seed)")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Line(
            id: id, level: "L0", seed: seed, op: op, position: position,
            verdict: violations.isEmpty ? "ok" : violations.map(\.description).joined(separator: "; "))
        guard let data = try? encoder.encode(line) else { return }
        let text = String(decoding: data, as: UTF8.self) + "\n"
        state.withLock { state in
            guard state.file >= 0 else { return }
            // A line is one write, so that lines of several processes do not mix.
            _ = text.withCString { write(state.file, $0, strlen($0)) }
        }
    }
}
