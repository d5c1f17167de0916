package import TuffModel

/// The output of a command that ended. An observation tells whether it succeeded.
package struct CommandOutput: Equatable, Sendable {
    package var status: Int32
    package var standardOutput: [UInt8]
    /// First 4 KiB of standard error.
    package var standardError: String

    package init(status: Int32, standardOutput: [UInt8], standardError: String = "") {
        self.status = status
        self.standardOutput = standardOutput
        self.standardError = standardError
    }
}

extension CommandOutput {
    /// A sentence on how a command ended: `lvm lvs ended with status 5`.
    package func ending(of name: String) -> String { "\(name) ended with status \(status)" }

    /// The error for a command whose status means failure. The cause is its text on standard error.
    /// - Parameter name: the command in a word or two; nil: its tool.
    package func failure(of command: Command, named name: String? = nil) -> HostError {
        HostError(
            .failed, ending(of: name ?? command.tool), cause: standardError.isEmpty ? nil : standardError,
            subject: command.description)
    }
}

/// Which files of a rooted tree to read, and how. Components of `pattern` may be `*` (any name) or end in `*`.
package struct TreeQuery: Hashable, Codable, Sendable {
    package enum Reading: Hashable, Codable, Sendable {
        /// That the entry exists, and what it is.
        case presence
        /// The content, at most 64 KiB, trailing newline removed.
        case text
        /// Only a keyed fingerprint of the content leaves the reader; an attribute that reads empty or `NULL` has none.
        case fingerprint
        /// Size, allocation, mode and exposure of a file.
        case status
    }

    package var pattern: String
    package var reading: Reading

    package init(_ pattern: String, _ reading: Reading = .text) {
        self.pattern = pattern
        self.reading = reading
    }
}

/// One entry that matched a query.
package struct TreeEntry: Equatable, Codable, Sendable {
    package enum Kind: String, Codable, Sendable { case directory, file, link, other }

    /// Relative to the root.
    package var path: String
    package var kind: Kind
    package var text: String?
    package var fingerprint: SecretFingerprint?
    /// Where a link leads, as its text says.
    package var target: String?
    package var size: ByteCount?
    package var allocated: ByteCount?
    package var mode: UInt16?
    /// Why others than root and the user we run as could change it: `belongs to user 1000, …`. Nil when none can.
    package var exposure: String?
    /// Set when the entry exists and could not be read.
    package var error: HostError?

    package init(
        path: String, kind: Kind, text: String? = nil, fingerprint: SecretFingerprint? = nil, target: String? = nil,
        size: ByteCount? = nil, allocated: ByteCount? = nil, mode: UInt16? = nil,
        exposure: String? = nil, error: HostError? = nil
    ) {
        self.path = path
        self.kind = kind
        self.text = text
        self.fingerprint = fingerprint
        self.target = target
        self.size = size
        self.allocated = allocated
        self.mode = mode
        self.exposure = exposure
        self.error = error
    }
}

/// Total and free bytes of a file system (statvfs, free to unprivileged users).
package struct FileSystemSpace: Equatable, Codable, Sendable {
    package var size: ByteCount
    package var free: ByteCount
    /// Of the directory that was asked about, as `TreeEntry.exposure`.
    package var exposure: String?
    /// Files share blocks there when asked to. Nil: not asked.
    package var sharesBlocks: Bool?

    package init(size: ByteCount, free: ByteCount, exposure: String? = nil, sharesBlocks: Bool? = nil) {
        self.sharesBlocks = sharesBlocks
        self.size = size
        self.free = free
        self.exposure = exposure
    }
}

/// Key of the secret fingerprints of one plan context. Not a secret of anybody's: it only keeps fingerprints of
/// different contexts from being compared.
package struct FingerprintKey: Hashable, Codable, Sendable {
    package var bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }
}

