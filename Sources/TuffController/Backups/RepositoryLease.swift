import Crypto
import Glibc
import TuffHost
import TuffModel
import TuffRepository
import TuffSystem

extension Repository {
    /// Gets a lease for this process.
    /// - Parameters:
    ///   - purpose: the command as others are told of it. Without names: a lease is not encrypted.
    ///   - patience: how long others' end is waited for; nil: not at all.
    ///   - progress: of the work that the lease is for, whose cancelling ends the waiting.
    func lease(
        _ kind: Lease.Kind, purpose: String, patience: TimeSpan?, progress: JobProgress = JobProgress()
    ) throws(BackupError) -> Lease {
        try inRepository { () throws(RepositoryError) in
            try takeLease(kind, purpose: purpose, patience: patience, progress: progress)
        }
    }

    /// The same, where more is done that may fail so.
    func takeLease(
        _ kind: Lease.Kind, purpose: String, patience: TimeSpan?, progress: JobProgress
    ) throws(RepositoryError) -> Lease {
        try Lease.take(
            .thisProcess(kind, purpose: purpose), in: store, waiting: .seconds(patience?.seconds ?? 0),
            progress: progress)
    }
}

extension Lease.Holder {
    /// The machine as a lease says it, which is not encrypted: machine-id(5) is nobody else's business.
    private static let machine: String? = Boot.machine.map { machine in
        SHA256.hash(data: Array("tuff machine\0\(machine)".utf8)).prefix(16)
            .map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    fileprivate static func thisProcess(_ kind: Lease.Kind, purpose: String) -> Lease.Holder {
        let pid = getpid()
        return Lease.Holder(
            kind: kind, host: HostFacts.hostName(), machine: machine, boot: ProcessTable.space, pid: pid,
            started: ProcessTable.start(of: pid) ?? 0, command: purpose, since: HostFacts.now().description)
    }
}
