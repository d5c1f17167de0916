import FoundationEssentials
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// One host under a virtual clock, its documents, its controller, and an oracle that watches.
struct Simulation {
    enum Backend: String, CaseIterable, Sendable {
        case lvm, directory, thick

        var pool: String {
            switch self {
            case .lvm: "fast"
            case .directory: "dir"
            case .thick: "slow"
            }
        }
        var home: String { self == .directory ? Simulation.directory : "vg0" }
    }

    static let directory = "/srv/pool"
    static let secretFile = "/etc/tuff/secrets/web"
    static let canary = "canary-5e1f-never-printed"
    static let config = ControllerConfig(
        node: "storage1", portals: [Portal(address: "192.0.2.10")], iqnBase: Sample.iqnBase,
        allow: Reach(
            images: ["/srv/images"], directories: [directory, "/srv/backups"], nfs: ["nas:/pool"], unwiped: true))
    static let foreignTarget = "iqn.2003-01.org.linux-iscsi.storage1:foreign"
    static let initiators = [Sample.initiator] + ["web2", "web3"].map { "iqn.2004-10.com.example:\($0)" }

    private(set) var machine: FakeMachine
    private(set) var ledger: SimulatedLedger
    var desired = DesiredState()
    var oracle = Oracle()
    /// Another stack of this host and its documents, which has no attachments and removes nothing.
    var other = OtherStack()
    private(set) var violations: [Oracle.Violation] = []
    private var minted: UInt64
    private var mutant: Mutant?
    /// The consent of the last pass, for work that ends after it.
    private var lastIntent = Oracle.Intent()

