import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Pools made of real devices by real LVM; what a device holds is never lost.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct PoolLabTests {
    let thread = ThreadLabTests()
    var machine: LinuxMachine { thread.machine }

    private static let mebi = 1 << 20
    private let devices = [Lab.disks[2], Lab.disks[3]]

    private func lvm(_ arguments: String...) async throws { try await machine.perform([.run(Lab.lvm(arguments))]) }

    private func document(_ devices: [String], _ more: String = "", create: String = "") -> String {
        thread.document(
            "Pool", "new",
            "lvm: {volumeGroup: made, thinPool: tp, create: {devices: [\(devices.joined(separator: ", "))]\(create)}}, "
                + "overprovision: 4\(more)")
    }

    private func look(_ text: String, consent: Bool = true) async throws -> (Plan, DesiredState, ObservedState) {
        var context = thread.context()
        context.consent.allowPoolCreate = consent
        let desired = try thread.desired(text)
        let observed = try await thread.reconciler.observe(desired, context: context)
        return (Planner.plan(desired: desired, observed: observed, context: context), desired, observed)
    }

    private func apply(_ text: String, consent: Bool = true) async throws -> ApplyReport {
        let (plan, desired, observed) = try await look(text, consent: consent)
        return try await thread.reconciler.apply(plan, desired: desired, observed: observed)
    }

    private func pool(_ plan: Plan) throws -> PlannedChange {
        try #require(plan.changes.first { $0.resource.kind == .pool })
    }

    /// Zeros where anything looks, whoever held the disk before. The disks have 4 GiB.
    private func blank(_ disk: String) throws {
        try write([UInt8](repeating: 0, count: 20 * Self.mebi), to: disk, at: 0)
        for power in 25..<32 { try write([UInt8](repeating: 0, count: 64 << 10), to: disk, at: 1 << power) }
        try write([UInt8](repeating: 0, count: Self.mebi), to: disk, at: 4095 * Self.mebi)
    }

    private func write(_ bytes: [UInt8], to disk: String, at offset: Int) throws {
        let file = open(disk, O_WRONLY)
        try #require(file >= 0, "\(disk)")
        defer { close(file) }
        #expect(pwrite(file, bytes, bytes.count, offset) == bytes.count)
        #expect(fsync(file) == 0)
    }

    private func report(_ columns: String, of object: String) async throws -> [String] {
        let output = try await machine.read(
            Command(
                "lvm",
                [
                    object.contains("/") ? "lvs" : "vgs", "--noheadings", "--units", "b", "--nosuffix", "--separator",
                    ";", "-o", columns, object,
                ], effect: .reads))
        return String(decoding: output.standardOutput, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined()
            .split(separator: ";", omittingEmptySubsequences: false).map(String.init)
    }

    private func dispose() async throws {
        try? await lvm("vgremove", "-qq", "--yes", "--force", "made")
        for disk in devices {
            try? await lvm("pvremove", "-qq", "--yes", disk)
            try blank(disk)
        }
    }

    @Test func aPoolItsVolumeAndItsExportComeFromBlankDevicesInOneApply() async throws {
        for disk in devices { try blank(disk) }
        var text = document(devices, create: ", chunkSize: 128Ki")
        text += thread.document("Volume", "db", "size: 64Mi, pool: new")
        text += thread.document(
            "Attachment", "db-web", "volume: db, iscsi: {initiator: \"\(ThreadLabTests.web1)\"}")
        let (refused, _, _) = try await look(text, consent: false)
        #expect(refused.isEmpty)
        #expect(try pool(refused).reason == .consentNeeded)

        let report = try await apply(text)
        #expect(report.outcome == .converged && report.remaining.isEmpty, "\(report.changes)")
        #expect(
            try await self.report("chunk_size,lv_when_full,zero,lv_metadata_size,lv_layout", of: "made/tp")
                == ["131072", "error", "zero", "16777216", "thin,pool"])
        let group = try await self.report("vg_tags,vg_mda_size,pv_count", of: "made")
        #expect(group[0] == "tuff:pool=new,tuff:stack=default")
        #expect(Int(group[1]) ?? 0 >= 16 * Self.mebi)
        let spare = try await machine.read(
            Command("lvm", ["lvs", "-a", "--noheadings", "-o", "lv_name", "made"], effect: .reads))
        #expect(String(decoding: spare.standardOutput, as: UTF8.self).contains("pmspare"))
        #expect(try await look(text, consent: false).0.isEmpty)
        try thread.removeTargets()
        try await dispose()
    }

    /// A disk with something on it is named, refused, and stays as it is to the last byte.
    @Test func whatHoldsSomethingIsRefused() async throws {
        let disk = devices[0]
        func expectRefusal(_ word: String, _ reason: Reason = .deviceNotBlank) async throws {
            let (plan, _, _) = try await look(document([disk]))
            let change = try pool(plan)
            #expect(plan.isEmpty && change.reason == reason && change.summary.contains(word), "\(change.summary)")
        }
        try blank(disk)
        try await machine.perform([.run(Command("mkfs.ext4", ["-q", "-F", disk], effect: .mutates))])
        try await expectRefusal("ext4")
        try await machine.perform([.run(Command("mount", [disk, "/mnt"], effect: .mutates))])
        try await expectRefusal("in use")
        try await machine.perform([.run(Command("umount", ["/mnt"], effect: .mutates))])
        // Whoever erases the first bytes leaves the copies of the superblock; libblkid sees none of them.
        try write([UInt8](repeating: 0, count: 4 * Self.mebi), to: disk, at: 0)
        try await expectRefusal("data at byte")

        try blank(disk)
        try write([0x55, 0xaa], to: disk, at: 510)
        try write([0x80, 0, 2, 0, 0x83, 0, 0x20, 0, 0, 8, 0, 0, 0, 0, 1, 0], to: disk, at: 446)
        try await expectRefusal("dos")
        try blank(disk)
        try await machine.perform([.run(Command("mkswap", [disk], effect: .mutates))])
        try await expectRefusal("swap")
        try blank(disk)
        try await lvm("pvcreate", "-qq", disk)
        try await expectRefusal("LVM2_member")
        try await lvm("pvremove", "-qq", disk)
        try blank(disk)
        let (gone, _, _) = try await look(document(["/dev/disk/by-id/nothing"]))
        #expect(try pool(gone).reason == .deviceMissing)
        let (plain, _, _) = try await look(document(["/dev/null"]))
        #expect(try pool(plain).reason == .unknown)
    }

    /// Somebody makes a file system between the plan and its carrying out; right before it is asked again, and where
    /// even that is skipped LVM itself says no.
    @Test func whatIsWrittenAfterThePlanIsNotLost() async throws {
        let disk = devices[0]
        try blank(disk)
        let (plan, desired, observed) = try await look(document([disk]))
        #expect(!plan.isEmpty)
        try await machine.perform([.run(Command("mkfs.ext4", ["-q", "-F", disk], effect: .mutates))])
        let report = try await thread.reconciler.apply(plan, desired: desired, observed: observed)
        #expect(report.changes.first { $0.resource.kind == .pool }?.error?.code == .preconditionFailed)
        let actions = thread.reconciler.lowered(plan).flatMap(\.actions)
        let bare = try #require(actions.first { $0.command?.arguments.first == "pvcreate" })
        await #expect(throws: HostError.self) { try await machine.perform([bare]) }
        #expect(try await machine.look(at: disk).signatures.map(\.type) == ["ext4"])
        try blank(disk)
    }

    /// LVM's own monitoring makes the pool grow; Tuff sets it up, tells when it is off, and sets it right.
    @Test func aPoolGrowsByItself() async throws {
        for disk in devices { try blank(disk) }
        let small = document(devices, ", autoExtend: {threshold: 70%, by: 20%}", create: ", thinPoolSize: 2%")
        let text = small + thread.document("Volume", "db", "size: 256Mi, pool: new")
        #expect(try await apply(text).outcome == .converged)
        #expect(
            try await report("lv_profile,seg_monitor", of: "made/tp") == ["tuff-autoextend-70-20", "monitored"])
        let size = Int64(try await report("lv_size", of: "made/tp")[0]) ?? 0
        #expect(try await look(text).0.isEmpty)

        try await lvm("lvchange", "-qq", "-ay", "made/v-db")
        try write((0..<Int(size / 4 * 3)).map { UInt8(truncatingIfNeeded: $0 &* 31 | 1) }, to: "/dev/made/v-db", at: 0)
        var grown = size
        for _ in 0..<30 where grown == size {
            try await Task.sleep(for: .seconds(1))
            grown = Int64(try await report("lv_size", of: "made/tp")[0]) ?? 0
        }
        #expect(grown > size, "dmeventd did not extend it")

        for breakage in [
            ["lvchange", "-qq", "--monitor", "n", "made/tp"], ["lvchange", "-qq", "--detachprofile", "made/tp"],
        ] {
            try await machine.perform([.run(Lab.lvm(breakage))])
            let (plan, _, _) = try await look(text)
            #expect(try pool(plan).action == .update)
            let mended = try await apply(text)
            #expect(mended.outcome == .converged && mended.remaining.isEmpty, "\(breakage): \(mended.changes)")
        }
        try "activation {\n}\n".write(
            toFile: "/etc/lvm/profile/tuff-autoextend-70-20.profile", atomically: false, encoding: .utf8)
        #expect(try pool(try await look(text).0).action == .update)
        #expect(try await apply(text).outcome == .converged)
        let without = text.replacing(", autoExtend: {threshold: 70%, by: 20%}", with: "")
        #expect(try await apply(without).outcome == .converged)
        #expect(try await report("lv_profile", of: "made/tp")[0].isEmpty)
        try await dispose()
    }

    /// A chunk that somebody used and gave back is handed out as it is. What that pool's first volume would be filled
    /// with is refused until the command that the refusal names was given.
    @Test func aPoolThatDoesNotZeroTakesNothingNew() async throws {
        for disk in devices { try blank(disk) }
        try await lvm("vgcreate", "-qq", "--yes", "made", devices[0])
        try await lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-Zn", "-L", "512m", "-n", "tp", "made")
        let text =
            thread.document("Pool", "new", "lvm: {volumeGroup: made, thinPool: tp}, overprovision: 4")
            + thread.document("Volume", "db", "size: 64Mi, pool: new")
        let (plan, _, _) = try await look(text)
        #expect(plan.isEmpty && plan.changes.contains { $0.resource.kind == .volume && $0.reason == .notZeroed })
        #expect(try pool(plan).notes.contains { $0.contains("lvchange --zero y made/tp") })
        try await lvm("lvchange", "-qq", "--zero", "y", "made/tp")
        let report = try await apply(text)
        #expect(report.outcome == .converged && report.remaining.isEmpty, "\(report.changes)")
        try await dispose()
    }

    /// Power fails after each step; the next pass takes up what is there.
    @Test func anInterruptedCreationIsFinished() async throws {
        for disk in devices { try blank(disk) }
        let text = document(devices)
        let (plan, _, _) = try await look(text)
        let count = thread.reconciler.lowered(plan).count
        try #require(count == 5)
        for done in 1..<count {
            let (plan, _, _) = try await look(text)
            for (_, actions) in thread.reconciler.lowered(plan).prefix(done) { try await machine.perform(actions) }
            let report = try await apply(text)
            #expect(report.outcome == .converged && report.remaining.isEmpty, "after \(done) steps: \(report.changes)")
            #expect(try await self.report("vg_tags", of: "made") == ["tuff:pool=new,tuff:stack=default"])
            try await dispose()
        }
    }
}
