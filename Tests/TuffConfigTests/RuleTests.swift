import Testing
import TuffConfig
import TuffModel

/// Rules that the goldens and the corpus of wrong documents leave open: where a rule must not fire, and what it points
/// at.
@Suite struct RuleTests {
    static let base = """
        apiVersion: tuff.dev/v1
        kind: Pool
        metadata: {name: p}
        spec: {directory: {path: /srv/p}}
        ---

        """

    private func volume(_ name: String, _ more: String = "") -> String {
        "{apiVersion: tuff.dev/v1, kind: Volume, metadata: {name: \(name)}, spec: {size: 1Gi, pool: p\(more)}}\n---\n"
    }

    private func attachment(_ name: String, _ initiator: String, more: String = "") -> String {
        "{apiVersion: tuff.dev/v1, kind: Attachment, metadata: {name: \(name)}, spec: {volume: v, "
            + "iscsi: {initiator: \"iqn.2004-10.com.example:\(initiator)\"}\(more)}}\n---\n"
    }

    private func rules(_ text: String) -> [String] { load(Self.base + text).diagnostics.map(\.rule) }

    @Test func sharingSaysHowManyMayAttach() {
        let two = attachment("a", "a") + attachment("b", "b")
        let three = two + attachment("c", "c")
        let oneReads = attachment("a", "a") + attachment("b", "b", more: ", readOnly: true")
        #expect(rules(volume("v") + attachment("a", "a")) == [])
        #expect(rules(volume("v") + oneReads) == ["shared-volume"])
        #expect(rules(volume("v", ", sharing: readers") + oneReads) == [])
        #expect(rules(volume("v", ", sharing: readers") + two) == ["shared-volume"])
        #expect(rules(volume("v", ", sharing: handover") + two) == [])
        #expect(rules(volume("v", ", sharing: handover") + three) == ["shared-volume"])
        #expect(rules(volume("v", ", sharing: writers") + three) == [])
    }

