package import TuffHost
package import TuffModel
package import TuffPlanning

/// One host's drivers and its door: observes, carries out, observes again.
package struct Reconciler: Sendable {
    package var machine: any Machine
    package var config: ControllerConfig
    package var volumeGroups: any VolumeGroupDriver
    package var directories: any DirectoryDriver
    package var exports: any ExportDriver

    package init(
        machine: any Machine, config: ControllerConfig, volumeGroups: any VolumeGroupDriver,
        directories: any DirectoryDriver, exports: any ExportDriver
    ) {
        self.machine = machine
        self.config = config
        self.volumeGroups = volumeGroups
        self.directories = directories
        self.exports = exports
    }

    /// Looks at every source the desired state may concern, all at once. Never throws: what could not be seen is
    /// unknown in the result.
    package func observe(_ desired: DesiredState, context: PlanContext) async -> ObservedState {
        ObservedState(takenAt: machine.now())
    }

    /// Carries out `plan`, observes again, and judges every change by planning again under the same context.
    /// - Parameters:
    ///   - interrupted: asked before each step is started; true ends the pass after the running steps.
    ///   - events: told from whatever task runs a step.
    package func apply(
        _ plan: Plan, desired: DesiredState, interrupted: @escaping @Sendable () -> Bool = { false },
        events: @escaping @Sendable (ExecutionEvent) -> Void = { _ in }
    ) async -> ApplyReport {
        ApplyReport(plan: plan, changes: [], remaining: plan, interrupted: false, times: PhaseTimes())
    }

    /// The actions that carrying out `plan` would perform, step by step, without a machine (`--show-commands`).
    package func lowered(_ plan: Plan) -> [(change: Int, actions: [HostAction])] { [] }
}
