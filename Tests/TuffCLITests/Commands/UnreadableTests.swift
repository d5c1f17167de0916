import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

/// Messages to a user without rights. Needs root to become somebody else, and a build that somebody else may run.
@Suite(.enabled(if: TestFolder.canRunAsNobody)) struct UnreadableTests {
    let folder: TestFolder

    init() throws {
        folder = try TestFolder()
        try folder.writeVolume()
        let applied = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        #expect(applied.code == 0, "\(applied.err)")
        chmod(folder.path, 0o755)
    }

    @Test func aSidecarFolderThatCannotBeReadIsUnknownAndNotAbsent() throws {
        // The ledger is private too, and would end the plan first.
        for (name, mode) in [("run", 0o755), ("run/state", 0o755), ("run/state/ledger.json", 0o644)]
            as [(String, mode_t)]
        {
            chmod("\(folder.path)/\(name)", mode)
        }
        let plan = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host, asNobody: true)
        #expect(plan.out.contains("[blocked: Unknown]"), "\(plan.out)\(plan.err)")
        #expect(!plan.out.contains("is not this volume"))
        #expect(plan.out.replacing("\n", with: " ").contains("run as root"))
    }

    @Test func aLockFileThatCannotBeOpenedNamesTheWayOut() throws {
        chmod("\(folder.path)/run", 0o755)
        let ended = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host, asNobody: true)
        #expect(ended.code == 1)
        #expect(ended.err.contains("Permission denied; run as root"), "\(ended.err)")
    }

    @Test func monitoringWithoutRightsIsUnknown() throws {
        let ended = try folder.run(["status", "--monitoring"] + folder.host, asNobody: true)
        #expect(ended.code == 3)
        #expect(ended.out.hasPrefix("TUFF UNKNOWN - "), "\(ended.out)")
    }
}

@Suite struct BlindnessTests {
    private let absent = HostError(.notFound, "it is not installed")

    private func blind() -> ObservedState {
        ObservedState(
            takenAt: Examples.context.now, volumeGroups: ObservationMap(unlisted: absent), targets: .unknown(absent))
    }

    @Test func whereNothingCouldBeSeenNothingIsWell() {
        let view = StatusView(World.survey(declared: false, observed: blind()))
        #expect(view.monitoring.code == 3)
        #expect(view.monitoring.line.hasPrefix("TUFF UNKNOWN - 1 problem: host Unseen"))
        #expect(!view.text(Style()).contains("all is well"))
        #expect(view.text(Style()).contains("Directory pools are known from documents"))
    }

    @Test func oneSourceThatWasSeenIsEnough() {
        var observed = blind()
        observed.directories.entries["/srv/pool"] = .known(
            DirectoryPool(path: "/srv/pool", size: ByteCount(1 << 30), free: ByteCount(1 << 30)))
        #expect(StatusView(World.survey(declared: false, observed: observed)).monitoring.code == 0)
        observed = blind()
        observed.targets = .known(TargetInventory())
        #expect(StatusView(World.survey(declared: false, observed: observed)).monitoring.code == 0)
    }

    @Test func aLedgerThatCannotBeReadIsAProblem() {
        let survey = Survey(
            desired: nil, observed: World.observed(), context: Examples.context,
            ledgerError: HostError(.permissionDenied, "no"))
        #expect(StatusView(survey).monitoring.code == 3)
    }

    @Test func manyUnseenForOneReasonAreOneWarning() {
        var observed = World.observed()
        if case .known(var inventory) = observed.targets {
            let error = HostError(.permissionDenied, "Cannot list acls", cause: "Permission denied")
            inventory.unseen = UnseenTargets(targets: ["iqn.a": error, "iqn.b": error, "iqn.c": error])
            observed.targets = .known(inventory)
        }
        #expect(
            observed.unseenSentences == [
                "target iqn.a: Cannot list acls: Permission denied; and the same of 2 other targets"
            ])
    }
}

@Suite struct OtherNodeTests {
    private var survey: Survey {
        var desired = World.desired()
        var pool = desired.pools["fast"]!
        pool.metadata.name = "far"
        pool.spec.node = "box9"
        desired.pools["far"] = pool
        var volume = desired.volumes["db-data"]!
        volume.metadata.name = "far-data"
        volume.spec.placement = .pool("far")
        desired.volumes["far-data"] = volume
        var attachment = desired.attachments["web-on-web1"]!
        attachment.metadata.name = "far-on-web1"
        attachment.spec.volume = "far-data"
        desired.attachments["far-on-web1"] = attachment
        return Survey(desired: desired, observed: World.observed(), context: Examples.context)
    }

    @Test func whatAnotherNodeHasIsNoProblemHere() {
        let view = StatusView(survey)
        #expect(view.problems == StatusView(World.survey()).problems)
        #expect(view.monitoring.line == StatusView(World.survey()).monitoring.line)
        #expect(view.text(Style()).contains("3, of which 1 ready; 1 of other nodes; 30 GiB provisioned"))
    }

    @Test func itIsShownAsAnotherNodes() {
        let table = GetView(survey.records(of: .volume), of: .volume).text(Style())
        #expect(table.contains("far-data  -      OtherNode"), "\(table)")
        let text = DescribeView(World.record(.attachment, "far-on-web1", in: survey)).text(Style())
        #expect(text.contains("not here, it is for node box9"))
    }
}

@Suite struct LedgerOfDirectoriesTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    @Test func aReportOfLVMWithoutRightsIsNoEmptyHost() throws {
        try folder.write(
            "tools/lvm",
            "#!/bin/sh\necho '  WARNING: Running as a non-root user. Functionality may be unavailable.' >&2\n"
                + "echo '{\"report\":[]}'\n", mode: 0o755)
        let ended = try folder.run(["status", "--monitoring"] + folder.host)
        #expect(ended.code == 3)
        #expect(ended.out.contains("lvm Unknown"), "\(ended.out)")
    }

    @Test func anAppliedDirectoryPoolIsLookedIntoWithoutDocuments() throws {
        let before = try folder.run(["get", "volumes"] + folder.host)
        #expect(before.out.isEmpty && before.err.contains("Directory pools are known from documents"))
        #expect(try folder.run(["status"] + folder.host).out.contains("Directory pools are known from documents"))
        try folder.writeVolume()
        _ = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        let after = try folder.run(["get", "volumes"] + folder.host)
        #expect(after.out.contains("db-data") && after.err.isEmpty, "\(after.err)")
        let status = try folder.run(["status"] + folder.host).out
        #expect(status.contains("1, of which 1 ready; 64 MiB provisioned"))
        #expect(!status.contains("Directory pools are known"))
        #expect(try folder.run(["describe", "volume/db-data"] + folder.host).code == 0)
    }
}
