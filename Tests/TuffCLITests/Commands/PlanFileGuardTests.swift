import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

@testable import TuffCLI

@Suite struct PlanFileGuardTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    private func plan(_ out: String, _ more: [String] = []) throws -> Ended {
        try folder.run(["plan", "-f", "volumes.yaml", "--out", out] + more + folder.host)
    }

    @Test func whatIsNoPlanFileIsNotReplaced() throws {
        try folder.writeVolume()
        try folder.write("mine.txt", "precious")
        #expect(symlink("mine.txt", "\(folder.path)/link") == 0)
        #expect(mkfifo("\(folder.path)/pipe", 0o600) == 0)
        for (name, word) in [
            ("mine.txt", "holds something else"), ("link", "is not a plain file"), ("pipe", "is not a plain file"),
            ("pool", "is not a plain file"), ("volumes.yaml", "holds something else"),
        ] {
            let ended = try plan(name)
            #expect(ended.code == 1)
            #expect(ended.err.contains("\(name) exists and \(word)"), "\(ended.err)")
        }
        #expect(folder.text("mine.txt") == "precious")
        var status = stat()
        #expect(lstat("\(folder.path)/link", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        #expect(lstat("\(folder.path)/pipe", &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
    }

    @Test func anEmptyFileAndAnOlderPlanAreReplaced() throws {
        try folder.writeVolume()
        try folder.write("p.json", "")
        for _ in 0..<2 { #expect(try plan("p.json").code == 0) }
        #expect(PlanFile.isPlanFile(Data(folder.text("p.json").utf8)))
    }

    @Test func theCommandThatIsNamedCarriesThePlanOut() throws {
        try folder.writeVolume()
        let line = try plan("p q.json").err
        #expect(line.contains("tuff apply 'p q.json' --config \(folder.path)/config.yaml --lock-file"))
        let words = try #require(line.firstRange(of: "tuff apply 'p q.json' ")).upperBound
        let options = line[words...].dropLast().split(separator: " ").map(String.init)
        let applied = try folder.run(["apply", "p q.json", "--auto-approve"] + options)
        #expect(applied.code == 0, "\(applied.err)")
        #expect(FileManager.default.fileExists(atPath: "\(folder.path)/pool/v-db-data"))
    }

    @Test func anEditedPlanFileIsNoChangedHost() throws {
        try folder.writeVolume()
        _ = try plan("p.json")
        try folder.write("p.json", folder.text("p.json").replacing("64Mi", with: "96Mi"), mode: 0o600)
        let ended = try folder.run(["apply", "p.json", "--auto-approve"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.err.contains("was changed after 'tuff plan --out' wrote it"))
        #expect(!ended.err.contains("the host has changed"))
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/pool/v-db-data"))
    }

    /// Its digest is of steps that were encoded otherwise, so that no plan of this version has it.
    @Test func aPlanFileOfAnotherVersionIsNoChangedHost() throws {
        try folder.writeVolume()
        _ = try plan("p.json")
        var file = try PlanFile.decode(Data(folder.text("p.json").utf8), name: "p.json")
        file.format = 1
        file.seal = file.sealed
        try folder.write("p.json", String(decoding: try file.data, as: UTF8.self), mode: 0o600)
        let ended = try folder.run(["apply", "p.json", "--auto-approve"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.err.contains("another version of tuff wrote p.json") && ended.err.contains("plan again"))
        #expect(!ended.err.contains("the host has changed") && !ended.err.contains("was changed after"))
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/pool/v-db-data"))
    }

    @Test func aPlanIsFreshForAnHourAndNotBeforeItWasMade() {
        let plan = Plan(context: Sample.context(), changes: [], steps: [])
        for (age, isFresh) in [(0, true), (3600, true), (3601, false), (-300, true), (-301, false)] {
            let now = plan.context.now.advanced(by: TimeSpan(seconds: Int64(age)))
            #expect(Pass.isFresh(plan, at: now) == isFresh, "\(age) s")
        }
    }

    @Test func documentsEditedAfterwardsAreNoted() throws {
        try folder.writeVolume()
        _ = try plan("p.json")
        let apply = ["apply", "p.json", "--auto-approve"] + folder.host
        try folder.writeVolume(size: "96Mi")
        let noted = try folder.run(apply)
        #expect(noted.code == 0)
        #expect(noted.err.contains("note: volumes.yaml has changed since the plan was made"))
        try folder.writeVolume(size: "128Mi")
        _ = try plan("p.json")
        #expect(!(try folder.run(apply).err.contains("note:")))
    }

    @Test(arguments: [
        ["--prune"], ["--allow-removals", "1"], ["--allow-destroy"], ["--recreate", "Volume/db-data"],
        ["--allow-blank", "Volume/db-data"],
    ])
    func consentBesideAPlanFileIsRefused(_ flags: [String]) throws {
        try folder.writeVolume()
        _ = try plan("p.json")
        let ended = try folder.run(["apply", "p.json", "--auto-approve"] + flags + folder.host)
        #expect(ended.code == 64)
        #expect(ended.err.contains("\(flags[0]) stands beside a plan file"))
    }

    @Test func anotherStackBesideAPlanFileIsRefused() throws {
        try folder.writeVolume()
        _ = try plan("p.json", ["--stack", "lab"])
        let other = try folder.run(["apply", "p.json", "--auto-approve", "--stack", "foo"] + folder.host)
        #expect(other.code == 64)
        #expect(other.err.contains("--stack foo was given and p.json is for stack lab"))
        let same = try folder.run(["apply", "p.json", "--auto-approve", "--stack", "lab"] + folder.host)
        #expect(same.code == 0, "\(same.err)")
    }
}

@Suite struct OutcomeTests {
    private func report(_ verdicts: [ChangeReport.Verdict]) -> ApplyReport {
        ApplyReport(
            plan: Examples.plan, changes: verdicts.map { Examples.report(Examples.database, $0) },
            remaining: Examples.plan, interrupted: false, times: PhaseTimes())
    }

    @Test func theExitCodeTellsWhetherAnythingAttemptedSucceeded() {
        #expect(report([.failed, .unchanged]).outcome == .failed)
        #expect(report([.failed, .skipped, .blocked, .unchanged]).outcome == .failed)
        #expect(report([.failed, .done]).outcome == .partly)
        #expect(report([.blocked]).outcome == .partly)
        #expect(report([.blocked, .done]).outcome == .partly)
        #expect(report([.done, .unchanged, .orphan, .unsupported]).outcome == .converged)
    }

    @Test func theTimeOfAPassIsNotTheSumOfWhatOverlaps() {
        var times = PhaseTimes()
        times.observe = 1
        times.storage = 7
        times.export = 6
        times.execute = 8
        times.verify = 1
        var report = report([.done])
        report.times = times
        #expect(ApplyView(report).summaryLine.hasSuffix(". 10.0 s"))
    }
}

@Suite struct ElsewhereTests {
    let folder: TestFolder

    init() throws {
        folder = try TestFolder()
        try folder.writeAttachment()
        try folder.write(
            "volumes.yaml", folder.text("volumes.yaml").replacing("{directory:", with: "{node: box9, directory:"))
    }

    @Test func documentsOfAnotherNodeAreCounted() throws {
        let sentence = "3 documents are for node box9, not storage1."
        let plan = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host)
        #expect(plan.code == 0)
        #expect(plan.out.contains(sentence))
        #expect(!plan.out.contains("what is declared is what is there"))
        let apply = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        #expect(apply.code == 0 && apply.out.contains(sentence))
        for command in [["plan"], ["apply", "--auto-approve"]] {
            let json = try folder.run(command + ["-f", "volumes.yaml", "-o", "json"] + folder.host)
            #expect(json.out.contains("\"documents\": 3"))
        }
    }
}
