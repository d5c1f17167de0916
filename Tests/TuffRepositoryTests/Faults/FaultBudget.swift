import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffRepository
import TuffTestSupport

/// The amount of work that is run, from the environment as in docs/reliability/README.md; a plain `swift test` runs a
/// taste.
enum FaultBudget {
    /// The seed everything random follows from. Printed with every violation.
    static let seed = variable("FAULTS_SEED").flatMap { UInt64($0) } ?? 1
    /// Seconds that each open-ended test may take.
    static let seconds = variable("FAULTS_SECONDS").flatMap { Double($0) } ?? 4

    static func deadline() -> ContinuousClock.Instant { ContinuousClock.now + .seconds(seconds) }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private struct Line: Encodable {
        var id: String
        var level: String
        var seed: UInt64
        var op: String
        var position: String
        var verdict: String
    }

    /// One line of JSON for an injected fault, in the file that FAULTS_LOG names.
    ///
    /// - Parameter position: where the fault was; with the seed enough to do it again.
    static func record(_ id: String, level: String, op: String, position: String, _ violations: [String]) {
        for violation in violations { Issue.record("\(violation): \(id), \(op), \(position), FAULTS_SEED=\(seed)") }
        guard let path = variable("FAULTS_LOG") else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Line(
            id: id, level: level, seed: seed, op: op, position: position,
            verdict: violations.isEmpty ? "ok" : violations.joined(separator: "; "))
        guard let data = try? encoder.encode(line) else { return }
        let text = String(decoding: data, as: UTF8.self) + "\n"
        let file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        // A line is one write, so that lines of several processes do not mix.
        _ = text.withCString { write(file, $0, strlen($0)) }
    }
}

/// The volumes that a directory must give back, known to a test and not to the program: the volume of each restore
/// point.
struct Keeper {
    let path: String
    private(set) var volumes: [FileID: [UInt8]] = [:]
    /// Points in the order in which they were first seen.
    private(set) var order: [FileID] = []

    init(_ path: String) { self.path = path }

    /// Looks at all that is listed, and says what is wrong.
    ///
    /// - Parameters:
    ///   - fresh: volumes that were being backed up: a point that is new holds one of them.
    ///   - gone: points that may be gone by now.
    mutating func violations(fresh: [[UInt8]] = [], gone: Set<FileID> = []) -> [String] {
        var violations: [String] = []
        do throws(RepositoryError) {
            let repository = try Repository.open(try DirectoryStore(path))
            let found = try repository.points()
            violations += found.damaged.map { "damaged: \($0)" }
            for point in found.points {
                let bytes = try Scene.restoring(point, of: repository)
                if let known = volumes[point.id] {
                    if bytes != known { violations.append("\(point.id) came back other than it was") }
                } else if fresh.contains(where: { bytes == $0 }) {
                    volumes[point.id] = bytes
                    order.append(point.id)
                } else {
                    violations.append("\(point.id) is listed and holds nothing that was backed up")
                }
            }
            let listed = Set(found.points.map(\.id))
            for id in order where !listed.contains(id) {
                if !gone.contains(id) { violations.append("\(id) is not listed any more") }
                volumes[id] = nil
            }
            order.removeAll { volumes[$0] == nil }
            let check = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
            if !check.isWhole { violations.append("check: \(check.damage) \(check.hurt.count) hurt") }
        } catch {
            violations.append("\(error)")
        }
        return violations
    }
}
