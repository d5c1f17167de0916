import TuffDrivers
package import TuffHost

extension HostTools {
    /// The tools of the program itself, for machines of tests that run real ones.
    /// - Parameter stateDirectory: for LVM's notes; nil: it writes none.
    package static func real(stateDirectory: String? = nil) -> HostTools {
        HostTools(lvm: { LVMTool(stateDirectory: stateDirectory) }, tgtadm: { TgtTool() })
    }
}
