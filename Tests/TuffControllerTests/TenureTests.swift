import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffRepository

/// Backups that last until the test lets them end.
private final class HeldBackups: Sendable {
    private let began = Atomic(0)
    private let mayEnd = Atomic(false)

    var begun: Int { began.load(ordering: .acquiring) }
    func letThemEnd() { mayEnd.store(true, ordering: .releasing) }

    var handlers: JobHandlers {
        var handlers = JobHandlers()
        handlers.register(RepositoryListing.self) { request, control throws(HostError) in
            try JobHandlers.ours.result(of: request, control).get()
        }
        handlers.register(RepositoryCreation.self) { request, control throws(HostError) in
            try JobHandlers.ours.result(of: request, control).get()
        }
        handlers.register(BackupOfVolume.self) { request, control throws(HostError) in
            self.began.add(1, ordering: .acquiringAndReleasing)
            control.tell(WorkProgress(done: ByteCount(1), total: ByteCount(2)))
            while !self.mayEnd.load(ordering: .acquiring) { usleep(2000) }
            return try JobHandlers.ours.result(of: request, control).get()
        }
        return handlers
    }
}

/// A pass gives the host back while it only waits for its backups, and is not confused by what others do meanwhile.
@Suite struct TenureTests {
    let host: ControlledHost

    init() throws {
        host = try ControlledHost()
        host.config.allow.directories.append("\(host.path)/backups")
        try FileManager.default.createDirectory(
            atPath: "\(host.path)/backups", withIntermediateDirectories: true, attributes: nil)
        chmod("\(host.path)/backups", 0o700)
    }

    private func documents(
        _ volumes: [String], backups: Int = 0, pools: [String] = ["local"], prune: String? = nil, more: String = ""
    ) throws -> DesiredState {
        var text = ""
        for pool in pools {
            let place = pool == "local" ? "pool" : pool
            text += "---\napiVersion: tuff.dev/v1\nkind: Pool\nmetadata: {name: \(pool)}\n"
            text += "spec: {directory: {path: \(host.path)/\(place)}}\n"
        }
        text += "---\napiVersion: tuff.dev/v1\nkind: BackupRepository\nmetadata: {name: nas}\n"
        let schedule = prune.map { ", prune: {schedule: \($0), jitter: 0s}" } ?? ""
        text += "spec: {directory: {path: \(host.path)/backups/r}, create: true\(schedule)}\n"
        for volume in volumes {
            text += "---\napiVersion: tuff.dev/v1\nkind: Volume\nmetadata: {name: \(volume)}\n"
            text += "spec: {size: 16Mi, pool: local}\n"
        }
        for volume in volumes.prefix(backups) {
            text += "---\napiVersion: tuff.dev/v1\nkind: Backup\nmetadata: {name: of-\(volume)}\n"
            text += "spec: {volume: \(volume), repository: nas}\n"
        }
        text += more
        try Data(text.utf8).write(to: URL(filePath: "\(host.path)/documents.yaml"))
        let reading = try Documents.read(["\(host.path)/documents.yaml"], under: host.config)
        return try #require(reading.documents, "\(reading.diagnostics)").state
    }

    private func begin(
        _ state: DesiredState, _ handlers: JobHandlers, wait: Int? = nil, runDue: Bool = false
    ) -> Task<ApplyReport, any Error> {
        let controller = host.controller(jobs: handlers), config = host.config
        let patience = wait.map { TimeSpan(seconds: Int64($0)) }
        return Task {
            let pass = try await controller.begin(under: config, patience: patience, overseer: Witness())
            defer { pass.end() }
            var consent = Consent()
            consent.allowRepositoryCreate = true
            consent.runDue = runDue
            return try await pass.apply(state, context: pass.view.newContext(stack: "default", consent: consent))
        }
    }

    private func apply(_ state: DesiredState, _ handlers: JobHandlers, wait: Int? = nil) async throws -> ApplyReport {
        try await begin(state, handlers, wait: wait).value
    }

    private func verdicts(_ report: ApplyReport) -> [String: ChangeReport.Verdict] {
        Dictionary(
            report.changes.map { ($0.resource.description, $0.verdict) }, uniquingKeysWith: { first, _ in first })
    }

    private func begun(_ count: Int, _ backups: HeldBackups) async throws {
        for _ in 0..<2000 where backups.begun < count { try await Task.sleep(for: .milliseconds(5)) }
        try #require(backups.begun == count)
    }

