import ArgumentParser
import TuffCinder
import TuffController
import TuffModel
import TuffRepository

/// The backup commands with a directory of Cinder's.
struct CinderJob {
    let path: String
    let form: TextOrJSONOption
    let global: GlobalOptions

    /// - Parameter documents: prints volumes; nil: the list.
    func list(as documents: PointDocuments?) throws(Failure) {
        let list = try failing { () throws(BackupError) in try CinderRun.open(path, listener: global.listener) }.list()
        if let documents {
            try Console.data(documents.text(list))
        } else {
            try form.show(CinderBackupsView(list), global.output)
        }
        let damages = list.compactMap { if case .damaged(let reason) = $0.state { reason } else { nil } }
        for damage in damages { Console.talk(Failure(damage).text(global.errors)) }
        if !damages.isEmpty { throw Failure(nil) }
    }

    func restore(_ backup: String, to path: String, overwrite: OverwriteOptions) async throws(Failure) {
        var request = CinderRun.Request(backup, in: self.path, to: path)
        request.overwrites = overwrite.force
        let order = CinderOrder(request, on: overwrite.surroundings(global))
        let outcome = try await Job(global: global, host: overwrite.host, json: form.format == .json).carryOut(order)
        global.warn(outcome.warnings)
        try form.show(CinderRestoredView(outcome, to: path), global.output)
    }
}
