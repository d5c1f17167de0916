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
        _ repository: Observation<ObservedRepository>?, _ change: (inout ObservedState) -> Void = { _ in },
        documents: (inout DesiredState) -> Void = { _ in }
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
        documents(&desired)
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

    // MARK: Drills

    /// A policy with a drill, a point of two days ago, and receipts of drills.
    private static func drilled(_ receipts: [ObservedReceipt]) -> Survey {
        var point = ObservedPoint(
            id: "p", volume: "web-data", stack: "default", node: Examples.context.config.node, uid: World.webUID,
            time: Examples.context.now.advanced(by: TimeSpan(seconds: -3600)), size: ByteCount(1 << 30),
            content: ByteCount(1 << 20))
        point.policy = "nightly"
        var old = point
        (old.id, old.time) = ("o", Examples.context.now.advanced(by: TimeSpan(seconds: -9 * 86400)))
        return survey(
            .known(ObservedRepository(id: "r", points: [old, point], receipts: receipts)),
            documents: { $0.backupPolicies["nightly"]!.spec.drill = DrillSpec(cron: "0 7 * * *", pool: "fast") })
    }

    private static func receipt(_ days: Int64, fault: String? = nil) -> ObservedReceipt {
        var receipt = ObservedReceipt(
            .drill, at: Examples.context.now.advanced(by: TimeSpan(seconds: -days * 86400)),
            by: Examples.context.config.node, of: "default")
        (receipt.policy, receipt.volume, receipt.uid) = ("nightly", "web-data", World.webUID)
        (receipt.point, receipt.fault) = ("p", fault)
        return receipt
    }

    private static func conditions(_ survey: Survey) -> [Condition] {
        survey.records.first { $0.id == policy }?.arrears ?? []
    }

    @Test func aDrillThatIsLateIsOverdue() throws {
        let late = Self.conditions(Self.drilled([Self.receipt(3)]))
        let condition = try #require(late.first)
        #expect(late.count == 1 && condition.type == "Overdue")
        #expect(condition.message.hasPrefix("a volume was to be restored for practice at "), "\(condition.message)")
        #expect(condition.message.contains("the last one that went well is of \(Self.receipt(3).time)"))
        #expect(Self.conditions(Self.drilled([Self.receipt(0)])) == [])
        let never = Self.conditions(Self.drilled([])).first?.message
        #expect(never?.hasSuffix("and none went well yet") == true, "\(never ?? "")")
    }

    @Test func aDrillThatFoundSomethingFailsUntilALaterOneOfThatVolumeFindsNothing() throws {
        let fault = "what was restored is not what was backed up"
        let failing = Self.drilled([Self.receipt(0, fault: fault)])
        let condition = try #require(Self.conditions(failing).first)
        #expect(condition.type == "Failing" && condition.message.hasSuffix(": " + fault))
        let view = StatusView(failing)
        #expect(view.monitoring.code == 2 && view.monitoring.line.contains("BackupPolicy/nightly Failing"))
        #expect(Self.conditions(Self.drilled([Self.receipt(2, fault: fault), Self.receipt(0)])) == [])
    }

    @Test func descriptionsTellWhatWasRestoredForPracticeAndWhen() throws {
        let survey = Self.drilled([Self.receipt(3)])
        func text(_ id: ResourceID) throws -> String {
            let record = try #require(survey.records.first { $0.id == id })
            return DescribeView(record).text(Style()).split(separator: "\n").map {
                $0.split(separator: " ").joined(separator: " ")
            }.joined(separator: "\n")
        }
        let last = "restored 3 days ago (\(Self.receipt(3).time))"
        let policy = try text(Self.policy)
        let rows = "Practice 0 7 * * *, in pool fast\nLast practice Volume/web-data, \(last)"
        #expect(policy.contains(rows), "\(policy)")
        #expect(policy.contains("\nNext practice due since "), "\(policy)")
        #expect(try text(ResourceID(.volume, "web-data")).contains("Last practice \(last)"))
        let record = try #require(survey.records.first { $0.id == Self.policy })
        let json = DescribeView(record).document.json
        #expect(json.contains("\"drills\"") && json.contains("\"volume\": \"web-data\""), "\(json)")
    }
}
