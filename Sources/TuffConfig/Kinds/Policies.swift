import TuffModel

extension Shape where Value == SnapshotSpec {
    static let snapshot = object(
        required("volume", .name, doc: "The volume it is taken of."),
        optional("reserve", .size, doc: "Copy-on-write space; thick pools only.")
    ) { volume, reserve in
        var spec = SnapshotSpec(volume: volume)
        spec.reserve = reserve
        return spec
    }
}

extension Shape where Value == VolumeSelection {
    static let volumeSelection = object(
        exactlyOne(
            choice(
                "matchLabels", .map(keys: .labelKey, values: .labelValue, mayBeEmpty: false),
                doc: "Volumes with these labels."
            ) { VolumeSelection.labels(LabelSelector(matchLabels: $0)) },
            choice("names", .list(of: .name), doc: "These volumes.") { .names($0) })
    ) { $0 }
}

extension Shape where Value == KeepRule {
    static let keep = object(
        optional("last", count, doc: "Newest points."),
        optional("hourly", count, doc: "Hours of which the newest point is kept."),
        optional("daily", count, doc: "Days."),
        optional("weekly", count, doc: "Weeks, beginning on Monday."),
        optional("monthly", count, doc: "Months."),
        optional("yearly", count, doc: "Years."),
        mayBeEmpty: false
    ) { last, hourly, daily, weekly, monthly, yearly in
        var rule = KeepRule()
        rule.last = last
        rule.hourly = hourly
        rule.daily = daily
        rule.weekly = weekly
        rule.monthly = monthly
        rule.yearly = yearly
        return rule
    }

    private static let count = Shape<Int>.integer(1...100_000)
}

private let timeZoneDoc = "In which the schedule and the days of `keep` count; UTC without."
private let jitterDoc = "Spreads the start by up to this much, always the same for one volume."

extension Shape where Value == SnapshotPolicySpec {
    static let snapshotPolicy = object(
        required("volumes", .volumeSelection, doc: "The volumes it concerns."),
        required("schedule", .cron, doc: "When: five fields of crontab(5), or a name such as `@daily`."),
        optional("timeZone", .timeZone, doc: timeZoneDoc),
        optional("jitter", .duration, doc: jitterDoc),
        optional("keep", .keep, doc: "Which of this policy's snapshots stay; all without.")
    ) { volumes, cron, timeZone, jitter, keep in
        var spec = SnapshotPolicySpec(
            volumes: volumes, schedule: Schedule(cron: cron, timeZone: timeZone, jitter: jitter))
        spec.keep = keep
        return spec
    }
}

extension Shape where Value == BackupPolicySpec {
    static let backupPolicy = object(
        required("volumes", .volumeSelection, doc: "The volumes it concerns."),
        required("repository", .name, doc: "The BackupRepository."),
        required("schedule", .cron, doc: "When: five fields of crontab(5), or a name such as `@daily`."),
        optional("timeZone", .timeZone, doc: timeZoneDoc),
        optional("jitter", .duration, doc: jitterDoc),
        optional("keep", .keep, doc: "Which of this policy's restore points stay; all without."),
        optional("verify", .verification, doc: "Reading back what was stored, in `timeZone`."),
        optional(
            "drill", .drill,
            doc: "Restoring the newest point to a volume that is compared with it and removed, in `timeZone`.")
    ) { volumes, repository, cron, timeZone, jitter, keep, verify, drill in
        var spec = BackupPolicySpec(
            volumes: volumes, repository: repository,
            schedule: Schedule(cron: cron, timeZone: timeZone, jitter: jitter))
        spec.keep = keep
        spec.verify = verify
        spec.drill = drill
        return spec
    }
}

extension Shape where Value == VerificationSpec {
    static let verification = object(
        required("schedule", .cron, doc: "When: five fields of crontab(5), or a name such as `@daily`."),
        optional("sample", .positiveShare, doc: "Share of the stored data that is read each time; all without.")
    ) { cron, sample in
        var spec = VerificationSpec(cron: cron)
        spec.sample = sample
        return spec
    }
}

extension Shape where Value == DrillSpec {
    static let drill = object(
        required("schedule", .cron, doc: "When: five fields of crontab(5), or a name such as `@daily`."),
        required("pool", .name, doc: "The pool where that volume is made, on the node of the policy's volumes."),
        build: DrillSpec.init(cron:pool:))
}
