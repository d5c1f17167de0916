import FoundationEssentials
import Glibc
import Testing
import TuffModel

/// Backups of changed blocks on a real kernel: dm-thin, LVM and thin-provisioning-tools as they are.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct IncrementalLabTests {
    static let size = 256 << 20, mebi = 1 << 20
    static let device = "/dev/incremental/v-db"
    /// Bytes that a backup hashes besides what changed, at most.
    static let sample: Int64 = 64 * 65_536

    private struct Point: Decodable {
        struct Counts: Decodable { var readBytes: Int64 }
        var id: String
        var counts: Counts
    }

    private struct Points: Decodable { var items: [Point] }

    private final class World {
        let lab: LabProgram
        var backups: [String] = []
        /// Digest of the volume when each point was made, by its id.
        var digests: [String: String] = [:]

        init(_ lab: LabProgram) { self.lab = lab }

        var repository: String { "\(lab.folder)/pools/nas" }

        func declare() throws {
            try lab.declare(
                LabProgram.document("Pool", "fast", "lvm: {volumeGroup: incremental, thinPool: pool}")
                    + LabProgram.document("Volume", "db", "size: 256Mi, pool: fast")
                    + LabProgram.document(
                        "Attachment", "db-web", "volume: db, iscsi: {initiator: \"iqn.2004-10.com.example:web1\"}")
                    + LabProgram.document(
                        "BackupRepository", "nas", "directory: {path: \(repository)}, create: true")
                    + backups.map { LabProgram.document("Backup", $0, "volume: db, repository: nas") }.joined())
        }

        /// Backs up once more.
        /// - Returns: bytes that were read, and what the program said.
        func backUp() async throws -> (read: Int64, text: String) {
            backups.append("b\(backups.count)")
            try declare()
            let digest = try await lab.must("sha256sum", [IncrementalLabTests.device])
            let made = try await lab.apply()
            #expect(made.status == 0, "\(made.text)")
            let text = made.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            let points = try await points()
            let point = try #require(points.first { digests[$0.id] == nil })
            digests[point.id] = digest.split(separator: " ").first.map(String.init)
            #expect(points.count == backups.count)
            #expect(try await lab.show("plan").contains("Nothing to do"))
            return (point.counts.readBytes, text)
        }

        private func points() async throws -> [Point] {
            let text = try await lab.must("tuff", ["backup", "ls", "--repository", repository, "-o", "json"])
            return try JSONDecoder().decode(Points.self, from: Data(text.utf8)).items
        }

        /// Every point there is holds what the volume held.
        func prove() async throws {
            for (id, digest) in digests {
                let found = try await lab.shell(
                    "set -o pipefail; tuff backup restore --repository \(repository) --name db --at \(id) --to - "
                        + "2>/dev/null | sha256sum")
                #expect(found.status == 0 && found.text.hasPrefix(digest), "\(id): \(found.text)")
            }
        }

        func write(_ mebis: Int, at place: Int) async throws {
            let done = try await lab.shell(
                "dd if=/dev/urandom of=\(IncrementalLabTests.device) bs=1M count=\(mebis) seek=\(place) oflag=direct")
            #expect(done.status == 0, "\(done.text)")
        }

        /// Names of bases.
        func bases() async throws -> [String] {
            try await lab.report("lvs", "lv_name", "incremental").map { $0[0] }.filter { $0.hasPrefix("b-") }
        }

        /// What `dmsetup status` says of the metadata snapshot.
        func held() async throws -> String {
            let text = try await lab.must("dmsetup", ["status", "incremental-pool-tpool"])
            return String(text.split(separator: " ")[6])
        }

        func message(_ text: String) async throws {
            try await lab.must("dmsetup", ["message", "incremental-pool-tpool", "0", text])
        }
    }

    private func inWorld(_ body: (World) async throws -> Void) async throws {
        let lab = try LabProgram("incremental", port: 3295)
        try FileManager.default.createDirectory(
            atPath: "\(lab.folder)/pools", withIntermediateDirectories: true, attributes: nil)
        try await lab.lvm("vgcreate", "-qq", "--yes", "incremental", Lab.disks[1])
        try await lab.lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "768m", "-n", "pool", "incremental")
        let world = World(lab)
        do {
            try world.declare()
            let made = try await lab.apply("--allow-repository-create")
            try #require(made.status == 0, "\(made.text)")
            try await world.write(40, at: 16)
            try await body(world)
            try await world.prove()
            // Whatever went wrong, nothing of ours is left reserved.
            let left = try FileManager.default.contentsOfDirectory(atPath: "\(lab.folder)/state")
            #expect(!left.contains { $0.hasPrefix("metadata-hold") }, "\(left)")
        } catch { Issue.record(error) }
        _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "incremental")
        try await lab.lvm("pvremove", "-qq", "--yes", Lab.disks[1])
        try lab.remove()
    }

    @Test("A backup reads what changed, a first one what has blocks, and each point restores exactly")
    func reads() async throws {
        try await inWorld { world in
            let first = try await world.backUp()
            #expect(first.read == 40 * Int64(Self.mebi), "\(first.text)")
            #expect(first.text.contains("(NoBase)"), "\(first.text)")
            let base = try await world.bases()
            #expect(base.count == 1)
            var changed: [(mebis: Int, place: Int)] = [(3, 20), (5, 100), (1, 16), (2, 54), (8, 248)]
            changed.append((4, 18))
            for (mebis, place) in changed {
                try await world.write(mebis, at: place)
                let next = try await world.backUp()
                let limit = Int64(Double(mebis * Self.mebi) * 1.05) + Self.sample
                #expect(next.read >= Int64(mebis * Self.mebi) && next.read <= limit, "\(next.read): \(next.text)")
                #expect(!next.text.contains("not what changed alone"), "\(next.text)")
                #expect(try await world.bases().count == 1)
            }
            let discarded = try await world.lab.shell("blkdiscard -f -o 104857600 -l 2097152 \(Self.device)")
            #expect(discarded.status == 0, "\(discarded.text)")
            let after = try await world.backUp()
            #expect(after.read <= Self.sample, "\(after.read)")
            let none = try await world.backUp()
            #expect(none.read == 0, "\(none.text)")
            #expect(try await world.held() == "-")
        }
    }

    @Test("Whatever a person does to base or pool, all is read, and the points are exact")
    func people() async throws {
        try await inWorld { world in
            _ = try await world.backUp()
            // Reserved by somebody else: theirs stays.
            try await world.message("reserve_metadata_snap")
            let block = try await world.held()
            try await world.write(2, at: 30)
            let held = try await world.backUp()
            #expect(held.text.contains("(MetadataSnapshotHeld)") && held.read == Int64(Self.size), "\(held.text)")
            #expect(try await world.held() == block)
            try await world.message("release_metadata_snap")

            // A base that was removed.
            try await world.lab.lvm("lvremove", "-qq", "--yes", "incremental/\(try await world.bases()[0])")
            try await world.write(2, at: 32)
            let gone = try await world.backUp()
            #expect(gone.text.contains("(NoBase)") && gone.read == 40 * Int64(Self.mebi), "\(gone.text)")

            // One that was made writable and written to, and one that was written to and made read-only again.
            for isHidden in [false, true] {
                let name = try await world.bases()[0]
                try await world.lab.lvm("lvchange", "-qq", "-prw", "incremental/\(name)")
                try await world.lab.lvm("lvchange", "-qq", "-ay", "-K", "incremental/\(name)")
                let written = try await world.lab.shell(
                    "dd if=/dev/urandom of=/dev/incremental/\(name) bs=1M count=1 seek=40 oflag=direct")
                #expect(written.status == 0, "\(written.text)")
                try await world.lab.lvm("lvchange", "-qq", "-an", "incremental/\(name)")
                if isHidden { try await world.lab.lvm("lvchange", "-qq", "-pr", "incremental/\(name)") }
                try await world.write(1, at: 50)
                let next = try await world.backUp()
                #expect(next.text.contains("(BaseExchanged)") == !isHidden, "\(next.text)")
            }

            // Another volume under a base's name, with its tags.
            let name = try await world.bases()[0]
            let tags = try await world.lab.report("lvs", "lv_tags", "incremental/\(name)")[0][0]
            try await world.lab.lvm("lvremove", "-qq", "--yes", "incremental/\(name)")
            let copied = tags.split(separator: ",").map { "--addtag \($0)" }.joined(separator: " ")
            try await world.write(3, at: 60)
            let made = try await world.lab.shell("lvm lvcreate -qq -y -s -pr \(copied) -n \(name) incremental/v-db")
            #expect(made.status == 0, "\(made.text)")
            let exchanged = try await world.backUp()
            #expect(exchanged.text.contains("(BaseExchanged)"), "\(exchanged.text)")

            // Somebody removes all points, and says so: the base's point is not there.
            _ = try await world.lab.shell("rm -rf \(world.repository)/points/*")
            for resource in ["Backup/b0", "BackupRepository/nas"] {
                let forgotten = try await world.lab.tuff(["forget", resource])
                #expect(forgotten.status == 0, "\(forgotten.text)")
            }
            world.digests = [:]
            world.backups = []
            let lost = try await world.backUp()
            #expect(lost.text.contains("(PointGone)"), "\(lost.text)")
        }
    }
}
