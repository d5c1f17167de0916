import Testing
import TuffController
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

/// A job that is at work on a volume, as people see it.
@Suite struct JobViewTests {
    /// `db`, whose copy is not complete.
    private func observed(_ jobs: [RunningJob]) -> ObservedState {
        var observed = Sample.observed([Sample.volume { $0.operation = Marks.copying }])
        observed.jobs = ObservationMap(Dictionary(uniqueKeysWithValues: jobs.map { ($0.id, .known($0)) }))
        return observed
    }

    private let job = RunningJob(
        id: "a", kind: "restore", summary: "restoring Volume/db", objects: [Sample.uid], pid: 4711,
        since: Instant(secondsSince1970: 1_795_339_800),
        progress: WorkProgress(phase: "writing", done: Sample.gibi(3), total: Sample.gibi(10)))

    @Test func aPlanNamesTheJobItsProcessAndHowFarItIs() {
        let plan = Planner.plan(desired: Sample.desired(), observed: observed([job]), context: Examples.context)
        let text = PlanView(plan).text(Style())
        let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(words.contains("it waits for restoring Volume/db (pid 4711, since"), "\(text)")
        #expect(words.contains("[blocked: JobRunning]"), "\(text)")
        #expect(words.contains("so far: writing, 3 GiB of 10 GiB"), "\(text)")
        let json = PlanView(plan).document.json
        #expect(json.contains("\"progress\"") && json.contains("3221225472") && json.contains("\"writing\""), "\(json)")
    }

    @Test(arguments: [true, false]) func aVolumeThatIsWrittenIsNotCalledUnfinished(isRunning: Bool) throws {
        let survey = Survey(desired: nil, observed: observed(isRunning ? [job] : []), context: Examples.context)
        let record = try #require(survey.records.first { $0.id == ResourceID(.volume, "db") })
        #expect(record.ready.status == .no)
        #expect(record.ready.reason == (isRunning ? "JobRunning" : "Unfinished"))
        if isRunning { #expect(record.ready.message.hasSuffix(": writing, 3 GiB of 10 GiB")) }
    }
}
