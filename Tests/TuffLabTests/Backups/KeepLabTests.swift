import FoundationEssentials
import Glibc
import Testing
import TuffModel

/// A month of nights on a real kernel: a policy backs a volume up over NFSv4.2, its keep rule lets points go, and packs
/// go that nothing needs. The guest's own clock is set to each night, which the server's file system and all workers
/// follow.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct KeepLabTests {
    static let nights = 30
    /// What rule and calendar leave after the last night, a Sunday: seven days, and a week's last day for four weeks.
    static let kept = [9, 16, 23, 24, 25, 26, 27, 28, 29, 30]
    static let device = "/dev/keep/v-db"
    /// The repository as the server has it.
    static let place = "/run/lab/nfs/root/tuff"

    private static let documents =
        LabProgram.document("Pool", "fast", "lvm: {volumeGroup: keep, thinPool: pool}")
        + LabProgram.document("Volume", "db", "size: 16Mi, pool: fast")
        + LabProgram.document(
            "BackupRepository", "nas",
            "nfs: {server: 127.0.0.1, export: /root, path: tuff, options: [vers=4.2]}, create: true, "
                + "prune: {schedule: \"0 12 * * 0,3\", jitter: 0s}")
        + LabProgram.document(
            "BackupPolicy", "nightly",
            "volumes: {names: [db]}, repository: nas, schedule: \"30 2 * * *\", keep: {daily: 7, weekly: 4}")

    /// The guest has the time that it had, when the last night is over.
    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        let now = time(nil)
        let since = ContinuousClock.now
        try await LabProgram.withShares("keep", port: 3296, pool: "256m") { lab in
            do { try await body(lab) } catch { Issue.record(error) }
            try await lab.must("date", ["-s", "@\(now + Int(since.duration(to: .now).components.seconds))"])
        }
    }

    /// Sets the clock, and says as a person does that it is right. Steps of a day and less need no such word.
    private func set(_ time: String, _ lab: LabProgram) async throws {
        try await lab.must("date", ["-u", "-s", time])
        let forgotten = try await lab.tuff(["forget", "clock"])
        #expect(forgotten.status == 0, "\(forgotten.text)")
    }

    /// Changes some blocks, as on a disk that is in use, and lets it be that night.
    /// - Returns: the digest of what the volume holds then.
    private func pass(_ night: Int, _ lab: LabProgram) async throws -> String? {
        let changed = try await lab.shell(
            """
            set -e
            lvm lvchange -qq -ay keep/v-db
            dd if=/dev/urandom of=\(Self.device) seek=\(night * 7 % 200) bs=64k count=24 oflag=direct status=none
            sha256sum \(Self.device)
            date -u -s '\(date(night)) 02:40' >/dev/null
            """)
        #expect(changed.status == 0, "\(changed.text)")
        return changed.text.split(separator: " ").first.map(String.init)
    }

    private func digest(_ path: String, _ lab: LabProgram) async throws -> String? {
        try await lab.must("sha256sum", [path]).split(separator: " ").first.map(String.init)
    }

    private func date(_ night: Int) -> String { "2031-03-" + (night < 10 ? "0" : "") + "\(night)" }

    private struct Points: Decodable {
        struct Item: Decodable {
            var id: String
            var time: String
        }
        var items: [Item]
    }

    /// Points by their time, of whatever they were made for.
    private func points(_ lab: LabProgram) async throws -> [Points.Item] {
        let text = try await lab.must("tuff", ["backup", "ls", "--repository", Self.place, "-o", "json"])
        return try JSONDecoder().decode(Points.self, from: Data(text.utf8)).items
    }

    @Test("Of thirty nights those stay that the rule keeps, and each of them comes back exactly")
    func aMonth() async throws {
        try await inWorld { lab in
            try await set("\(date(1)) 01:00", lab)
            try lab.declare(Self.documents)
            let made = try await lab.apply("--allow-repository-create")
            #expect(made.status == 0, "\(made.text)")
            var digests: [Int: String] = [:]
            for night in 1...Self.nights {
                digests[night] = try await pass(night, lab)
                // A named backup is outside of every rule.
                if night == 2 {
                    try lab.declare(
                        Self.documents + LabProgram.document("Backup", "before", "volume: db, repository: nas"))
                }
                let applied = try await lab.apply("--run-due")
                #expect(applied.status == 0, "night \(night): \(applied.text)")
            }
            // The night's own point is judged by the prune of the next noon.
            try await lab.must("date", ["-u", "-s", "\(date(Self.nights)) 12:40"])
            let listed = try await lab.show("plan")
            #expect(listed.contains("* BackupRepository/nas remove "), "\(listed)")
            #expect(try await lab.apply("--run-due").status == 0)
            let calm = try await lab.show("plan")
            #expect(calm.contains("Nothing to do"), "\(calm)")

            let left = try await points(lab)
            let nightly = left.filter { $0.time.contains("T02:4") }
            let named = left.filter { $0.time.hasPrefix(date(2)) }
            #expect(named.count == 1, "\(left)")
            #expect(Set(nightly.map { String($0.time.prefix(10)) }) == Set(Self.kept.map(date) + [date(2)]), "\(left)")
            for point in left {
                let night = try #require(Int(point.time.prefix(10).suffix(2)))
                let file = "\(lab.folder)/restored"
                let words = ["backup", "restore", "--repository", Self.place, "--name", "db"]
                try await lab.must("tuff", words + ["--at", point.id, "--to", file])
                #expect(try await digest(file, lab) == digests[night], "\(point.time)")
                try await lab.must("rm", [file])
            }
            // What nothing needs is gone: less is left than all nights wrote.
            try await lab.must("tuff", ["backup", "check", "--read-data=100%", "--repository", Self.place])
            let said = try await lab.must("du", ["-sk", "\(Self.place)/packs"])
            let size = try #require(said.split(separator: "\t").first.flatMap { Int($0) })
            #expect(size < 40_000, "\(size) KiB of packs")
            try await practise(lab)
        }
    }

    // MARK: Drills

    /// Restores the newest point for practice in each sort of pool, finds one that does not come back, and removes what
    /// a drill left.
    private func practise(_ lab: LabProgram) async throws {
        try await lab.must("mkdir", ["-p", "-m", "700", "\(lab.folder)/pools/files"])
        let pools = ["fast", "slow", "files"]
        for (hour, pool) in pools.enumerated() {
            try lab.declare(Self.drilling(in: pool, lab))
            try await lab.must("date", ["-u", "-s", "\(date(Self.nights)) \(14 + hour):10"])
            let listed = try await lab.show("plan")
            #expect(listed.contains("* BackupPolicy/nightly restore Volume/db, 16 MiB, for practice"), "\(listed)")
            let applied = try await lab.apply("--run-due")
            #expect(applied.status == 0, "\(pool): \(applied.text)")
            let told = try await lab.show("describe", "backuppolicy/nightly")
            #expect(told.contains("Last practice Volume/db, restored 0 minutes ago"), "\(pool): \(told)")
            #expect(try await scratches(lab) == [], "\(pool)")
            #expect(try await lab.show("plan").contains("Nothing to do"), "\(pool)")
        }
        try await removeLeftScratches(lab)
        // A byte of each pack is another one: the point does not come back, and its scratch volume goes all the same.
        let spoiled = try await lab.shell(
            """
            for pack in $(find \(Self.place)/packs -type f); do
                printf X | dd of=$pack bs=1 seek=5000 conv=notrunc status=none || exit 1
            done
            """)
        #expect(spoiled.status == 0, "\(spoiled.text)")
        try await lab.must("date", ["-u", "-s", "\(date(Self.nights)) 18:10"])
        let failed = try await lab.apply("--run-due")
        #expect(failed.status != 0 && failed.text.contains("of Volume/db cannot be restored"), "\(failed.text)")
        #expect(try await scratches(lab) == [])
        let status = try await lab.show("status")
        #expect(status.contains("BackupPolicy/nightly Failing: since"), "\(status)")
    }

    private static func drilling(in pool: String, _ lab: LabProgram) -> String {
        documents.replacing("keep: {", with: "drill: {schedule: \"5 * * * *\", pool: \(pool)}, keep: {")
            + LabProgram.document("Pool", "slow", "lvm: {volumeGroup: keep}")
            + LabProgram.document("Pool", "files", "directory: {path: \(lab.folder)/pools/files}")
            + LabProgram.document("Backup", "before", "volume: db, repository: nas")
    }

    /// Objects with the mark of a drill, in the group and in the directory.
    private func scratches(_ lab: LabProgram) async throws -> [String] {
        let volumes = try await lab.report("lvs", "lv_name,lv_tags", "keep").filter { $0[1].contains("tuff:drill=") }
        let files = try await lab.shell("cd \(lab.folder)/pools/files && find . -name 'd-*' -o -name '*.json' | sort")
        return volumes.map { $0[0] } + files.text.split(separator: "\n").map(String.init)
    }

    /// A scratch volume that a killed drill leaves goes unasked; one that somebody protected, or has open, stays.
    private func removeLeftScratches(_ lab: LabProgram) async throws {
        let uids = ["aaaabbbbccccdddd", "bbbbccccddddeeee", "ccccddddeeeeffff"]
        for (number, uid) in uids.enumerated() {
            let marks = try Marks.scratch(#require(UID(uid)), of: "nightly", stack: "default")
            let tags = (marks.tags + (number == 1 ? ["tuff:protect"] : [])).flatMap { ["--addtag", $0] }
            let words = ["lvcreate", "-qq", "--yes", "-V", "16m", "-n", marks.objectName, "--thinpool", "keep/pool"]
            try await lab.must("lvm", words + tags)
        }
        let held = try await lab.shell(
            "exec 7</dev/keep/d-\(uids[2]); tuff apply -f \(lab.folder)/storage.yaml --auto-approve "
                + lab.hostOptions.joined(separator: " "))
        #expect(held.text.contains("is in use"), "\(held.text)")
        #expect(try await scratches(lab) == ["d-\(uids[1])", "d-\(uids[2])"])
        _ = try await lab.apply()
        #expect(try await scratches(lab) == ["d-\(uids[1])"])
        try await lab.lvm("lvremove", "-qq", "--yes", "keep/d-\(uids[1])")
    }
}
