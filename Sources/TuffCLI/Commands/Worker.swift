import ArgumentParser
import TuffController
import TuffHost

/// The process in which calls that may block for ever are made; started by tuff itself, ends with its input.
struct Worker: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "_worker", shouldDisplay: false)

    func run() throws {
        let code = WorkerServer.run(jobs: .ours, ownsProcess: true)
        if code != ExitStatus.done { throw Failure(nil, code: code) }
    }
}
