import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Brings exports back in rounds: each looks, plans and adds what can be added now. What comes late (devices, mounts,
/// secrets) is looked for again until the wait is over; nothing waits for another's lateness. Between rounds the host's
/// lock is free, so that a person can work while something is missing.
///
/// Portals need no waiting: the kernel's target listens with IP_FREEBIND (iscsi_target_login.c), so that it serves an
/// address from the moment the host has it.
struct ExportsRestoration {
    /// What became of one attachment, or of a stack whose record cannot be used.
    struct Item {
        enum State: String { case restored, unchanged, waiting, blocked, failed }

        var stack: String
        /// Nil: the stack itself.
        var resource: ResourceID?
        var state: State
        var summary: String
        var reason: Reason?
        var error: HostError?
        var location: SourceLocation?
    }

    private static let pause = Duration.seconds(2)

    let config: ControllerConfig
    let host: HostOptions
    let style: Style
    /// Empty: all that have a record.
    let stacks: [String]
    let interrupts: Interrupts
    /// By stack, each sorted by resource.
    private(set) var items: [Item] = []

    init(config: ControllerConfig, host: HostOptions, style: Style, stacks: [String], interrupts: Interrupts) {
        self.config = config
        self.host = host
        self.style = style
        self.stacks = stacks
        self.interrupts = interrupts
    }

    mutating func run(wait: TimeSpan) async throws(Failure) {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(wait.seconds)
        while true {
            let left = (end - clock.now).components.seconds
            let lock = try await HostLocking.acquire(
                host.lockFile, timeout: TimeSpan(seconds: max(left, 0)), interrupts: interrupts)
            try await round(under: lock)
            guard items.contains(where: { $0.state == .waiting }), clock.now < end, !interrupts.isInterrupted else {
                return giveUp()
            }
            await sleep(until: min(clock.now + Self.pause, end))
        }
    }

    private mutating func round(under lock: HostLock) async throws(Failure) {
        defer { lock.release() }
        let store = AcceptedStore(directory: host.stateDirectory)
        let named: [String]
        do throws(HostError) { named = stacks.isEmpty ? try store.stacks() : stacks.sorted() } catch {
            throw Failure(error.description)
        }
        // What cannot be loaded is told below.
        let session = serving(named.compactMap { try? store.load($0) }, lock).withoutKeeping(style)
        var found: [Item] = []
        for stack in named where !interrupts.isInterrupted {
            do throws(HostError) {
                guard let accepted = try session.accepted.load(stack) else {
                    found.append(
                        Item(stack: stack, state: .blocked, summary: "no set of this stack was accepted on this host"))
                    continue
                }
                found += try await bringBack(accepted, session)
            } catch {
                found.append(Item(stack: stack, state: .failed, summary: error.sentence, error: error))
            }
        }
        tell(found)
        items = found
    }

    /// An accepted export is served on, though documents may not reach it any more: a boot withdraws nothing.
    private func serving(_ accepted: [AcceptedExports], _ lock: HostLock) -> Session {
        var config = config
        for one in accepted {
            let lacking = config.allow.lacking(for: one)
            let names =
                Reach.Sort.allCases.flatMap { sort in lacking[sort].map { "\(sort.noun) \($0)" } }
                + lacking.volumeGroups.map { "volume group \($0)" }
            for name in names where items.isEmpty {
                Console.talk(
                    style.paint("warning:", .yellow)
                        + Layout.printable(
                            " \(name) lies outside 'allow' of the controller's configuration; what was accepted is "
                                + "served on, and documents cannot change it") + "\n")
            }
            config.allow = config.allow.and(lacking)
        }
        return Session(config: config, host: host, lock: lock)
    }

    private func bringBack(_ accepted: AcceptedExports, _ session: Session) async throws(HostError) -> [Item] {
        let context = session.newContext(stack: accepted.stack)
        let order = Order.restoreExports(accepted)
        let sources = accepted.sources
        let observed = try await session.reconciler.observe(sources, context: context)
        let plan: Plan
        do throws(OrderError) {
            plan = try Planner.plan(order, observed: observed, context: context)
        } catch {
            throw HostError(.failed, error.sentence, cause: error.help)
        }
        let interrupts = interrupts
        let report =
            plan.isEmpty
            ? ApplyReport.untouched(plan, observe: 0)
            : try await session.reconciler.apply(
                plan, desired: sources, order: order, observed: observed,
                interrupted: { interrupts.isInterrupted })
        return zip(plan.changes, report.changes).map { item(accepted.stack, $0, $1) }
    }

    /// What was restored in an earlier round stays so.
    private func item(_ stack: String, _ change: PlannedChange, _ report: ChangeReport) -> Item {
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

    /// One line whenever something is not any more as it was said to be.
    private func tell(_ found: [Item]) {
        for item in found {
            let earlier = items.first { $0.stack == item.stack && $0.resource == item.resource }
            guard earlier?.state != item.state || earlier?.summary != item.summary else { continue }
            let cause = item.error.map { ": \($0.description)" } ?? ""
            let ink: Style.Ink = [.restored, .unchanged].contains(item.state) ? .green : .yellow
            Console.talk(
                style.paint(Layout.printable("\(item.name): \(item.state.rawValue): \(item.summary)\(cause)"), ink)
                    + "\n")
        }
    }

    /// What is still waited for did not come: what was tried has failed, the rest is blocked.
    private mutating func giveUp() {
        for index in items.indices where items[index].state == .waiting {
            items[index].state = items[index].reason == nil ? .failed : .blocked
        }
    }

    /// In small steps, since a signal does not wake a sleeping task.
    private func sleep(until end: ContinuousClock.Instant) async {
        let clock = ContinuousClock()
        while clock.now < end, !interrupts.isInterrupted {
            try? await Task.sleep(for: min(.milliseconds(100), end - clock.now))
        }
    }
}

extension ExportsRestoration.Item {
    var name: String { resource?.description ?? "stack \(stack)" }
}