    @Test func anotherPassGoesOnBesideABackupAndLeavesItsVolumeAlone() async throws {
        let backups = HeldBackups()
        _ = try await apply(try documents(["db"]), backups.handlers)
        let state = try documents(["db"], backups: 1)
        let first = begin(state, backups.handlers)
        try await begun(1, backups)
        let beside = try await apply(try documents(["db", "web"], backups: 1), backups.handlers, wait: 10)
        #expect(
            verdicts(beside) == [
                "Pool/local": .unchanged, "BackupRepository/nas": .unchanged, "Volume/db": .unchanged,
                "Volume/web": .done, "Backup/of-db": .blocked,
            ])
        #expect(beside.changes.first { $0.resource.kind == .backup }?.summary.contains("waits for") == true)
        backups.letThemEnd()
        let report = try await first.value
        #expect(report.outcome == .converged, "\(report.changes)")
        let after = try await apply(try documents(["db", "web"], backups: 1), backups.handlers)
        #expect(after.plan.isEmpty && backups.begun == 1, "\(after.changes)")
    }

    /// Of five backups four are made at once.
    private static let five = ["a", "b", "c", "d", "e"]

    @Test func whatOthersDidMeanwhileIsNotDoneTwice() async throws {
        let backups = HeldBackups(), free = HeldBackups()
        free.letThemEnd()
        _ = try await apply(try documents(Self.five), backups.handlers)
        let state = try documents(Self.five, backups: 5)
        let first = begin(state, backups.handlers)
        try await begun(4, backups)
        let beside = try await apply(state, free.handlers, wait: 10)
        #expect(verdicts(beside)["Backup/of-e"] == .done && verdicts(beside)["Backup/of-a"] == .blocked)
        backups.letThemEnd()
        let report = try await first.value
        #expect(report.outcome == .converged, "\(report.changes)")
        #expect(backups.begun == 4 && free.begun == 1)
    }

    @Test func whatIsWantedNoMoreIsNotBegun() async throws {
        let backups = HeldBackups()
        _ = try await apply(try documents(Self.five), backups.handlers)
        let state = try documents(Self.five, backups: 5)
        let first = begin(state, backups.handlers)
        try await begun(4, backups)
        try FileManager.default.createDirectory(atPath: "\(host.path)/more", withIntermediateDirectories: true)
        chmod("\(host.path)/more", 0o700)
        host.config.allow.directories.append("\(host.path)/more")
        _ = try await apply(try documents(["a"], pools: ["local", "more"]), backups.handlers, wait: 10)
        let accepted = try String(contentsOfFile: "\(host.path)/run/state/accepted-default.json", encoding: .utf8)
        backups.letThemEnd()
        let report = try await first.value
        #expect(report.outcome == .partly)
        let last = try #require(report.changes.first { $0.resource.description == "Backup/of-e" })
        #expect(last.verdict == .interrupted && last.detail?.hasPrefix("not begun: others") == true, "\(last)")
        #expect(verdicts(report)["Backup/of-a"] == .done && backups.begun == 4)
        let after = try String(contentsOfFile: "\(host.path)/run/state/accepted-default.json", encoding: .utf8)
        #expect(after == accepted, "the set of the later pass stays accepted")
    }

    private static let policy = """
        ---
        apiVersion: tuff.dev/v1
        kind: BackupPolicy
        metadata: {name: nightly}
        spec: {volumes: {names: [a]}, repository: nas, schedule: "* * * * *", keep: {last: 1}}

        """

    /// The others may have documents that keep it, and nothing of that is known here.
    @Test func whatTakesSomethingAwayIsLeftToTheNextPassOnceOthersWereThere() async throws {
        let backups = HeldBackups()
        _ = try await apply(try documents(["a"]), backups.handlers)
        let sidecars = try FileManager.default.contentsOfDirectory(atPath: "\(host.path)/pool/.tuff")
        let uid = try #require(sidecars.first { $0.hasSuffix(".json") }?.dropLast(5))
        let repository = try RepositoryPlace("\(host.path)/backups/r").open(listener: Witness())
        for time in ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] {
            let series = Series(name: "a", stack: "default", node: host.config.node, uid: String(uid))
            var request = Backup.Request(series: series, time: time, program: "test")
            request.policy = "nightly"
            _ = try Backup(
                of: try DeviceSource("\(host.path)/pool/v-a"), to: repository, request, lease: nil,
                progress: JobProgress()
            ).run(threads: SystemThreads(count: 1), finished: { time })
        }
        let due = try documents(["a"], prune: "\"* * * * *\"", more: Self.policy)
        let first = begin(due, backups.handlers, runDue: true)
        try await begun(1, backups)
        // Without --run-due it changes nothing, and has the host for a moment.
        let beside = try await apply(due, backups.handlers, wait: 10)
        #expect(beside.plan.counts.due >= 1, "\(beside.changes)")
        backups.letThemEnd()
        let report = try await first.value
        let made = report.changes.filter { $0.action == .create }
        let removed = report.changes.filter { $0.action == .update }
        #expect(made.map(\.verdict) == [.done], "\(report.changes)")
        #expect(removed.map(\.resource.name) == ["nas"] && removed.map(\.verdict) == [.interrupted], "\(removed)")
        #expect(try repository.points().points.count == 3)
    }
}
