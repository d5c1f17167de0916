import TuffDrivers
import TuffHost
import TuffModel
import TuffReconcile

/// The one place that puts the real machine and the drivers together.
enum Composition {
    /// - Parameter lock: the host lock, which every mutating child holds; nil for passes that change nothing.
    static func machine(
        _ places: HostPlaces, reach: Reach, jobs: JobHandlers, lock: HostLock? = nil, earlyWorker: EarlyWorker? = nil
    ) -> LinuxMachine.Configuration {
        var configuration = LinuxMachine.Configuration(reach: reach, lock: lock)
        configuration.targetRoot = places.targetRoot
        configuration.tools = HostTools(
            lvm: { LVMTool(stateDirectory: places.stateDirectory) }, tgtadm: { TgtTool() })
        configuration.earlyWorker = earlyWorker
        configuration.jobsDirectory = places.jobs
        configuration.jobHandlers = jobs
        if let path = places.toolPath { configuration.searchPath = path }
        if let command = places.workerCommand { configuration.workerCommand = command }
        return configuration
    }

    static func reconciler(
        _ config: ControllerConfig, _ places: HostPlaces, machine: any Machine, ledger: any LedgerStore
    ) -> Reconciler {
        let exports: any ExportDriver =
            switch config.targetDriver {
            case .lio: LIODriver()
            case .tgt: TgtDriver(controlPort: config.tgtControlPort)
            }
        return Reconciler(
            machine: machine, config: config, volumeGroups: LVMDriver(stateDirectory: places.stateDirectory),
            directories: DirectoryPoolDriver(), exports: exports, ledger: ledger)
    }
}
