import Testing
import TuffController
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

/// Repositories, policies and backups as people see them.
@Suite struct BackupViewTests {
    static func point(
        _ id: String, _ time: Int64, volume: String = "db", _ change: (inout ObservedPoint) -> Void = { _ in }
    ) -> ObservedPoint {
        var point = ObservedPoint(
            id: id, volume: volume, stack: "default", node: "storage1", uid: Sample.uid,
            time: Instant(secondsSince1970: 1_795_000_000 + time), size: Sample.gibi(10), content: Sample.gibi(1))
        point.added = ByteCount(3 << 20)
        change(&point)
        return point
    }

    static let points =
        [
            point("aaaaaaaa11111111", 0) { $0.backup = "before" },
            point("bbbbbbbb22222222", 90) { $0.policy = "nightly" },
            point("cccccccc33333333", 100, volume: "old") { $0.uid = Sample.uid(7) },
            point("dddddddd44444444", 110, volume: "web\u{1b}[31m") {
                $0.node = "storage2\u{202e}"
                $0.stack = "lab"
                $0.uid = Sample.uid(8)
            },
        ]

    static func survey(
        _ points: [ObservedPoint] = points, _ change: (inout DesiredState, inout ObservedState) -> Void = { _, _ in }
    ) -> Survey {
        var desired = Sample.desired()
        desired.backupRepositories["nas"] = Sample.declared(
            "nas", BackupRepositorySpec(site: .directory("/srv/backups/nas")))
        desired.backups["before"] = Sample.declared("before", BackupSpec(volume: "db", repository: "nas"))
        desired.backupPolicies["nightly"] = Sample.declared(
            "nightly",
            BackupPolicySpec(volumes: .names(["db"]), repository: "nas", schedule: Schedule(cron: "30 2 * * *")))
        var observed = Sample.observed([Sample.volume()])
        observed.repositories = ObservationMap([
            "nas": .known(ObservedRepository(id: "feedfacefeedface", points: points))
        ])
        change(&desired, &observed)
        return Survey(desired: desired, observed: observed, context: Sample.context())
    }

    static func record(_ survey: Survey, _ kind: Kind, _ name: String) -> ResourceRecord? {
        survey.records.first { $0.id == ResourceID(kind, name) }
    }

    @Test func theKindsHaveTablesOfTheirOwn() {
        let survey = Self.survey()
        let text = [Kind.backupRepository, .backupPolicy, .backup].map { kind in
            GetView(survey.records(of: kind), of: kind).text(Style())
                + GetView(survey.records(of: kind), of: kind, wide: true).text(Style())
        }.joined(separator: "\n")
        expectGolden(text, "Golden/get-backups.txt")
        let json = [Kind.backupRepository, .backupPolicy, .backup].map { kind in
            GetView(survey.records(of: kind), of: kind).document.json
        }.joined()
        expectGolden(json, "Golden/get-backups.json")
    }

    @Test func aPolicyThatSelectsNothingIsNoHealthyOne() throws {
        let survey = Self.survey { desired, _ in
            let selector = LabelSelector(matchLabels: ["backup": "nigthly"])
            desired.backupPolicies["nightly"]?.spec.volumes = .labels(selector)
        }
        #expect(Self.record(survey, .backupPolicy, "nightly")?.degraded?.reason == "SelectsNothing")
        let snapshots = Self.survey { desired, _ in
            for (name, label) in [("none", "nigthly"), ("some", "nightly")] {
                let selection = VolumeSelection.labels(LabelSelector(matchLabels: ["backup": label]))
                desired.snapshotPolicies[name] = Sample.declared(
                    name, SnapshotPolicySpec(volumes: selection, schedule: Schedule(cron: "0 0 * * *")))
            }
            desired.volumes["db"]?.metadata.labels["backup"] = "nightly"
        }
        #expect(Self.record(snapshots, .snapshotPolicy, "none")?.degraded?.reason == "SelectsNothing")
        #expect(Self.record(snapshots, .snapshotPolicy, "some")?.degraded == nil)
        #expect(StatusView(survey).problems.contains { $0.reason == "SelectsNothing" })
        #expect(Self.record(Self.survey(), .backupPolicy, "nightly")?.degraded == nil)
    }

