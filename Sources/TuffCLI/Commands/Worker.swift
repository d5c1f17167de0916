import ArgumentParser
import TuffController
import TuffHost
import TuffSystem

/// The process in which calls that may block for ever are made; started by tuff itself, ends with its input.
struct Worker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "_worker", shouldDisplay: false)

    func run() async throws {
        // Not on a thread of the cooperative pool: what jobs ask of tools needs one, and there may be one alone.
        let code = await OwnedThread.run { WorkerServer.run(jobs: .ours, ownsProcess: true) }
        if code != ExitStatus.done { throw Failure(nil, code: code ?? ExitStatus.failed) }
    }
}
