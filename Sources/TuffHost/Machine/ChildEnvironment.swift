import FoundationEssentials
import Glibc
import Subprocess

extension LinuxMachine {
    /// The environment of children: nothing but what the tools need to be told, so that no setting of a
    /// user's shell and no secret in it reaches them. `LC_ALL=C` keeps numbers and sorting plain;
    /// `LVM_SUPPRESS_FD_WARNINGS` (lvm(8)) keeps descriptors from being talked about.
    static func environment(searchPath: [String]) -> Environment {
        var values: [Environment.Key: String] = [
            "PATH": searchPath.joined(separator: ":"), "LC_ALL": "C", "LVM_SUPPRESS_FD_WARNINGS": "1",
            // A crashed worker must not print its memory.
            "SWIFT_BACKTRACE": "enable=no",
        ]
        // Machines without udev (a test's guest), a tgtd that listens elsewhere, and where a user's records of restores
        // are.
        for name in ["DM_DISABLE_UDEV", "TGT_IPC_SOCKET", "XDG_STATE_HOME"] {
            if let value = getenv(name) { values[Environment.Key(stringLiteral: name)] = String(cString: value) }
        }
        return .custom(values)
    }
}
