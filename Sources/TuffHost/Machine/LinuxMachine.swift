import FoundationEssentials
import Glibc
import Subprocess
import Synchronization
package import TuffModel

/// The machine this program runs on, for one pass: the lock it holds, what documents may reach, and what was found out
/// meanwhile (LVM's settings, device names) are gone with it. `HostProcesses` stay.
package final class LinuxMachine: Machine {
    package struct Configuration: Sendable {
        /// Directories in which tools are looked for, first first; also the `PATH` of every child.
        package var searchPath: [String]
        /// The kernel's target configuration.
        package var targetRoot: String
        /// Executable (absolute) and arguments of the worker process; empty: threads of this process stand in for
        /// it, which cannot be left behind when they are stuck (tests).
        package var workerCommand: [String]
        /// A worker that runs already, used before any is started.
        package var earlyWorker: EarlyWorker?
        /// Where secrets, images and directory pools may lie.
        package var reach: Reach
        /// Held by every mutating child. Nil for programs that change nothing.
        package var lock: HostLock?
        /// Where the files of running jobs are. Nil: jobs have none (tests).
        package var jobsDirectory: String?
        /// Handlers of jobs, for threads of this process that stand in for workers.
        package var jobHandlers = JobHandlers()
        /// The tools that drivers brought. Commands of others that `ToolName` names are refused.
        package var tools: HostTools
        /// Longest silence of a worker on one action or query.
        package var progressDeadline: Duration

        package init(
            searchPath: [String] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"],
            targetRoot: String = "/sys/kernel/config/target",
            workerCommand: [String] = ["/proc/self/exe", "_worker"],
            reach: Reach,
            lock: HostLock? = nil,
            tools: HostTools = HostTools(),
            progressDeadline: Duration = .seconds(20)
        ) {
            self.searchPath = searchPath
            self.targetRoot = targetRoot
            self.workerCommand = workerCommand
            self.reach = reach
            self.lock = lock
            self.tools = tools
            self.progressDeadline = progressDeadline
        }
    }

    private let fixedRoots: HostRoots
    private let reach: Reach
    /// The shares that belong at directories of pools.
    private let shares = Mutex<[String: NFSShare]>([:])
    let commands: CommandRunner
    private let workers: WorkerPool
    private let tools: MachineTools
    private let processes: HostProcesses
    let jobsDirectory: String?
    /// The devices that `HostAction.identify` found, and those of volumes that a condition held for.
    private let identified = Mutex<[UID: String]>([:])
    /// The extents that `HostAction.wipeExtents` wiped, by the volume that is to get it.
    private let wiped = Mutex<[UID: HeldExtents]>([:])

    /// The restore points that `HostAction.backUp` made, by the base that was read.
    private let listed = Mutex<[UID: ObservedPoint]>([:])

    /// - Parameter processes: those of the controller; nil: of this machine alone.
    package init(configuration: Configuration, processes: HostProcesses? = nil) {
        let processes = processes ?? HostProcesses(configuration: configuration)
        let environment = Self.environment(searchPath: configuration.searchPath)
        self.processes = processes
        tools = MachineTools(configuration.tools)
        jobsDirectory = configuration.jobsDirectory
        fixedRoots = HostRoots(target: configuration.targetRoot, reach: configuration.reach)
        reach = configuration.reach
        commands = CommandRunner(
            searchPath: configuration.searchPath, environment: environment, lock: configuration.lock,
            tools: tools, running: processes.running)
        workers = processes.workers
    }

    private var roots: HostRoots {
        var roots = fixedRoots
        roots.shares = shares.withLock { $0 }
        return roots
    }

    package func expect(_ shares: [String: NFSShare]) { self.shares.withLock { $0 = shares } }

    package func mount(of share: NFSShare, at directory: String) async throws(HostError) -> ObservedMount {
        guard case .mount(let mount) = try await ask(.mount(share, at: directory)) else { throw Self.confused }
        return mount
    }

    /// Mutating commands that have been started and have not ended, overdue ones included.
    package var runningCommands: [RunningCommand] { processes.runningCommands }

    /// Workers that passed their deadline and have not ended since.
    package var stuckWorkers: [StuckWorker] { processes.stuckWorkers }

    /// Makes up for what an earlier process that died left undone: LVM's backups of groups it had made volumes in. Only
    /// with the host lock held. A failure is no reason not to go on: it stays owed.
    package func settleDebts() async { await tools.volumes?.settleDebts(by: commands) }

    package func clock() -> ClockReading { HostFacts.clock() }

    package func lvmOutlook() async throws(HostError) -> LVMOutlook {
        try await tools.volumeTool().outlook(by: commands)
    }

    package func read(_ command: Command) async throws(HostError) -> CommandOutput {
        guard command.effect == .reads else {
            throw HostError(.refused, "'\(command)' changes something and is not for reading")
        }
        return try await commands.run(command)
    }

    package func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry] {
        guard case .entries(let entries) = try await ask(.readTree(root, queries, key)) else { throw Self.confused }
        return entries
    }

    package func space(of directory: String) async throws(HostError) -> FileSystemSpace {
        guard case .space(let space) = try await ask(.space(directory)) else { throw Self.confused }
        return space
    }

    package func fingerprint(_ secret: SecretReference, key: FingerprintKey) async throws(HostError)
        -> SecretFingerprint
    {
        guard case .fingerprint(let result) = try await ask(.fingerprint(secret, key)) else { throw Self.confused }
        return result
    }

    package func image(_ source: ImageSource) async throws(HostError) -> ObservedImage {
        guard case .image(let image) = try await ask(.image(source)) else { throw Self.confused }
        return image
    }

    package func jobs() -> ObservationMap<RunningJob> {
        jobsDirectory.map { JobFiles.live(in: $0) } ?? ObservationMap()
    }

    package func run<Request: JobRequest>(
        _ request: Request, telling: @escaping @Sendable (WorkProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) -> Request.Outcome {
        try await run(request, handing: nil, telling: telling, hearing: { _ in }, until: isOver)
    }

    /// The same for whoever wants to hear what the job says, or hands it something.
    /// - Parameter handing: a descriptor of which the job gets a copy (`JobControl.handed`).
    package func run<Request: JobRequest>(
        _ request: Request, handing: Int32?, telling: @escaping @Sendable (WorkProgress) -> Void,
        hearing: @escaping @Sendable (String) -> Void, until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) -> Request.Outcome {
        guard let body = try? JSONEncoder().encode(request) else {
            throw HostError(.failed, "The request of \(request.summary) cannot be written down")
        }
        let ticket = JobTicket(request, id: HostFacts.randomName())
        let reply = try await workers.run(
            WorkerRequest(roots: roots, work: .job(ticket, Array(body)), jobs: jobsDirectory),
            silence: request.silence.map { $0 / .seconds(1) }, handing: handing, telling: telling, hearing: hearing,
            until: isOver)
        switch reply {
        case .failed(let error), .stopped(_, let error): throw error
        case .outcome(let bytes):
            guard let outcome = Request.outcome(bytes) else {
                throw HostError(.malformed, "What came of \(request.summary) cannot be read")
            }
            return outcome
        case .performed, .entries, .space, .fingerprint, .image, .device, .mount: throw Self.confused
        }
    }

    package func perform(_ actions: [HostAction]) async throws(HostError) {
        try await perform(actions, telling: { _ in }, isOver: nil)
    }

    package func perform(
        _ actions: [HostAction], telling: @escaping @Sendable (DataProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) {
        try await perform(actions, telling: telling, isOver: isOver)
    }

    private func perform(
        _ actions: [HostAction], telling: @escaping @Sendable (DataProgress) -> Void, isOver: WorkerEnd?
    ) async throws(HostError) {
        var rest = actions[...]
        while let first = rest.first {
            // Each wait inside a loop has a copy of all that follows it in there: with the cases here, 200 KB of
            // program.
            var isDone = try await runHere(first, telling: telling, isOver: isOver)
            if !isDone { isDone = try await doJob(first, telling: telling, isOver: isOver) }
            let batch = isDone ? rest.prefix(1) : rest.prefix { !$0.needsCommand }
            guard !batch.isEmpty else { throw HostError(.failed, "An action is one that nobody carries out") }
            if !isDone { try await work(batch.map(completed), telling: telling, isOver: isOver) }
            rest = rest.dropFirst(batch.count)
        }
    }

    /// Does what takes a command, or what commands said.
    /// - Returns: false where it is neither, and nothing was done.
    private func runHere(
        _ action: HostAction, telling: @escaping @Sendable (DataProgress) -> Void, isOver: WorkerEnd?
    ) async throws(HostError) -> Bool {
        switch action {
        case .run(let command), .makeVolume(let command, _, _):
            try await commands.demand(command)
        case .activate(let command, let volumes):
            try await tools.volumeTool().activate(volumes, with: command, by: commands)
        case .wipeExtents(let holder, let method):
            let extents = try await tools.volumeTool().extents(of: holder, by: commands)
            try await work([.wipe(extents.device, method)], telling: telling, isOver: isOver)
            wiped.withLock { $0[holder.uid] = extents }
        case .require(.wipedExtents(let holder)):
            let found = try await tools.volumeTool().extents(of: holder, by: commands)
            guard wiped.withLock({ $0[holder.uid] }) == found else {
                throw Precondition.wipedExtents(holder: holder).failure(
                    "it has \(found.ranges.joined(separator: " "))")
            }
        case .joinExtents(var command, let group, let name, let uid, _):
            guard let extents = wiped.withLock({ $0.removeValue(forKey: uid) }) else {
                throw HostError(.preconditionFailed, "Nothing was wiped for \(group)/\(name) to grow by")
            }
            command.arguments += extents.ranges
            try await commands.demand(command)
        case .require(let condition) where condition.concernsDevice:
            try await check(condition)
        case .require(let condition) where condition.tool != nil:
            guard let name = condition.tool else { return false }
            let found = try await tools.tool(name).check(condition, by: commands)
            identified.withLock { $0.merge(found) { _, new in new } }
        case .completeBase(let command, let base, let identity):
            let point = listed.withLock { $0[base.uid] }
            try await commands.demand(try base.completing(command, with: point, identity))
        case .identify(let command, let group, let uids):
            let found = try await tools.volumeTool().devices(of: uids, in: group, with: command, by: commands)
            identified.withLock { $0.merge(found) { _, new in new } }
        default: return false
        }
        return true
    }

    /// Does what is a job, in a worker of its own.
    /// - Returns: false where it is none, and nothing was done.
    private func doJob(
        _ action: HostAction, telling: @escaping @Sendable (DataProgress) -> Void, isOver: WorkerEnd?
    ) async throws(HostError) -> Bool {
        switch action {
        case .restore(let content, let place):
            let path = roots.path(of: place)
            _ = try await job(
                RestoreIntoVolume(content, to: completed(place), path: path), telling: telling, until: isOver)
        case .backUp(let place, let task):
            let path = roots.path(of: place)
            let point = try await job(
                BackupOfVolume(task, from: completed(place), path: path), telling: telling, until: isOver)
            if let uid = place.uid { listed.withLock { $0[uid] = point } }
        case .makeRepository(let name, let access):
            _ = try await job(RepositoryCreation(of: name, access), telling: telling, until: isOver)
        case .mountShare(let share, let path, let anew):
            try await mounting(ShareMounting(.mount, share, at: path, anew: anew), until: isOver)
        case .unmountShare(let share, let path):
            try await mounting(ShareMounting(.unmount, share, at: path), until: isOver)
        case .prune(let task):
            _ = try await job(RepositoryPrune(task), telling: telling, until: isOver)
        case .verify(let task):
            _ = try await job(RepositoryVerification(task), telling: telling, until: isOver)
        case .drill(let task, let place):
            let path = roots.path(of: place)
            _ = try await job(
                DrillOnVolume(task, on: completed(place), path: path), telling: telling, until: isOver)
        default: return false
        }
        return true
    }

    /// Does work of a plan that takes a worker of its own, in a repository of backups.
    private func job<Request: JobRequest>(
        _ request: Request, telling: @escaping @Sendable (DataProgress) -> Void, until isOver: WorkerEnd?
    ) async throws(HostError) -> Request.Outcome {
        try await run(
            request, telling: { telling(DataProgress(done: $0.done, total: $0.total)) }, until: isOver ?? { false })
    }

    /// Asked once more here, since one packet is too many.
    private func mounting(_ request: ShareMounting, until isOver: WorkerEnd?) async throws(HostError) {
        guard reach.permits(nfs: request.share), reach.root(of: request.path, .directories) != nil else {
            throw HostError(
                .refused, "\(request.share.source) at \(request.path) is not what allow.nfs and allow.directories name",
                subject: request.path)
        }
        _ = try await job(request, telling: { _ in }, until: isOver)
    }

    package func performEach(_ sequences: [[HostAction]]) async -> [SequenceOutcome] {
        if let volumes = tools.volumes, let creations = VolumeCreation.all(sequences) {
            return await volumes.make(creations, by: commands)
        }
        guard !sequences.contains(where: { $0.contains(where: \.needsCommand) }) else {
            return await performOneByOne(sequences)
        }
        let request = WorkerRequest(
            roots: roots, work: .perform(sequences.map { $0.map(completed) }), jobs: jobsDirectory)
        var done = 0
        do throws(HostError) {
            switch try await workers.ask(request, done: &done) {
            case .performed: return sequences.map { _ in .performed }
            // The worker ends a request at the first sequence that fails.
            case .stopped(let earlier, let error): return Self.outcomes(of: sequences, done: earlier, 1, error)
            default: throw Self.confused
            }
        } catch {
            // While a worker is silent it is known where it was; of one that ended or talks nonsense only where it had
            // been some moments before.
            let begun = error.code == .timeout ? 1 : sequences.count
            return Self.outcomes(of: sequences, done: done, begun, error)
        }
    }

    /// The first `done` were carried out, `failed` more may have been begun.
    private static func outcomes(
        of sequences: [[HostAction]], done: Int, _ failed: Int, _ error: HostError
    ) -> [SequenceOutcome] {
        sequences.indices.map { $0 < done ? .performed : $0 - done < failed ? .failed(error) : .notBegun }
    }

    /// A condition on a device that was identified in this process, with what it was identified as.
    private func completed(_ action: HostAction) -> HostAction {
        switch action {
        case .require(.device(let group, let name, let uid, nil)):
            return .require(.device(group: group, name: name, uid: uid, uuid: identified.withLock { $0[uid] }))
        case .wipe(var device, let method) where device.uuid == nil:
            device.uuid = identified.withLock { $0[device.uid] }
            return .wipe(device, method)
        case .copyBytes(let source, let target):
            return .copyBytes(from: completed(source), to: completed(target))
        case .enableBackstore(let path, let place): return .enableBackstore(path, opening: completed(place))
        case .copyImage(let image, let target): return .copyImage(image, to: completed(target))
        default: return action
        }
    }

    private func completed(_ place: BytesPlace) -> BytesPlace {
        let known = identified.withLock { $0 }
        return place.identified { known[$0] }
    }

    /// Has a worker carry out actions.
    private func work(
        _ actions: [HostAction], telling: @escaping @Sendable (DataProgress) -> Void, isOver: WorkerEnd?
    ) async throws(HostError) {
        guard case .performed = try await ask(.perform([actions]), telling: telling, until: isOver) else {
            throw Self.confused
        }
    }

    func ask(
        _ work: WorkerRequest.Work, telling: @escaping @Sendable (DataProgress) -> Void = { _ in },
        until isOver: WorkerEnd? = nil
    ) async throws(HostError) -> WorkerReply {
        switch try await workers.ask(
            WorkerRequest(roots: roots, work: work, jobs: jobsDirectory), telling: telling, until: isOver)
        {
        case .failed(let error), .stopped(_, let error): throw error
        case let reply: return reply
        }
    }

    static var confused: HostError {
        HostError(.malformed, "The worker process answered another question than it was asked")
    }
}

extension HostAction {
    /// True for more than a worker can be asked for in passing: a command, or a job.
    fileprivate var needsCommand: Bool {
        switch self {
        case .run, .activate, .makeVolume, .identify, .wipeExtents, .joinExtents, .restore, .backUp, .makeRepository,
            .prune, .verify, .drill, .completeBase, .mountShare, .unmountShare:
            true
        case .require(let condition): condition.needsCommand
        default: false
        }
    }
}
