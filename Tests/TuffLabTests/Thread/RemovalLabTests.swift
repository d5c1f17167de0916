import FoundationEssentials
import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Removal on real LVM and LIO, with real initiators.
extension ThreadLabTests {
    /// The identity of a disk that an initiator remembers.
    private func identity(_ iqn: String) async throws -> String {
        let url = "iscsi://127.0.0.1:3262/\(iqn)/0"
        var text = ""
        // Unit serial number, and the designators with the NAA among them.
        for page in ["128", "131"] {
            let output = try await machine.read(
                Command("iscsi-inq", ["-i", Self.web1, "-e", "1", "-c", page, url], effect: .reads))
            try #require(output.status == 0, "\(iqn): \(output.standardError)")
            text += String(decoding: output.standardOutput, as: UTF8.self)
        }
        // The kernel notices a moment later that the initiator is gone.
        let info = "\(Self.root)/iscsi/\(iqn)/tpgt_1/acls/\(Self.web1)/info"
        for _ in 0..<100 where try !String(contentsOfFile: info, encoding: .utf8).hasPrefix("No active iSCSI Session") {
            try await Task.sleep(for: .milliseconds(50))
        }
        return text
    }

    private func documents(_ group: String, _ name: String = "db", former: String? = nil) -> String {
        let pool = document("Pool", "fast", "lvm: {volumeGroup: \(group), thinPool: pool}, overprovision: 4")
        let renamed = former.map { ", annotations: {tuff.dev/renamed-from: \($0)}" } ?? ""
        return pool + document("Volume", "\(name)\(renamed)", "size: 64Mi, pool: fast")
            + document("Attachment", "web", "volume: \(name), iscsi: {initiator: \"\(Self.web1)\"}")
    }

    private func pruning(_ desired: DesiredState, _ reconciler: Reconciler) async throws -> ApplyReport {
        var context = context()
        context.consent.prune = true
        context.config = reconciler.config
        let observed = try await reconciler.observe(desired, context: context)
        let plan = Planner.plan(desired: desired, observed: observed, context: context)
        return try await reconciler.apply(plan, desired: desired, observed: observed)
    }

    @Test func aDiskIsTheSameThroughRenameOtherBaseTrashAndAnEmptiedTarget() async throws {
        try await withGroup("life", on: [Lab.disks[1]]) {
            #expect(try await apply(try desired(documents("life"))).outcome == .converged)
            let iqn = "\(config.iqnBase):db"
            let born = try await identity(iqn)
            #expect(born.contains("Unit Serial Number") && born.contains("Designator"))

            let renamed = try desired(documents("life", "data", former: "db"))
            let report = try await apply(renamed)
            #expect(report.outcome == .converged, "\(report.changes)")
            #expect(report.plan.changes.allSatisfy { $0.risk != .interruptsIO })
            #expect(try await identity(iqn) == born)

            var other = reconciler
            other.config.iqnBase = "iqn.2030-01.example.other"
            #expect(try await pruning(renamed, other).outcome == .converged)
            #expect(try await identity(iqn) == born)

            let pool = try desired(
                document("Pool", "fast", "lvm: {volumeGroup: life, thinPool: pool}, overprovision: 4"))
            let removed = try await pruning(pool, other)
            #expect(removed.outcome == .converged, "\(removed.changes)")
            #expect(entries("\(Self.root)/iscsi").filter { $0.contains("tuff") }.isEmpty)
            let back = try await pruning(renamed, other)
            #expect(back.outcome == .converged, "\(back.changes)")
            #expect(try await identity(iqn) == born)

            try removeTargets()
            try await machine.perform([.run(Lab.lvm(["vgchange", "-qq", "-an", "life"]))])
            #expect(try await pruning(renamed, other).outcome == .converged)
            #expect(try await identity(iqn) == born)
            #expect(try await pruning(renamed, other).plan.isEmpty)
        }
    }

    /// Between the plan and its carrying out somebody puts another volume under the name, or opens the volume.
    @Test func whatChangedSinceThePlanIsNotTakenAway() async throws {
        try await withGroup("race", on: [Lab.disks[1]]) {
            let pool = document("Pool", "fast", "lvm: {volumeGroup: race, thinPool: pool}, overprovision: 4")
            var text = pool
            for name in ["a", "b"] { text += document("Volume", name, "size: 64Mi, pool: fast") }
            #expect(try await apply(try desired(text)).outcome == .converged)
            try await machine.perform([
                .run(Lab.lvm(["lvcreate", "-qq", "-V", "64m", "--thinpool", "race/pool", "-n", "theirs"]))
            ])
            let none = try desired(pool)
            var context = context()
            context.consent.prune = true
            context.consent.allowRemovals = 2
            let observed = try await reconciler.observe(none, context: context)
            let plan = Planner.plan(desired: none, observed: observed, context: context)
            #expect(plan.counts.remove == 2 && plan.refusal == nil)
            try await machine.perform([
                .run(Lab.lvm(["lvrename", "-qq", "race", "v-a", "elsewhere"])),
                .run(Lab.lvm(["lvrename", "-qq", "race", "theirs", "v-a"])),
                .run(Lab.lvm(["lvchange", "-qq", "-ay", "race/v-b"])),
                .run(
                    Command(
                        "dmsetup", ["create", "race-user", "--table", "0 8 linear /dev/race/v-b 0"], effect: .mutates)),
            ])
            let report = try await reconciler.apply(plan, desired: none, observed: observed)
            #expect(report.outcome != .converged)
            let listed = try await machine.read(
                Command("lvm", ["lvs", "--noheadings", "-o", "lv_name", "race"], effect: .reads))
            let names = Set(String(decoding: listed.standardOutput, as: UTF8.self).split { " \n".contains($0) })
            #expect(names == ["elsewhere", "pool", "v-a", "v-b"], "\(names)")
            try await machine.perform([.run(Command("dmsetup", ["remove", "race-user"], effect: .mutates))])
            // Now both may go: found by uid, whatever they are called; the stranger under the name stays.
            context.seed += "2"
            let later = try await reconciler.observe(none, context: context)
            let again = Planner.plan(desired: none, observed: later, context: context)
            let done = try await reconciler.apply(again, desired: none, observed: later)
            #expect(done.outcome == .converged, "\(done.changes)")
            let left = try await machine.read(
                Command("lvm", ["lvs", "--noheadings", "-o", "lv_name,lv_tags", "race"], effect: .reads))
            let lines = String(decoding: left.standardOutput, as: UTF8.self).split(separator: "\n")
            #expect(lines.filter { $0.contains("tuff:until=") && $0.contains(" t-") }.count == 2, "\(lines)")
            #expect(lines.contains { $0.contains(" v-a") && !$0.contains("tuff:") })
        }
    }
}
