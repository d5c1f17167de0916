import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning

@testable import TuffCLI

/// Backups that are late or fail come before everything else that people and monitoring are told.
@Suite struct ArrearViewTests {
    static let policy = ResourceID(.backupPolicy, "nightly")

    static func survey(
        _ repository: Observation<ObservedRepository>?, _ change: (inout ObservedState) -> Void = { _ in }
    ) -> Survey {
        var desired = World.desired()
        let site = BackupRepositorySpec.Site.directory("/srv/tuff/backups/nas")
        desired.backupRepositories["nas"] = Declared(
            metadata: Metadata(name: "nas"), spec: BackupRepositorySpec(site: site), location: Examples.place(50))
        desired.backupPolicies["nightly"] = Declared(
            metadata: Metadata(name: "nightly"),
            spec: BackupPolicySpec(
                volumes: .names(["web-data"]), repository: "nas", schedule: Schedule(cron: "30 2 * * *")),
            location: Examples.place(60))
        var observed = World.observed()
        observed.repositories = ObservationMap(repository.map { ["nas": $0] } ?? [:])
        change(&observed)
        return Survey(desired: desired, observed: observed, context: Examples.context)
    }

    /// The repository with a point of three days ago.
    static func late() -> Observation<ObservedRepository> {
        var point = ObservedPoint(
            id: "p", volume: "web-data", stack: "default", node: Examples.context.config.node, uid: World.webUID,
            time: Examples.context.now.advanced(by: TimeSpan(seconds: -3 * 86400)), size: ByteCount(1 << 30),
            content: ByteCount(1 << 20))
        point.policy = "nightly"
        return .known(ObservedRepository(id: "r", points: [point]))
    }

    @Test func whatIsOverdueIsSaidFirstWithItsBegin() throws {
        let survey = Self.survey(Self.late())
        let record = try #require(survey.records.first { $0.id == Self.policy })
        let condition = try #require(record.conditions.first { $0.type == "Overdue" })
        #expect(condition.status == .yes && condition.since != nil)
        let view = StatusView(survey)
        let first = try #require(view.problems.first)
        #expect(first.subject == "BackupPolicy/nightly" && first.reason == "Overdue" && first.severity == .critical)
        #expect(first.message.contains("Volume/web-data: the newest restore point is of "))
        #expect(view.monitoring.code == 2 && view.monitoring.line.contains("BackupPolicy/nightly Overdue"))
        #expect(view.text(Style()).contains("Overdue: Volume/web-data"))
    }

    @Test func whatFailsIsSaidWithItsErrorAndItsBegin() throws {
        let survey = Self.survey(.known(ObservedRepository(id: "r"))) { observed in
            let work = Ledger.Arrear.Work(.failing, of: Self.policy, in: "default")
            observed.ledger.note(Ledger.Arrear(work, since: Examples.context.now, error: "no room is left"))
        }
        let first = try #require(StatusView(survey).problems.first)
        #expect(first.reason == "Failing" && first.message == "since \(Examples.context.now): no room is left")
    }

    @Test func aRepositoryThatCannotBeReadIsUnknown() throws {
        let survey = Self.survey(.unknown(HostError(.timeout, "silent")))
        let record = try #require(survey.records.first { $0.id == Self.policy })
        #expect(record.ready.status == .unknown && record.arrears == [])
        let problems = StatusView(survey).problems
        #expect(problems.contains { $0.severity == .unknown && $0.subject == "backup repository nas" })
        #expect(!problems.contains { $0.reason == "Overdue" })
    }
}
