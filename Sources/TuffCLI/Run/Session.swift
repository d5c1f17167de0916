import Glibc
import TuffConfig
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// One command's view of one host.
struct Session {
    var config: ControllerConfig
    var reconciler: Reconciler
    private let machine: LinuxMachine
    /// What a boot brings back.
    var accepted: AcceptedStore

    /// - Parameter lock: what mutating children hold; nil for commands that change nothing.
    init(config: ControllerConfig, host: HostOptions, lock: HostLock? = nil) {
        self.config = config
        machine = Composition.machine(config, host: host, lock: lock)
        reconciler = Composition.reconciler(
            config, machine: machine, ledger: LedgerFile(directory: host.stateDirectory))
        accepted = AcceptedStore(directory: host.stateDirectory)
    }

    /// What a process that died left undone that no plan shows.
    func settleDebts() async { await machine.settleDebts() }

    /// Says on standard error what outlived its deadline and may still do something after this command has ended.
    func warnOfLeftBehind(_ style: Style) {
        for sentence in LeftBehind.sentences(machine.runningCommands, machine.stuckWorkers) {
            Console.talk(style.paint("warning:", .yellow) + " \(Layout.printable(sentence))\n")
        }
    }

    /// The same without writing anything down: boot and shutdown must not fail for a disk that is full, and what they
    /// take away is no removal. A ledger that cannot be read only ever refuses, and is done without.
    func withoutKeeping(_ style: Style) -> Session {
        var session = self
        var known = Ledger()
        do throws(HostError) { known = try reconciler.ledger.load() } catch {
            Console.talk(style.paint("warning:", .yellow) + " \(Layout.printable(error.description))\n")
        }
        session.reconciler.ledger = MemoryLedger(known)
        return session
    }

    func newContext(stack: String, consent: Consent = Consent()) -> PlanContext {
        PlanContext(
            now: reconciler.machine.now(), seed: Self.mintSeed(), stack: stack, config: config, consent: consent)
    }

    /// What is there, ledger included, as plans need it.
    func observe(_ state: DesiredState, context: PlanContext) async throws(Failure) -> ObservedState {
        do throws(HostError) {
            return try await reconciler.observe(state, context: context)
        } catch {
            throw Failure(error.description)
        }
    }

    /// 16 bytes of the system's generator (getrandom(2)) in hexadecimal.
    private static func mintSeed() -> String {
        var generator = SystemRandomNumberGenerator()
        return Hex.text((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
}

extension GlobalOptions {
    /// The controller's configuration: the file named, the default file where it exists, else built-in defaults.
    /// - Parameter toleratesFormer: takes one that an earlier version read, as that understood it, with a warning.
    func loadConfig(toleratesFormer: Bool = false) throws(Failure) -> ControllerConfig {
        let node = HostFacts.shortHostName()
        let path = config ?? Self.defaultConfig
        if config == nil, access(path, F_OK) != 0 { return ControllerConfig(node: node) }
        try Self.refuseWritable(path)
        let (sources, earlier) = ConfigLoader.read(paths: [path])
        var diagnostics = earlier
        var loaded: ControllerConfig?
        if var source = sources.first, sources.count == 1 {
            // The administrator's own, which nobody else may write, through a link or not.
            source.isQuotable = true
            let result = ConfigLoader.loadController(
                source, defaultNode: node, toleratesFormer: toleratesFormer)
            loaded = result.config
            diagnostics += result.diagnostics
        }
        Console.talk(DiagnosticText.render(diagnostics, color: errors.color))
        guard let loaded, !diagnostics.contains(where: { $0.severity == .error }) else {
            throw Failure("the controller's configuration \(path) cannot be used")
        }
        if !toleratesFormer { try Self.refuseOverlap(in: loaded.allow, path) }
        return loaded
    }
}

extension GlobalOptions {
    private static func refuseOverlap(in reach: Reach, _ path: String) throws(Failure) {
        let overlap: Reach.Overlap?
        do throws(HostError) { overlap = try HostRoots.overlap(in: reach) } catch {
            throw Failure(error.sentence, help: error.cause)
        }
        guard let overlap else { return }
        let (first, second) = (overlap.first, overlap.second)
        throw Failure(
            "in \(path), \(first.path) of allow.\(first.sort.rawValue) and \(second.path) of "
                + "allow.\(second.sort.rawValue) overlap on this host, by way of links or mounts",
            help: "a root is of one sort: name others")
    }

    /// Who may write the configuration chooses what root reads and makes. A file that cannot be looked at is the
    /// reader's business.
    private static func refuseWritable(_ path: String) throws(Failure) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw Failure(
                "the controller's configuration \(path) belongs to user \(status.st_uid), who could change what Tuff does",
                help: "chown root \(path)")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw Failure(
                "the controller's configuration \(path) may be written by others, who could change what Tuff does",
                help: "chmod go-w \(path)")
        }
    }
}

extension ObservedState {
    /// Says on standard error which sources could not be seen, so that a plan full of blocked lines explains itself.
    func warnOfUnseen(_ style: Style) {
        for line in unseenSentences {
            Console.talk(style.paint("warning:", .yellow) + " \(Layout.printable(line))\n")
        }
    }

    /// One for each source; of many of a kind that cannot be seen for one reason, the first and how many more.
    var unseenSentences: [String] {
        struct Cause: Hashable {
            var sort: Substring
            var code: HostError.Code
            var cause: String?
        }
        var counts: [Cause: Int] = [:]
        func cause(_ source: String, _ error: HostError) -> Cause {
            Cause(sort: source.prefix { $0 != " " }, code: error.code, cause: error.cause)
        }
        for (source, error) in unseen { counts[cause(source, error), default: 0] += 1 }
        return unseen.compactMap { source, error in
            let cause = cause(source, error)
            guard let count = counts.removeValue(forKey: cause) else { return nil }
            return "\(source): \(error)"
                + (count > 1 ? "; and the same of \(Layout.count(count - 1, "other \(cause.sort)"))" : "")
        }
    }
}

/// What was started and has not ended.
enum LeftBehind {
    static func sentences(_ commands: [RunningCommand], _ workers: [StuckWorker]) -> [String] {
        commands.map {
            "process \($0.pid) still runs since \($0.since) and is left to finish: \($0.command); "
                + "no other apply begins before it has ended"
        }
            + workers.map { worker in
                let who = worker.pid.map { "worker process \($0)" } ?? "a worker"
                return "\(who) is stuck since \(worker.since) in \(worker.request), which may still happen"
            }
    }
}
