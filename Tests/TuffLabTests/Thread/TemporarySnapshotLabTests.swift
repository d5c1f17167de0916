import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffSystem

/// Copies of a volume that is exported and written to, from a snapshot that is there for that long.
extension ThreadLabTests {
    @Test func aVolumeInUseIsCopiedAsItWasAtOneMoment() async throws {
        try await withGroup("tmp", on: [Lab.disks[1]]) {
            let base = temporaryBase("50%")
            #expect(try await apply(try desired(base)).outcome == .converged)
            try fill("/dev/tmp/v-db", 0x41, count: 16 * Self.mebi)
            let copy = document("Volume", "copy", "size: 36Mi, pool: slow, source: {volume: db}")
            let set = try desired(base + copy)
            let before = try await plan(set)
            #expect(before.steps.contains { if case .lvm(.snapshotThick) = $0.step { true } else { false } })

            let writer = SweepingWriter("/dev/tmp/v-db")
            async let rounds = writer.started()
            let done: ApplyReport
            do { done = try await apply(set) } catch {
                writer.stop()
                throw error
            }
            writer.stop()
            #expect(await rounds > 1, "nothing was written meanwhile")
            #expect(done.outcome == .converged, "\(done.changes)")
            #expect(try await plan(set).isEmpty)
            #expect(try await temporaries() == [])

            try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "tmp/v-copy"]))])
            #expect(try SweepingWriter.isOneMoment("/dev/tmp/v-copy"))
            let rest = try bytes("/dev/tmp/v-copy", from: Self.mebi, count: 15 * Self.mebi)
            #expect(rest == [0x41])
            #expect(try bytes("/dev/tmp/v-copy", from: 32 * Self.mebi, count: 4 * Self.mebi) == [0])
        }
    }

    @Test func aCopyIsNotCompletedFromATemporarySnapshotThatOverflowed() async throws {
        try await withGroup("tmp", on: [Lab.disks[1]]) {
            let base = temporaryBase("10%")
            #expect(try await apply(try desired(base)).outcome == .converged)
            try fill("/dev/tmp/v-db", 0x41, count: 16 * Self.mebi)
            let copy = document("Volume", "copy", "size: 32Mi, pool: slow, source: {volume: db}")
            let set = try desired(base + copy)

            // Somebody pulls the plug right before the first byte is copied, and more is written than there is room
            // for.
            let begun = try await plan(set)
            for (planned, lowered) in zip(begun.steps, reconciler.lowered(begun)) {
                if case .volume(.fill) = planned.step { break }
                try await machine.perform(lowered.actions)
            }
            #expect(try await temporaries().count == 1)
            let resumed = try await plan(set)
            #expect(!resumed.steps.contains { if case .lvm(.snapshotThick) = $0.step { true } else { false } })
            try fill("/dev/tmp/v-db", 0x42, count: 8 * Self.mebi)

            // What was planned before finds out while it is carried out, at the latest before the mark comes off.
            let confirmation = try #require(
                zip(resumed.steps, reconciler.lowered(resumed)).first {
                    if case .lvm(.confirmWhole) = $0.0.step { true } else { false }
                })
            await #expect(throws: HostError.self) { try await machine.perform(confirmation.1.actions) }

            let noted = try await apply(set)
            #expect(noted.outcome == .partly)
            #expect(noted.changes.contains { $0.verdict == .blocked && $0.summary.contains("tempSnapshotReserve") })
            #expect(try await temporaries() == [])
            let blocked = try await plan(set)
            #expect(blocked.isEmpty)
            #expect(blocked.changes.first { $0.resource.name == "copy" }?.reason == .overflowed, "\(blocked.changes)")

            let enough = try desired(temporaryBase("100%") + copy)
            let done = try await apply(enough)
            #expect(done.outcome == .converged, "\(done.changes)")
            #expect(try await plan(enough).isEmpty)
            #expect(try await temporaries() == [])
            try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "tmp/v-copy"]))])
            #expect(try bytes("/dev/tmp/v-copy", count: 8 * Self.mebi) == [0x42])
            #expect(try bytes("/dev/tmp/v-copy", from: 8 * Self.mebi, count: 8 * Self.mebi) == [0x41])
        }
    }

    private func temporaryBase(_ reserve: String) -> String {
        document("Pool", "slow", "lvm: {volumeGroup: tmp, tempSnapshotReserve: \(reserve)}")
            + document("Volume", "db", "size: 32Mi, pool: slow")
            + document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
    }

    private func temporaries() async throws -> [String] {
        let output = try await machine.read(
            Command(
                "lvm", ["lvs", "--noheadings", "-o", "lv_name", "-S", "lv_name=~\"^c-\"", "--", "tmp"], effect: .reads))
        return String(decoding: output.standardOutput, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(
            String.init)
    }
}

/// Writes round numbers into the blocks at a device's beginning, one after another and past the page cache. At any one
/// moment some first blocks have a round's number, and all after them that of the round before.
private final class SweepingWriter: Sendable {
    private static let block = 4096, blocks = 64
    private let path: String
    private let stopped = Atomic(false)

    init(_ path: String) { self.path = path }

    func stop() { stopped.store(true, ordering: .relaxed) }

    /// On a thread of its own: the cooperative pool is as wide as the machine has processors.
    /// - Returns: how many rounds were written.
    func started() async -> Int { await OwnedThread.run { self.run() } ?? 0 }

    private func run() -> Int {
        // O_DIRECT, which Glibc's module does not show.
        let file = open(path, O_RDWR | 0o40000)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.block, alignment: Self.block)
        defer { buffer.deallocate() }
        var round: UInt8 = 0
        var rounds = 0
        while !stopped.load(ordering: .relaxed) {
            round &+= 1
            rounds += 1
            for index in buffer.indices { buffer[index] = round }
            for block in 0..<Self.blocks {
                guard pwrite(file, buffer.baseAddress, Self.block, off_t(block * Self.block)) == Self.block else {
                    return rounds
                }
            }
        }
        return rounds
    }

    static func isOneMoment(_ path: String) throws -> Bool {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return false }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: block * blocks)
        guard pread(file, &bytes, bytes.count, 0) == bytes.count else { return false }
        let numbers = (0..<blocks).map { Array(bytes[$0 * block..<($0 + 1) * block]) }
        guard numbers.allSatisfy({ Set($0).count == 1 }) else { return false }
        let firsts = numbers.map { $0[0] }
        let edge = firsts.firstIndex { $0 != firsts[0] } ?? blocks
        // Before the first round there was 0x41.
        return firsts[edge...].allSatisfy { $0 == firsts[0] &- 1 || (firsts[0] == 1 && $0 == 0x41) }
    }
}
