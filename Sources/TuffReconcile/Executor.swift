import TuffHost
import TuffModel
import TuffPlanning

/// Carries out the steps of one plan: ready steps of different exclusive keys side by side, steps of one key in order.
///
/// It decides nothing. A step is skipped where one it builds on did not finish; an interrupt stops new steps, and of
/// those that run the ones that move data. One task owns all state; work runs in child tasks that only return outcomes.
struct Executor {
    /// Work that goes on side by side without waiting for each other: commands and settings, which take moments, and
    /// steps that move data, which take hours.
    enum Work: CaseIterable {
        case control, data

        /// The number of groups of steps, or bundles of them, that run at once. LVM serialises itself; more only helps
        /// targets. Both together are as many as there are workers.
        var width: Int { 4 }
    }

    private enum Happening: Sendable {
        case ended([(Group, [StepOutcome?])])
        /// An interrupt came, or work that moves data has begun.
        case woken
    }

    /// The number of targets that go to the machine together. Their outcomes come together too, and an interrupt waits
    /// for all.
    static let bundle = 8
    /// The number of volumes that are made together.
    static let creations = 64

    let plan: Plan
    let reconciler: Reconciler
    let interrupted: @Sendable () -> Bool
    let events: @Sendable (ExecutionEvent) -> Void
    /// Given up while nothing but work that moves data goes on; nil: the host is held throughout.
    var tenure: (any Tenure)?
    /// Plans the same again; nil: it cannot be told.
    let replan: @Sendable () async -> Plan?
    let clock = ContinuousClock()
    let findings = Findings()
    let begun = BegunWork()

    /// Steps that are handed to one driver together, under one key.
    private struct Group: Sendable {
        var key: ExclusiveKey
        var steps: [PlannedStep]

        var work: Work {
            steps[0].step.movesData ? .data : .control
        }
    }

    struct Result {
        var outcomes: [StepOutcome]
        var times = PhaseTimes()
        var sawInterrupt = false
        /// Others had the host meanwhile, with documents of which this pass knows nothing.
        var wasDisturbed = false
        /// The pass gave the host up and did not get it back.
        var hasLostHost = false
    }

    struct Progress {
        var outcomes: [StepOutcome?]
        var running: Set<ExclusiveKey> = []
        /// Groups and bundles at work.
        var tasks: [Work: Int] = [:]
        /// Keys under which something outlived its deadline and may still be at work, and whose it was: nothing more is
        /// started there in this pass.
        var fenced: [ExclusiveKey: ResourceID] = [:]
        var inFlight: [Int: Work] = [:]
        var started: Set<Int> = []
        /// Changes whose failure or skipping has been told.
        var failed: Set<Int> = []
        var remaining: [Int: Int] = [:]
        var elapsed: [Int: Double] = [:]
        var spans: [Bool: (first: ContinuousClock.Instant, last: ContinuousClock.Instant)] = [:]
        var sawInterrupt = false
        var isAway = false
        var hasLostHost = false
        var isSuperseded = false
        var wasVisited = false
        /// Changes that others have done, or are doing, since the host was given up.
        var dropped: Set<Int> = []
    }

    func run() async -> Result {
        var progress = Progress(outcomes: Array(repeating: nil, count: plan.steps.count))
        for step in plan.steps { progress.remaining[step.change, default: 0] += 1 }
        await withTaskGroup(of: Happening.self) { tasks in
            if !plan.steps.isEmpty { tasks.addTask { await wake() } }
            while true {
                noteInterrupt(&progress)
                skipUnreachable(&progress)
                if !progress.sawInterrupt, !progress.hasLostHost {
                    for bundle in next(progress) {
                        progress.tasks[bundle[0].work, default: 0] += 1
                        for group in bundle { start(group, &progress) }
                        tasks.addTask { .ended(Array(zip(bundle, await perform(bundle)))) }
                    }
                }
                leaveHost(&progress)
                guard progress.tasks.values.contains(where: { $0 > 0 }), let happening = await tasks.next() else {
                    break
                }
                guard case .ended(let results) = happening else {
                    if !interrupted() { tasks.addTask { await wake() } }
                    continue
                }
                await returnToHost(&progress)
                // An interrupt counts the running steps, so it is noted before those that ended are struck out.
                noteInterrupt(&progress)
                if let work = results.first?.0.work { progress.tasks[work, default: 0] -= 1 }
                for (group, outcomes) in results { finish(group, outcomes: outcomes, progress: &progress) }
            }
            tasks.cancelAll()
        }
        var times = PhaseTimes()
        if let span = progress.spans[false] { times.storage = Self.seconds(span.first.duration(to: span.last)) }
        if let span = progress.spans[true] { times.export = Self.seconds(span.first.duration(to: span.last)) }
        return Result(
            outcomes: progress.outcomes.map { $0 ?? .notStarted }, times: times, sawInterrupt: progress.sawInterrupt,
            wasDisturbed: progress.isSuperseded || progress.wasVisited, hasLostHost: progress.hasLostHost)
    }

