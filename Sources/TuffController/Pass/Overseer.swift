package import TuffHost
package import TuffPlanning
package import TuffReconcile

/// Whoever is told what happens, from whatever task or thread that happens on.
package protocol Listener: Sendable {
    func tell(_ remark: Remark)
}

/// Whoever oversees passes: is told what happens, and asked before anything is changed. A terminal for commands; the
/// daemon's log, which asks nobody.
package protocol Overseer: Listener {
    /// True ends a pass after its running steps, and a question at once. Asked some times a second.
    var asksToStop: Bool { get }

    /// The plan of the pass, before anybody is asked.
    /// - Parameter elsewhere: how many documents are for other nodes, by node.
    /// - Throws: what ends the pass, where it must not go on unseen.
    func show(_ plan: Plan, elsewhere: [String: Int]) throws(PassError)

    /// Whether `plan` is carried out.
    /// - Throws: what ends the pass: nobody approved.
    func approve(_ plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval

    /// Who hears how the carrying out of `plan` goes.
    func listener(to plan: Plan) -> any ExecutionListener
}

package protocol ExecutionListener: Sendable {
    func tell(_ event: ExecutionEvent)
    /// There are no more events.
    func end()
}

/// The thing that approval is asked for.
package enum Occasion: Sendable { case documents, order }

package enum Approval: Sendable {
    /// At once, so that what was observed is still fresh.
    case given
    /// After a while in which a person thought: the host may have changed meanwhile.
    case givenLate
}

/// Something said beside the plan and the report.
package enum Remark: Sendable {
    case note(String)
    case warning(String)
    /// Another process is at work, and its end is waited for.
    case waiting(LockHolder)
    /// A plan file holds another plan than the one that is needed now.
    case plansDiffer(then: String, now: Plan)
    /// News of an export that a boot brings back.
    case export(ExportsRestoration.Item)
}
