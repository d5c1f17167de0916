import Synchronization
import TuffModel

/// The answers that steps of this execution got, for steps that come after them.
final class Findings: Sendable {
    private let compared = Mutex<[UID: ComparedBase]>([:])

    func add(_ answer: ComparedBase, of base: UID) { compared.withLock { $0[base] = answer } }

    /// Nil where it was not asked about.
    func answer(of base: UID) -> ComparedBase? { compared.withLock { $0[base] } }
}
