import TuffDrivers
import TuffHost
import TuffModel
import TuffReconcile

/// The one place that puts the real machine and the drivers together.
enum Composition {
    /// - Parameters:
    ///   - lock: held by every mutating child; nil for commands that change nothing.
    ///   - host: where to find this host's trees and tools.
    static func machine(_ config: ControllerConfig, host: HostOptions, lock: HostLock? = nil) -> LinuxMachine {
        var configuration = LinuxMachine.Configuration(reach: config.allow, lock: lock)
        configuration.targetRoot = host.targetRoot
        configuration.stateDirectory = host.stateDirectory
        configuration.earlyWorker = EarlyWorker.claim()
        if let path = host.toolPath { configuration.searchPath = path.split(separator: ":").map(String.init) }
        return LinuxMachine(configuration: configuration)
    }

    static func reconciler(
        _ config: ControllerConfig, machine: any Machine, ledger: any LedgerStore
    ) -> Reconciler {
        let exports: any ExportDriver =
            switch config.targetDriver {
            case .lio: LIODriver()
            case .tgt: TgtDriver(controlPort: config.tgtControlPort)
            }
        return Reconciler(
            machine: machine, config: config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: exports, ledger: ledger)
    }
}
