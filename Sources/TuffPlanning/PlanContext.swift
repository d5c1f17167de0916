package import TuffModel

/// Everything besides desired and observed state that a plan depends on. Under one fixed context a plan is a pure
/// function: the same inputs give the same bytes.
package struct PlanContext: Hashable, Codable, Sendable {
    /// Civil time of the plan.
    package var now: Instant
    /// 32 hexadecimal digits minted once per plan, of which uids of new objects are hashed.
    package var seed: String
    package var stack: String
    package var config: ControllerConfig

    package init(now: Instant, seed: String, stack: String = "default", config: ControllerConfig) {
        self.now = now
        self.seed = seed
        self.stack = stack
        self.config = config
    }
}
