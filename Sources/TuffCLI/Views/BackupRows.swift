import TuffController
import TuffModel
import TuffPlanning

/// Repositories, policies and backups in tables. All text of a repository goes through the door of `Layout`.
enum BackupRows {
    // MARK: get

    static func columns(of kind: Kind) -> ([String], [String])? {
        switch kind {
        case .backupRepository:
            (["PLACE", "POINTS", "SERIES", "NEWEST"], ["ID", "ENCRYPTED", "UNREADABLE", "DECLARED AT"])
        case .backupPolicy:
            (["REPOSITORY", "SCHEDULE", "VOLUMES", "POINTS", "LAST", "NEXT"], ["TIME ZONE", "DECLARED AT"])
        case .backup: (["VOLUME", "REPOSITORY", "POINT", "TIME", "SIZE"], ["ADDED", "POINTS", "UID", "DECLARED AT"])
        case .pool, .volume, .snapshot, .snapshotPolicy, .attachment, .restore: nil
        }
    }

    static func cells(_ facts: RepositoryFacts, wide: Bool) -> [String] {
        let narrow = [
            facts.declared.spec.site.description, facts.seen.map { "\($0.points.count)" } ?? "-",
            facts.seen == nil ? "-" : "\(facts.series.count)", GetView.text(facts.newest?.time),
        ]
        guard wide else { return narrow }
        return narrow + [
            facts.seen.map { String($0.id.prefix(8)) } ?? "-", facts.declared.spec.key == nil ? "no" : "yes",
            facts.seen.map { "\($0.damaged)" } ?? "-", GetView.text(facts.declared.location),
        ]
    }

    static func cells(_ facts: BackupPolicyFacts, wide: Bool) -> [String] {
        let spec = facts.declared.spec
        let narrow = [
            spec.repository, spec.schedule.cron, "\(facts.volumes.count)", "\(facts.points)", GetView.text(facts.last),
            facts.isDue ? "due" : GetView.text(facts.next),
        ]
        guard wide else { return narrow }
        return narrow + [spec.schedule.timeZone ?? "UTC", GetView.text(facts.declared.location)]
    }

    static func cells(_ facts: BackupFacts, wide: Bool) -> [String] {
        let narrow = [
            facts.volume, facts.repository, facts.point.map { String($0.id.prefix(8)) } ?? "-",
            GetView.text(facts.point?.time), GetView.text(facts.point?.size),
        ]
        guard wide else { return narrow }
        return narrow + [
            GetView.text(facts.point?.added), facts.count.map { "\($0)" } ?? "-", GetView.text(facts.point?.uid),
            GetView.text(facts.declared?.location),
        ]
    }

    // MARK: describe

    /// Restore points that are listed; the others are counted.
    private static let most = 10

    static func text(_ facts: RepositoryFacts, _ head: [[String]]) -> String {
        let spec = facts.declared.spec
        var rows = head + [["Place", spec.site.description], ["Format", spec.format.rawValue]]
        rows.append(["Encrypted", spec.key == nil ? "no" : "yes"])
        guard let seen = facts.seen else { return Layout.table(rows, indent: "  ") }
        rows += [["Id", seen.id], ["Restore points", "\(seen.points.count)"]]
        if seen.damaged > 0 { rows.append(["Unreadable", PrintedText.count(seen.damaged, "restore point")]) }
        if let lost = facts.rollback?.missing {
            rows += lost.prefix(most).map { ["Missing", "\($0.point.prefix(8)) of \($0.time) of '\($0.volume)'"] }
        }
        let series = facts.series.map { series in
            [
                series.volume, series.node ?? "-", series.stack ?? "-", GetView.text(series.uid),
                "\(series.points.count)", GetView.text(series.newest?.time), GetView.text(series.newest?.size),
                keepers(of: series),
            ]
        }
        let table = [["VOLUME", "NODE", "STACK", "UID", "POINTS", "NEWEST", "SIZE", "KEPT BY"]] + series
        return Layout.table(rows, indent: "  ")
            + (series.isEmpty ? "" : "\n" + Layout.table(table, indent: "  "))
    }

