/// The places of this host that a controller works with. Others than the usual ones are for tests, and for looking at a
/// machine from outside.
package struct HostPlaces: Hashable, Sendable {
    /// Held by whoever changes the host.
    package var lockFile = "/run/tuff/lock"
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
}
