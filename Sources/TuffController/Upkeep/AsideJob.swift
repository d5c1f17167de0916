import TuffHost
package import TuffModel
import TuffRepository

extension UpkeepJobs {
    private static let patience = TimeSpan(seconds: 60)

    static func setAside(_ request: SettingAside, _ control: JobControl) throws(HostError) -> [ObservedPoint] {
        try RepositoryJobs.with(request.access, by: control) { repository throws(HostError) in
            try inWorker { () throws(RepositoryError) in
                try repository.setFutureAside(
                    of: request.node, stack: request.stack, patience: patience, now: HostFacts.now())
            }
        }
    }
}

extension Repository {
    /// Sets aside what a clock that was ahead wrote of one host's volumes. Others' hosts have clocks of their own.
    func setFutureAside(
        of node: String, stack: String, patience: TimeSpan, now: Instant
    ) throws(RepositoryError) -> [ObservedPoint] {
        let lease = try takeLease(
            .exclusive, purpose: "tuff forget clock", patience: patience, progress: JobProgress())
        defer { lease.giveBack() }
        let known = try KnownPoints(of: self)
        let future = known.points.filter { point in
            point.record.series.node == node && point.record.series.stack == stack && known.aside[point.id] == nil
                && point.record.time > now.description
        }
        for point in future { try setAside(point, now: now.description) }
        return future.map { ObservedPoint($0, isSetAside: true) }
    }
}

extension Controller {
    /// Has points of this host be passed over whose time is yet to come: the clock was ahead when they were made, and a
    /// person says that it is right now.
    /// - Returns: a sentence for each of them.
    package func forgetClock(
        in declared: Declared<BackupRepositorySpec>, of stack: String, under config: ControllerConfig,
        patience: TimeSpan?, overseer: any Overseer
    ) async throws(PassError) -> [String] {
        let name = declared.metadata.name
        guard config.allow.permits(declared.spec.site) else {
            throw PassError(
                "BackupRepository/\(name) is at \(declared.spec.site), which the controller's 'allow' does not name",
                help: "the host's administrator adds it there")
        }
        let request = SettingAside(in: name, declared.spec.access, of: config.node, stack: stack)
        let points = try await run(request, under: config, patience: patience, overseer: overseer)
        guard !points.isEmpty else {
            return ["BackupRepository/\(name) has no restore point of this host that is later than its clock"]
        }
        return points.map { point in
            "set aside: restore point \(point.id) of Volume/\(point.volume), of \(point.time); it stays, and its id "
                + "alone restores it"
        }
    }
}
