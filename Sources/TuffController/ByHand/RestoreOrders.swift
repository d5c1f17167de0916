import TuffHost
import TuffModel
import TuffRepository
import TuffSystem

/// The host of a restore that a worker does: what the command knew of it, as plain values.
package struct RestoreSurroundings: Hashable, Codable, Sendable {
    package var places: HostPlaces
    /// The controller's configuration, as it was given; nil: the usual file.
    package var configFile: String?

    package init(_ places: HostPlaces, configFile: String?) {
        self.places = places
        self.configFile = configFile
    }

    /// Without workers of its own: a restore asks tools alone.
    var host: RestoreHost {
        let path = configFile
        return RestoreHost(Controller(places: places, purpose: "tuff backup restore")) {
            (try? ControllerFile.load(path, telling: { _ in }))?.allow.images.first
        }
    }
}

/// Writes a restore point to a device, a file, or the standard output of whoever gave the order.
package struct RestoreOrder: RepositoryOrder {
    package static let kind = "restore-by-hand"

    package var request: RestoreRun.Request
    package var surroundings: RestoreSurroundings

    package init(_ request: RestoreRun.Request, on surroundings: RestoreSurroundings) {
        self.request = request
        self.surroundings = surroundings
    }

    package var summary: String {
        switch request.target {
        case .path(let path): "restoring \(PrintedText.oneLine(path)) from \(request.repository.shown) by hand"
        case .standardOutput: "restoring from \(request.repository.shown) by hand"
        }
    }

    package var announced: [String] {
        switch request.target {
        case .path(let path): AnnouncedKeys.data(path)
        case .standardOutput: []
        }
    }

    package var servers: [String] { request.repository.servers }

    package var waitsForReader: Bool {
        switch request.target {
        case .path: false
        case .standardOutput: true
        }
    }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> RestoreRun.Outcome {
        // Of a worker that is a process, standard output is the way to whoever gave the order.
        guard let output = work.control.handed ?? (waitsForReader ? nil : -1) else {
            throw BackupError("nothing was handed over that the volume could be written to")
        }
        return try work.with(request.repository, keyFile: .advised) { repository throws(BackupError) in
            let host = surroundings.host, request = request
            let run = try OwnedThread.wait {
                await beginning { () async throws(BackupError) in
                    try await RestoreRun.begin(
                        request, in: repository, on: host, output: output, progress: work.progress,
                        listener: work.listener)
                }
            }.get()
            work.stage.begin("restoring", of: run.total)
            return try run.run()
        }
    }
}

/// Writes a backup of OpenStack Cinder's to a device or file.
package struct CinderOrder: RepositoryOrder {
    package static let kind = "restore-cinder-by-hand"

    package var request: CinderRun.Request
    package var surroundings: RestoreSurroundings

    package init(_ request: CinderRun.Request, on surroundings: RestoreSurroundings) {
        self.request = request
        self.surroundings = surroundings
    }

    package var summary: String { "restoring \(PrintedText.oneLine(request.target)) from Cinder's backups by hand" }
    package var announced: [String] { AnnouncedKeys.data(request.target) }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> CinderRun.Outcome {
        let host = surroundings.host, request = request
        let run = try OwnedThread.wait {
            await beginning { () async throws(BackupError) in
                try await CinderRun.begin(request, on: host, progress: work.progress, listener: work.listener)
            }
        }.get()
        defer { run.end() }
        work.stage.begin("restoring", of: run.total)
        return try run.run()
    }
}

private func beginning<Value>(
    _ body: () async throws(BackupError) -> Value
) async -> Result<Value, BackupError> {
    do throws(BackupError) { return .success(try await body()) } catch { return .failure(error) }
}
