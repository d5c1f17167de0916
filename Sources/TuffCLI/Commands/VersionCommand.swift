import ArgumentParser
import TuffController

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    func run() throws { try Console.data("tuff \(TuffVersion.current)\n") }
}
