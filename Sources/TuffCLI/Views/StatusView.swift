package import TuffController
package import TuffModel
import TuffPlanning

/// One screen: what is well and what is not. Also the one line and exit code of a monitoring plugin.
package struct StatusView: View {
    package var survey: Survey

    package init(_ survey: Survey) { self.survey = survey }

    package var kind: String { "Status" }

    /// Faults, most serious first.
    package struct Problem: Equatable, Sendable {
        package enum Severity: String, Sendable { case warning, critical, unknown }
        package var severity: Severity
        package var subject: String
        package var reason: String
        package var message: String
    }

    /// Used shares of a thin pool at which it needs attention and at which it is about to stop.
    private static let warningPercent = 80.0
    private static let criticalPercent = 90.0

    package var problems: [Problem] {
        var problems = survey.unseen.map {
            Problem(severity: .unknown, subject: $0.source, reason: "Unknown", message: $0.error.description)
        }
        // A source that could not be looked at has said so; one that is not installed says nothing.
        if let blindness = survey.blindness, problems.isEmpty {
            problems.append(Problem(severity: .unknown, subject: "host", reason: "Unseen", message: blindness))
        }
        // Before all else: what is lost while it is so cannot be had again.
        problems.insert(
            contentsOf: survey.records.flatMap { record in
                record.arrears.map { arrear in
                    Problem(
                        severity: .critical, subject: "\(record.id)", reason: arrear.reason, message: arrear.message)
                }
            }, at: 0)
        let felt = feltFaults
        problems += survey.records.compactMap { record in
            guard let degraded = record.degraded, degraded.cause == nil else { return nil }
            return Problem(
                severity: .warning, subject: "\(record.id)", reason: degraded.reason,
                message: degraded.message + felt(record))
        }
        for record in survey.records where !record.isElsewhere {
            let ready = record.ready
            guard ready.status != .yes, ready.cause == nil else { continue }
            let severe = [
                "DataMissing", "Suspended", "PoolUnhealthy", "MarksDamaged", "PoolMissing", "Lost", "Exposed",
                "NeedsCheck", "DataFull", "MetadataFull", "DevicesMissing", "VolumeUnhealthy", "ActivationFailed",
                "ForeignGroup", "RepositoryReplaced",
            ]
            // A source that was not seen has said so already, once.
            if ready.status == .unknown, !survey.unseen.isEmpty { continue }
            problems.append(
                Problem(
                    severity: severe.contains(ready.reason) ? .critical : .warning, subject: "\(record.id)",
                    reason: ready.reason, message: ready.message + felt(record)))
        }
        problems += survey.undeclared.map {
            Problem(
                severity: .warning, subject: "\($0.resource)", reason: $0.reason?.rawValue ?? "NotDeclared",
                message: $0.summary)
        }
        if let estrangement = survey.estrangement {
            problems.append(
                Problem(
                    severity: .warning, subject: "documents", reason: Reason.noPools.rawValue, message: estrangement))
        }
        for (name, what, percent) in fillLevels where percent >= Self.warningPercent {
            problems.append(
                Problem(
                    severity: percent >= Self.criticalPercent ? .critical : .warning, subject: "thin pool \(name)",
                    reason: "FillingUp", message: "\(what) is \(Int(percent.rounded())) % full"))
        }
        for group in groups where group.missingDevices > 0 || group.partial {
            problems.append(
                Problem(
                    severity: .critical, subject: "volume group \(group.name)", reason: "DevicesMissing",
                    message: PrintedText.count(group.missingDevices, "device") + " missing"
                        + felt.words("\(VolumeFault.Cause.group(group.name))")))
        }
        let order: [Problem.Severity] = [.critical, .unknown, .warning]
        return order.flatMap { severity in problems.filter { $0.severity == severity } }
    }

    /// Hundreds of volumes in one pool that is full have one line, which says how many they are.
    private struct FeltFaults {
        var volumes: [String: Int]

        func words(_ cause: String) -> String {
            volumes[cause].map { "; \($0) of our volumes and snapshots are in it" } ?? ""
        }

        func callAsFunction(_ record: ResourceRecord) -> String {
            guard case .pool(let facts) = record.facts else { return "" }
            return words("\(VolumeFault.Cause.pool(facts.backend))")
        }
    }

    private var feltFaults: FeltFaults {
        let causes = survey.records.filter { $0.id.kind == .volume || $0.id.kind == .snapshot }.compactMap { record in
            record.conditions.lazy.compactMap(\.cause).first
        }
        return FeltFaults(volumes: causes.reduce(into: [:]) { $0[$1, default: 0] += 1 })
    }

    private var groups: [VolumeGroup] {
        survey.observed.volumeGroups.entries.values.compactMap(\.value).sorted { $0.name < $1.name }
    }

    private var thinPools: [(name: String, pool: LogicalVolume)] {
        groups.flatMap { group in
            group.logicalVolumes.filter { $0.layout == .thinPool }.map { ("\(group.name)/\($0.name)", $0) }
        }
    }

    private var fillLevels: [(String, String, Double)] {
        thinPools.flatMap { name, pool in
            [(name, "data", pool.dataPercent), (name, "metadata", pool.metadataPercent)]
                .compactMap { name, what, percent in percent.map { (name, what, $0) } }
        }
    }

    private var directories: [DirectoryPool] {
        survey.observed.directories.entries.values.compactMap(\.value).sorted { $0.path < $1.path }
    }

    private var sessions: Int { survey.volumeFacts.reduce(0) { $0 + $1.sessions } }

    // MARK: Text

    package func text(_ style: Style) -> String {
        let context = survey.context
        let problems = problems
        let verdict =
            problems.isEmpty
            ? style.paint("all is well", .green) : style.paint(PrintedText.count(problems.count, "problem"), .red)
        let place = PrintedText.oneLine("Node \(context.config.node), stack \(context.stack), \(context.now)")
        var text = "\(place): \(verdict)\n\n"
        text += Layout.table(summary, indent: "  ")
        let storage = storageRows
        if !storage.isEmpty {
            text += "\n" + Layout.table([["STORAGE", "SIZE", "FREE", "DATA", "METADATA"]] + storage, indent: "  ")
        }
        if !problems.isEmpty {
            text += "\nProblems\n"
            let subjects = problems.map(\.subject.count).max() ?? 0
            for problem in problems {
                let lines = Layout.wrap(
                    PrintedText.oneLine("\(problem.reason): \(problem.message)"), width: max(38, 96 - subjects))
                for (index, line) in lines.enumerated() {
                    let subject = index == 0 ? PrintedText.oneLine(problem.subject) : ""
                    text += "  " + Layout.pad(subject, to: subjects) + "  \(line)\n"
                }
            }
        }
        if let others = survey.othersSentence() { text += "\n" + PrintedText.oneLine(others) + "\n" }
        if survey.plan == nil {
            text += "\nNo documents were given (-f): only what exists is judged.\n"
            if !survey.knowsDirectories { text += Survey.directoriesNeedNames + "\n" }
        }
        return text
    }

    private var summary: [[String]] {
        func line(_ kind: Kind) -> String {
            let all = survey.records(of: kind)
            let records = all.filter { !$0.isElsewhere }
            let others = all.count - records.count
            return "\(records.count), of which \(records.count { $0.ready.status == .yes }) ready"
                + (others > 0 ? "; \(others) of other nodes" : "")
        }
        let provisioned = survey.volumeFacts.reduce(ByteCount.zero) { $0 + ($1.stored?.size ?? .zero) }
        return [
            ["Pools", line(.pool)],
            ["Volumes", line(.volume) + "; \(provisioned) provisioned"],
            ["Attachments", line(.attachment) + "; " + PrintedText.count(sessions, "session")],
        ] + backupSummary(line)
    }

    /// Nothing where the documents have no repository.
    private func backupSummary(_ line: (Kind) -> String) -> [[String]] {
        let repositories = survey.records(of: .backupRepository)
        guard !repositories.isEmpty else { return [] }
        let points = repositories.reduce(0) { sum, record in
            if case .repository(let facts) = record.facts { sum + (facts.seen?.points.count ?? 0) } else { sum }
        }
        let backups = survey.records(of: .backup)
        let unkept = backups.count { $0.location == nil }
        let policies = survey.records(of: .backupPolicy)
        let due = policies.count { record in
            if case .backupPolicy(let facts) = record.facts { facts.isDue } else { false }
        }
        return [
            ["Repositories", line(.backupRepository) + "; " + PrintedText.count(points, "restore point")],
            [
                "Backups",
                PrintedText.count(policies.count, "schedule") + ", \(due) due; \(backups.count - unkept) by name"
                    + (unkept == 0 ? "" : "; \(unkept) that no policy keeps"),
            ],
        ]
    }

    private var storageRows: [[String]] {
        var rows: [[String]] = []
        for group in groups {
            rows.append([group.name, group.size.description, group.free.description, "-", "-"])
            for (name, pool) in thinPools where name.hasPrefix("\(group.name)/") {
                rows.append([
                    name, pool.size.description, "-", GetView.percent(pool.dataPercent),
                    GetView.percent(pool.metadataPercent),
                ])
            }
        }
        return rows + directories.map { [$0.path, $0.size.description, $0.free.description, "-", "-"] }
    }

    // MARK: Monitoring

    /// One line and an exit code as monitoring plugins have them: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    /// (Monitoring Plugins Development Guidelines).
    package var monitoring: (line: String, code: Int32) {
        let problems = problems
        let (word, code): (String, Int32) =
            switch problems.first?.severity {
            case .critical: ("CRITICAL", 2)
            case .unknown: ("UNKNOWN", 3)
            case .warning: ("WARNING", 1)
            case nil: ("OK", 0)
            }
        var what = problems.prefix(3).map { "\($0.subject) \($0.reason)" }.joined(separator: ", ")
        if problems.count > 3 { what += ", and \(problems.count - 3) more" }
        func here(_ kind: Kind) -> Int { survey.records(of: kind).count { !$0.isElsewhere } }
        let volumes = here(.volume)
        let message =
            problems.isEmpty
            ? "\(PrintedText.count(volumes, "volume")), \(PrintedText.count(sessions, "session"))"
            : "\(PrintedText.count(problems.count, "problem")): \(what)"
        var data = "volumes=\(volumes) attachments=\(here(.attachment))"
        data += " sessions=\(sessions) problems=\(problems.count)"
        for (name, share, percent) in fillLevels {
            data += " '\(PrintedText.oneLine(name)) \(share)'=\(Int(percent.rounded()))%;80;90"
        }
        // The bar separates the message from the performance data.
        return ("TUFF \(word) - \(PrintedText.oneLine(message).replacing("|", with: "/")) | \(data)", code)
    }

    // MARK: JSON

    package var body: [String: Tree] {
        [
            "node": .text(survey.context.config.node), "stack": .text(survey.context.stack),
            "now": .text(survey.context.now.description), "declared": .bool(survey.plan != nil),
            "problems": .list(
                problems.map {
                    .map([
                        "severity": .text($0.severity.rawValue), "subject": .text($0.subject),
                        "reason": .text($0.reason), "message": .text($0.message),
                    ])
                }),
            "sessions": .int(sessions),
            "otherStacks": .map(
                Dictionary(grouping: survey.hidden.compactMap(\.stack), by: \.self).mapValues { .int($0.count) }),
            "resources": .list(survey.records.map(RecordTree.tree)),
            "volumeGroups": .list(
                groups.map {
                    .map([
                        "name": .text($0.name), "sizeBytes": .int($0.size.bytes), "freeBytes": .int($0.free.bytes),
                        "missingDevices": .int($0.missingDevices),
                    ])
                }),
        ]
    }
}