    @Test func descriptionsListPointsSeriesAndRuns() throws {
        let survey = Self.survey()
        let names = [
            (Kind.volume, "db"), (.backupRepository, "nas"), (.backupPolicy, "nightly"), (.backup, "before"),
            (.backup, "old@storage1/default/\(Sample.uid(7))"),
        ]
        let text = try names.map { kind, name in
            DescribeView(try #require(Self.record(survey, kind, name))).text(Style())
        }.joined(separator: "\n")
        expectGolden(text, "Golden/describe-backups.txt")
    }

    @Test func aSeriesThatNobodyKeepsIsListedAndOthersSeriesAreNot() {
        let names = Self.survey().records(of: .backup).map(\.id.name)
        #expect(names == ["before", "old@storage1/default/\(Sample.uid(7))"])
        let all = Self.survey { desired, _ in
            desired.backupPolicies = [:]
            desired.backups = [:]
        }
        #expect(all.records(of: .backup).count == 2)
        #expect(all.records(of: .backup).allSatisfy { $0.ready.reason == "NotKept" })
        let silent = Self.survey { _, observed in
            observed.repositories = ObservationMap(["nas": .unknown(HostError(.unreachable, "silent"))])
        }
        #expect(silent.records(of: .backup).map(\.id.name) == ["before"])
        #expect(Self.record(silent, .backupRepository, "nas")?.ready.reason == "RepositoryUnreachable")
    }

    @Test func whatIsOlderOrLostIsAProblem() throws {
        let context = Sample.context()
        func remembering(_ points: [ObservedPoint], _ seen: [ObservedPoint]?) -> Survey {
            Self.survey(points) { desired, observed in
                observed.ledger = observed.ledger.after(observed, desired: desired, context: context)
                observed.repositories = ObservationMap(
                    seen.map { ["nas": .known(ObservedRepository(id: "feedfacefeedface", points: $0))] } ?? [:])
            }
        }
        let older = remembering(Self.points, [Self.points[0]])
        let record = try #require(Self.record(older, .backupRepository, "nas"))
        #expect(record.ready.status == .yes && record.degraded?.reason == "RolledBack")
        #expect(DescribeView(record).text(Style()).contains("Missing"))
        #expect(StatusView(older).problems.contains { $0.reason == "RolledBack" && $0.severity == .warning })
        let damaged = Self.survey { _, observed in
            observed.repositories = ObservationMap([
                "nas": .known(ObservedRepository(id: "feedfacefeedface", points: Self.points, damaged: 1))
            ])
        }
        #expect(StatusView(damaged).problems.contains { $0.reason == "PointsDamaged" && $0.severity == .warning })
        let lost = StatusView(remembering(Self.points, nil)).problems
        #expect(lost.contains { $0.subject == "BackupRepository/nas" && $0.severity == .critical })
    }

    @Test func statusCountsThem() {
        let text = StatusView(Self.survey()).text(Style())
        #expect(text.contains("Repositories  1, of which 1 ready; 4 restore points"))
        #expect(text.contains("1 schedule, 1 due; 1 by name; 1 that no policy keeps"))
        #expect(!StatusView(World.survey()).text(Style()).contains("Repositories"))
    }

    @Test func whatARepositorySaysObeysNobody() {
        let survey = Self.survey()
        let texts = survey.records.flatMap { record in
            [DescribeView(record).text(Style()), GetView([record], of: record.id.kind, wide: true).text(Style())]
        }
        #expect(texts.allSatisfy(HostileTextTests.isHarmless))
        #expect(texts.contains { $0.contains("web\\u{1b}") })
    }
}
