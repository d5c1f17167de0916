import FoundationEssentials
package import TuffModel

/// A request of the controller to a worker: one query, or sequences of actions that are carried out in order up to the
/// first that fails.
package struct WorkerRequest: Sendable {
    package enum Work: Codable, Sendable {
        case perform([[HostAction]])
        case readTree(HostPath.Root, [TreeQuery], FingerprintKey)
        case space(String)
        case fingerprint(SecretReference, FingerprintKey)
        case image(ImageSource)
        case look(String)
        /// The share that belongs there, and the directory of a pool.
        case mount(NFSShare, at: String)
        /// Work of another module's, by the table of handlers: what it is, and its request as JSON.
        case job(JobTicket, [UInt8])
    }

    package var roots: HostRoots
    package var work: Work
    /// Where work of hours has its file (`JobFile`); nil: it has none.
    var jobs: String?

    package init(roots: HostRoots, work: Work, jobs: String? = nil) {
        self.roots = roots
        self.work = work
        self.jobs = jobs
    }

    /// The question of a reading, without its key; nil for acts.
    var repetition: String? {
        switch work {
        case .perform: nil
        case .readTree(let root, let queries, _):
            "tree \(roots.path(of: root)) " + queries.map { "\($0.pattern) \($0.reading)" }.joined(separator: ",")
        case .space(let directory): "space \(directory)"
        case .fingerprint(let secret, _): "secret \(secret.file)"
        case .image(let source): "image \(source.key)"
        case .look(let device): "device \(device)"
        case .mount(let share, let path): "mount \(share.source) \(path)"
        case .job(let job, _): "job \(job.kind) \(job.summary)"
        }
    }

    /// Exclusive keys under which nothing else is to be done while it hangs.
    var keys: [String] {
        switch work {
        case .perform, .readTree, .space, .fingerprint, .image, .look, .mount: []
        case .job(let job, _): job.keys
        }
    }

    /// Servers whose shares it mounts, or reads.
    var servers: [String] {
        switch work {
        case .readTree(.directory(let path), _, _), .space(let path):
            roots.shares[path].map { [NFSMount($0).serverKey] } ?? []
        case .perform, .readTree, .fingerprint, .image, .look, .mount: []
        case .job(let job, _): job.servers
        }
    }

    /// Kinds of work that may each leave so many stuck workers behind, so that one kind does not use up the others'.
    enum Share: Hashable {
        case acts, targets, directories, secrets, images, devices, jobs

        var limit: Int {
            switch self {
            case .acts: 8
            // A reading of everything, and then object by object.
            case .targets: 6
            case .directories, .secrets, .images: 2
            case .devices, .jobs: 4
            }
        }

        var name: String {
            switch self {
            case .acts: "changes"
            case .targets: "readings of the target configuration"
            case .directories: "readings of directories"
            case .secrets: "readings of secret files"
            case .images: "readings of images"
            case .devices: "looks at devices"
            case .jobs: "jobs"
            }
        }
    }

    var share: Share {
        switch work {
        case .perform: .acts
        case .readTree(.targetConfiguration, _, _): .targets
        case .readTree(.directory, _, _), .readTree(.lvmProfiles, _, _), .space, .mount: .directories
        case .fingerprint: .secrets
        case .image: .images
        case .look: .devices
        case .job: .jobs
        }
    }

    /// The request in words: the sentence of an error when no answer comes.
    var summary: String {
        switch work {
        case .perform(let sequences): Self.summary(sequences.flatMap(\.self))
        case .readTree(let root, _, _): "reading \(roots.path(of: root))"
        case .space(let directory): "asking for the space of \(directory)"
        case .fingerprint(let secret, _): "reading the secret file \(secret.file)"
        case .image(let source): "reading the header of the image \(source.path)"
        case .look(let device): "looking at device \(device)"
        case .mount(_, let path): "looking at what is mounted at \(path)"
        case .job(let job, _): job.summary
        }
    }

    private static func summary(_ actions: [HostAction]) -> String {
        guard let first = actions.first else { return "nothing" }
        return actions.count == 1 ? "'\(first)'" : "\(actions.count) actions from '\(first)' on"
    }

    /// The part of the request that a worker is at which has done so many sequences.
    func current(after done: Int) -> WorkerRequest {
        guard case .perform(let sequences) = work, done < sequences.count else { return self }
        return WorkerRequest(roots: roots, work: .perform([sequences[done]]), jobs: jobs)
    }
}

