import Glibc
import TuffHost
package import TuffModel
package import TuffRepository

/// Work with a repository that a person orders by a command. A worker process does it, which the command supervises:
/// whatever a medium does to the worker, the command ends when it is told to.
package protocol RepositoryOrder: Codable, Sendable {
    associatedtype Outcome: Codable & Sendable

    /// One word that names the sort of work among the kinds of jobs.
    static var kind: String { get }
    /// The work in a few words, for people who look at a plan: `pruning /srv/backups by hand`.
    var summary: String { get }
    /// The keys that plans leave alone meanwhile, written as theirs. Other orders go on beside it: leases of the
    /// repository and the kernel keep them apart.
    var announced: [String] { get }
    /// Servers whose shares it mounts.
    var servers: [String] { get }
    /// True where it waits for whoever reads its output, which may take any time.
    var waitsForReader: Bool { get }

    /// Does the work, in the worker. Blocks its thread.
    func carryOut(_ work: OrderedWork) throws(BackupError) -> Outcome
}

extension RepositoryOrder {
    package var servers: [String] { [] }
    package var waitsForReader: Bool { false }
}

/// An order that only looks: it changes nothing, and no plan waits for it.
package protocol RepositoryLook: RepositoryOrder {
    /// The demands on the key file of a directory.
    static var keyFile: KeyFile.Rule { get }
    var repository: RepositoryPlace { get }

    func look(at repository: Repository, listener: any Listener) throws(BackupError) -> Outcome
}

extension RepositoryLook {
    package static var keyFile: KeyFile.Rule { .demanded }
    package var announced: [String] { [] }
    package var servers: [String] { repository.servers }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> Outcome {
        try work.with(repository, keyFile: Self.keyFile) { repository throws(BackupError) in
            try look(at: repository, listener: work.listener)
        }
    }
}

/// The worker's side of an order.
package struct OrderedWork: Sendable {
    let control: JobControl
    let stage: JobStage
    let progress: JobProgress
    /// Has warnings told at once where the order was given.
    let listener: any Listener

    /// Opens the repository for as long as `body` runs: a directory, or as a document says, with the mounts that need
    /// be.
    /// - Parameter rule: for the key file of a directory; secrets of documents are always held to it.
    func with<Value>(
        _ place: RepositoryPlace, keyFile rule: KeyFile.Rule = .demanded,
        _ body: (Repository) throws(BackupError) -> Value
    ) throws(BackupError) -> Value {
        guard let declared = place.declared else { return try body(try place.open(rule, listener: listener)) }
        let result: Result<Value, BackupError>
        do throws(HostError) {
            result = try RepositoryJobs.withStore(declared.access, making: false, by: control) {
                store, secret throws(HostError) in
                Result { () throws(BackupError) in
                    try body(
                        try inRepository { () throws(RepositoryError) in try Repository.open(store, secret: secret) })
                }
            }
        } catch {
            throw BackupError(error)
        }
        return try result.get()
    }
}

/// An order as a job.
struct OrderedJob<Order: RepositoryOrder>: JobRequest {
    static var kind: String { Order.kind }
    /// Nobody but root may write where plans look for the files of jobs, and another user's work keeps no plan waiting:
    /// it has no file.
    static var recording: JobRecording { geteuid() == 0 ? .announced : .none }

    var order: Order

    var summary: String { order.summary }
    var keys: [String] { order.announced }
    var servers: [String] { order.servers }
    /// Longer than that of plans' jobs: the end of a restore may wait for all that a slow disk has yet to write, and a
    /// person who sees that nothing goes on can end it sooner.
    var silence: Duration? { order.waitsForReader ? .seconds(86_400) : .seconds(900) }

    enum Outcome: Codable, Sendable {
        case done(Order.Outcome)
        case failed(BackupError)
    }

    static func register(in handlers: inout JobHandlers) {
        handlers.register(Self.self) { request, control throws(HostError) in
            let progress = JobProgress(isWanted: { control.isWanted }), stage = JobStage()
            let work = OrderedWork(
                control: control, stage: stage, progress: progress, listener: JobListener(control: control))
            return try control.following(
                { progress.done &+ progress.signs }, end: { progress.cancel() },
                as: { _ in stage.progress(done: progress.done) }
            ) { () throws(HostError) in
                do throws(BackupError) { return .done(try request.order.carryOut(work)) } catch {
                    return .failed(error)
                }
            }
        }
    }
}

/// Hands warnings on to whoever gave the order.
private struct JobListener: Listener {
    let control: JobControl

    func tell(_ remark: Remark) {
        switch remark {
        case .note(let sentence), .warning(let sentence): control.remark(sentence)
        case .waiting, .plansDiffer, .export: break
        }
    }
}

extension Controller {
    /// Has a worker carry out an order. The host lock is not taken: an order changes nothing that a pass decides on,
    /// and somebody who restores in an emergency waits for no pass.
    /// - Parameters:
    ///   - config: what documents may reach, where the repository is a document's; nil: it is not.
    ///   - output: a descriptor that the order writes to.
    ///   - telling: told how far it has come, from whatever thread.
    ///   - isOver: asked, some times a second, whether the work is to end at its next block.
    package func carryOut<Order: RepositoryOrder>(
        _ order: Order, under config: ControllerConfig?, output: Int32? = nil, listener: any Listener,
        telling: @escaping @Sendable (WorkProgress) -> Void = { _ in }, until isOver: @escaping @Sendable () -> Bool
    ) async throws(BackupError) -> Order.Outcome {
        let machine = machine(under: config ?? ControllerConfig(node: HostFacts.shortHostName()))
        let outcome: OrderedJob<Order>.Outcome
        do throws(HostError) {
            outcome = try await machine.run(
                OrderedJob(order: order), handing: output, telling: telling,
                hearing: { listener.tell(.warning($0)) }, until: isOver)
        } catch {
            throw BackupError(error)
        }
        switch outcome {
        case .done(let value): return value
        case .failed(let error): throw error
        }
    }
}

extension BackupError {
    init(_ error: HostError) {
        let sort: Sort =
            switch error.code {
            case .notFound: .missing
            case .interrupted: .interrupted
            case .permissionDenied, .malformed, .damaged, .timeout, .failed, .preconditionFailed, .busy, .exhausted,
                .refused, .exposed, .unreachable:
                .failed
            }
        self.init(PrintedText.oneLine(error.description), sort: sort)
    }
}
