import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Thin pools that LVM refuses to activate, mended with the very lines of docs/operations.md.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct PoolRepairLabTests {
    /// The block of commands that follows `text` in the page.
    private func commands(after text: String) throws -> [String] {
        let page = try String(contentsOfFile: "\(packageRoot)/docs/operations.md", encoding: .utf8)
        let start = try #require(page.firstRange(of: text)?.upperBound)
        let lines = page[start...].split(separator: "\n", omittingEmptySubsequences: false)
            .drop { !$0.hasPrefix("      ") }.prefix { $0.hasPrefix("      ") }
        return lines.map { String($0.dropFirst(6)) }
    }

    /// vg0/tp0 with volume `a`, attached, that holds something.
    private func inWorld(_ body: (LabProgram, String) async throws -> Void) async throws {
        let disk = try #require(Lab.disks.last)
        let lab = try LabProgram("repair", port: 3284)
        try await lab.lvm("vgcreate", "-qq", "--yes", "vg0", disk)
        try await lab.lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "256m", "-n", "tp0", "vg0")
        let pool = LabProgram.document("Pool", "fast", "lvm: {volumeGroup: vg0, thinPool: tp0}, overprovision: 4")
        let volumes = LabProgram.document("Volume", "a", "size: 64Mi, pool: fast")
        try lab.declare(
            pool + volumes
                + LabProgram.document("Attachment", "a", "volume: a, iscsi: {initiator: \"iqn.2026-01.test:there\"}"))
        #expect(try await lab.apply().status == 0)
        try lab.declare(pool + volumes)
        #expect(try await lab.apply("--prune").status == 0)
        try await lab.lvm("lvchange", "-qq", "-ay", "-K", "vg0/v-a")
        try await lab.must("bash", ["-c", "dd if=/dev/urandom of=/dev/vg0/v-a bs=1M count=8 oflag=direct status=none"])
        try lab.declare(
            pool + volumes + LabProgram.document("Volume", "b", "size: 64Mi, pool: fast")
                + LabProgram.document("Attachment", "a", "volume: a, iscsi: {initiator: \"iqn.2026-01.test:there\"}"))
        try await lab.lvm("vgchange", "-qq", "-an", "vg0")
        do { try await body(lab, disk) } catch { Issue.record(error) }
        try lab.declare(pool)
        _ = try await lab.apply("--prune")
        _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "vg0")
        try await lab.lvm("pvremove", "-qq", disk)
        try lab.remove()
    }

    private func sum(_ lab: LabProgram) async throws -> String { try await lab.must("sha256sum", ["/dev/vg0/v-a"]) }

    /// Tuff says that it cannot be activated, the page's commands mend it, and one pass does all that is left.
    private func mend(_ lab: LabProgram, _ text: String, sum before: String, file: String = "") async throws {
        let refused = try await lab.apply()
        #expect(refused.status != 0, "\(refused.text)")
        let status = try await lab.show("get", "volumes")
        #expect(!status.contains("a yes"), "\(status)")
        let page = try commands(after: text)
        #expect(page.count >= 3)
        for command in page where !command.hasPrefix("tuff ") {
            let done = try await lab.shell(command.replacing("FILE", with: file))
            #expect(done.status == 0, "\(command): \(done.text)")
        }
        let mended = try await lab.apply()
        #expect(mended.status == 0, "\(mended.text)")
        #expect(try await lab.made(in: "vg0") == ["v-a", "v-b"])
        #expect(try await sum(lab) == before)
    }

    /// A power cut at a bad moment leaves space maps that do not add up; here a block of one is damaged.
    @Test func aPoolThatThinCheckRefusesIsMendedByThePage() async throws {
        try await inWorld { lab, disk in
            try await lab.lvm("lvchange", "-qq", "-ay", "-K", "vg0/v-a")
            let before = try await sum(lab)
            try await lab.lvm("vgchange", "-qq", "-an", "vg0")
            // dm-thin-metadata.c: the root of the data space map's bitmap is at byte 80 of the superblock.
            let damaged = try await lab.shell(
                """
                set -e
                lvm lvchange -qq --yes -ay vg0/tp0_tmeta
                root=$(od -An -t u8 -j 80 -N 8 /dev/mapper/vg0-tp0_tmeta | tr -d ' ')
                lvm lvchange -qq -an vg0/tp0_tmeta
                place=$(lvm lvs -qq --noheadings --segments -a -o seg_pe_ranges vg0/tp0_tmeta)
                extent=$(echo $place | sed 's/.*:\\([0-9]*\\)-.*/\\1/')
                start=$(lvm pvs --noheadings --nosuffix --units b -o pe_start \(disk) | tr -d ' ')
                offset=$((start + extent * 4194304 + root * 4096))
                dd if=/dev/urandom of=\(disk) bs=1 seek=$offset count=64 conv=notrunc status=none
                sync; echo 3 >/proc/sys/vm/drop_caches
                """)
            #expect(damaged.status == 0, "\(damaged.text)")
            try await mend(lab, "Manual repair required!`", sum: before)
        }
    }

    @Test func aPoolOfAnotherDayThanLVMsTextIsMendedByThePage() async throws {
        try await inWorld { lab, _ in
            try await lab.lvm("lvchange", "-qq", "-ay", "-K", "vg0/v-a")
            let before = try await sum(lab)
            try await lab.lvm("vgchange", "-qq", "-an", "vg0")
            let other = try await lab.shell(
                """
                set -e
                lvm vgcfgbackup -qq -f \(lab.folder)/now vg0
                sed 's/transaction_id = 1$/transaction_id = 7/' \(lab.folder)/now >\(lab.folder)/other
                lvm vgcfgrestore -qq --force --yes -f \(lab.folder)/other vg0
                """)
            #expect(other.status == 0, "\(other.text)")
            // The newest text in which the pool has the number that the kernel finds.
            let file = try await lab.must(
                "bash",
                ["-c", "grep -l -m 1 'transaction_id = 1$' /etc/lvm/archive/vg0_*.vg | tail -n 1 | xargs basename"])
            try await mend(
                lab, "while expected 1`", sum: before, file: String(file.prefix { !$0.isWhitespace }))
        }
    }
}