package enum WorkerReply: Codable, Sendable {
    /// All sequences were carried out.
    case performed
    /// So many sequences were carried out; the next one ended in the error, and the others were not begun.
    case stopped(done: Int, HostError)
    case entries([TreeEntry])
    case space(FileSystemSpace)
    case fingerprint(SecretFingerprint)
    case image(ObservedImage)
    case device(CandidateDevice)
    case mount(ObservedMount)
    /// JSON of what came of a job.
    case outcome([UInt8])
    case failed(HostError)
}

/// The progress of a worker with a request.
struct WorkerProgress: Equatable, Sendable {
    /// Sequences of actions that are done.
    var sequences: Int
    /// Of the job, or of the action at work where it takes long.
    var job: WorkProgress

    /// Read while the work goes on, the two numbers may be of different actions: more done than there is is all of it.
    init(sequences: Int, bytes: UInt64, of total: UInt64, phase: String = "") {
        self.sequences = sequences
        let whole = Int64(clamping: total), done = Int64(clamping: bytes)
        job = WorkProgress(
            phase: phase, done: ByteCount(whole > 0 ? min(done, whole) : done), total: ByteCount(whole))
    }

    /// Of the action at work, where it takes long.
    var moved: DataProgress? { job.total > .zero ? DataProgress(done: job.done, total: job.total) : nil }
}

/// The messages on a worker's two descriptors: one byte of kind, four bytes of length (little endian), the body.
/// Both ends are the same program, so the form carries no version.
enum WorkerFrame: UInt8 {
    /// A `WorkerRequest` in the form of `RequestCoding`.
    case request = 1
    /// The work goes on, and how far it has come: a `WorkerProgress` in the form of `ProgressCoding`.
    case progress = 2
    /// JSON of a `WorkerReply`.
    case reply = 3
    /// Entries in the form of `TreeEntryCoding`; JSON would cost more than reading them did.
    case entries = 4
    /// Empty: `WorkerReply.performed`, the commonest reply.
    case performed = 5
    /// JSON of what came of a job: `WorkerReply.outcome`.
    case outcome = 6
    /// A sentence of a job for whoever asked for it, as UTF-8.
    case remark = 7

    static let headerSize = 5
    /// Longest body; a tree of a hundred thousand attributes fits.
    static let limit = 256 << 20

    func message(_ body: [UInt8]) -> [UInt8] {
        var result: [UInt8] = [rawValue]
        result.reserveCapacity(Self.headerSize + body.count)
        for shift in [0, 8, 16, 24] { result.append(UInt8(truncatingIfNeeded: body.count >> shift)) }
        result.append(contentsOf: body)
        return result
    }

    /// Kind and length of the body; nil for bytes that no end of ours sends.
    static func header(_ bytes: [UInt8]) -> (kind: WorkerFrame, length: Int)? {
        guard bytes.count == headerSize, let kind = WorkerFrame(rawValue: bytes[0]) else { return nil }
        let length = bytes[1...].reversed().reduce(0) { $0 << 8 | Int($1) }
        return length <= limit ? (kind, length) : nil
    }
}

extension WorkerReply {
    func message() throws -> [UInt8] {
        switch self {
        case .performed: return WorkerFrame.performed.message([])
        case .entries(let entries): return WorkerFrame.entries.message(try TreeEntryCoding.encode(entries))
        case .outcome(let bytes): return WorkerFrame.outcome.message(bytes)
        case .stopped, .space, .fingerprint, .image, .device, .mount, .failed:
            return WorkerFrame.reply.message(Array(try JSONEncoder().encode(self)))
        }
    }

