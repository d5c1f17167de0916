import TuffHost
package import TuffModel
package import TuffPlanning
import TuffReconcile

/// Brings exports back in rounds: each observes, plans and adds the exports that can be added now. Devices, mounts and
/// secrets that come late are looked for again until the wait is over, and no export waits for another's. Between
/// rounds the host's lock is free, so that a person can work while something is missing.
///
/// Portals need no waiting: the kernel's target listens with IP_FREEBIND (iscsi_target_login.c), so that it serves an
/// address from the moment the host has it.
package struct ExportsRestoration {
    /// The state of one attachment, or of a stack whose record cannot be used.
    package struct Item: Sendable {
        package enum State: String, Sendable { case restored, unchanged, waiting, blocked, failed }

        package var stack: String
        /// The attachment; nil: the stack itself.
        package var resource: ResourceID?
        package var state: State
        package var summary: String
        package var reason: Reason?
        package var error: HostError?
        package var location: SourceLocation?

        package var name: String { resource?.description ?? "stack \(stack)" }
    }

    private static let pause = Duration.seconds(2)

    private let controller: Controller
    private let config: ControllerConfig
    private let overseer: any Overseer
    /// The stacks to restore; empty: all that have a record.
    private let stacks: [String]
    /// Items by stack, each stack's sorted by resource.
    private var items: [Item] = []

    private init(
        _ controller: Controller, _ config: ControllerConfig, stacks: [String], overseer: any Overseer
    ) {
        self.controller = controller
        self.config = config
        self.stacks = stacks
        self.overseer = overseer
    }

    /// - Parameters:
    ///   - stacks: the stacks to restore; empty: all that have a record.
    ///   - wait: time for which missing devices, mounts and secrets are waited for.
    /// - Returns: the state of each attachment, by stack, each stack's sorted by resource.
    package static func run(
        by controller: Controller, under config: ControllerConfig, stacks: [String], wait: TimeSpan,
        overseer: any Overseer
    ) async throws(PassError) -> [Item] {
        var restoration = ExportsRestoration(controller, config, stacks: stacks, overseer: overseer)
        try await restoration.run(wait: wait)
        return restoration.items
    }

    private mutating func run(wait: TimeSpan) async throws(PassError) {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(wait.seconds)
        while true {
            let left = (end - clock.now).components.seconds
            let lock = try await controller.lock(patience: TimeSpan(seconds: max(left, 0)), overseer)
            try await round(under: lock)
            guard items.contains(where: { $0.state == .waiting }), clock.now < end, !overseer.asksToStop else {
                return giveUp()
            }
            await sleep(until: min(clock.now + Self.pause, end))
        }
    }

    private mutating func round(under lock: HostLock) async throws(PassError) {
        defer { lock.release() }
        let store = AcceptedStore(directory: controller.places.stateDirectory)
        let named = try passing { () throws(HostError) in stacks.isEmpty ? try store.stacks() : stacks.sorted() }
        // Records that cannot be loaded are reported below.
        let view = serving(named.compactMap { try? store.load($0) }, lock)
            // Once is enough to be told of a ledger that cannot be read.
            .withoutKeeping(items.isEmpty ? overseer : nil)
        var found: [Item] = []
        for stack in named where !overseer.asksToStop {
            do throws(HostError) {
                guard let accepted = try store.load(stack) else {
                    found.append(
                        Item(stack: stack, state: .blocked, summary: "no set of this stack was accepted on this host"))
                    continue
                }
                found += try await bringBack(accepted, view)
            } catch {
                found.append(Item(stack: stack, state: .failed, summary: error.sentence, error: error))
            }
        }
        tell(found)
        items = found
    }

    /// Extends `allow` by everything that the accepted exports need. A boot withdraws nothing, so they are served
    /// although documents may not reach them any more.
    private func serving(_ accepted: [AcceptedExports], _ lock: HostLock) -> HostView {
        var config = config
        for one in accepted {
            let lacking = config.allow.lacking(for: one)
            let names =
                Reach.Sort.allCases.flatMap { sort in lacking[sort].map { "\(sort.noun) \($0)" } }
                + lacking.volumeGroups.map { "volume group \($0)" }
            for name in names where items.isEmpty {
                overseer.tell(
                    .warning(
                        "\(name) lies outside 'allow' of the controller's configuration; what was accepted is served "
                            + "on, and documents cannot change it"))
            }
            config.allow = config.allow.and(lacking)
        }
        return controller.view(under: config, lock: lock)
    }

    private func bringBack(_ accepted: AcceptedExports, _ view: HostView) async throws(HostError) -> [Item] {
        let context = view.newContext(stack: accepted.stack)
        let order = Order.restoreExports(accepted)
        let sources = accepted.sources
        let observed = try await view.reconciler.observe(sources, context: context)
        let plan: Plan
        do throws(OrderError) {
            plan = try Planner.plan(order, observed: observed, context: context)
        } catch {
            throw HostError(.failed, error.sentence, cause: error.help)
        }
        let overseer = overseer
        let report =
            plan.isEmpty
            ? ApplyReport.untouched(plan, observe: 0)
            : try await view.reconciler.apply(
                plan, desired: sources, order: order, observed: observed,
                interrupted: { overseer.asksToStop })
        return zip(plan.changes, report.changes).map { item(accepted.stack, change: $0, report: $1) }
    }

    /// The item of a change; one that was restored in an earlier round stays restored.
    private func item(_ stack: String, change: PlannedChange, report: ChangeReport) -> Item {
        var item = Item(
            stack: stack, resource: change.resource, state: .unchanged, summary: change.summary,
            reason: change.reason, error: report.error, location: change.location)
        switch report.verdict {
        case .done: item.state = .restored
        case .unchanged:
            let earlier = items.first { $0.stack == stack && $0.resource == change.resource }
            if let earlier, earlier.state == .restored { return earlier }
        case .failed, .skipped, .interrupted: item.state = .waiting
        case .blocked: item.state = change.reason?.mayPass == true ? .waiting : .blocked
        case .unsupported, .orphan: item.state = .blocked
        }
        if item.state == .waiting, item.error == nil, let detail = report.detail { item.summary += "; \(detail)" }
        return item
    }

    /// Reports all items whose state has changed since the last report.
    private func tell(_ found: [Item]) {
        for item in found {
            let earlier = items.first { $0.stack == item.stack && $0.resource == item.resource }
            guard earlier?.state != item.state || earlier?.summary != item.summary else { continue }
            overseer.tell(.export(item))
        }
    }

    /// Ends the wait: items that were tried have failed, the others are blocked.
    private mutating func giveUp() {
        for index in items.indices where items[index].state == .waiting {
            items[index].state = items[index].reason == nil ? .failed : .blocked
        }
    }

    /// Sleeps in small steps, since a signal does not wake a sleeping task.
    private func sleep(until end: ContinuousClock.Instant) async {
        let clock = ContinuousClock()
        while clock.now < end, !overseer.asksToStop {
            try? await Task.sleep(for: min(.milliseconds(100), end - clock.now))
        }
    }
}