    private static func keepers(of series: SeriesFacts) -> String {
        guard series.isOwn else { return series.node == nil ? "hand" : "its own host" }
        if !series.policies.isEmpty { return series.policies.joined(separator: ",") }
        return series.points.allSatisfy { $0.backup != nil } ? "its name" : "nobody"
    }

    static func text(_ facts: BackupPolicyFacts, _ head: [[String]]) -> String {
        let spec = facts.declared.spec
        var rows = head + [["Repository", spec.repository]]
        rows.append(["Schedule", "\(spec.schedule.cron) (\(spec.schedule.timeZone ?? "UTC"))"])
        rows.append(["Restore points", "\(facts.points)"])
        if let drill = spec.drill {
            rows.append(["Practice", "\(drill.cron), in pool \(drill.pool)"])
            let last = facts.drills?.receipts.last.map { "Volume/\($0.volume ?? "-"), \(practice($0, facts.now))" }
            rows.append(["Last practice", last ?? "never"])
            if let drills = facts.drills {
                rows.append(["Next practice", drills.due.map { "due since \($0)" } ?? GetView.text(drills.next)])
            }
        }
        let volumes = facts.volumes.map { times in
            [
                times.volume, "\(times.points)", GetView.text(times.last),
                times.due.map { "due since \($0)" } ?? GetView.text(times.next),
            ]
        }
        return Layout.table(rows, indent: "  ")
            + (volumes.isEmpty
                ? "" : "\n" + Layout.table([["VOLUME", "POINTS", "LAST", "NEXT"]] + volumes, indent: "  "))
    }

    /// `restored 3 days ago (2026-11-19T07:00:00Z)`
    private static func practice(_ receipt: ObservedReceipt, _ now: Instant) -> String {
        let age = age(of: receipt.time, at: now)
        return receipt.fault.map { "failed \(age) (\(receipt.time)): \($0)" } ?? "restored \(age) (\(receipt.time))"
    }

    private static func age(of time: Instant, at now: Instant) -> String {
        let seconds = max(0, now.secondsSince1970 - time.secondsSince1970)
        if seconds < 2 * 3600 { return "\(PrintedText.count(Int(seconds / 60), "minute")) ago" }
        if seconds < 2 * 86400 { return "\(PrintedText.count(Int(seconds / 3600), "hour")) ago" }
        return "\(PrintedText.count(Int(seconds / 86400), "day")) ago"
    }

    static func text(_ facts: BackupFacts, _ head: [[String]]) -> String {
        var rows = head + [["Volume", facts.volume], ["Repository", facts.repository]]
        if let count = facts.count { rows.append(["Restore points", "\(count)"]) }
        if let point = facts.point {
            rows += [
                [facts.count == nil ? "Restore point" : "Newest", point.id], ["Time", point.time.description],
                ["Size", point.size.description], ["Added", GetView.text(point.added)],
                ["Volume's uid", GetView.text(point.uid)],
            ]
        }
        return Layout.table(rows, indent: "  ")
    }

    /// Restore points of a volume and its next runs; empty: it has none, and no policy wants any.
    static func text(_ backups: VolumeBackups) -> String {
        let points = backups.points
        guard !points.isEmpty || !backups.times.isEmpty else { return "" }
        var rows: [[String]] = []
        if let added = points.first?.point.added { rows.append(["Last increment", added.description]) }
        if let drill = backups.drill { rows.append(["Last practice", practice(drill, backups.now)]) }
        for times in backups.times {
            let next = times.due.map { "due since \($0)" } ?? GetView.text(times.next)
            rows.append(["Next backup", "\(next), BackupPolicy/\(times.policy)"])
        }
        var text = rows.isEmpty ? "" : "\n" + Layout.table(rows, indent: "  ")
        guard !points.isEmpty else { return text }
        let lines = points.prefix(most).map { repository, point in
            [
                String(point.id.prefix(8)), point.time.description + (point.isSetAside ? " (set aside)" : ""),
                point.size.description, GetView.text(point.added), repository,
                point.backup.map { "Backup/\($0)" } ?? point.policy.map { "BackupPolicy/\($0)" } ?? "hand",
            ]
        }
        text += "\n"
        text += Layout.table([["POINT", "TIME", "SIZE", "ADDED", "REPOSITORY", "MADE BY"]] + lines, indent: "  ")
        if points.count > most { text += "  and \(points.count - most) older ones (-o json lists all)\n" }
        return text
    }
}

