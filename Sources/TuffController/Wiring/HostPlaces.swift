/// The paths on this host that a controller works with. Tests use others than the usual ones, and so does a look at a
/// machine from outside.
package struct HostPlaces: Hashable, Codable, Sendable {
    /// File of the host lock, which every process holds that changes the host.
    package var lockFile = "/run/tuff/lock"
    /// Files of running jobs; nil: `jobs` beside the lock file.
    package var jobsDirectory: String?
    /// Directory of the ledger and the accepted sets.
    package var stateDirectory = "/var/lib/tuff"
    /// Root of the kernel's target configuration.
    package var targetRoot = "/sys/kernel/config/target"
    /// Directories in which tools are searched, in order; nil: the usual ones.
    package var toolPath: [String]?
    /// Executable and arguments of worker processes; nil: this program as `tuff _worker`; empty: threads of this
    /// process (tests).
    package var workerCommand: [String]?

    package init() {}

    var jobs: String { jobsDirectory ?? lockFile.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/jobs" }
}
