import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Hand-built values behind the golden files.
enum Examples {
    static let config = ControllerConfig(node: "storage1", portals: [Portal(address: "192.0.2.10")])
    static let context = PlanContext(
        now: Instant(secondsSince1970: 1_795_339_800), seed: String(repeating: "0a", count: 16), config: config)
    static let uid = UID("abcdefghijklmnop")!
    static let host = "iqn.2004-10.com.example:web1"

    static func place(_ line: Int) -> SourceLocation { SourceLocation(file: "volumes.yaml", line: line, column: 18) }

    static func unchanged(_ count: Int) -> [PlannedChange] {
        (0..<count).map { PlannedChange(ResourceID(.pool, "pool\($0)"), action: .unchanged, summary: "as declared") }
    }

    static let archive = PlannedChange(
        ResourceID(.volume, "archive"), action: .blocked,
        summary: "size 10 GiB is less than the 20 GiB it has, a volume only grows",
        reason: .wouldShrink, location: place(31))
    static let database = PlannedChange(
        ResourceID(.volume, "db-data"), action: .create, summary: "create 20 GiB thin in pool fast (vg0/v-db-data)",
        risk: .online,
        location: place(3), uid: uid)
    static let web = PlannedChange(
        ResourceID(.volume, "web-data"), action: .update, summary: "extend to 20 GiB; initiators must rescan",
        differences: [FieldDifference("size", from: "10 GiB", to: "20 GiB")], risk: .online, location: place(12))
    static let attachment = PlannedChange(
        ResourceID(.attachment, "db-on-web1"), action: .create,
        summary: "export iqn.2026-01.dev.tuff:db-data LUN 0 to \(host) (read-write, CHAP)", risk: .online,
        location: place(22))
    static let webAttachment = PlannedChange(
        ResourceID(.attachment, "web-on-web1"), action: .create,
        summary: "export iqn.2026-01.dev.tuff:web-data LUN 0 to \(host) (read-write)",
        risk: .online, location: place(27))

    static let createStep = PlannedStep(
        id: 0, change: 4,
        step: .volume(
            .create(
                backend: .thinPool(group: "vg0", pool: "tp0"),
                location: .logicalVolume(group: "vg0", name: "v-db-data"), size: ByteCount(20 << 30),
                marks: Marks(uid: uid, role: .volume("db-data"), stack: "default"))),
        keys: [.volumeGroup("vg0")], after: [])

    static let plan = Plan(
        context: context, changes: unchanged(3) + [archive, database, web, attachment], steps: [createStep])

    static let notes: Plan = {
        let changed = PlannedChange(
            ResourceID(.volume, "db-data"), action: .update, summary: "switch off demo mode on its target",
            differences: [
                FieldDifference("generate_node_acls", from: "1", to: "0"),
                FieldDifference("CHAP password", from: "(sensitive)", to: "(sensitive)"),
            ], risk: .interruptsIO, location: place(3),
            notes: ["source.backup.instant: this version attaches the volume when all of its content is there"])
        let orphan = PlannedChange(
            ResourceID(.volume, "old"), action: .orphan,
            summary: "vg0/v-old is ours and no document declares it; nothing is removed",
            reason: .notDeclared)
        let policy = PlannedChange(
            ResourceID(.snapshotPolicy, "nightly"), action: .unsupported,
            summary:
                "no snapshot of Volume/slow: policies take snapshots in thin pools and in directories whose file "
                + "system shares blocks (XFS with reflink, btrfs), and vg0 is neither",
            reason: .notSupportedYet, location: place(40))
        var step = createStep
        step.change = 5
        return Plan(context: context, changes: unchanged(5) + [changed, orphan, policy], steps: [step])
    }()

    static let nothing = Plan(context: context, changes: unchanged(6), steps: [])

    static func report(_ change: PlannedChange, _ verdict: ChangeReport.Verdict) -> ChangeReport {
        ChangeReport(
            resource: change.resource, action: change.action, summary: change.summary, verdict: verdict,
            location: change.location)
    }

    static let failing: ApplyReport = {
        var extended = report(web, .failed)
        extended.error = HostError(
            .failed, "lvextend of vg0/v-web-data did not succeed",
            cause: "Insufficient free space: 2560 extents needed, but only 12 available",
            subject: "lvm lvextend --size 21474836480b vg0/v-web-data")
        var skipped = report(webAttachment, .skipped)
        skipped.detail = "waits for Volume/web-data, which failed"
        var times = PhaseTimes()
        times.observe = 0.1
        times.storage = 2
        times.export = 0.2
        // From the first to the last: the two may overlap.
        times.execute = 2.2
        times.verify = 0.1
        return ApplyReport(
            plan: plan,
            changes: unchanged(3).map { report($0, .unchanged) } + [
                report(archive, .blocked), report(database, .done), extended, report(attachment, .done), skipped,
            ], remaining: plan, interrupted: false, times: times)
    }()

    static let done: ApplyReport = {
        var times = PhaseTimes()
        times.storage = 2.4
        times.execute = 2.4
        return ApplyReport(
            plan: plan,
            changes: unchanged(3).map { report($0, .unchanged) } + [
                report(database, .done), report(attachment, .done),
            ], remaining: nothing, interrupted: false, times: times)
    }()

    static let events: [ExecutionEvent] = [
        .started(change: 5), .finished(change: 5, seconds: 1.7), .started(change: 4),
        .failed(change: 4, HostError(.failed, "lvcreate of vg0/v-db-data did not succeed")),
        .skipped(change: 6, because: ResourceID(.volume, "db-data")), .stopping(running: 1, leaving: 0),
        .stopping(running: 3, leaving: 2),
    ]
}
