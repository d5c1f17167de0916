import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Snapshots, clones and rollbacks of files: on XFS, which shares blocks, and on tmpfs, which does not.
extension ThreadLabTests {
    private static let xfs = "/run/xfs", plain = "/run/plainpool"

    private func run(_ tool: String, _ arguments: String...) async throws {
        try await machine.perform([.run(Command(tool, arguments, effect: .mutates))])
    }

    /// A group with a thin pool, an XFS file system on another disk, and a directory on tmpfs.
    private func withDirectories(_ body: () async throws -> Void) async throws {
        let disk = Lab.disks[2]
        try await run("mkfs.xfs", "-q", "-f", disk)
        for path in [Self.xfs, Self.plain] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try await run("mount", "-t", "xfs", disk, Self.xfs)
        chmod(Self.xfs, 0o755)
        do { try await withGroup("files", on: [Lab.disks[1]], body) } catch { Issue.record(error) }
        try await run("umount", Self.xfs)
        try await run("wipefs", "-q", "-a", disk)
        try? FileManager.default.removeItem(atPath: Self.plain)
    }

    private var pools: String {
        document("Pool", "fast", "lvm: {volumeGroup: files, thinPool: pool}, overprovision: 4")
            + document("Pool", "xfs", "directory: {path: \(Self.xfs)}")
            + document("Pool", "plain", "directory: {path: \(Self.plain)}, overprovision: 4")
    }

    private func volume(_ name: String, _ pool: String, _ size: String = "32Mi", from source: String? = nil) -> String {
        document("Volume", name, "size: \(size), pool: \(pool)" + (source.map { ", source: {\($0)}" } ?? ""))
    }

    private func attachment(_ name: String) -> String {
        document("Attachment", "\(name)-web", "volume: \(name), iscsi: {initiator: \"\(Self.web1)\"}")
    }

    private func steps(_ plan: Plan) -> [VolumeStep] {
        plan.steps.compactMap { if case .volume(let step) = $0.step { step } else { nil } }
    }

