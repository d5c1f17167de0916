import Testing
import TuffModel
import TuffTestSupport

@testable import TuffConfig

@Suite struct HostileInputTests {
    /// Refused at once, with a place: bombs that a reader without caps dies of.
    @Test(arguments: bombs)
    func aBombIsRefused(_ bomb: Bomb) {
        let clock = ContinuousClock()
        var result: LoadResult?
        let time = clock.measure { result = ConfigLoader.load([ConfigSource(path: "bomb", text: bomb.text)]) }
        #expect(result?.state == nil)
        #expect(result?.diagnostics.contains { $0.rule == bomb.rule } == true, "\(result?.diagnostics.first as Any)")
        #expect((result?.diagnostics.count ?? 0) <= Limits.diagnosticsPerFile + 1)
        // 100 ms is the promise of an optimised build; a debug build on a busy machine gets room.
        #expect(time < .seconds(10), "\(bomb.name) took \(time)")
    }

    struct Bomb: Sendable, CustomTestStringConvertible {
        var name: String
        var rule: String
        var text: [UInt8]

        init(_ name: String, _ rule: String, _ text: String) {
            self.name = name
            self.rule = rule
            self.text = Array(text.utf8)
        }

        var testDescription: String { name }
    }

    static let bombs: [Bomb] = {
        func many(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }
        let laughs = (1..<10).map { "l\($0): &l\($0) [\(many("*l\($0 - 1), ", 9))x]\n" }.joined()
        return [
            Bomb("a billion laughs", "alias", "l0: &l0 [lol]\n" + laughs),
            Bomb("an alias to itself", "alias", "&a [*a]\n"),
            Bomb("deep lists in flow", "too-deep", many("[", 200_000)),
            Bomb("deep maps in flow", "too-deep", many("{a: ", 200_000)),
            Bomb("deep lists in blocks", "too-deep", many("- ", 200_000)),
            Bomb("deep maps in blocks", "too-deep", (0..<700).map { many(" ", $0) + "a:\n" }.joined()),
            Bomb("deep keys", "too-deep", many("? ", 200_000)),
            Bomb("a giant text", "scalar-too-long", "a: \"" + many("x", 1_000_000) + "\"\n"),
            Bomb("a giant block", "scalar-too-long", "a: |\n" + many(" xxxxxxxxx\n", 90_000)),
            Bomb("a giant key", "scalar-too-long", "? \"" + many("x", 1_000_000) + "\"\n: a\n"),
            Bomb("many keys", "too-many-nodes", (0..<90_000).map { "k\($0): 1\n" }.joined()),
            Bomb("many items", "too-many-nodes", "[" + many("a,", 500_000) + "]"),
            Bomb("one key again and again", "duplicate-key", many("a: 1\n", 4000)),
            Bomb("many documents", "too-many-documents", many("---\n", 200_000)),
            Bomb("many wrong documents", "not-a-resource", many("--- a\n", 9000)),
            Bomb("many broken documents", "too-many-errors", many("--- [\n", 9000)),
            Bomb(
                "many unknown fields", "unknown-field",
                "kind: Pool\nspec:\n" + (0..<4900).map { "  k\($0): 1\n" }.joined()),
            Bomb("more than a mebibyte", "file-too-large", many("# comment\n", 110_000)),
            Bomb("a long anchor", "syntax", "a: &" + many("a", 1_000_000) + ":b x\n"),
            Bomb("a long tag", "tag", "a: !<" + many("a", 900_000) + "> x\n"),
            Bomb("many tags", "tag", many("- !a b\n", 4000)),
            Bomb("many anchors", "not-a-resource", many("- &a b\n", 4000)),
            Bomb("an open quote", "syntax", "a: \"" + many("x\n ", 300_000)),
            Bomb("an open flow", "syntax", "[" + many("\n", 900_000)),
            Bomb("spaces", "syntax", many(" ", 900_000) + "\ta: b"),
            Bomb("percent signs", "syntax", many("%a\n", 300_000)),
            Bomb("question marks", "syntax", "[" + many("?a,", 300_000)),
            Bomb("wide characters", "scalar-too-long", "a: " + many("\u{1f4a3}", 200_000)),
            Bomb(
                "wide characters in keys", "unknown-field", "kind: Pool\n\u{1f4a3}\u{1f4a3}: " + many("\u{1f4a3}", 9000)
            ),
        ]
    }()

    /// Random damage to good files: refused with a place or accepted, never a crash, a hang or an empty refusal.
    @Test func damagedFilesAreRefusedOrRead() throws {
        let seed: UInt64 = 20_261_122
        print("hostile files: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let seeds = try yamlFiles(in: "examples").map { Array(try text(of: "examples/\($0)").utf8) }
        let fragments =
            Self.fragments.map { Array($0.utf8) } + [[0], [0xff, 0xfe], [0xef, 0xbb, 0xbf], [0xc0, 0x80]]
        var refused = 0
        let count = 2400
        for index in 0..<count {
            var bytes = seeds[index % seeds.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                Self.damage(&bytes, fragments: fragments, random: &random)
            }
            let result = ConfigLoader.load([ConfigSource(path: "file \(index)", text: bytes)])
            let hasError = result.diagnostics.contains { $0.severity == .error }
            #expect(hasError == (result.state == nil), "file \(index)")
            #expect(
                result.diagnostics.allSatisfy { $0.location.line >= 1 && $0.location.column >= 1 && $0.length >= 1 })
            #expect(DiagnosticText.render(result.diagnostics, color: true).utf8.count < 4 << 20)
            if hasError { refused += 1 }
        }
        print("hostile files: \(count), refused \(refused)")
        #expect(refused > count / 2)
        #expect(refused < count)
    }

    private static let fragments = [
        "[", "]", "{", "}", ": ", "- ", "? ", "#", "&a ", "*a ", "<<: ", "!!str ", "!x ", "|\n", ">\n", "\"", "'",
        "---\n",
        "...\n", "%YAML 1.2\n", "\t", "\n", "\r", "\u{2028}", "\u{feff}", "\u{202e}", "~", "null", "0x1f", "1e400",
        ".nan",
        "99999999999999999999", "-9223372036854775808", "9223372036854775807P", "100%", "9999999999d", "../", "$(id)",
        ";",
        String(repeating: "a", count: 300), String(repeating: "[", count: 70), String(repeating: "- ", count: 70),
    ]

    private static func damage(_ bytes: inout [UInt8], fragments: [[UInt8]], random: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 2: bytes.removeSubrange(place..<end)
        case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 4: bytes.insert(contentsOf: fragments.randomElement(using: &random) ?? [], at: place)
        default: bytes.removeSubrange(end...)
        }
    }

    @Test func everyCapIsWhereItSays() {
        func isRefused(_ text: String, _ rule: String) -> Bool { load(text).diagnostics.contains { $0.rule == rule } }
        let deep = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(!isRefused(deep(64), "too-deep"))
        #expect(isRefused(deep(65), "too-deep"))
        let items = { (count: Int) in "[" + String(repeating: "a,", count: count) + "]" }
        #expect(!isRefused(items(9_999), "too-many-nodes"))
        #expect(isRefused(items(10_000), "too-many-nodes"))
        #expect(!isRefused(String(repeating: "x", count: 65_536), "scalar-too-long"))
        #expect(isRefused(String(repeating: "x", count: 65_537), "scalar-too-long"))
        let line = String(repeating: "#", count: 1023) + "\n"
        #expect(!isRefused(String(repeating: line, count: 1024), "file-too-large"))
        #expect(isRefused(String(repeating: line, count: 1024) + "\n", "file-too-large"))
    }
}
