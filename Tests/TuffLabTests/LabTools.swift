import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Runs tools as a person does, the built program among them.
protocol LabTools {
    var tools: LinuxMachine { get }
}

extension LabTools {
    /// Finds the tools that a person finds, and the program in the folder of the tests.
    static func toolsOfPeople() -> LinuxMachine {
        let bundle = "/" + CommandLine.arguments[0].split(separator: "/").dropLast().joined(separator: "/")
        var configuration = LinuxMachine.Configuration(
            workerCommand: [], reach: Reach(everythingBeneath: ["/run"]), tools: .real())
        configuration.searchPath.append(bundle)
        return LinuxMachine(configuration: configuration)
    }

    /// - Parameter deadline: in seconds.
    @discardableResult
    func run(_ tool: String, _ arguments: [String], deadline: Int = 240) async throws -> CommandOutput {
        try await tools.read(Command(tool, arguments, effect: .reads, deadline: deadline))
    }

    /// The output of a tool that must succeed.
    @discardableResult
    func must(_ tool: String, _ arguments: [String]) async throws -> String {
        let output = try await run(tool, arguments)
        try #require(output.status == 0, "\(tool) \(arguments): \(text(output))")
        return String(decoding: output.standardOutput, as: UTF8.self)
    }

    func text(_ output: CommandOutput) -> String {
        String(decoding: output.standardOutput, as: UTF8.self) + output.standardError
    }
}

/// A suite with configuration, documents and state in a folder of its own.
protocol LabSuite: LabTools {
    static var folder: String { get }
}

extension LabSuite {
    func tuff(_ arguments: [String]) async throws -> CommandOutput {
        let host = ["--config", "\(Self.folder)/config.yaml", "--state-directory", "\(Self.folder)/state"]
        return try await run("tuff", arguments + host + ["--lock-file", "\(Self.folder)/run/lock"])
    }
}