    private func line(_ plan: Plan, _ kind: Kind, _ name: String) -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    /// Not made durable: what an initiator wrote a moment ago is in memory only.
    private func scribble(_ path: String, _ byte: UInt8, count: Int) throws {
        let descriptor = open(path, O_WRONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let chunk = [UInt8](repeating: byte, count: count)
        try #require(pwrite(descriptor, chunk, count, 0) == count)
    }

    /// An initiator that is logged in to `name` for a few seconds, while `body` runs.
    private func whileLoggedIn(to name: String, _ body: () async throws -> Void) async throws {
        let url = "iscsi://127.0.0.1:3262/\(config.iqnBase):\(name)/0"
        let session = Task {
            _ = try? await machine.read(
                Command("iscsi-perf", ["-i", Self.web1, url], effect: .reads, deadline: 12))
        }
        let acl = "\(target(name))/acls/\(Self.web1)/info"
        func waitForSession(_ wanted: Bool) async throws {
            for _ in 0..<200 {
                let text = try? String(contentsOfFile: acl, encoding: .utf8)
                if (text?.contains("LOGGED_IN") == true) == wanted { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("the session is \(wanted ? "not there" : "still there")")
        }
        try await waitForSession(true)
        try await body()
        _ = await session.value
        // The kernel takes its time over the end of a connection.
        try await waitForSession(false)
    }

    private func free(_ path: String) -> Int {
        var status = statvfs()
        return statvfs(path, &status) == 0 ? Int(status.f_bavail * status.f_frsize) : 0
    }

    @Test func filesThatShareBlocksAreCopiedInAMomentWhoeverHasThem() async throws {
        try await withDirectories {
            let file = "\(Self.xfs)/v-db", mebi = Self.mebi
            let base = pools + volume("db", "xfs") + attachment("db")
            #expect(try await apply(try desired(base)).outcome == .converged)
            try fill(file, 0x41, count: 24 * mebi)
            let room = free(Self.xfs)
            let good = document("Snapshot", "good", "volume: db")
            try await whileLoggedIn(to: "db") {
                try scribble(file, 0x42, count: 4096)
                let taken = try await apply(try desired(base + good))
                #expect(taken.outcome == .converged, "\(taken.changes)")
            }
            #expect(room - free(Self.xfs) < 2 * mebi, "a snapshot took \(room - free(Self.xfs)) bytes")
            try fill(file, 0x43, count: 8 * mebi)
            let shot = "\(Self.xfs)/s-good"
            #expect(try bytes(shot, count: mebi) == [0x42, 0x41])
            #expect(try bytes(shot, from: mebi, count: 23 * mebi) == [0x41])

            // A larger clone, one in a thin pool, and one on a file system that shares nothing.
            let clones =
                volume("copy", "xfs", "40Mi", from: "snapshot: good") + volume("out", "fast", from: "snapshot: good")
                + volume("over", "plain", "40Mi", from: "snapshot: good")
            let made = try await apply(try desired(base + good + clones))
            #expect(made.outcome == .converged, "\(made.changes)")
            #expect(try await plan(try desired(base + good + clones)).isEmpty)
            try await run("lvm", "lvchange", "-qq", "-ay", "files/v-out")
            for path in ["\(Self.xfs)/v-copy", "/dev/files/v-out", "\(Self.plain)/v-over"] {
                #expect(try bytes(path, count: mebi) == [0x42, 0x41], "\(path)")
                #expect(try bytes(path, from: mebi, count: 23 * mebi) == [0x41], "\(path)")
                #expect(try bytes(path, from: 24 * mebi, count: 8 * mebi) == [0], "\(path)")
            }
            try await run("lvm", "lvchange", "-qq", "-an", "files/v-out")
            var status = stat()
            #expect(stat("\(Self.plain)/v-over", &status) == 0 && status.st_size == 40 * mebi)
            #expect(status.st_blocks * 512 <= 25 * mebi, "holes were filled: \(status.st_blocks)")
            #expect(stat("\(Self.xfs)/v-copy", &status) == 0 && status.st_size == 40 * mebi)

            // And into a file from a device.
            let back = volume("back", "plain", from: "volume: out")
            let filled = try await apply(try desired(base + good + clones + back))
            #expect(filled.outcome == .converged, "\(filled.changes)")
            #expect(try bytes("\(Self.plain)/v-back", from: mebi, count: 23 * mebi) == [0x41])

            // Cut short before a block was shared: begun anew.
            let late = document("Snapshot", "late", "volume: db")
            let set = try desired(base + good + clones + back + late)
            let actions = reconciler.directories.lower(steps(try await plan(set))).flatMap(\.actions)
            try await machine.perform(Array(actions.dropLast(2)))
            let finished = try await apply(set)
            #expect(finished.outcome == .converged, "\(finished.changes)")
            #expect(try bytes("\(Self.xfs)/s-late", count: 8 * mebi) == [0x43])
            #expect(try await plan(set).isEmpty)
        }
    }

    @Test func filesAreRolledBackOnceAndWhatTheyHeldIsKept() async throws {
        try await withDirectories {
            for (name, pool, folder) in [("db", "xfs", Self.xfs), ("log", "plain", Self.plain)] {
                let file = "\(folder)/v-\(name)", mebi = Self.mebi
                let good = document("Snapshot", "\(name)-good", "volume: \(name)")
                let made = try await apply(try desired(pools + volume(name, pool)))
                #expect(made.outcome == .converged, "\(made.changes)")
                let uid = try #require(line(made.plan, .volume, name)?.uid)
                try fill(file, 0x41, count: 16 * mebi)
                #expect(try await apply(try desired(pools + volume(name, pool) + good)).outcome == .converged)
                try fill(file, 0x42, from: 8 * mebi, count: 16 * mebi)
                let undo = document(
                    "Restore", "undo-\(name)", "volume: \(name), volumeUID: \(uid), from: {snapshot: \(name)-good}")
                let set = try desired(pools + volume(name, pool) + good + undo)

                // Somebody has the file open by then: not one byte is written.
                let holder = open(file, O_RDWR)
                try #require(holder >= 0)
                let refused = try await apply(set)
                #expect(refused.outcome != .converged, "\(refused.changes)")
                #expect(try bytes(file, from: 8 * mebi, count: 16 * mebi) == [0x42])
                close(holder)
                try fill(file, 0x44, from: 12 * mebi, count: mebi)
                let finished = try await apply(set)
                #expect(finished.outcome == .converged, "\(finished.changes)")
                #expect(try bytes(file, count: 16 * mebi) == [0x41])
                #expect(try bytes(file, from: 16 * mebi, count: 16 * mebi) == [0])

                try fill(file, 0x45, count: mebi)
                let again = try await plan(set)
                #expect(again.isEmpty && line(again, .restore, "undo-\(name)")?.reason == .executed)
                // Where no blocks are shared, the pass that was refused kept what it was about to write over as well.
                let kept = entries(folder).filter { $0.hasPrefix("t-") }
                for name in kept { #expect(try bytes("\(folder)/\(name)", count: 8 * mebi) == [0x41]) }
                let ends = try kept.map { try bytes("\(folder)/\($0)", from: 8 * mebi, count: 16 * mebi) }
                #expect(Set(ends) == (pool == "xfs" ? [[0x42, 0x44]] : [[0x42], [0x42, 0x44]]))
            }
        }
    }

    @Test func whatIsCopiedByteByByteWaitsForWhoeverIsLoggedIn() async throws {
        try await withDirectories {
            let file = "\(Self.plain)/v-log", mebi = Self.mebi
            let base = pools + volume("log", "plain") + attachment("log")
            #expect(try await apply(try desired(base)).outcome == .converged)
            try fill(file, 0x41, count: 16 * mebi)
            let set = try desired(base + document("Snapshot", "good", "volume: log"))
            try await whileLoggedIn(to: "log") {
                let waiting = try await apply(set)
                #expect(line(waiting.plan, .snapshot, "good")?.reason == .inUse, "\(waiting.plan.changes)")
                #expect(!entries(Self.plain).contains("s-good"))
            }
            let taken = try await apply(set)
            #expect(taken.outcome == .converged, "\(taken.changes)")
            #expect(try bytes("\(Self.plain)/s-good", count: 16 * mebi) == [0x41])
            #expect(try bytes("\(Self.plain)/s-good", from: 16 * mebi, count: 16 * mebi) == [0])
        }
    }

    /// Rules that only hold where blocks are shared.
    @Test func directoriesOnXFSKeepTheContract() async throws {
        try await withDirectories {
            let contract = DirectoryContract(machine, directory: Self.xfs)
            for rule in DirectoryContract.Rule.allCases {
                do { try await contract.check(rule) } catch { Issue.record("\(rule): \(error)") }
            }
        }
    }
}
