import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Snapshots with room of their own, until there is none.
extension ThreadLabTests {
    @Test func aThickSnapshotHoldsItsMomentUntilItsRoomIsFull() async throws {
        try await withGroup("cow", on: [Lab.disks[1]]) {
            let base =
                document("Pool", "slow", "lvm: {volumeGroup: cow}")
                + document("Volume", "db", "size: 32Mi, pool: slow")
                + document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
            #expect(try await apply(try desired(base)).outcome == .converged)
            let device = "/dev/cow/v-db"
            try fill(device, 0x41, count: 16 * Self.mebi)
            let refused = try await plan(try desired(base + document("Snapshot", "good", "volume: db")))
            #expect(refused.changes.first { $0.resource.kind == .snapshot }?.reason == .reserveMissing)

            // Taken under a live export, and another one with hardly any room.
            let good = document("Snapshot", "good", "volume: db, reserve: 24Mi")
            let tight = document("Snapshot", "tight", "volume: db, reserve: 4Mi")
            let taken = try await apply(try desired(base + good + tight))
            #expect(taken.outcome == .converged, "\(taken.changes)")
            #expect(try await plan(try desired(base + good + tight)).isEmpty)
            try fill(device, 0x42, count: 8 * Self.mebi)

            let over = try await plan(try desired(base + good + tight))
            let lost = over.changes.first { $0.resource == ResourceID(.snapshot, "tight") }
            #expect(lost?.reason == .overflowed, "\(over.changes)")
            #expect(over.changes.first { $0.resource == ResourceID(.snapshot, "good") }?.action == .unchanged)
            #expect(over.isEmpty)
            let fromLost = document("Volume", "copy", "size: 32Mi, pool: slow, source: {snapshot: tight}")
            #expect(try await plan(try desired(base + good + tight + fromLost)).isEmpty)

            // The other one is what it was, and a source while its volume is in use.
            let copy = document("Volume", "copy", "size: 32Mi, pool: slow, source: {snapshot: good}")
            let copied = try await apply(try desired(base + good + copy))
            #expect(copied.outcome == .converged, "\(copied.changes)")
            try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "cow/v-copy"]))])
            #expect(try bytes("/dev/cow/v-copy", count: 16 * Self.mebi) == [0x41])
            #expect(try bytes("/dev/cow/v-copy", from: 16 * Self.mebi, count: 16 * Self.mebi) == [0])

            // Gone from the documents, it goes to the trash under the live export.
            var context = context()
            context.consent.prune = true
            let rest = try desired(base + copy.replacing(", source: {snapshot: good}", with: "") + good)
            let observed = try await reconciler.observe(rest, context: context)
            let removal = Planner.plan(desired: rest, observed: observed, context: context)
            let removed = try await reconciler.apply(removal, desired: rest, observed: observed)
            #expect(removed.outcome == .converged, "\(removed.changes)")
            #expect(try bytes(device, count: 8 * Self.mebi) == [0x42])

            // Rolled back in place: only what the snapshot keeps is written, so that it does not overflow.
            let uid = try #require(
                StorageIndex(observed).live(.volume("db"), "default").first?.uid)
            let detached = base.replacing(
                document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}"), with: "")
            let restore = document("Restore", "undo", "volume: db, volumeUID: \(uid), from: {snapshot: good}")
            let set = try desired(detached + good + restore)
            context.consent.allowDestroy = true
            let seen = try await reconciler.observe(set, context: context)
            let back = Planner.plan(desired: set, observed: seen, context: context)
            #expect(back.changes.first { $0.resource.kind == .restore }?.risk == .destroysData, "\(back.changes)")
            let done = try await reconciler.apply(back, desired: set, observed: seen)
            #expect(done.outcome == .converged, "\(done.changes)")
            try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "cow/v-db"]))])
            #expect(try bytes(device, count: 16 * Self.mebi) == [0x41])
            #expect(try bytes("/dev/cow/s-good", count: 16 * Self.mebi) == [0x41])
        }
    }
}
