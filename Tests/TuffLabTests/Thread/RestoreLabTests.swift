import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Rolling a volume back whose bytes an initiator wrote and reads again.
extension ThreadLabTests {
    private func lvm(_ arguments: String...) async throws {
        try await machine.perform([.run(Lab.lvm(arguments))])
    }

    private func look(pruning desired: DesiredState) async throws -> (plan: Plan, observed: ObservedState) {
        var context = context()
        context.consent.prune = true
        let observed = try await reconciler.observe(desired, context: context)
        return (Planner.plan(desired: desired, observed: observed, context: context), observed)
    }

    private func applyPruning(_ desired: DesiredState) async throws -> ApplyReport {
        let (plan, observed) = try await look(pruning: desired)
        #expect(plan.refusal == nil, "\(String(describing: plan.refusal))")
        return try await reconciler.apply(plan, desired: desired, observed: observed)
    }

    @Test func aVolumeIsRolledBackOnceAfterItIsDetachedAndAnInterruptionIsMadeGood() async throws {
        try await withGroup("undo", on: [Lab.disks[1]]) {
            let base = document("Pool", "fast", "lvm: {volumeGroup: undo, thinPool: pool}, overprovision: 4")
            let db = document("Volume", "db", "size: 32Mi, pool: fast")
            let attached = document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
            let made = try await apply(try desired(base + db + attached))
            #expect(made.outcome == .converged, "\(made.changes)")
            let uid = try #require(made.plan.changes.first { $0.resource.kind == .volume }?.uid)
            let device = "/dev/undo/v-db"
            try fill(device, 0x41, count: 16 * Self.mebi)
            let good = document("Snapshot", "good", "volume: db")
            #expect(try await apply(try desired(base + good + db + attached)).outcome == .converged)
            try fill(device, 0x42, from: 8 * Self.mebi, count: 16 * Self.mebi)
            let grown = document("Volume", "db", "size: 40Mi, pool: fast")
            let restore = document(
                "Restore", "undo-it", "volume: db, volumeUID: \(uid), from: {snapshot: good}")
            #expect(try await apply(try desired(base + good + grown + attached)).outcome == .converged)
            try fill(device, 0x43, from: 32 * Self.mebi, count: 8 * Self.mebi)

            // Attached: it waits.
            let waiting = try await applyPruning(try desired(base + good + grown + attached + restore))
            #expect(waiting.changes.first { $0.resource.kind == .restore }?.verdict == .blocked, "\(waiting.changes)")
            #expect(waiting.plan.changes.first { $0.resource.kind == .restore }?.reason == .attached)
            #expect(try bytes(device, from: 8 * Self.mebi, count: 16 * Self.mebi) == [0x42])

            // Detached, and interrupted in the middle: marked, and a part of it written.
            let set = try desired(base + good + grown + restore)
            let plan = try await look(pruning: set).plan
            #expect(plan.changes.first { $0.resource.kind == .restore }?.notes.count == 2, "\(plan.changes)")
            let steps = plan.storageSteps
            try await machine.perform(
                reconciler.exports.lower(
                    plan.steps.compactMap { if case .export(let step) = $0.step { step } else { nil } }
                ).flatMap(\.actions))
            // Somebody has it open by now, so that not one byte may be written.
            for step in steps.prefix(3) {
                try await machine.perform(reconciler.volumeGroups.lower([step]).flatMap(\.actions))
            }
            let holder = open(device, O_RDONLY | O_EXCL)
            try #require(holder >= 0)
            await #expect(throws: HostError.self) {
                try await machine.perform(reconciler.volumeGroups.lower([steps[3]]).flatMap(\.actions))
            }
            close(holder)
            try fill(device, 0x41, from: 8 * Self.mebi, count: 4 * Self.mebi)

            // Without its document nobody gets what is half and half.
            let orphaned = try await applyPruning(try desired(base + good + grown + attached))
            let stalled = orphaned.plan.changes.first { $0.resource.kind == .volume }
            #expect(stalled?.reason == .unfinished && stalled?.summary.contains("before-undo-it") == true)
            #expect(entries(target("db")).isEmpty)

            // With it, it is finished, and the attachment that is declared again comes after it.
            let finished = try await applyPruning(try desired(base + good + grown + attached + restore))
            #expect(finished.outcome == .converged, "\(finished.changes)")
            #expect(try bytes(device, count: 16 * Self.mebi) == [0x41])
            #expect(try bytes(device, from: 16 * Self.mebi, count: 24 * Self.mebi) == [0])
            let url = "iscsi://127.0.0.1:3262/\(config.iqnBase):db/0"
            let inquiry = try await machine.read(
                Command("iscsi-inq", ["-i", Self.web1, "-e", "1", "-c", "128", url], effect: .reads))
            #expect(String(decoding: inquiry.standardOutput, as: UTF8.self).contains(uid.serial))

            // Once is once, whatever is written since.
            try fill(device, 0x44, count: 8 * Self.mebi)
            let again = try await look(pruning: try desired(base + good + grown + attached + restore))
            #expect(again.plan.isEmpty, "\(again.plan.steps)")
            #expect(again.plan.changes.first { $0.resource.kind == .restore }?.reason == .executed)

            // What was written over is in the trash, byte by byte.
            let index = StorageIndex(again.observed)
            let kept = try #require(index.trashed(.snapshot("before-undo-it"), "default").first)
            #expect(!kept.active && kept.marks.origin == uid)
            try await lvm("lvchange", "-qq", "-ay", "-K", kept.location.description)
            #expect(try bytes(kept.location.path, count: 8 * Self.mebi) == [0x41])
            #expect(try bytes(kept.location.path, from: 8 * Self.mebi, count: 16 * Self.mebi) == [0x42])
            #expect(try bytes(kept.location.path, from: 32 * Self.mebi, count: 8 * Self.mebi) == [0x43])
            try await lvm("lvchange", "-qq", "-an", kept.location.description)
        }
    }
}
