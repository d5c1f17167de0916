package import TuffHost
package import TuffPlanning
package import TuffReconcile

/// Receives remarks about a pass, from any task or thread.
package protocol Listener: Sendable {
    func tell(_ remark: Remark)
}

/// Oversees passes: receives remarks and plans, and approves changes before they begin. The terminal is one for
/// commands; the log of a daemon is another, which approves without asking anybody.
package protocol Overseer: Listener {
    /// Whether the pass must stop. True ends it after its running steps, and a question at once. It is read several
    /// times a second.
    var asksToStop: Bool { get }

    /// True if `approve` asks a person, who may take any time: the host is not held meanwhile.
    var asksPeople: Bool { get }

    /// Receives the plan of the pass, before `approve`.
    /// - Parameter elsewhere: numbers of documents for other nodes, by node.
    /// - Throws: an error that ends the pass, where the plan cannot be shown.
    func show(_ plan: Plan, elsewhere: [String: Int]) throws(PassError)

    /// Decides whether `plan` is carried out.
    /// - Throws: an error that ends the pass: the plan was not approved.
    func approve(_ plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval

    /// Returns the listener that receives the events while `plan` is carried out.
    func listener(to plan: Plan) -> any ExecutionListener
}

extension Overseer {
    package var asksPeople: Bool { false }
}

package protocol ExecutionListener: Sendable {
    func tell(_ event: ExecutionEvent)
    /// Ends the listener: no more events come.
    func end()
}

/// The subject of an approval.
package enum Occasion: Sendable { case documents, order }

package enum Approval: Sendable {
    /// Approved at once, so that the observation is still fresh.
    case given
    /// Approved by a person, who took time: the host may have changed meanwhile.
    case givenLate
}

/// A message beside the plan and the report.
package enum Remark: Sendable {
    case note(String)
    case warning(String)
    /// The pass waits for another process to end its work.
    case waiting(LockHolder)
    /// The plan in a plan file differs from the plan that is needed now.
    case plansDiffer(then: String, now: Plan)
    /// News of an export that a boot brings back.
    case export(ExportsRestoration.Item)
}