    @Test func portalsThatExcludeEachOtherAreRefused() {
        func portals(_ list: String...) -> [String] {
            rules(volume("v", ", iscsi: {portals: [\(list.map { "\"\($0)\"" }.joined(separator: ", "))]}"))
        }
        #expect(portals("192.0.2.10:3260", "[fd00::10]:3260") == [])
        #expect(portals("[fd00::10]:3260", "[FD00:0::10]:3260") == ["duplicate-value"])
        #expect(portals("[::ffff:192.0.2.10]", "192.0.2.10") == ["duplicate-value"])
        #expect(portals("192.0.2.10:3260", "0.0.0.0:3260") == ["portal-conflict"])
        #expect(portals("192.0.2.10:3260", "0.0.0.0:3261") == ["wildcard-portal"])
        #expect(portals("[::0]") == ["wildcard-portal"])
        for wrong in ["224.0.0.1", "255.255.255.255", "[ff02::1]", "[fe80::1]:3260"] {
            #expect(portals(wrong) == ["invalid-portal"], "\(wrong)")
        }
        #expect(portals("[fe80::1%eth0]:3260") == [])
    }

    @Test func initiatorsMayBeNamedByNumbers() {
        func attached(_ name: String) -> [String] {
            rules(
                volume("v")
                    + "{apiVersion: tuff.dev/v1, kind: Attachment, metadata: {name: a}, "
                    + "spec: {volume: v, iscsi: {initiator: \"\(name)\"}}}\n---\n"
            )
        }
        #expect(attached("eui.02004567A425678D") == [] && attached("naa.62004567BA64678D0123456789ABCDEF") == [])
        #expect(attached("eui.02004567A425678") == ["invalid-iqn"] && attached("naa.0") == ["invalid-iqn"])
    }

    @Test func aChainOfClonesIsNoCycle() {
        let chain = (1...200).map { volume("v\($0)", ", source: {volume: v\($0 - 1)}") }.joined()
        #expect(rules(volume("v0") + chain) == [])
    }

    /// As long as a set may be, in files that are as large as they may be. Where each link looked through all others
    /// this took minutes.
    @Test(.timeLimit(.minutes(1))) func aChainOfTenThousandClonesIsRead() {
        let chain = (1..<10_000).map { volume("v\($0)", ", source: {volume: v\($0 - 1)}") }
        let halves = [Self.base + volume("v0") + chain[..<5_000].joined(), chain[5_000...].joined()]
        let result = ConfigLoader.load(
            halves.enumerated().map { ConfigSource(path: "\($0.offset).yaml", text: Array($0.element.utf8)) })
        #expect(result.diagnostics == [])
        #expect(result.state?.volumes.count == 10_000)
    }

    @Test func aLongCycleIsReportedOnce() {
        let ring = (0..<500).map { volume("v\($0)", ", source: {volume: v\(($0 + 1) % 500)}") }.joined()
        #expect(rules(ring + volume("tail", ", source: {volume: v0}")) == ["source-cycle"])
    }

    @Test func aReferenceToADocumentWithErrorsIsNotDangling() {
        #expect(rules(volume("v", ", sharing: all") + attachment("a", "a")) == ["unknown-value"])
    }

    /// A document that cannot be read may declare what its words name, and nothing else.
    @Test(arguments: [
        ("kind: Volume\nmetadata: {name: v}\nspec: [", false), ("kind: Volume\nmetadata: {name: w}\nspec: [", true),
        ("kind: Volume\nmetadata: {name: v2}\nspec: [", true), ("kind: Volme\nmetadata: {name: v}", false),
        ("kind: Volme\nmetadata: {name: w}", true), ("kind: Volume\nmetdata: {name: v}", false),
        ("- {kind: Volume, metadata: {name: v}}", false), ("kind: Volume\nmetadata: {name: *a}", false),
        ("kind: Volume\nmetadata: {name: \"v\u{0}\"}", false),
    ])
    func onlyWhatABrokenDocumentCannotDeclareIsMissing(_ broken: String, _ isMissing: Bool) {
        let other = ConfigSource(path: "broken.yaml", text: Array(broken.utf8))
        let whole = ConfigSource(path: "input.yaml", text: Array((Self.base + attachment("a", "a")).utf8))
        let result = ConfigLoader.load([other, whole])
        #expect(result.state == nil)
        #expect(result.diagnostics.contains { $0.rule == "dangling-reference" } == isMissing, "\(result.diagnostics)")
    }

    @Test func aFileThatWasNotReadMayDeclareAnything() {
        let lost = Diagnostic(rule: "unreadable-file", "x", at: SourceLocation(file: "x", line: 1, column: 1))
        let source = ConfigSource(path: "input.yaml", text: Array((Self.base + attachment("a", "a")).utf8))
        #expect(ConfigLoader.load([source], earlier: [lost]).diagnostics == [])
        #expect(ConfigLoader.load([source]).diagnostics.map(\.rule) == ["dangling-reference"])
        // What is only warned of leaves the set as it is.
        var warning = lost
        warning.severity = .warning
        #expect(ConfigLoader.load([source], earlier: [warning]).diagnostics.map(\.rule) == ["dangling-reference"])
    }

    @Test func referencesOfADocumentWithOtherErrorsAreChecked() {
        let wrong = volume("v", ", sise: 1Gi").replacing("pool: p", with: "pool: q")
        #expect(rules(wrong) == ["dangling-reference", "unknown-field"])
    }

    @Test func emptyDocumentsAreNotCounted() {
        #expect(load("---\n---\n# nothing\n---\n" + Self.base + "---\n").documents == 1)
        #expect(load("---\n# nothing\n---\n~\n").documents == 0)
        #expect(load("# nothing\n").diagnostics.map(\.rule) == ["no-document"])
    }

    @Test func errorsOfAllFilesComeInOneRunSortedByPlace() {
        let wrong = Array("apiVersion: tuff.dev/v1\nkind: Pool\nmetadata: {name: P}\nspec: {}\n".utf8)
        let result = ConfigLoader.load(["b", "c", "a"].map { ConfigSource(path: $0, text: wrong) })
        #expect(
            result.diagnostics.map { "\($0.location) \($0.rule)" }
                == ["a", "b", "c"].flatMap {
                    ["\($0):3:18 name-not-dns-label", "\($0):4:1 missing-field"]
                })
    }

    @Test func aSelectorThatMatchesNoVolumeIsAWarningOnly() throws {
        let policy =
            "{apiVersion: tuff.dev/v1, kind: SnapshotPolicy, metadata: {name: s}, "
            + "spec: {volumes: {matchLabels: {tier: db}}, schedule: '0 * * * *'}}"
        let result = load(Self.base + policy)
        #expect(result.diagnostics.map(\.severity) == [.warning])
        #expect(result.state?.snapshotPolicies.count == 1)
        #expect(DiagnosticText.summary(result.diagnostics) == "1 warning in 1 file")
    }

    /// libyaml notices an open bracket only at the marker of the next document, which must not be lost with it.
    @Test(arguments: ["kind: [\n", "kind: {a\n", "kind: \"a\n", "kind: @\n", "--- @\n", "a: b: c\n", "\t- a\n"])
    func aBrokenDocumentTakesNoOtherWithIt(_ broken: String) {
        let wrong = "apiVersion: tuff.dev/v1\nkind: Pol\n"
        let result = load(wrong + "---\n" + broken + "---\n" + wrong + "---\n" + broken)
        #expect(result.diagnostics.map(\.rule) == ["unknown-kind", "syntax", "unknown-kind", "syntax"])
    }

    @Test func aByteOrderMarkIsSkipped() {
        let text = [0xef, 0xbb, 0xbf] + Array(Self.base.utf8)
        #expect(ConfigLoader.load([ConfigSource(path: "x", text: text)]).state?.pools.count == 1)
    }

    @Test func emptyDocumentsDeclareNothing() {
        let result = load("---\n---\n# nothing\n---\n~\n")
        #expect(result.diagnostics == [])
        #expect(result.state?.count == 0)
        #expect(load("").state?.count == 0)
    }

    @Test(arguments: [
        ("kind: Controller\nspec: {}", "missing-field"),
        ("{apiVersion: tuff.dev/v1, kind: Pool, spec: {}}", "unknown-value"),
        ("{apiVersion: tuff.dev/v1, kind: Controller, spec: {iqnBase: tuff}}", "invalid-iqn"),
        ("{apiVersion: tuff.dev/v1, kind: Controller, spec: {allow: {images: [etc]}}}", "invalid-path"),
        ("{apiVersion: tuff.dev/v1, kind: Controller, spec: {targetDriver: scst}}", "unknown-value"),
        ("{apiVersion: tuff.dev/v1, kind: Controller, spec: {}}\n---\n{}", "not-one-document"),
        ("# nothing", "not-one-document"),
    ])
    func aWrongConfigurationIsRefused(_ text: String, _ rule: String) {
        let source = ConfigSource(path: "config.yaml", text: Array(text.utf8))
        let (config, diagnostics) = ConfigLoader.loadController(source, defaultNode: "n")
        #expect(config == nil)
        #expect(diagnostics.map(\.rule) == [rule])
    }

    @Test func coloursAreOnlyWhereAskedFor() {
        let diagnostics = load("a: b").diagnostics
        #expect(!DiagnosticText.render(diagnostics, color: false).contains("\u{1b}"))
        let painted = TerminalText.rendered(DiagnosticText.render(diagnostics, color: true))
        #expect(painted.contains("\u{1b}[1;31merror[missing-field]\u{1b}[0m"))
        #expect(DiagnosticText.render([], color: true) == "")
    }

    @Test(arguments: [
        ("0", true), ("-7", true), ("0o17", true), ("0x1F", true), ("1e3", true), (".5", true), ("5.", true),
        ("1_000", false), ("0b1", false), ("190:20:30", false), ("1e", false), ("+", false), (".", false),
        ("-.", false),
    ])
    func numbersAreThoseOfYAML12(_ text: String, _ isNumber: Bool) {
        let rule = load(
            "{apiVersion: tuff.dev/v1, kind: Pool, metadata: {name: x, annotations: {a: \(text)}}, "
                + "spec: {directory: {path: /srv/x}}}"
        ).diagnostics.first?.rule
        #expect(rule == (isNumber ? "wrong-type" : nil))
    }
}
