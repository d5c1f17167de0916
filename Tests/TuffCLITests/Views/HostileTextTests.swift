import FoundationEssentials
import Testing
import TuffConfig
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

/// JSON as it is written, so that any part of it can be exchanged.
indirect enum JSONValue: Codable, Equatable {
    case null, bool(Bool), int(Int64), number(Double), text(String), list([JSONValue]), map([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .list(value)
        } else {
            self = .map(try container.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .map(let value): try container.encode(value)
        }
    }

    /// The number of texts in it, keys included.
    var texts: Int {
        switch self {
        case .text: 1
        case .list(let items): items.reduce(0) { $0 + $1.texts }
        case .map(let entries): entries.values.reduce(entries.count) { $0 + $1.texts }
        case .null, .bool, .int, .number: 0
        }
    }

    /// With its text of this number, in a fixed order, changed; `index` goes down by the texts that were passed.
    func changing(_ index: inout Int, _ change: (String) -> String) -> JSONValue {
        func text(_ value: String) -> String {
            defer { index -= 1 }
            return index == 0 ? change(value) : value
        }
        return switch self {
        case .text(let value): .text(text(value))
        case .list(let items): .list(items.map { $0.changing(&index, change) })
        case .map(let entries):
            .map(
                Dictionary(
                    entries.sorted { $0.key < $1.key }.map { key, value in
                        (text(key), value.changing(&index, change))
                    }, uniquingKeysWith: { first, _ in first }))
        case .null, .bool, .int, .number: self
        }
    }
}

/// Characters that a terminal would obey, in every text that comes from outside, on its way through every view.
@Suite struct HostileTextTests {
    static let mark = "\u{f8f0}\u{f0000}\u{f0000}\u{f0000}31\u{f8f1}"
    /// A title, a bell, another charset, C1 (CSI), bidi overrides and isolates, line and paragraph separators, a forged
    /// line, one over another, a mark of another process.
    static let strings = [
        "\u{1b}]0;owned\u{7}\u{1b}[35m\u{1b}(0", "\u{9b}2J\u{85}\u{90}x\u{9c}", "a\u{202e}b\u{2066}c\u{200f}d\u{61c}",
        "x\nFORGED: done\r\nFORGED\u{2028}FORGED\u{2029}\u{b}\u{c}", "all is well\r\u{8}\u{7f}\u{0}", mark,
        "\u{e0041}\u{fffe}\u{ad}\u{feff}",
    ]

    /// As the program writes them: no scalar is left that a terminal obeys, except for colours of ours, and no line is
    /// somebody else's.
    static func isHarmless(_ text: String) -> Bool {
        var rest = TerminalText.rendered(text)
        rest.replace(#/\u{1b}\[(0|1|2|31|32|33|34|1;31|1;33)m/#, with: "")
        return rest.unicodeScalars.allSatisfy { $0 == "\n" || $0 == "\t" || PrintedText.shows($0) }
            && !rest.split(separator: "\n").contains { $0.hasPrefix("FORGED") }
    }

    private func expectHarmless(_ texts: [String], _ comment: String) {
        for text in texts where !Self.isHarmless(text) {
            Issue.record("\(comment): \(text.debugDescription.prefix(2000))")
            return
        }
    }

    /// JSON and YAML are as they are written: nothing is left for the terminal's door, which would break them.
    private func expectEscaped(_ texts: [String], _ comment: String) {
        for text in texts {
            #expect(TerminalText.rendered(text) == text, "\(comment)")
            #expect(Self.isHarmless(text), "\(comment)")
        }
    }

    /// Everything that is shown of an inventory.
    private func show(_ file: InventoryFile, _ comment: String) throws {
        var context = Examples.context
        context.config = file.config
        let desired = World.desired()
        let plan = Planner.plan(desired: desired, observed: file.observed, context: context)
        let elsewhere = desired.elsewhere(than: file.config.node)
        var texts = file.observed.unseenSentences.map(PrintedText.oneLine), data = [try file.text]
        for style in [Style(), Style(color: true)] {
            texts.append(PlanView(plan, elsewhere: elsewhere).text(style))
            let declared = style.color ? desired : nil
            let survey = Survey(
                desired: declared, observed: file.observed, context: context, allStacks: style.color)
            texts += [StatusView(survey).text(style), StatusView(survey).monitoring.line]
            texts += survey.records.map { DescribeView($0).text(style) }
            for kind in Kind.allCases {
                let view = GetView(survey.records(of: kind), of: kind, wide: true, showsStacks: true)
                texts += [view.text(style), view.names]
                if !style.color { data += [view.document.json, view.document.yaml] }
            }
            if !style.color {
                data += [StatusView(survey).document.json]
                data += survey.records.map { DescribeView($0).document.json }
            }
        }
        data.append(PlanView(plan, elsewhere: elsewhere).document.json)
        expectHarmless(texts, comment)
        expectEscaped(data, comment)
    }

    private static func inventory() throws -> JSONValue {
        var observed = World.observed()
        observed.volumeGroups.entries["vg9"] = .unknown(
            HostError(.failed, "broken", cause: "cause", subject: "subject"))
        return try JSONDecoder().decode(
            JSONValue.self, from: Data(try InventoryFile(config: Examples.context.config, observed: observed).text.utf8)
        )
    }

    private func throwAt(_ inventory: JSONValue, _ position: Int, _ hostile: String) throws {
        var index = position
        let replaces = (position + hostile.count).isMultiple(of: 2)
        let changed = inventory.changing(&index) { replaces ? hostile : $0 + hostile }
        let data = try JSONEncoder().encode(changed)
        let comment = "text \(position), \(hostile.debugDescription)"
        do throws(PassError) {
            let file = try InventoryFile.decode(data, name: "x.json")
            do { try show(file, comment) } catch { Issue.record(error) }
        } catch {
            let failure = Failure(error)
            expectHarmless([failure.text(Style()), failure.text(Style(color: true))], comment)
        }
    }

    @Test func noFieldOfAnInventoryReachesTheTerminal() throws {
        let inventory = try Self.inventory()
        #expect(inventory.texts > 100)
        for position in 0..<inventory.texts {
            for hostile in Self.strings { try throwAt(inventory, position, hostile) }
        }
    }

    @Test(.enabled(if: environment("TUFF_CORPORA") != nil, "TUFF_CORPORA absent"))
    func norDoTheNaughtyStrings() throws {
        let root = try #require(environment("TUFF_CORPORA"))
        let naughty = try JSONDecoder().decode(
            [String].self, from: try Data(contentsOf: URL(filePath: "\(root)/naughty-strings/blns.json")))
        let inventory = try Self.inventory()
        var generator = SystemRandomNumberGenerator()
        for text in naughty {
            let position = Int.random(in: 0..<inventory.texts, using: &generator)
            try throwAt(inventory, position, text)
        }
    }

    /// Somebody who may change a plan file can compute its seal as well.
    @Test(arguments: strings) func norDoesAFieldOfAPlanFile(_ hostile: String) throws {
        let folder = try TestFolder()
        try folder.writeVolume()
        #expect(try folder.run(["plan", "-f", "volumes.yaml", "--out", "plan"] + folder.host).code == 0)
        let whole = try JSONDecoder().decode(JSONValue.self, from: Data(folder.text("plan").utf8))
        for position in 0..<whole.texts {
            var index = position
            let data = try JSONEncoder().encode(whole.changing(&index) { $0 + hostile })
            do throws(PassError) {
                let file = try PlanFile.decode(data, name: "plan")
                expectHarmless([file.summary, file.tuff], "\(position)")
            } catch {
                expectHarmless([Failure(error).text(Style(color: true))], "\(position)")
            }
        }
        // What the program itself says of it.
        var file = try PlanFile.decode(Data(folder.text("plan").utf8), name: "plan")
        file.summary += hostile
        file.tuff += hostile
        file.digest = "0"
        try reseal(&file, folder, "forged")
        let other = try folder.run(["apply", "forged"] + folder.host)
        #expect(other.code == 1 && other.err.contains("Planned then"))
        #expect(Self.isQuiet(other.err) && !other.err.contains("\nFORGED"), "\(other.err.debugDescription)")
        file.format = 99
        try reseal(&file, folder, "newer")
        let newer = try folder.run(["apply", "newer", "--color", "always"] + folder.host)
        #expect(newer.code == 1 && newer.err.contains("apply it with the tuff that wrote it"))
        #expect(Self.isQuiet(newer.err) && !newer.err.contains("\nFORGED"), "\(newer.err.debugDescription)")
        file.format = PlanFile.currentFormat
        file.sources[0].path += hostile
        try reseal(&file, folder, "path")
        let path = try folder.run(["apply", "path", "--color", "always"] + folder.host)
        #expect(Self.isQuiet(path.err) && !path.err.contains("\nFORGED"), "\(path.err.debugDescription)")
    }

    private func reseal(_ file: inout PlanFile, _ folder: TestFolder, _ name: String) throws {
        file.seal = file.sealed
        try folder.write(name, String(decoding: try file.data, as: UTF8.self), mode: 0o600)
    }

    /// True if the text holds nothing that a terminal would obey but our own colours.
    private static func isQuiet(_ text: String) -> Bool {
        var rest = text
        rest.replace(#/\u{1b}\[(0|1|2|31|32|33|34|1;31|1;33)m/#, with: "")
        return rest.unicodeScalars.allSatisfy { $0 == "\n" || $0 == "\t" || PrintedText.shows($0) }
    }

    @Test(arguments: strings) func theProgramSaysNothingOfTheKind(_ hostile: String) throws {
        let folder = try TestFolder()
        try folder.writeVolume()
        var config = Examples.context.config
        config.node = "n" + hostile
        let file = InventoryFile(config: config, observed: World.observed())
        try folder.write("node.json", try file.text)
        let node = try folder.run(["plan", "-f", "volumes.yaml", "--inventory", "node.json", "--color", "always"])
        #expect(node.code == 0 && Self.isQuiet(node.out) && Self.isQuiet(node.err), "\(node)")
        let inner = String(decoding: try JSONEncoder().encode("takenAt" + hostile), as: UTF8.self)
        try folder.write(
            "wrong.json", try file.text.replacing("\"takenAt\"", with: inner))
        let wrong = try folder.run(["plan", "-f", "volumes.yaml", "--inventory", "wrong.json"])
        #expect(wrong.code == 1 && Self.isQuiet(wrong.err), "\(wrong)")
        // Names of files and words of the command line.
        guard !hostile.unicodeScalars.contains("\0") else { return }
        for arguments in [
            ["validate", "-f", "a" + hostile], [hostile], ["plan", "--stack", hostile], ["get", hostile],
        ] {
            let ended = try folder.run(arguments)
            #expect([1, 64].contains(ended.code) && Self.isQuiet(ended.err), "\(ended)")
        }
    }

    @Test func onlyOurOwnMarksBecomeColours() {
        #expect(TerminalText.rendered(TerminalText.painted("x", "31")) == "\u{1b}[31mx\u{1b}[0m")
        #expect(TerminalText.rendered(Style(color: true).paint("x\u{1b}[1m", .red)) == "\u{1b}[31mx\\u{1b}[1m\u{1b}[0m")
        #expect(TerminalText.rendered(TerminalText.lineAnew + "x") == "\r\u{1b}[Kx")
        #expect(TerminalText.rendered(Self.mark) == "\\u{f8f0}\\u{f0000}\\u{f0000}\\u{f0000}31\\u{f8f1}")
        // One that is cut off is none.
        #expect(TerminalText.rendered(String(TerminalText.painted("", "31").prefix(5))).hasPrefix("\\u{f8f0}"))
        #expect(TerminalText.rendered("a\tb\n\u{e9}\u{4e2d}") == "a\tb\n\u{e9}\u{4e2d}")
    }

    @Test func jsonAndYamlEscapeWhatTurnsTheDirectionOfWriting() {
        let tree = Tree.map(["a": .text("\u{202e}\u{7f}\u{85}\u{e0041}\u{feff}")])
        #expect(tree.json == "{\n  \"a\": \"\\u202e\\u007f\\u0085\\udb40\\udc41\\ufeff\"\n}\n")
        #expect(tree.yaml == "a: \"\\u202e\\u007f\\u0085\\U000e0041\\ufeff\"\n")
    }
}
