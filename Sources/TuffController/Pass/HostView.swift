import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// The host under one configuration, for one pass.
package struct HostView: Sendable {
    package let config: ControllerConfig
    package var reconciler: Reconciler
    let machine: LinuxMachine
    /// Store of the exports that a boot brings back.
    let accepted: AcceptedStore

    /// - Parameter consent: changes that a person allows beyond making and repairing.
    package func newContext(stack: String, consent: Consent = Consent()) -> PlanContext {
        PlanContext(
            now: reconciler.machine.now(), seed: Self.mintSeed(), stack: stack, config: config, consent: consent)
    }

    /// Observes everything that plans need to know of the host, and loads the ledger.
    package func observe(_ state: DesiredState, context: PlanContext) async throws(PassError) -> ObservedState {
        do throws(HostError) {
            return try await reconciler.observe(state, context: context)
        } catch {
            throw PassError(error)
        }
    }

    /// The same view with a ledger in memory, which is not saved: boot and shutdown must not fail because a disk is
    /// full, and they remove nothing for good. A ledger only serves to refuse, so an unreadable one is replaced by an
    /// empty one.
    func withoutKeeping(_ listener: (any Listener)?) -> HostView {
        var view = self
        var known = Ledger()
        do throws(HostError) { known = try reconciler.ledger.load() } catch {
            listener?.tell(.warning(error.description))
        }
        view.reconciler.ledger = MemoryLedger(known)
        return view
    }

    /// 16 bytes of the system's generator (getrandom(2)) in hexadecimal.
    private static func mintSeed() -> String {
        var generator = SystemRandomNumberGenerator()
        return Hex.text((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
}

extension ObservedState {
    /// A sentence for each source that could not be observed, so that a plan full of blocked lines explains itself.
    /// Sources of one kind with one reason share a sentence, which names the first and counts the others.
    package var unseenSentences: [String] {
        struct Cause: Hashable {
            var sort: Substring
            var code: HostError.Code
            var cause: String?
        }
        var counts: [Cause: Int] = [:]
        func cause(_ source: String, _ error: HostError) -> Cause {
            Cause(sort: source.prefix { $0 != " " }, code: error.code, cause: error.cause)
        }
        for (source, error) in unseen { counts[cause(source, error), default: 0] += 1 }
        return unseen.compactMap { source, error in
            let cause = cause(source, error)
            guard let count = counts.removeValue(forKey: cause) else { return nil }
            return "\(source): \(error)"
                + (count > 1 ? "; and the same of \(PrintedText.count(count - 1, "other \(cause.sort)"))" : "")
        }
    }
}