    /// Nil when the body is not what its kind says.
    init?(_ kind: WorkerFrame, _ body: [UInt8]) {
        switch kind {
        case .entries:
            guard let entries = TreeEntryCoding.decode(body) else { return nil }
            self = .entries(entries)
        case .performed:
            guard body.isEmpty else { return nil }
            self = .performed
        case .outcome: self = .outcome(body)
        case .reply:
            guard let reply = try? JSONDecoder().decode(WorkerReply.self, from: Data(body)) else { return nil }
            self = reply
        case .request, .progress, .remark: return nil
        }
    }
}

extension WorkerRequest {
    package func message() throws -> [UInt8] { WorkerFrame.request.message(try RequestCoding.encode(self)) }

    /// Nil for bytes that are no request.
    init?(body: [UInt8]) {
        guard let request = RequestCoding.decode(body) else { return nil }
        self = request
    }
}

/// Tree entries as bytes: a mask of the fields that are there, then each field; texts with their length before them.
enum TreeEntryCoding: ByteForm {
    private static let kinds: [TreeEntry.Kind] = [.directory, .file, .link, .other]

    static func encode(_ entries: [TreeEntry]) throws -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(entries.count * 96)
        for entry in entries {
            var mask: UInt8 = 0
            if entry.text != nil { mask |= 1 }
            if entry.fingerprint != nil { mask |= 2 }
            if entry.target != nil { mask |= 4 }
            if entry.size != nil { mask |= 8 }
            if entry.allocated != nil { mask |= 16 }
            if entry.mode != nil { mask |= 32 }
            if entry.error != nil { mask |= 64 }
            if entry.exposure != nil { mask |= 128 }
            result.append(mask)
            result.append(UInt8(kinds.firstIndex(of: entry.kind)!))
            put(entry.path.utf8, &result)
            if let text = entry.text { put(text.utf8, &result) }
            if let fingerprint = entry.fingerprint { put(fingerprint.text.utf8, &result) }
            if let target = entry.target { put(target.utf8, &result) }
            if let size = entry.size { put(size.bytes, &result) }
            if let allocated = entry.allocated { put(allocated.bytes, &result) }
            if let mode = entry.mode { put(Int64(mode), &result) }
            if let error = entry.error { put(try JSONEncoder().encode(error), &result) }
            if let exposure = entry.exposure { put(exposure.utf8, &result) }
        }
        return result
    }

    /// Nil for bytes that `encode` does not make.
    static func decode(_ bytes: [UInt8]) -> [TreeEntry]? {
        var rest = bytes[...]
        var result: [TreeEntry] = []
        while let mask = rest.popFirst() {
            guard let kind = rest.popFirst(), Int(kind) < kinds.count, let path = text(&rest) else { return nil }
            var entry = TreeEntry(path: path, kind: kinds[Int(kind)])
            if mask & 1 != 0 { guard let value = text(&rest) else { return nil }; entry.text = value }
            if mask & 2 != 0 {
                guard let value = text(&rest) else { return nil }
                entry.fingerprint = SecretFingerprint(text: value)
            }
            if mask & 4 != 0 { guard let value = text(&rest) else { return nil }; entry.target = value }
            if mask & 8 != 0 { guard let value = number(&rest) else { return nil }; entry.size = ByteCount(value) }
            if mask & 16 != 0 {
                guard let value = number(&rest) else { return nil }; entry.allocated = ByteCount(value)
            }
            if mask & 32 != 0 {
                guard let value = number(&rest), let mode = UInt16(exactly: value) else { return nil }
                entry.mode = mode
            }
            if mask & 64 != 0 {
                guard let body = block(&rest),
                    let error = try? JSONDecoder().decode(HostError.self, from: Data(body))
                else { return nil }
                entry.error = error
            }
            if mask & 128 != 0 { guard let value = text(&rest) else { return nil }; entry.exposure = value }
            result.append(entry)
        }
        return result
    }
}
