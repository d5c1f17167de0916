import TuffModel

/// Restore points that a pass took away, judged by what people declared and by nothing of the product.
extension Oracle {
    /// The documents that let points go, in the oracle's own words.
    package struct PointIntent: Sendable {
        package var node: String
        package var stack: String
        /// Names of policies with a rule, each with how many of its newest points stay.
        package var policies: [String: Int]
        package var runDue: Bool
        package var now: Int64

        package init(node: String, stack: String, policies: [String: Int], runDue: Bool, now: Int64) {
            self.node = node
            self.stack = stack
            self.policies = policies
            self.runDue = runDue
            self.now = now
        }
    }

    /// I3 for restore points: nothing goes but what a declared policy made and keeps no longer, a newer whole one of it
    /// being there.
    package static func points(
        before: FakeRepository, after: FakeRepository, intent: PointIntent
    ) -> [Violation] {
        let left = Set(after.points.map(\.id))
        return before.points.filter { !left.contains($0.id) }.compactMap { gone in
            func violation(_ why: String) -> Violation {
                Violation(.removal, "restore point \(gone.id) of \(gone.volume) is gone: \(why)")
            }
            guard intent.runDue else { return violation("nobody asked for what is due") }
            guard gone.backup == nil else { return violation("it is a Backup document's") }
            guard let policy = gone.policy, let keep = intent.policies[policy] else {
                return violation("no policy with a rule made it")
            }
            guard gone.node == intent.node, gone.stack == intent.stack, gone.uid != nil else {
                return violation("it is of another host or stack")
            }
            guard !gone.isSetAside, gone.time.secondsSince1970 <= intent.now else {
                return violation("its time is not believed")
            }
            let newer = after.points.filter { other in
                other.policy == policy && other.uid == gone.uid && other.volume == gone.volume
                    && other.node == gone.node && other.stack == gone.stack && other.backup == nil
                    && !other.isSetAside && other.time > gone.time
            }
            guard newer.contains(where: { $0.isHurt != true }) else { return violation("it was the newest whole one") }
            return newer.count >= keep ? nil : violation("the rule keeps it")
        }
    }
}