    /// Returns when an interrupt came, work that moves data has begun, or nobody waits for that any more. It looks
    /// twenty times a second rather than to be told, as everything does that waits for signals.
    private func wake() async -> Happening {
        while !interrupted(), !begun.takeNews(), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(50)) }
        return .woken
    }

    private func noteInterrupt(_ progress: inout Progress) {
        guard !progress.sawInterrupt, interrupted() else { return }
        progress.sawInterrupt = true
        let leaving = progress.inFlight.values.count { $0 == .data }
        events(.stopping(running: progress.inFlight.count, leaving: leaving))
    }

    /// The work that is begun now: steps that take moments first.
    private func next(_ progress: Progress) -> [[Group]] {
        let ready = bundles(of: readyGroups(progress))
        return Work.allCases.flatMap { work in
            ready.filter { $0[0].work == work }.prefix(max(work.width - progress.tasks[work, default: 0], 0))
        }
    }

    private func finished(_ outcome: StepOutcome?) -> Bool {
        if case .finished = outcome { true } else { false }
    }

    /// For each free key the steps that can go now. Steps of a target may wait for steps of the same group, which go
    /// before them; steps on storage only for finished ones, so that one failed command skips just its own dependents.
    private func readyGroups(_ progress: Progress) -> [Group] {
        var groups: [ExclusiveKey: [PlannedStep]] = [:]
        var member: [Int: ExclusiveKey] = [:]
        for step in plan.steps where progress.outcomes[step.id] == nil && progress.inFlight[step.id] == nil {
            guard let key = step.keys.first, !progress.running.contains(key), progress.fenced[key] == nil,
                !isLeftOut(step, progress)
            else { continue }
            let ready = step.after.allSatisfy { earlier in
                if finished(progress.outcomes[earlier]) { return true }
                if case .target = key { return member[earlier] == key }
                return false
            }
            guard ready, step.behind.allSatisfy({ progress.outcomes[$0] != nil }), joins(step, groups[key]) else {
                continue
            }
            groups[key, default: []].append(step)
            member[step.id] = key
        }
        return groups.keys.sorted().map { Group(key: $0, steps: groups[$0]!) }
    }

    /// Groups that are handed over together: a few targets, whose actions are many and quick.
    private func bundles(of groups: [Group]) -> [[Group]] {
        var result: [[Group]] = [], targets: [Group] = []
        for group in groups {
            if case .target = group.key { targets.append(group) } else { result.append([group]) }
        }
        while !targets.isEmpty {
            result.append(Array(targets.prefix(Self.bundle)))
            targets.removeFirst(min(Self.bundle, targets.count))
        }
        return result
    }

    /// True if a ready step goes together with those already gathered under its key. Extensions and the like go one by
    /// one, so that each is told as it ends; activations cost one process however many there are, and so do creations,
    /// of which an interrupt waits for no more than `creations`.
    private func joins(_ step: PlannedStep, _ gathered: [PlannedStep]?) -> Bool {
        guard let gathered, let first = gathered.first else { return true }
        let company = step.step.company
        guard first.step.company == company else { return false }
        return switch company {
        case .none: false
        case .creations: gathered.count < Self.creations
        case .activations, .target: true
        }
    }

    private func skipUnreachable(_ progress: inout Progress) {
        for step in plan.steps where progress.outcomes[step.id] == nil && progress.inFlight[step.id] == nil {
            if let key = step.keys.first, let cause = progress.fenced[key] {
                settle(step, outcome: .skipped(because: cause), progress: &progress)
                continue
            }
            let broken = step.after.first { earlier in
                switch progress.outcomes[earlier] {
                case .failed, .skipped: true
                case .finished, .notStarted, nil: false
                }
            }
            guard let broken else { continue }
            let cause: ResourceID =
                if case .skipped(let earlier) = progress.outcomes[broken] { earlier } else {
                    plan.changes[plan.steps[broken].change].resource
                }
            settle(step, outcome: .skipped(because: cause), progress: &progress)
        }
    }

    private func start(_ group: Group, _ progress: inout Progress) {
        progress.running.insert(group.key)
        let now = clock.now
        for step in group.steps {
            progress.inFlight[step.id] = group.work
            let isExport = if case .export = step.step { true } else { false }
            if progress.spans[isExport] == nil { progress.spans[isExport] = (now, now) }
            if progress.started.insert(step.change).inserted { events(.started(change: step.change)) }
        }
    }

    /// A step without an outcome was not begun after all, and becomes ready again.
    private func finish(_ group: Group, outcomes: [StepOutcome?], progress: inout Progress) {
        progress.running.remove(group.key)
        let now = clock.now
        for (step, outcome) in zip(group.steps, outcomes) {
            progress.inFlight[step.id] = nil
            let isExport = if case .export = step.step { true } else { false }
            progress.spans[isExport]?.last = now
            guard let outcome else { continue }
            if case .failed(let error, _) = outcome, error.code == .timeout {
                progress.fenced[group.key] = plan.changes[step.change].resource
            }
            settle(step, outcome: outcome, progress: &progress)
        }
    }

    private func settle(_ step: PlannedStep, outcome: StepOutcome, progress: inout Progress) {
        progress.outcomes[step.id] = outcome
        progress.remaining[step.change]! -= 1
        switch outcome {
        case .finished(let seconds):
            progress.elapsed[step.change, default: 0] += seconds
            if progress.remaining[step.change] == 0 {
                events(.finished(change: step.change, seconds: progress.elapsed[step.change]!))
            }
        case .failed(let error, _):
            if progress.failed.insert(step.change).inserted { events(.failed(change: step.change, error)) }
        case .skipped(let cause):
            let own = cause == plan.changes[step.change].resource
            if !own, progress.failed.insert(step.change).inserted {
                events(.skipped(change: step.change, because: cause))
            }
        case .notStarted: break
        }
    }

    /// Lowers and performs groups that go together.
    private func perform(_ bundle: [Group]) async -> [[StepOutcome?]] {
        if case .target = bundle[0].key { return await performTargets(bundle) }
        return [await perform(bundle[0])]
    }

    /// All of a target's actions are one sequence: its steps build on each other, and fail together.
    private func performTargets(_ bundle: [Group]) async -> [[StepOutcome?]] {
        if interrupted() { return bundle.map { $0.steps.map { _ in .notStarted } } }
        let start = clock.now
        let sequences = bundle.map { reconciler.lower($0.steps.map(\.step)).flatMap(\.actions) }
        let results = await reconciler.machine.performEach(sequences)
        let elapsed = Self.seconds(start.duration(to: clock.now))
        let steps = bundle.reduce(0) { $0 + $1.steps.count }
        return zip(bundle, results).map { group, result in
            let outcome: StepOutcome? =
                switch result {
                case .performed: .finished(seconds: elapsed / Double(steps))
                case .failed(let error): .failed(error, seconds: elapsed)
                case .notBegun: nil
                }
            return group.steps.map { _ in outcome }
        }
    }

    /// Lowers and performs a group of steps on storage. A failed batch fails its steps only.
    private func perform(_ group: Group) async -> [StepOutcome?] {
        if case .backup(.compare(let comparison)) = group.steps[0].step { return [await compare(comparison)] }
        var outcomes = [StepOutcome?](repeating: .notStarted, count: group.steps.count)
        let lowered = reconciler.lower(group.steps.map(\.step), knowing: findings)
        if group.steps[0].step.company == .creations { return await performCreations(lowered) }
        // A step that lowers to nothing is part of a batch all the same, so that it ends.
        let idle = Set(group.steps.indices).subtracting(lowered.flatMap(\.steps)).sorted()
        for batch in idle.isEmpty ? lowered : lowered + [LoweredBatch(steps: idle, actions: [])] {
            if interrupted() { break }
            let start = clock.now
            do {
                // Steps of one change that take long are alone in their batch.
                let change = group.steps[batch.steps.first ?? 0].change, events = events
                let isOver = interrupted, isData = group.work == .data, ids = batch.steps.map { group.steps[$0].id }
                try await reconciler.machine.perform(
                    batch.actions,
                    telling: {
                        begun.note(ids)
                        events(.progress(change: change, $0))
                    }, until: { isData && isOver() })
                let seconds = Self.seconds(start.duration(to: clock.now)) / Double(batch.steps.count)
                for step in batch.steps { outcomes[step] = .finished(seconds: seconds) }
            } catch {
                let seconds = Self.seconds(start.duration(to: clock.now))
                let isStopped = error.code == .interrupted
                for step in batch.steps { outcomes[step] = isStopped ? .notStarted : .failed(error, seconds: seconds) }
            }
        }
        return outcomes
    }

    /// Whatever cannot be told is read in full, so this never fails.
    private func compare(_ comparison: BaseComparison) async -> StepOutcome {
        if interrupted() { return .notStarted }
        let start = clock.now
        findings.add(
            await reconciler.volumeGroups.compare(comparison, on: reconciler.machine), of: comparison.base.uid)
        return .finished(seconds: Self.seconds(start.duration(to: clock.now)))
    }

    /// Volumes that are made together fail one by one; what had not been begun by then is ready again.
    private func performCreations(_ batches: [LoweredBatch]) async -> [StepOutcome?] {
        if interrupted() { return batches.map { _ in .notStarted } }
        let start = clock.now
        let results = await reconciler.machine.performEach(batches.map(\.actions))
        let elapsed = Self.seconds(start.duration(to: clock.now))
        return results.map { result in
            switch result {
            case .performed: .finished(seconds: elapsed / Double(batches.count))
            case .failed(let error): .failed(error, seconds: elapsed)
            case .notBegun: nil
            }
        }
    }

    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
