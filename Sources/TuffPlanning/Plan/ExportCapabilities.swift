package import TuffModel

/// The abilities of an iSCSI target stack; anything else is `Blocked(DriverCannot)`, never attempted.
package struct ExportCapabilities: Hashable, Sendable {
    /// CHAP without secrets in argv.
    package var chap: Bool
    /// A block device grows under a live export.
    package var growsDevices: Bool
    /// A file grows under a live export.
    package var growsFiles: Bool
    /// Portals per target rather than for the whole daemon.
    package var portalsPerTarget: Bool
    /// Read-only per initiator rather than per LUN.
    package var readOnlyPerInitiator: Bool
    package var settings: Set<TargetSetting>
    package var discard: Bool
    /// An initiator's access can say that it is ours, and for which attachment.
    package var marksAccess: Bool
    /// Persistent reservations can outlive the target stack.
    package var keepsReservations: Bool
    /// The number under which initiators see LUN 0: tgtd keeps LUN 0 for its own controller.
    package var firstLUN = 0

    package static func of(_ driver: TargetDriver) -> ExportCapabilities {
        switch driver {
        case .lio: lio
        case .tgt: tgt
        }
    }

    // Made once: every attachment of a plan asks several times.
    private static let lio = ExportCapabilities(
        chap: true, growsDevices: true, growsFiles: false, portalsPerTarget: true, readOnlyPerInitiator: true,
        settings: Set(TargetSetting.allCases), discard: true, marksAccess: true, keepsReservations: true)
    private static let tgt = ExportCapabilities(
        chap: false, growsDevices: false, growsFiles: false, portalsPerTarget: false, readOnlyPerInitiator: false,
        settings: [.authentication], discard: true, marksAccess: false, keepsReservations: false, firstLUN: 1)
}

extension ControllerConfig {
    /// Of the stack by which this host hands volumes out.
    package var exportCapabilities: ExportCapabilities { .of(targetDriver) }
}
