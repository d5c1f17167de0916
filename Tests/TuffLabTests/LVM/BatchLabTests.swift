import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Many volumes made by one process of LVM that is killed in the middle, or whose controller is.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct BatchLabTests {
    private static let count = 40
    private static var names: [String] { (1...count).map { "vol-\($0 < 10 ? "0" : "")\($0)" } }

    /// Stands before the real lvm. Once the fifth volume is in the metadata on the disk it kills what it is told to,
    /// one time.
    private static func killer(_ folder: String, _ disk: String, _ victims: String) -> String {
        """
        #!/bin/bash
        case $1 in /proc/*) ;; *) exec /usr/sbin/lvm "$@" ;; esac
        [ ! -e \(folder)/killed ] || exec /usr/sbin/lvm "$@"
        [ "$(cat /proc/$PPID/comm)" = tuff ] || exit 98
        controller=$PPID
        /usr/sbin/lvm "$@" <&0 &
        lvm=$!
        until dd if=\(disk) bs=1M count=1 iflag=direct status=none | grep -aq 'v-vol-05 {'; do
            kill -0 $lvm || exit 99
        done
        : >\(folder)/killed
        kill -KILL \(victims)
        wait $lvm
        """
    }

    private func inWorld(_ body: (LabProgram, _ disk: String) async throws -> Void) async throws {
        let disk = try #require(Lab.disks.last)
        let lab = try LabProgram("batch", port: 3274)
        // Metadata of an earlier group would be taken for that of this one.
        try await lab.must("dd", ["if=/dev/zero", "of=\(disk)", "bs=1M", "count=1", "oflag=direct", "status=none"])
        try await lab.lvm("vgcreate", "-qq", "--yes", "batch", disk)
        try await lab.lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "256m", "-n", "tp", "batch")
        try lab.declare(
            Self.names.reduce(
                LabProgram.document("Pool", "fast", "lvm: {volumeGroup: batch, thinPool: tp}, overprovision: 100")
            ) { $0 + LabProgram.document("Volume", $1, "size: 64Mi, pool: fast") })
        do { try await body(lab, disk) } catch { Issue.record(error) }
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "batch")
        try await lab.lvm("pvremove", "-qq", disk)
        try lab.remove()
    }

    /// Names, LVM uuids and our own of what was made.
    private func made(_ lab: LabProgram) async throws -> [String: String] {
        let rows = try await lab.report("lvs", "lv_name,lv_uuid,lv_tags", "batch").filter { $0[0] != "tp" }
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], "\($0[1]) \($0[2])") })
    }

    /// The kernel's own list of the pool's devices.
    private func devices(_ lab: LabProgram) async throws -> Int {
        try await lab.lvm("lvchange", "-qq", "-ay", "batch/tp")
        try await lab.must("dmsetup", ["message", "batch-tp-tpool", "0", "reserve_metadata_snap"])
        let dump = try await lab.shell("thin_dump -m /dev/mapper/batch-tp_tmeta | grep -c '<device dev_id'")
        try await lab.must("dmsetup", ["message", "batch-tp-tpool", "0", "release_metadata_snap"])
        return Int(dump.text.filter { !$0.isNewline }) ?? -1
    }

    /// True if LVM's copy in /etc/lvm is of the metadata as it is. Not asked of vgs, which makes the copy where it is
    /// old.
    private func isBackedUp(_ lab: LabProgram) async throws -> Bool {
        let sequence = try await lab.report("lvs", "vg_seqno", "batch/tp")[0][0]
        let copy = try String(contentsOfFile: "/etc/lvm/backup/batch", encoding: .utf8)
        return copy.contains("seqno = \(sequence)\n")
    }

    @Test(arguments: ["$lvm", "$controller", "$controller $lvm"])
    func noVolumeIsLostOrMadeTwice(_ victims: String) async throws {
        try await inWorld { lab, disk in
            try await lab.must("mkdir", ["\(lab.folder)/tools"])
            try lab.write(Self.killer(lab.folder, disk, victims), to: "tools/lvm")
            try await lab.must("chmod", ["0755", "\(lab.folder)/tools/lvm"])
            let line =
                "tuff apply -f \(lab.folder)/storage.yaml --auto-approve "
                + "--tool-path \(lab.folder)/tools:/usr/sbin:/usr/bin:/sbin:/bin "
            let cut = try await lab.shell(line + lab.hostOptions.joined(separator: " "))
            #expect(try await lab.shell("ls \(lab.folder)/killed").status == 0, "\(cut.text)")
            #expect(cut.status != 0, "\(cut.text)")
            let owed = "\(lab.folder)/state/metadata-backup-owed.batch"
            let before = try await made(lab)
            switch victims {
            case "$lvm": #expect(before.count >= Self.count - 1, "the same pass asks for the rest: \(before.count)")
            // LVM goes on alone and holds the lock: the next pass waits for it.
            case "$controller": #expect(before.count >= 5)
            default: #expect((5..<Self.count).contains(before.count), "\(before.count)")
            }
            if victims.contains("$controller") {
                #expect(try await lab.shell("ls \(owed)").status == 0)
                #expect(try await !isBackedUp(lab))
            }

            let next = try await lab.apply("--lock-timeout", "120s")
            #expect(next.status == 0, "\(next.text)")
            let after = try await made(lab)
            #expect(after.keys.sorted() == Self.names.map { "v-\($0)" })
            #expect(after.filter { before[$0.key] != nil } == before, "another volume has the name")
            #expect(try await devices(lab) == Self.count)
            #expect(try await lab.shell("ls \(owed)").status != 0)
            #expect(try await isBackedUp(lab))
            let plan = try await lab.tuff(["plan", "--detailed-exitcode", "-f", "\(lab.folder)/storage.yaml"])
            #expect(plan.status == 0, "\(plan.text)")
        }
    }
}
