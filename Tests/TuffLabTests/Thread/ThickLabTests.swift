import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Thick volumes on extents that hold the bytes of earlier ones.
extension ThreadLabTests {
    private func lvm(_ arguments: String...) async throws {
        try await machine.perform([.run(Lab.lvm(arguments))])
    }

    /// Every extent that a small volume can get held other bytes before.
    func withUsedExtents(_ name: String, _ body: () async throws -> Void) async throws {
        try await withGroup(name, on: [Lab.disks[1]]) {
            try await lvm("lvcreate", "-qq", "--yes", "-L", "96m", "-n", "old", "-Wn", name)
            try fill("/dev/\(name)/old", 0xaa, count: 96 * Self.mebi)
            try await lvm("lvremove", "-qq", "--yes", "\(name)/old")
            // What happens without care.
            try await lvm("lvcreate", "-qq", "--yes", "-L", "16m", "-n", "careless", "-Wn", "-Zn", name)
            #expect(try bytes("/dev/\(name)/careless", count: 16 * Self.mebi).contains(0xaa))
            try await lvm("lvremove", "-qq", "--yes", "\(name)/careless")
            try await body()
        }
    }

    @Test(arguments: ["zero", "discard"])
    func aThickVolumeShowsNothingOfEarlierOnes(_ wipe: String) async throws {
        try await withUsedExtents("thick") {
            let pool = document("Pool", "slow", "lvm: {volumeGroup: thick, wipe: \(wipe)}")
            let attached = document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
            func set(_ size: String) -> String {
                pool + document("Volume", "db", "size: \(size), pool: slow") + attached
            }
            let made = try await apply(try desired(set("16Mi")))
            #expect(made.outcome == .converged, "\(made.changes)")
            #expect(try bytes("/dev/thick/v-db", count: 16 * Self.mebi) == [0])
            try fill("/dev/thick/v-db", 0x42, count: 16 * Self.mebi)

            // Under a live export.
            let grown = try await apply(try desired(set("40Mi")))
            #expect(grown.outcome == .converged, "\(grown.changes)")
            #expect(try bytes("/dev/thick/v-db", count: 16 * Self.mebi) == [0x42])
            #expect(try bytes("/dev/thick/v-db", from: 16 * Self.mebi, count: 24 * Self.mebi) == [0])
            #expect(try await plan(try desired(set("40Mi"))).isEmpty)
            // Somebody without care, for comparison.
            try await lvm("lvextend", "-qq", "-L", "56m", "thick/v-db")
            #expect(try bytes("/dev/thick/v-db", from: 40 * Self.mebi, count: 16 * Self.mebi).contains(0xaa))
        }
    }

    @Test func whatAnInterruptedWorkLeftIsFinishedAndGivenBack() async throws {
        try await withUsedExtents("cut") {
            let pool = document("Pool", "slow", "lvm: {volumeGroup: cut}")
            let set = try desired(pool + document("Volume", "db", "size: 16Mi, pool: slow"))
            let plan = try await plan(set)
            let steps = plan.storageSteps
            // The machine dies before the first byte is wiped.
            let begun = reconciler.volumeGroups.lower(Array(steps.prefix(2)))
            try await machine.perform(begun.flatMap(\.actions))
            #expect(try bytes("/dev/cut/v-db", count: 16 * Self.mebi).contains(0xaa))
            // And another time in the middle of a growth.
            try await lvm(
                "lvcreate", "-qq", "--yes", "-L", "8m", "-n", "x-aaaabbbbccccdddd", "--addtag", "tuff-growth", "-Wn",
                "cut")

            let finished = try await apply(set)
            #expect(finished.outcome == .converged, "\(finished.changes)")
            let after = try await reconciler.observe(set, context: context())
            let volumes = after.volumeGroups["cut"].value??.logicalVolumes ?? []
            #expect(volumes.map(\.name).sorted() == ["pool", "v-db"])
            #expect(volumes.allSatisfy { !$0.tags.contains { $0.hasPrefix("tuff:op") } })
            try await lvm("lvchange", "-qq", "-ay", "cut/v-db")
            #expect(try bytes("/dev/cut/v-db", count: 16 * Self.mebi) == [0])
            // What is complete is never wiped again, whatever was seen of it before.
            try fill("/dev/cut/v-db", 0x42, count: Self.mebi)
            let stale = reconciler.volumeGroups.lower([steps[2]])
            await #expect(throws: HostError.self) { try await machine.perform(stale.flatMap(\.actions)) }
            #expect(try bytes("/dev/cut/v-db", count: Self.mebi) == [0x42])
        }
    }

    @Test func aCloneInAnotherPoolHoldsItsSourceAndNothingOfEarlierVolumes() async throws {
        try await withUsedExtents("away") {
            let pools =
                document("Pool", "fast", "lvm: {volumeGroup: away, thinPool: pool}, overprovision: 4")
                + document("Pool", "slow", "lvm: {volumeGroup: away}")
            let db = document("Volume", "db", "size: 16Mi, pool: fast")
            let snapshot = document("Snapshot", "before", "volume: db")
            let attached = document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
            let first = try await apply(try desired(pools + db + attached))
            #expect(first.outcome == .converged, "\(first.changes)")
            try fill("/dev/away/v-db", 0x42, count: 8 * Self.mebi)
            #expect(try await apply(try desired(pools + db + attached + snapshot)).outcome == .converged)
            try fill("/dev/away/v-db", 0x43, count: 8 * Self.mebi)

            // From the volume itself, which is in use: refused with what to do instead.
            let direct = document("Volume", "copy", "size: 24Mi, pool: slow, source: {volume: db}")
            let refused = try await plan(try desired(pools + db + attached + snapshot + direct))
            #expect(refused.changes.first { $0.resource.name == "copy" }?.reason == .inUse)

            // From its snapshot, in a plan that dies in the middle of the copy.
            let copy = document("Volume", "copy", "size: 24Mi, pool: slow, source: {snapshot: before}")
            let set = try desired(pools + db + attached + snapshot + copy)
            let steps = try await plan(set).storageSteps
            try #require(steps.count == 6)
            for step in steps.prefix(3) {
                try await machine.perform(reconciler.volumeGroups.lower([step]).flatMap(\.actions))
            }
            let finished = try await apply(set)
            #expect(finished.outcome == .converged, "\(finished.changes)")
            #expect(try await plan(set).isEmpty)
            try await lvm("lvchange", "-qq", "-ay", "away/v-copy")
            #expect(try bytes("/dev/away/v-copy", count: 8 * Self.mebi) == [0x42])
            #expect(try bytes("/dev/away/v-copy", from: 8 * Self.mebi, count: 16 * Self.mebi) == [0])
            #expect(try bytes("/dev/away/v-db", count: 8 * Self.mebi) == [0x43])
        }
    }
}
