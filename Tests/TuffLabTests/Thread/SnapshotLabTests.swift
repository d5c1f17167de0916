import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Snapshots and clones with real data.
extension ThreadLabTests {
    private static let block = 65536

    /// Writes a block of one byte at the beginning of an active volume, past the page cache.
    private func fill(_ path: String, _ byte: UInt8) throws {
        let descriptor = open(path, O_WRONLY | O_SYNC)
        try #require(descriptor >= 0, "\(path)")
        defer { close(descriptor) }
        let bytes = [UInt8](repeating: byte, count: Self.block)
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    }

    private func first(_ path: String) throws -> UInt8 {
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0, "\(path)")
        defer { close(descriptor) }
        _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        var byte: UInt8 = 0
        try #require(Glibc.read(descriptor, &byte, 1) == 1)
        return byte
    }

    private func activate(_ name: String, _ verb: String = "y") async throws {
        try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "--activate", verb, "-K", name]))])
    }

    /// The machine died between LVM's commit and its message to the thin pool, as a killed guest once did.
    @Test func aVolumeThatThePoolWasNeverToldOfIsAttachedAllTheSame() async throws {
        try await withGroup("owed", on: [Lab.disks[1]]) {
            let pool = document("Pool", "fast", "lvm: {volumeGroup: owed, thinPool: pool}, overprovision: 4")
            let db = document("Volume", "db", "size: 64Mi, pool: fast")
            let attached = document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
            #expect(try await apply(try desired(pool + db)).outcome == .converged)
            func dmsetup(_ message: String) -> HostAction {
                .run(Command("dmsetup", ["message", "owed-pool-tpool", "0", message], effect: .mutates))
            }
            // The kernel's half is undone, and LVM's message is put back.
            let backup = "/run/owed.vg"
            try await machine.perform([
                .run(Lab.lvm(["lvchange", "-qq", "-ay", "owed/pool"])), dmsetup("delete 1"),
                dmsetup("set_transaction_id 1 0"),
                .run(Lab.lvm(["vgchange", "-qq", "-an", "owed"])),
                .run(Lab.lvm(["vgcfgbackup", "-qq", "-f", backup, "owed"])),
            ])
            let text = try String(contentsOfFile: backup, encoding: .utf8)
            let owing = text.replacing(
                "zero_new_blocks = 1", with: "zero_new_blocks = 1\nmessage1 {\ncreate = \"v-db\"\n}")
            try #require(owing != text)
            try owing.write(toFile: backup, atomically: true, encoding: .utf8)
            try await machine.perform([
                .run(Lab.lvm(["vgcfgrestore", "-qq", "--yes", "--force", "-f", backup, "owed"]))
            ])
            await #expect(throws: HostError.self) {
                try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "owed/v-db"]))])
            }

            let report = try await apply(try desired(pool + db + attached))
            #expect(report.outcome == .converged, "\(report.changes)")
            try fill("/dev/owed/v-db", 1)
            #expect(try first("/dev/owed/v-db") == 1)
            let listed = try await machine.read(
                Command("lvm", ["lvs", "--noheadings", "-o", "lv_name", "owed"], effect: .reads))
            let names = Set(String(decoding: listed.standardOutput, as: UTF8.self).split { " \n".contains($0) })
            #expect(names == ["pool", "v-db"], "\(names)")
        }
    }

    @Test func aSnapshotHoldsItsMomentAndAClonePartsWithIt() async throws {
        try await withGroup("snap", on: [Lab.disks[1]]) {
            let pool = document("Pool", "fast", "lvm: {volumeGroup: snap, thinPool: pool}, overprovision: 4")
            let db = document("Volume", "db", "size: 64Mi, pool: fast")
            let attached = document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
            #expect(try await apply(try desired(pool + db + attached)).outcome == .converged)
            try fill("/dev/snap/v-db", 1)

            // Taken while the volume is active and exported.
            let before = document("Snapshot", "before", "volume: db")
            #expect(try await apply(try desired(pool + db + attached + before)).outcome == .converged)
            try fill("/dev/snap/v-db", 2)

            // A clone that is larger than its source, made and attached in one plan.
            let clone =
                document("Volume", "copy", "size: 128Mi, pool: fast, source: {snapshot: before}")
                + document("Attachment", "copy-on-web", "volume: copy, iscsi: {initiator: \"\(Self.web1)\"}")
            let all = pool + db + attached + before + clone
            let report = try await apply(try desired(all))
            #expect(report.outcome == .converged, "\(report.changes)")
            #expect(try first("/dev/snap/v-copy") == 1)
            #expect(try first("/dev/snap/v-db") == 2)
            try fill("/dev/snap/v-copy", 3)
            #expect(try await plan(try desired(all)).isEmpty)

            try await activate("snap/s-before")
            #expect(try first("/dev/snap/s-before") == 1)
            try await activate("snap/s-before", "n")

            // Without its snapshot and without its origin the clone stays what it is.
            var context = context()
            context.consent.prune = true
            context.consent.allowRemovals = 3
            let rest = try desired(pool + clone.replacing(", source: {snapshot: before}", with: ""))
            let observed = try await reconciler.observe(rest, context: context)
            let removal = Planner.plan(desired: rest, observed: observed, context: context)
            #expect(removal.refusal == nil, "\(String(describing: removal.refusal))")
            let removed = try await reconciler.apply(removal, desired: rest, observed: observed)
            #expect(removed.outcome == .converged, "\(removed.changes)")
            #expect(try first("/dev/snap/v-copy") == 3)

            // Brought back, snapshot and volume are what they were.
            let back = try await apply(try desired(all))
            #expect(back.outcome == .converged, "\(back.changes)")
            #expect(try first("/dev/snap/v-db") == 2)
            try await activate("snap/s-before")
            #expect(try first("/dev/snap/s-before") == 1)
            try await activate("snap/s-before", "n")
        }
    }
}