/// The same for programs.
enum BackupTrees {
    static func sides(_ facts: RepositoryFacts) -> (Tree, Tree) {
        let spec = facts.declared.spec
        let declared = Tree.object([
            "place": .text(spec.site), "format": .text(spec.format.rawValue), "encrypted": .bool(spec.key != nil),
            "create": .bool(spec.creates),
        ])
        guard let seen = facts.seen else { return (declared, .null) }
        let rollback = facts.rollback.map { rollback in
            Tree.object([
                "since": .text(rollback.since),
                "missing": .list(
                    rollback.missing.map {
                        .object(["volume": .text($0.volume), "id": .text($0.point), "time": .text($0.time)])
                    }),
            ])
        }
        return (
            declared,
            .object([
                "id": .text(seen.id), "points": .int(seen.points.count), "unreadable": .int(seen.damaged),
                "newest": .text(facts.newest?.time), "series": .list(facts.series.map(series)),
                "rollback": rollback ?? .null,
            ])
        )
    }

    private static func series(_ series: SeriesFacts) -> Tree {
        .object([
            "volume": .text(series.volume), "node": .text(series.node), "stack": .text(series.stack),
            "uid": .text(series.uid), "points": .int(series.points.count), "newest": .text(series.newest?.time),
            "sizeBytes": series.newest.map { .int($0.size.bytes) } ?? .null,
            "policies": .list(series.policies.map { .text($0) }),
        ])
    }

    static func sides(_ facts: BackupPolicyFacts) -> (Tree, Tree) {
        let spec = facts.declared.spec
        return (
            .object([
                "repository": .text(spec.repository), "schedule": .text(spec.schedule.cron),
                "timeZone": .text(spec.schedule.timeZone),
                "drill": spec.drill.map { .object(["schedule": .text($0.cron), "pool": .text($0.pool)]) } ?? .null,
            ]),
            .object([
                "volumes": .list(facts.volumes.map(times)),
                "drills": facts.drills.map { drills in
                    .object([
                        "last": drills.receipts.last.map(tree) ?? .null, "next": .text(drills.next),
                        "dueAt": .text(drills.due),
                    ])
                } ?? .null,
            ])
        )
    }

    private static func tree(_ drill: ObservedReceipt) -> Tree {
        .object([
            "volume": .text(drill.volume), "uid": .text(drill.uid), "point": .text(drill.point),
            "time": .text(drill.time), "fault": .text(drill.fault),
        ])
    }

    private static func times(_ times: BackupTimes) -> Tree {
        .object([
            "volume": .text(times.volume), "policy": .text(times.policy), "points": .int(times.points),
            "last": .text(times.last), "next": .text(times.next), "dueAt": .text(times.due),
        ])
    }

    static func sides(_ facts: BackupFacts) -> (Tree, Tree) {
        let declared: Tree =
            facts.declared == nil
            ? .null : .object(["volume": .text(facts.volume), "repository": .text(facts.repository)])
        guard let point = facts.point else { return (declared, .null) }
        guard case .map(var entries) = tree(point, in: facts.repository) else { return (declared, .null) }
        entries["points"] = facts.count.map { .int($0) } ?? .null
        return (declared, .object(entries))
    }

    /// Restore points of a volume and its next runs; null: it has none, and no policy wants any.
    static func tree(_ backups: VolumeBackups) -> Tree {
        guard !backups.series.isEmpty || !backups.times.isEmpty else { return .null }
        return .object([
            "points": .list(backups.points.map { tree($0.point, in: $0.repository) }),
            "policies": .list(backups.times.map(times)), "drill": backups.drill.map(tree) ?? .null,
        ])
    }

    private static func tree(_ point: ObservedPoint, in repository: String) -> Tree {
        .object([
            "repository": .text(repository), "id": .text(point.id), "time": .text(point.time),
            "volume": .text(point.volume), "uid": .text(point.uid), "sizeBytes": .int(point.size.bytes),
            "addedBytes": point.added.map { .int($0.bytes) } ?? .null, "policy": .text(point.policy),
            "backup": .text(point.backup), "setAside": .bool(point.isSetAside),
        ])
    }
}
