import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// The program as a person runs it on a host of its own, and the tools that tell what became of it.
struct LabProgram {
    /// Configuration, documents and state, removed by `remove`.
    let folder: String
    let portal: String
    private let tools: LinuxMachine

    /// - Parameter port: no other suite's.
    init(_ name: String, port: Int) throws {
        folder = "/run/tuff-\(name)"
        portal = "127.0.0.1:\(port)"
        let bundle = "/" + CommandLine.arguments[0].split(separator: "/").dropLast().joined(separator: "/")
        var configuration = LinuxMachine.Configuration(
            workerCommand: [], reach: Reach(everythingBeneath: ["/run"]), tools: .real())
        configuration.searchPath.append(bundle)
        tools = LinuxMachine(configuration: configuration)
        umask(0o077)
        for part in ["", "/run", "/secrets"] {
            try FileManager.default.createDirectory(
                atPath: folder + part, withIntermediateDirectories: true, attributes: nil)
        }
        try write(
            """
            apiVersion: tuff.dev/v1
            kind: Controller
            spec:
              node: tufflab
              portals: ["\(portal)"]
              allow:
                secrets: [\(folder)/secrets]
                images: [\(folder)/images, \(folder)/disk.raw]
                directories: [\(folder)/pools]
                unwiped: true
              iqnBase: "iqn.2026-01.dev.tuff.\(name)"

            """, to: "config.yaml")
    }

    func remove() throws { try FileManager.default.removeItem(atPath: folder) }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
    }

    // MARK: Commands

    @discardableResult
    func run(_ tool: String, _ arguments: [String], deadline: Int = 240) async throws -> CommandOutput {
        try await tools.read(Command(tool, arguments, effect: .reads, deadline: deadline))
    }

    /// What a tool that must succeed says.
    @discardableResult
    func must(_ tool: String, _ arguments: [String]) async throws -> String {
        let output = try await run(tool, arguments)
        try #require(output.status == 0, "\(tool) \(arguments): \(text(output))")
        return String(decoding: output.standardOutput, as: UTF8.self)
    }

    @discardableResult
    func lvm(_ arguments: String...) async throws -> String { try await must("lvm", arguments) }

    /// A line that a person types, with its exit status: 128 and the signal's number if one ended it.
    func shell(_ line: String) async throws -> (status: Int32, text: String) {
        let output = try await run("bash", ["-c", line + "\nexit $?"])
        return (output.status, text(output))
    }

    var hostOptions: [String] {
        [
            "--config", "\(folder)/config.yaml", "--state-directory", "\(folder)/state", "--lock-file",
            "\(folder)/run/lock",
        ]
    }

    func tuff(_ arguments: [String]) async throws -> (status: Int32, text: String) {
        let output = try await run("tuff", arguments + hostOptions)
        return (output.status, text(output))
    }

    func declare(_ documents: String) throws { try write(documents, to: "storage.yaml") }

    func apply(_ more: String...) async throws -> (status: Int32, text: String) {
        try await tuff(["apply", "-f", "\(folder)/storage.yaml", "--auto-approve"] + more)
    }

    /// A command that shows the declared set; texts in it are wrapped to a width, so every blank is one here.
    func show(_ arguments: String...) async throws -> String {
        let output = try await tuff(arguments + ["-f", "\(folder)/storage.yaml"])
        return output.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    private func text(_ output: CommandOutput) -> String {
        String(decoding: output.standardOutput, as: UTF8.self) + output.standardError
    }

    // MARK: What LVM says

    /// A row for each object, of the columns named; sizes in bytes.
    func report(_ verb: String, _ columns: String, _ object: String) async throws -> [[String]] {
        let text = try await must(
            "lvm",
            [verb, "--noheadings", "--units", "b", "--nosuffix", "--separator", ";", "-o", columns, object])
        return text.split(separator: "\n").map { line in
            line.split(separator: ";", omittingEmptySubsequences: false).map { cell in
                String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        }
    }

    /// Names, uuids and tags of all volumes of groups.
    func volumes(_ groups: String...) async throws -> [String] {
        var lines: [String] = []
        for group in groups {
            lines += try await report("lvs", "vg_name,lv_name,lv_uuid,lv_size,lv_tags", group)
                .map { $0.joined(separator: " ") }
        }
        return lines.sorted()
    }

    /// Names of the volumes in a group that Tuff made.
    func made(in group: String) async throws -> [String] {
        try await report("lvs", "lv_name", group).map { $0[0] }.filter { $0.hasPrefix("v-") }.sorted()
    }
}

extension LabProgram {
    static func document(_ kind: String, _ name: String, _ spec: String, labels: String = "") -> String {
        let labels = labels.isEmpty ? "" : ", labels: {\(labels)}"
        return "---\napiVersion: tuff.dev/v1\nkind: \(kind)\nmetadata: {name: \(name)\(labels)}\nspec: {\(spec)}\n"
    }
}
