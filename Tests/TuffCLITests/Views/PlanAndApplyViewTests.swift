import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

@testable import TuffCLI

@Suite struct PlanViewTests {
    @Test func additionsChangesAndABlockedLine() {
        expectGolden(PlanView(Examples.plan).text(Style()), "Golden/plan.txt")
        expectGolden(PlanView(Examples.plan).document.json, "Golden/plan.json")
    }

    @Test func notesOrphansAndUnsupportedKindsAreSaidPlainly() {
        expectGolden(PlanView(Examples.notes).text(Style()), "Golden/plan-notes.txt")
    }

    @Test func whatIsDueStandsApartAndIsNoChange() {
        let change = PlannedChange(
            ResourceID(.snapshot, "hourly-db-data-20261122-0900"), action: .due,
            summary: "take a snapshot of Volume/db-data, 20 GiB, due at 2026-11-22T09:00:00Z "
                + "(vg0/p-hourly-db-data-20261122-0900)",
            location: SourceLocation(file: "volumes.yaml", line: 40, column: 18))
        let plan = Plan(context: Examples.context, changes: [change], steps: [])
        expectGolden(PlanView(plan).text(Style()), "Golden/plan-due.txt")
    }

    @Test func aPlanWithoutChangesSaysSo() {
        expectGolden(PlanView(Examples.nothing).text(Style()), "Golden/plan-nothing.txt")
    }

    @Test func commandsAreListedInTheirOrder() {
        let actions: [HostAction] = [
            .run(Command("lvm", ["lvcreate", "--virtualsize", "21474836480b", "vg0"], effect: .mutates)),
            .writeAttribute(.target("core/iblock_1/tuff-a/enable"), "1", verify: true),
        ]
        let view = PlanView(Examples.plan, commands: [(4, actions)])
        expectGolden(view.text(Style()), "Golden/plan-commands.txt")
    }

    @Test func aPlanWithOnlyBlockedLinesDoesNotClaimThatAllIsWell() {
        let plan = Plan(context: Examples.context, changes: [Examples.archive], steps: [])
        let text = PlanView(plan).text(Style())
        #expect(text.contains("Nothing can be done now; the lines above say why."))
        #expect(!text.contains("what is declared is"))
    }

    @Test func noLineIsWiderThanAHundredColumns() {
        for plan in [Examples.plan, Examples.notes, Examples.nothing] {
            for line in PlanView(plan).text(Style()).split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
        }
    }

    @Test func fileNamesDoNotReachTheTerminalAsTheyAre() {
        for folder in ["", "/srv/configuration/clusters/frankfurt/storage/databases/"] {
            var change = Examples.archive
            change.location?.file = folder + "\u{1b}]0;x\u{7}\u{202e}.yaml"
            let text = PlanView(Plan(context: Examples.context, changes: [change], steps: [])).text(Style())
            #expect(text.contains(#"\u{1b}]0;x\u{7}\u{202e}.yaml"#))
            #expect(!text.unicodeScalars.contains { $0 == "\u{1b}" || $0 == "\u{7}" || $0 == "\u{202e}" })
            for line in text.split(separator: "\n") where folder.isEmpty { #expect(line.count <= 100, "\(line)") }
        }
    }

    @Test func longPathsGoOnALineOfTheirOwn() {
        var change = Examples.archive
        change.location?.file = "/srv/configuration/clusters/frankfurt/storage/databases/volumes.yaml"
        let plan = Plan(context: Examples.context, changes: [change], steps: [])
        let lines = PlanView(plan).text(Style()).split(separator: "\n").map { $0.drop { $0 == " " } }
        #expect(lines.contains { $0.hasPrefix("--> /srv/configuration/") && $0.hasSuffix(":31:18") })
    }

    @Test func coloursAreTheOnlyDifference() {
        let plain = PlanView(Examples.plan).text(Style())
        var painted = TerminalText.rendered(PlanView(Examples.plan).text(Style(color: true)))
        #expect(painted != plain)
        painted.replace(#/\u{1b}\[[0-9]+m/#, with: "")
        #expect(painted == plain)
    }

    @Test func terminalControlInHostTextsIsSpelledOut() {
        var change = Examples.archive
        change.summary = "LV is \u{1b}]0;owned\u{07} by another"
        let text = PlanView(Plan(context: Examples.context, changes: [change], steps: [])).text(Style())
        #expect(!text.unicodeScalars.contains { $0.value == 0x1b || $0.value == 7 })
        #expect(text.contains("\\u{1b}]0;owned\\u{7}"))
    }
}

@Suite struct ApplyViewTests {
    @Test func anApplyThatFailsMidwaySaysWhatWhereAndWhatNext() {
        expectGolden(ApplyView(Examples.failing).text(Style()), "Golden/apply-failing.txt")
        expectGolden(ApplyView(Examples.failing).document.json, "Golden/apply-failing.json")
    }

    @Test func anApplyThatConvergedIsShort() {
        expectGolden(ApplyView(Examples.done).text(Style()), "Golden/apply-done.txt")
    }

    @Test func progressIsOneLinePerEvent() {
        let text = Examples.events.map { ProgressText.line($0, of: Examples.plan, Style()) }.joined()
        expectGolden(text, "Golden/apply-progress.txt")
    }

    @Test func anInterruptedApplySaysHowToCarryOn() {
        var report = Examples.done
        report.interrupted = true
        #expect(ApplyView(report).text(Style()).contains("Interrupted: commands that ran were finished"))
    }
}

@Suite struct TreeTests {
    @Test func jsonIsSortedAndEscaped() {
        let tree = Tree.map(["b": .list([.int(1), .null, .bool(true)]), "a": .text("x\"\\\n\u{1b}é")])
        #expect(tree.json == "{\n  \"a\": \"x\\\"\\\\\\n\\u001bé\",\n  \"b\": [\n    1,\n    null,\n    true\n  ]\n}\n")
    }

    @Test func yamlQuotesWhatCouldBeReadAsAnythingElse() {
        let tree = Tree.map([
            "plain": .text("db-data"), "quoted": .text("20Gi"), "word": .text("no"), "colon": .text("a: b"),
            "list": .list([.map(["a": .int(1), "b": .list([])]), .text("x")]),
        ])
        #expect(
            tree.yaml == """
                colon: "a: b"
                list:
                  - a: 1
                    b: []
                  - x
                plain: db-data
                quoted: "20Gi"
                word: "no"

                """)
    }
}
