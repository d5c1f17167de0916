import FoundationEssentials
import Testing
import TuffController
import TuffModel
import TuffPlanning

@testable import TuffCLI

/// An object that exists and that no document speaks of is not well.
@Suite struct UndeclaredViewTests {
    static func survey(_ change: (inout DesiredState) -> Void) -> Survey {
        var desired = World.desired()
        desired.volumes["archive"]!.spec.size = ByteCount(20 << 30)
        desired.volumes["db-data"] = nil
        change(&desired)
        return Survey(desired: desired, observed: World.observed(), context: Examples.context)
    }

    @Test func allIsWellWhereEverythingIsDeclared() {
        #expect(StatusView(Self.survey { _ in }).problems == [])
    }

    @Test func aVolumeWithoutADocumentIsAWarningThatNamesIt() {
        let view = StatusView(Self.survey { $0.volumes["archive"] = nil })
        #expect(view.problems.map(\.subject) == ["Volume/archive"])
        #expect(view.problems.first?.severity == .warning && view.problems.first?.reason == "NotDeclared")
        #expect(view.monitoring.code == 1)
        #expect(view.monitoring.line.hasPrefix("TUFF WARNING - 1 problem: Volume/archive NotDeclared |"))
        #expect(
            view.text(Style()).contains(
                "Volume/archive  NotDeclared: vg0/v-archive is ours and no document declares it"))
        guard case .list(let problems)? = view.body["problems"], case .map(let first)? = problems.first else {
            Issue.record("no problems in JSON")
            return
        }
        #expect(first["subject"] == "Volume/archive")
    }

    @Test func accessWithoutADocumentIsAWarningThatNamesIt() {
        let view = StatusView(Self.survey { $0.attachments = [:] })
        #expect(view.problems.map(\.subject) == ["Attachment/web-on-web1"])
        #expect(view.problems.first?.message.contains(Examples.host) == true)
        #expect(view.monitoring.code == 1)
    }

    @Test func documentsThatGiveThisNodeNothingAreAWarning() {
        let empty = StatusView(
            Survey(desired: DesiredState(), observed: World.observed(), context: Examples.context))
        let problem = empty.problems.first { $0.subject == "documents" }
        #expect(problem?.reason == "NoPools")
        #expect(
            problem?.message.contains("the documents declare nothing at all, and this host holds 2 objects of Tuff's")
                == true)
        let other = StatusView(Self.survey { $0.pools["fast"]!.spec.node = "storage9" })
        #expect(other.problems.contains { $0.message.contains("give this node (storage1) no pool") })
        // A new host with an empty folder is well.
        let fresh = Survey(
            desired: DesiredState(), observed: ObservedState(takenAt: Examples.context.now), context: Examples.context)
        #expect(!StatusView(fresh).problems.contains { $0.subject == "documents" })
    }

    @Test func withoutDocumentsOnlyWhatExistsIsJudged() {
        #expect(StatusView(World.survey(declared: false)).problems == [])
    }
}

/// The same through the built program, and renames as people type them.
@Suite struct UndeclaredCommandTests {
    let folder: TestFolder
    private var host: [String] { folder.host + ["--auto-approve"] }

    init() throws {
        folder = try TestFolder()
        for name in ["set", "empty"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        }
    }

    private func write(_ volumes: [(name: String, former: String?)]) throws {
        try folder.write(
            "set/pool.yaml",
            """
            apiVersion: tuff.dev/v1
            kind: Pool
            metadata: {name: local}
            spec: {directory: {path: \(folder.path)/pool}, overprovision: 100}

            """)
        var text = ""
        for (name, former) in volumes {
            let annotations = former.map { ", annotations: {tuff.dev/renamed-from: \($0)}" } ?? ""
            text += """
                ---
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata: {name: \(name)\(annotations)}
                spec: {size: 8Mi, pool: local}

                """
        }
        try folder.write("set/volumes.yaml", text)
    }

    private func apply(_ more: String...) throws -> Ended {
        try folder.run(["apply", "-f", "set"] + more + host)
    }

    private func monitor(_ path: String = "set") throws -> Ended {
        try folder.run(["status", "--monitoring", "-f", path] + folder.host)
    }

    private func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/pool").filter { $0 != ".tuff" }.sorted()
    }

    @Test func aDeletedDocumentAndAMistypedFolderAreWarnings() throws {
        try write([("db", nil), ("keep", nil)])
        #expect(try apply().code == 0)
        #expect(try monitor().out.contains("all is well") == false)
        #expect(try monitor().code == 0)
        try write([("keep", nil)])
        let missing = try monitor()
        #expect(missing.code == 1 && missing.out.contains("Volume/db NotDeclared"), "\(missing.out)")
        try folder.write("empty/none.yaml", "---\n")
        let mistyped = try monitor("empty")
        #expect(mistyped.code == 1 && mistyped.out.contains("documents NoPools"), "\(mistyped.out)")
        let text = try folder.run(["status", "-f", "empty"] + folder.host)
        #expect(!text.out.contains("all is well") && text.out.contains("declare nothing at all"), "\(text.out)")
    }

    /// Rename, revert, prune: the disk survives, and what the line says to write brings it back.
    @Test func aRevertedRenameKeepsTheDiskAndTheCureWorks() throws {
        try write([("db", nil), ("keep", nil)])
        #expect(try apply().code == 0)
        try write([("pg", "db"), ("keep", nil)])
        #expect(try apply().code == 0)
        #expect(try files() == ["v-keep", "v-pg"])
        try write([("db", nil), ("keep", nil)])
        let night = try apply("--prune")
        #expect(night.code == 3, "\(night.out) \(night.err)")
        #expect(night.out.contains("[blocked: Awaited]") && night.out.contains("[blocked: NameTaken]"), "\(night.out)")
        #expect(try files() == ["v-keep", "v-pg"])
        try write([("db", "pg"), ("keep", nil)])
        let cured = try apply("--prune")
        #expect(cured.code == 0, "\(cured.out) \(cured.err)")
        #expect(try files() == ["v-db", "v-keep"])
    }

    @Test func aRenameThatWasNotSaidIsRefusedUntilItIs() throws {
        try write([("db", nil), ("keep", nil)])
        #expect(try apply().code == 0)
        try write([("pg", nil), ("keep", nil)])
        let night = try apply("--prune")
        #expect(night.code == 3 && night.out.contains("[blocked: RenameUnclear]"), "\(night.out)")
        #expect(try files() == ["v-db", "v-keep"])
        let wrong = try apply("--prune", "--allow-blank", "pg")
        #expect(
            wrong.code == 64 && wrong.err.contains("--allow-blank 'pg': give a volume as Volume/NAME"), "\(wrong.err)")
        let meant = try apply("--prune", "--allow-blank", "Volume/pg")
        #expect(meant.code == 0, "\(meant.out) \(meant.err)")
        #expect(try files().filter { $0.hasPrefix("v-") } == ["v-keep", "v-pg"])
    }
}