/// The only door to the machine for control work. The real one is `LinuxMachine`; tests have one that behaves like
/// LVM, configfs and tgtd and can be made to fail, hang or lie at any call. Both pass the same contract suite.
///
/// Everything that may block (configfs, a directory pool on NFS) runs in a worker process behind this door.
package protocol Machine: Sendable {
    /// The machine's clock, and what it can be judged by.
    func clock() -> ClockReading

    /// Runs a command that changes nothing. Throws when it cannot be started, passes its deadline or floods its
    /// output; a non-zero status is returned, not thrown.
    func read(_ command: Command) async throws(HostError) -> CommandOutput

    /// Entries that match any query, sorted by path. A missing root is `notFound`; a missing entry is simply not there.
    func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry]

    func space(of directory: String) async throws(HostError) -> FileSystemSpace

    /// Fingerprint of a secret file, under the rules of `HostAction.writeSecret`: beneath a root of secrets, a plain
    /// file reached without symbolic links, readable by its owner only, not empty, at most 4 KiB.
    func fingerprint(_ secret: SecretReference, key: FingerprintKey) async throws(HostError) -> SecretFingerprint

    /// Reads the header of a disk image beneath a root of images, a plain file.
    func image(_ source: ImageSource) async throws(HostError) -> ObservedImage

    /// A block device that a pool may be made of. Reads only. A path that leads nowhere is `notFound`.
    func look(at device: String) async throws(HostError) -> CandidateDevice

    /// Compares what the host has mounted at the directory of a pool with the share that belongs there. No server is
    /// asked.
    func mount(of share: NFSShare, at directory: String) async throws(HostError) -> ObservedMount

    /// Names the shares that belong at directories of pools. From now on nothing in such a directory is read or
    /// written, and no job begun on it, unless its share is mounted there: `preconditionFailed`.
    func expect(_ shares: [String: NFSShare])

    /// Where the machine's own settings have LVM look for volume groups.
    func lvmOutlook() async throws(HostError) -> LVMOutlook

    /// The jobs that run on this host, whoever began them, by the name of their file.
    func jobs() -> ObservationMap<RunningJob>

    /// Does work that takes hours in a process of its own, by the table of handlers that the program was put together
    /// with.
    ///
    /// - Parameters:
    ///   - telling: told how far it has come, from whatever thread; the first time when it has begun, from when on its
    ///     keys are taken. Whoever begins it in a pass keeps the host's lock until then, or until this returns.
    ///   - isOver: asked some times a second, from whatever thread. Once true, the job ends at its next block, which
    ///     throws `interrupted` when that has happened.
    /// - Throws: `timeout` where nothing was heard of it for too long; then it was killed.
    func run<Request: JobRequest>(
        _ request: Request, telling: @escaping @Sendable (WorkProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) -> Request.Outcome

    /// Carries out actions in order and stops at the first that fails. After any error the outcome of that action
    /// is unknown, even for a failed precondition of ours the next step is to observe.
    func perform(_ actions: [HostAction]) async throws(HostError)

    /// The same, for actions that read or write all of a volume, which may take hours.
    ///
    /// - Parameters:
    ///   - telling: told now and then how far such an action has come, from whatever thread.
    ///   - isOver: asked some times a second, from whatever thread. Once true, such an action ends at its next block,
    ///     which throws `interrupted` when that has happened. Commands are finished all the same.
    func perform(
        _ actions: [HostAction], telling: @escaping @Sendable (DataProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError)

    /// Carries out sequences that have nothing to do with each other, each as `perform` does: that one fails stops no
    /// other. Much cheaper than one by one where sequences are short.
    ///
    /// - Returns: an outcome for each sequence.
    func performEach(_ sequences: [[HostAction]]) async -> [SequenceOutcome]
}

/// The progress of an action that reads and writes all of a volume.
package struct DataProgress: Hashable, Sendable {
    package var done: ByteCount
    package var total: ByteCount

    package init(done: ByteCount, total: ByteCount) {
        self.done = done
        self.total = total
    }
}

/// The outcome of one of several sequences of actions.
package enum SequenceOutcome: Sendable {
    case performed
    case failed(HostError)
    /// Nothing of it was begun, and nothing of it will be; it may be asked for again at once.
    case notBegun
}

extension Machine {
    /// For machines of tests without devices.
    package func look(at device: String) async throws(HostError) -> CandidateDevice {
        throw HostError(.notFound, "\(device) does not exist")
    }

    /// For machines of tests without NFS.
    package func mount(of share: NFSShare, at directory: String) async throws(HostError) -> ObservedMount {
        throw HostError(.notFound, "This machine has no NFS")
    }

    /// For machines of tests without NFS.
    package func expect(_ shares: [String: NFSShare]) {}

    /// For machines whose LVM is as it is delivered.
    package func lvmOutlook() async throws(HostError) -> LVMOutlook { LVMOutlook() }

    /// For machines of tests on which no jobs run.
    package func jobs() -> ObservationMap<RunningJob> { ObservationMap() }

    /// For machines of tests without jobs.
    package func run<Request: JobRequest>(
        _ request: Request, telling: @escaping @Sendable (WorkProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) -> Request.Outcome {
        throw HostError(.malformed, "This machine has no handler for jobs of the kind '\(Request.kind)'")
    }

    /// For machines of tests, whose work takes no time.
    package func perform(
        _ actions: [HostAction], telling: @escaping @Sendable (DataProgress) -> Void,
        until isOver: @escaping @Sendable () -> Bool
    ) async throws(HostError) { try await perform(actions) }

    package func performEach(_ sequences: [[HostAction]]) async -> [SequenceOutcome] {
        await performOneByOne(sequences)
    }

    /// Sequences after one another. After one that may still run none is begun.
    package func performOneByOne(_ sequences: [[HostAction]]) async -> [SequenceOutcome] {
        var outcomes: [SequenceOutcome] = []
        for sequence in sequences {
            do throws(HostError) {
                try await perform(sequence)
                outcomes.append(.performed)
            } catch {
                outcomes.append(.failed(error))
                // What is still running may hold what the others need; whoever asked decides.
                if error.code == .timeout {
                    return outcomes + sequences.dropFirst(outcomes.count).map { _ in .notBegun }
                }
            }
        }
        return outcomes
    }
}

extension Machine {
    /// Now, by the machine's civil clock.
    package func now() -> Instant { clock().civil }
}
