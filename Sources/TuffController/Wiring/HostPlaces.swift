/// The places of this host that a controller works with. Others than the usual ones are for tests, and for looking at a
/// machine from outside.
package struct HostPlaces: Hashable, Sendable {
    /// Held by whoever changes the host.
    package var lockFile = "/run/tuff/lock"
    /// Files of running jobs; nil: `jobs` beside the lock file.
    package var jobsDirectory: String?
    /// The ledger and the accepted sets.
    package var stateDirectory = "/var/lib/tuff"
    /// The kernel's target configuration.
    package var targetRoot = "/sys/kernel/config/target"
    /// Directories in which tools are looked for, first first; nil: the usual ones.
    package var toolPath: [String]?
    /// Executable and arguments of worker processes; nil: this program as `tuff _worker`; empty: threads of this process
    /// (tests).
    package var workerCommand: [String]?

    package init() {}

    var jobs: String { jobsDirectory ?? lockFile.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/jobs" }
}