    /// A fresh host: pools, and other people's volume, file, target and backstore.
    init(seed: UInt64, mutant: Mutant? = nil) {
        minted = seed &* 1_000_003
        self.mutant = mutant
        var world = FakeWorld()
        // XFS or ext4, so to speak; a thousand of each are walked.
        world.files.addDirectory(Self.directory, sharesBlocks: seed % 2 == 1)
        world.files.addFile("notes.txt", in: Self.directory, size: ByteCount(100), allocated: ByteCount(4096))
        world.secrets[Self.secretFile] = Self.canary
        Self.addImages(&world)
        // The world is empty, so this has room.
        try? world.lvm.create("foreign", in: "vg0", pool: "tp0", size: Sample.gibi(1), tags: ["backup"])
        let other = Sample.marks("theirs", uid: Sample.uid(9), stack: "other")
        try? world.lvm.create("v-theirs", in: "vg0", pool: "tp0", size: Sample.gibi(1), tags: other.tags)
        for path in ["core/iblock_0", "core/iblock_0/foreign", "iscsi", "iscsi/\(Self.foreignTarget)"] {
            try? world.targets.meddle(.makeDirectory(.target(path)))
        }
        Self.addServed(&world)
        Self.plugIn(&world)
        Self.plugInRescued(&world)
        Self.addShelves(&world, &desired)
        machine = FakeMachine(world)
        ledger = SimulatedLedger(machine, mutant: mutant)
        var pool = PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0", thinPool: "tp0")))
        pool.overprovision = 4
        desired.pools["fast"] = Sample.declared("fast", pool)
        var groups = LVMPoolSpec(volumeGroup: "vg0")
        // One in three copies nothing that is in use.
        if seed % 3 != 0 { groups.tempSnapshotReserve = Percentage(50) }
        var thick = PoolSpec(backend: .lvm(groups))
        thick.reserve = Percentage(0)
        desired.pools["slow"] = Sample.declared("slow", thick)
        desired.pools["dir"] = Sample.declared(
            "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: Self.directory))))
        oracle.see(OracleView(world))
    }

    /// The same host once more, to go another way from here.
    func forked() -> Simulation {
        var copy = self
        copy.machine = FakeMachine(copying: machine)
        copy.ledger = SimulatedLedger(copy.machine, ledger.contents, mutant: mutant)
        return copy
    }

    /// The same host, which goes on under a controller at fault.
    func taken(over mutant: Mutant) -> Simulation {
        var copy = self
        copy.mutant = mutant
        copy.machine = FakeMachine(copying: machine)
        copy.ledger = SimulatedLedger(copy.machine, ledger.contents, mutant: mutant)
        return copy
    }

    mutating func mint() -> UInt64 {
        minted += 1
        return minted
    }

    /// Other people change the machine; what they do is not laid to the product.
    mutating func meddle(_ change: (inout FakeWorld) -> Void) {
        machine.meddle(change)
        oracle.see(OracleView(machine.world))
    }

    // MARK: One pass

    struct Outcome {
        var plan: Plan?
        var report: ApplyReport?
        var refusal: Refusal?
        var error: HostError?
        var actions = 0

        /// The changes that a further pass would make, as far as this one could tell.
        var isFinished: Bool {
            guard refusal == nil, error == nil, let plan else { return false }
            return report.map { $0.remaining.steps.isEmpty } ?? plan.steps.isEmpty
        }
    }

    static let pruning: Consent = {
        var consent = Consent()
        consent.prune = true
        consent.runDue = true
        consent.allowRepositoryCreate = true
        return consent
    }()

    /// One pass as `tuff apply` or an order makes it, judged by the oracle.
    mutating func pass(
        _ consent: Consent = pruning, order: Order? = nil, faults: FaultPlan = FaultPlan(),
        interference: Interference? = nil
    ) async -> Outcome {
        let door = Door(machine, mutant: mutant, interference: interference)
        let reconciler = reconciler(through: door)
        var context = PlanContext(
            now: machine.now(), seed: "\(mint())", stack: other.isActing ? OtherStack.name : "default",
            config: Self.config, consent: consent)
        let intent = intent(consent, order, context)
        lastIntent = intent
        if let change = mutant?.context { context = change(context) }
        let before = OracleView(machine.world)
        machine.setFaults(FaultPlan(reads: faults.reads))
        let logged = machine.log.count
        var outcome = Outcome()
        do throws(HostError) {
            try await carryOut(order, context, reconciler, faults, &outcome)
        } catch {
            outcome.error = error
        }
        machine.setFaults(FaultPlan())
        outcome.actions = door.performed
        violations += oracle.overcommitted(shortages(since: logged, faults, door), before)
        var earlier = before
        for (theirs, ours) in door.interruptions {
            violations += oracle.judge(before: earlier, after: OracleView(theirs), intent: intent, midway: true)
            earlier = OracleView(ours)
            oracle.see(earlier)
        }
        violations += oracle.unannounced(
            before: before, after: OracleView(machine.world), announced: Self.announced(outcome.plan), intent: intent)
        violations += oracle.judge(before: earlier, after: OracleView(machine.world), intent: intent)
        let places = desired.backupRepositories.values.map(\.spec.site.description)
        violations += oracle.backedUp(
            before: before, after: OracleView(machine.world), declared: Set(places),
            wanted: Set(desired.backups.keys))
        if order == nil, faults.reads.allSatisfy(Self.isSaid) { checkClaim(outcome, door) }
        if order == nil, door.interruptions.isEmpty, !machine.isCrashed { checkVerdicts(outcome) }
        checkSecrets(outcome, door)
        return outcome
    }

    private func carryOut(
        _ order: Order?, _ context: PlanContext, _ reconciler: Reconciler, _ faults: FaultPlan,
        _ outcome: inout Outcome
    ) async throws(HostError) {
        var desired = order == nil ? desired : DesiredState()
        if let change = mutant?.documents { desired = change(desired) }
        let observed = try await reconciler.observe(desired, context: context)
        var plan: Plan
        if let order {
            do { plan = try Planner.plan(order, observed: observed, context: context) } catch {
                throw HostError(.refused, error.sentence)
            }
        } else {
            plan = Planner.plan(desired: desired, observed: observed, context: context)
        }
        if let change = mutant?.plan { plan = change(plan, observed) }
        outcome.plan = plan
        outcome.refusal = plan.refusal
        guard plan.refusal == nil else { return }
        guard !plan.isEmpty else {
            if order == nil { try reconciler.remember(observed, desired: desired, context: context) }
            return
        }
        var acting = FaultPlan(actions: faults.actions)
        acting.reads = faults.reads
        machine.setFaults(acting)
        var report = try await reconciler.apply(plan, desired: desired, order: order, observed: observed)
        if let change = mutant?.report { report = change(report) }
        outcome.report = report
    }

    private func reconciler(through door: Door) -> Reconciler {
        guard let mutant else {
            return Reconciler(
                machine: door, config: Self.config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
                exports: LIODriver(), ledger: ledger)
        }
        return Reconciler(
            machine: door, config: Self.config, volumeGroups: MutantGroups(mutant: mutant),
            directories: MutantDirectories(mutant: mutant), exports: MutantExports(mutant: mutant), ledger: ledger)
    }

    /// True if a pass that reads this can know better. What nobody declares any more is not missed while targets cannot
    /// be read; a warning says so.
    private static func isSaid(_ read: FaultPlan.Read, _ fault: FaultPlan.ReadFault) -> Bool {
        fault != .stale && read.source != .targets
    }

    /// A pass that says that all is done must be right, whatever its commands said.
    private mutating func checkClaim(_ outcome: Outcome, _ door: Door) {
        guard let report = outcome.report, outcome.isFinished, report.outcome == .converged, door.interruptions.isEmpty,
            !machine.isCrashed
        else { return }
        violations += oracle.settled(OracleView(machine.world), lastIntent, blocked: blocked(report.remaining))
    }

    /// A resource that is as it should be is not called a failure. What the next plan must leave as it is, as somebody
    /// else made it, is not.
    private mutating func checkVerdicts(_ outcome: Outcome) {
        guard let report = outcome.report, outcome.isFinished, !report.interrupted else { return }
        let stuck = Set(report.remaining.changes.filter { $0.action == .blocked }.map(\.resource))
        for change in report.changes
        where change.verdict == .failed && change.error == nil && !stuck.contains(change.resource) {
            let what = "\(change.resource) \(change.action) is as planned and is said to have failed"
            violations.append(Oracle.Violation(.convergence, "\(what): \(change.detail ?? "")"))
        }
    }

    /// Names of what a plan leaves as it is, and of the volumes that are concerned.
    private func blocked(_ plan: Plan) -> Set<String> {
        var names: Set<String> = []
        let objects = OracleView(machine.world).objects
        for change in plan.changes where [.blocked, .unsupported, .orphan].contains(change.action) {
            names.insert(change.resource.name)
            names.formUnion(objects.filter { $0.uid == change.uid?.description }.map(\.label))
        }
        return names
    }

    /// A pass of the other stack, which nothing disturbs.
    mutating func passOfOther() async {
        let (mine, last) = (desired, lastIntent)
        desired = other.documents(pools: mine.pools)
        other.isActing = true
        let outcome = await pass(Consent())
        (desired, lastIntent) = (mine, last)
        other.isActing = false
        other.noteWaits(outcome, OracleView(machine.world), now: machine.now().secondsSince1970)
    }

    // MARK: After a fault

    /// A new controller, after the old one's children ended, or after the power came back.
    mutating func recover(rebooting: Bool) {
        ledger.heal()
        if rebooting {
            machine.reboot()
            oracle.see(OracleView(machine.world))
            return
        }
        let before = OracleView(machine.world)
        machine.restartController()
        violations += oracle.judge(before: before, after: OracleView(machine.world), intent: lastIntent)
    }

    /// A pass as people make it: told why it is refused, they agree to its removals, or leave out what does not fit.
    private mutating func attempt(_ consent: Consent) async -> Outcome {
        var consent = consent
        consent.allowRemovals = nil
        var outcome = await pass(consent)
        if let plan = outcome.plan, let refusal = outcome.refusal, refusal.reason == .tooManyRemovals {
            consent.allowRemovals = plan.changes.count(where: \.isGuarded)
            outcome = await pass(consent)
        }
        if let refusal = outcome.refusal, refusal.reason == .insufficientCapacity, leaveOut(refusal) {
            outcome = await pass(consent)
        }
        return outcome
    }

    /// At most three passes bring the host to what is declared or say why not, and one more does nothing.
    mutating func settle(_ consent: Consent = pruning) async {
        var consent = consent
        var outcome = Outcome()
        for _ in 0..<3 {
            outcome = await attempt(consent)
            if outcome.isFinished { break }
        }
        consent.allowRemovals = nil
        guard outcome.isFinished || Self.isStalledWithReason(outcome) else {
            let left = outcome.report?.changes.filter { ![.done, .unchanged].contains($0.verdict) }.map {
                "\($0.resource) \($0.verdict): \($0.error?.description ?? $0.detail ?? $0.summary)"
            }
            let why = left?.joined(separator: "; ") ?? outcome.refusal?.sentence ?? outcome.error?.description ?? "?"
            violations.append(Oracle.Violation(.convergence, "three passes are not enough: \(why)"))
            return
        }
        machine.clearLog()
        var again = await pass(consent)
        // What was to be kept for no time is due by now.
        if let steps = again.plan?.steps, !steps.isEmpty, steps.allSatisfy(Self.isPurge) {
            machine.clearLog()
            again = await pass(consent)
        }
        let acted = machine.log.filter { if case .require = $0.action { false } else { true } }
        let isStalled = Self.isStalledWithReason(again)
        if !isStalled, !again.isFinished || again.plan?.steps.isEmpty == false || !acted.isEmpty {
            let steps = (again.plan?.steps ?? []).map { "\($0.step)" }
            violations.append(
                Oracle.Violation(.idempotence, "the next pass still does something: \(steps.prefix(3)) \(acted.count)"))
        }
        var blocked = again.plan.map(blocked) ?? []
        if isStalled {
            blocked.formUnion(again.report?.changes.filter { $0.verdict != .unchanged }.map(\.resource.name) ?? [])
        }
        for change in again.plan?.changes ?? [] where [.blocked, .unsupported, .orphan].contains(change.action) {
            if change.reason == nil || change.summary.isEmpty {
                violations.append(Oracle.Violation(.convergence, "\(change.resource) is blocked without a reason"))
            }
        }
        violations += oracle.settled(OracleView(machine.world), lastIntent, blocked: blocked)
        if !violations.isEmpty, environment("FAULTS_WALK") != nil {
            for change in again.plan?.changes ?? [] {
                print("  \(change.resource) \(change.action): \(change.summary)")
            }
        }
    }

    private static func isPurge(_ planned: PlannedStep) -> Bool {
        if case .volume(.purge) = planned.step { true } else { false }
    }

    /// Nothing is done since a condition is read as unmet each time, or an image is not the one that was declared, or
    /// there is no room, and the report says which.
    private static func isStalledWithReason(_ outcome: Outcome) -> Bool {
        let failed = outcome.report?.changes.filter { $0.verdict == .failed } ?? []
        return !failed.isEmpty
            && failed.allSatisfy {
                $0.error.map { [.preconditionFailed, .refused].contains($0.code) || $0.isLackOfRoom } ?? false
            }
    }

    /// The violations that were found since the last call.
    mutating func takeViolations() -> [Oracle.Violation] {
        defer { violations = [] }
        return violations
    }

    /// Plan, report and ledger as they are written, and every action as it is printed.
    private mutating func checkSecrets(_ outcome: Outcome, _ door: Door) {
        var texts = door.descriptions
        if minted.isMultiple(of: mutant == nil ? 8 : 3) {
            let encoder = JSONEncoder()
            if let plan = try? encoder.encode(outcome.plan) { texts.append(String(decoding: plan, as: UTF8.self)) }
            if let report = try? encoder.encode(outcome.report) {
                texts.append(String(decoding: report, as: UTF8.self))
            }
            if let text = try? encoder.encode(ledger.contents) { texts.append(String(decoding: text, as: UTF8.self)) }
        }
        if texts.contains(where: { $0.contains(Self.canary) }) {
            violations.append(Oracle.Violation(.secrets, "a secret is written where it can be read"))
        }
    }
}
