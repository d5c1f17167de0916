import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Volumes that are not well, or not what Tuff made them, on real LVM: what is said of them, that nobody new is given
/// them, and that the command which is told mends them.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct HealthLabTests {
    private static let group = "well"
    private static let bad = "/dev/mapper/health-bad"
    private static let settings = "/etc/lvm/lvmlocal.conf"

    /// A group of the first disk and of one that can be made to fail, whose real device LVM does not look at.
    private func inWorld(_ devices: [String]? = nil, _ body: (LabProgram) async throws -> Void) async throws {
        let lab = try LabProgram("health", port: 3281)
        let former = try? String(contentsOfFile: Self.settings, encoding: .utf8)
        try "devices { global_filter = [ \"r|\(Lab.disks[1])$|\" ] }\n"
            .write(toFile: Self.settings, atomically: false, encoding: .utf8)
        try await lab.must("modprobe", ["-a", "dm-raid", "dm-cache", "dm-writecache"])
        try await lab.must("dmsetup", ["create", "health-bad", "--table", try await table("linear", lab)])
        try await lab.must(
            "lvm",
            ["vgcreate", "-qq", "--yes", "--physicalextentsize", "1m", Self.group]
                + (devices ?? [Lab.disks[0], Self.bad]))
        do { try await body(lab) } catch { Issue.record(error) }
        try await setBroken(false, lab)
        _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
        _ = try await lab.shell(
            """
            vgextend -qq --restoremissing \(Self.group) \(Self.bad); vgchange -qq -an \(Self.group)
            vgremove -qq --yes --force \(Self.group)
            pvremove -qq --yes --force --force \(Lab.disks[0]) \(Self.bad) \(Lab.disks[2])
            dmsetup remove --retry health-bad
            """)
        if let former {
            try former.write(toFile: Self.settings, atomically: false, encoding: .utf8)
        } else {
            try FileManager.default.removeItem(atPath: Self.settings)
        }
        try lab.remove()
    }

    private func table(_ kind: String, _ lab: LabProgram) async throws -> String {
        let sectors = try await lab.must("blockdev", ["--getsz", Lab.disks[1]]).filter(\.isNumber)
        return kind == "linear" ? "0 \(sectors) linear \(Lab.disks[1]) 0" : "0 \(sectors) error"
    }

    private func setBroken(_ isBroken: Bool, _ lab: LabProgram) async throws {
        try await lab.must("dmsetup", ["suspend", "--nolockfs", "health-bad"])
        try await lab.must(
            "dmsetup", ["load", "health-bad", "--table", try await table(isBroken ? "error" : "linear", lab)])
        try await lab.must("dmsetup", ["resume", "health-bad"])
    }

    private func write(_ volume: String, _ lab: LabProgram) async throws -> Int32 {
        try await lab.shell(
            "dd if=/dev/zero of=/dev/\(Self.group)/\(volume) bs=1M count=4 oflag=direct conv=fsync status=none"
        )
        .status
    }

    private func document(_ kind: String, _ name: String, _ spec: String) -> String {
        LabProgram.document(kind, name, spec)
    }

    private func attached(_ volume: String, _ more: String = "") -> String {
        document(
            "Attachment", "\(volume)-web",
            "volume: \(volume), iscsi: {initiator: \"iqn.2004-10.com.example:web1\"}\(more)")
    }

    /// A command that a text tells people to type.
    private func command(_ verb: String, in text: String) throws -> String {
        let found = text.split(separator: "'", omittingEmptySubsequences: false).first { $0.hasPrefix(verb) }
        // A terminal's lines are broken between words.
        return try #require(found, "no \(verb) in \(text)").split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    private func monitoring(_ lab: LabProgram) async throws -> (status: Int32, text: String) {
        try await lab.tuff(["status", "--monitoring", "-f", "\(lab.folder)/storage.yaml"])
    }

    private func expectWell(_ lab: LabProgram) async throws {
        let found = try await monitoring(lab)
        #expect(found.status == 0, "\(found.text)")
    }

    // MARK: RAID

    /// `lvs` says of the pool itself that nothing is wrong with it.
    @Test func aLegThatCameBackIsTakenBackByWhatIsSaid() async throws {
        try await inWorld { lab in
            for (name, size) in [("tp", "64m"), ("tpm", "8m")] {
                try await lab.lvm(
                    "lvcreate", "-qq", "--yes", "--type", "raid1", "-m1", "-L", size, "-n", name, Self.group,
                    Lab.disks[0],
                    Self.bad)
            }
            try await lab.lvm(
                "lvconvert", "-qq", "--yes", "--type", "thin-pool", "--poolmetadata", "well/tpm", "well/tp")
            func declare(_ size: String) throws {
                try lab.declare(
                    document("Pool", "fast", "lvm: {volumeGroup: well, thinPool: tp}, overprovision: 4")
                        + document("Volume", "a", "size: \(size), pool: fast") + attached("a"))
            }
            try declare("32Mi")
            let made = try await lab.apply()
            #expect(made.status == 0, "\(made.text)")
            try await expectWell(lab)

            try await setBroken(true, lab)
            #expect(try await write("v-a", lab) == 0)
            let failing = try await lab.show("status")
            #expect(failing.contains("DevicesMissing: 1 device missing"), "\(failing)")
            #expect(failing.contains("RedundancyLost"), "\(failing)")
            try await setBroken(false, lab)

            #expect(try await lab.report("lvs", "lv_health_status", "well/tp") == [[""]])
            let status = try await lab.show("status")
            #expect(status.contains("Pool/fast RefreshNeeded:"), "\(status)")
            #expect(status.contains("1 of our volumes and snapshots are in it"), "\(status)")
            #expect(try await monitoring(lab).status == 1)
            try declare("48Mi")
            let growth = try await lab.apply()
            #expect(growth.status == 3 && growth.text.contains("RefreshNeeded"), "\(growth.text)")
            #expect(try await lab.report("lvs", "lv_size", "well/v-a") == [["\(32 << 20)"]])

            let mending = try await lab.shell(try command("lvchange --refresh", in: status))
            #expect(mending.status == 0, "\(mending.text)")
            let after = try await lab.apply()
            #expect(after.status == 0, "\(after.text)")
            #expect(try await lab.report("lvs", "lv_size", "well/v-a") == [["\(48 << 20)"]])
            try await expectWell(lab)
        }
    }

    @Test func aLegIsPutElsewhereByWhatIsSaid() async throws {
        try await inWorld([Lab.disks[0], Self.bad, Lab.disks[2]]) { lab in
            try await lab.lvm(
                "lvcreate", "-qq", "--yes", "--type", "raid1", "-m1", "-L", "64m", "-n", "tp", Self.group, Lab.disks[0],
                Self.bad)
            // Its metadata, which have one leg, are not to be on that device.
            try await lab.lvm("pvchange", "-qq", "-xn", Self.bad)
            try await lab.lvm("lvconvert", "-qq", "--yes", "--type", "thin-pool", "well/tp")
            try lab.declare(
                document("Pool", "fast", "lvm: {volumeGroup: well, thinPool: tp}, overprovision: 4")
                    + document("Volume", "a", "size: 32Mi, pool: fast") + attached("a"))
            #expect(try await lab.apply().status == 0)
            try await setBroken(true, lab)
            #expect(try await write("v-a", lab) == 0)
            let line = try await lab.show("describe", "volume/a")
            #expect(line.contains("Degraded") && line.contains("RedundancyLost"), "\(line)")
            let pool = try await lab.tuff(["get", "pools", "-o", "json"])
            let mending = try await lab.shell("\(try command("lvconvert --repair", in: pool.text)) --yes")
            #expect(mending.status == 0, "\(mending.text)")
            #expect(try await !lab.show("status").contains("RedundancyLost"))
        }
    }

    // MARK: Missing devices

    @Test func nobodyNewIsGivenWhatLiesOnAMissingDevice() async throws {
        try await inWorld([Self.bad]) { lab in
            func declare(_ attachments: [String]) throws {
                try lab.declare(
                    ["a", "b", "c"].map { document("Volume", $0, "size: 16Mi, pool: slow") }
                        .reduce(document("Pool", "slow", "lvm: {volumeGroup: well, wipe: none}"), +)
                        + attachments.map { attached($0) }.joined())
            }
            try lab.declare(
                document("Pool", "slow", "lvm: {volumeGroup: well, wipe: none}")
                    + document("Volume", "b", "size: 16Mi, pool: slow")
                    + document("Volume", "c", "size: 16Mi, pool: slow"))
            #expect(try await lab.apply().status == 0)
            try await lab.lvm("vgextend", "-qq", "--yes", Self.group, Lab.disks[0])
            try await lab.lvm("pvchange", "-qq", "-xn", Self.bad)
            try declare(["a", "c"])
            let made = try await lab.apply()
            #expect(made.status == 0, "\(made.text)")
            try await expectWell(lab)

            try await setBroken(true, lab)
            try declare(["a", "b", "c"])
            let applied = try await lab.apply()
            #expect(applied.status == 3, "\(applied.text)")
            let records = try await lab.tuff(["get", "volumes", "-f", "\(lab.folder)/storage.yaml"])
            let status = try await lab.show("status")
            #expect(
                status.contains("Volume/b DevicesMissing: well/v-b lies, in part at least, on a device"), "\(status)")
            #expect(status.contains("Attachment/b-web DevicesMissing:"), "\(status)")
            #expect(!status.contains("Volume/a DevicesMissing"), "\(status)")
            #expect(
                records.text.split(separator: "\n").contains { $0.hasPrefix("b ") && !$0.contains("yes") },
                "\(records.text)")
            #expect(try await monitoring(lab).status == 2)
            // What was handed out stays so.
            for name in ["a", "c"] {
                let target = "/sys/kernel/config/target/iscsi/iqn.2026-01.dev.tuff.health:\(name)"
                #expect(FileManager.default.fileExists(atPath: target), "\(name)")
            }

            try await setBroken(false, lab)
            let after = try await lab.apply()
            #expect(after.status == 0, "\(after.text)")
            try await expectWell(lab)
        }
    }

    // MARK: Pools and thin devices that cannot be activated

    private func inThinWorld(_ body: (LabProgram) async throws -> Void) async throws {
        try await inWorld { lab in
            try await lab.lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "64m", "-n", "tp", Self.group)
            try lab.declare(
                document("Pool", "fast", "lvm: {volumeGroup: well, thinPool: tp}, overprovision: 4")
                    + ["a", "b"].map { document("Volume", $0, "size: 16Mi, pool: fast") }.joined())
            #expect(try await lab.apply().status == 0)
            try await expectWell(lab)
            try await body(lab)
        }
    }

    @Test func aPoolThatCannotBeActivatedIsNotReady() async throws {
        try await inThinWorld { lab in
            try await lab.lvm("vgchange", "-qq", "-an", Self.group)
            let backup = "\(lab.folder)/backup"
            try await lab.lvm("vgcfgbackup", "-qq", "-f", backup, Self.group)
            let text = try String(contentsOfFile: backup, encoding: .utf8)
            let wrong = text.replacing("transaction_id = 2", with: "transaction_id = 7")
            try #require(wrong != text)
            try wrong.write(toFile: backup + "2", atomically: false, encoding: .utf8)
            try await lab.lvm("vgcfgrestore", "-qq", "--force", "--yes", "-f", backup + "2", Self.group)
            for arguments in [["status", "-f", "\(lab.folder)/storage.yaml"], ["status"]] {
                let found = try await lab.tuff(arguments + ["--monitoring"])
                #expect(found.status == 1 && found.text.contains("Inactive"), "\(found.text)")
            }
            let pools = try await lab.tuff(["get", "pools", "-f", "\(lab.folder)/storage.yaml"])
            #expect(
                pools.text.split(separator: "\n").contains { $0.hasPrefix("fast ") && !$0.contains("yes") },
                "\(pools.text)")
            try await lab.lvm("vgcfgrestore", "-qq", "--force", "--yes", "-f", backup, Self.group)
            let mending = try await lab.shell(try command("lvchange -ay", in: try await lab.show("status")))
            #expect(mending.status == 0, "\(mending.text)")
            try await expectWell(lab)
        }
    }

    @Test func aThinDeviceThatItsPoolLostIsNotReady() async throws {
        try await inThinWorld { lab in
            let id = try await lab.report("lvs", "thin_id", "well/v-b")[0][0]
            try await lab.must("dmsetup", ["message", "well-tp-tpool", "0", "delete \(id)"])
            let text = try String(contentsOfFile: "\(lab.folder)/storage.yaml", encoding: .utf8)
            try lab.declare(text + attached("a") + attached("b"))
            let applied = try await lab.apply()
            #expect(applied.status != 0 && applied.text.contains("failed: No data"), "\(applied.text)")
            let status = try await lab.show("status")
            #expect(status.contains("Volume/b ActivationFailed:"), "\(status)")
            #expect(status.contains("its thin pool has no such device any more"), "\(status)")
            #expect(!status.contains("Volume/a "), "\(status)")
            #expect(try await monitoring(lab).status == 2)
        }
    }

    // MARK: Not plain

    @Test(arguments: ["cachevol", "cachepool", "writecache"]) func aCacheByHandLeavesAVolumeWhereItIs(_ kind: String)
        async throws
    {
        try await inWorld { lab in
            let pool = document("Pool", "slow", "lvm: {volumeGroup: well}")
            func volume(_ size: String) -> String { document("Volume", "a", "size: \(size), pool: slow") }
            try lab.declare(pool + volume("16Mi") + attached("a"))
            #expect(try await lab.apply().status == 0)
            let cache = kind == "cachepool" ? ["--type", "cache-pool"] : []
            try await lab.must("lvm", ["lvcreate", "-qq", "--yes", "-L", "16m", "-n", "fast"] + cache + [Self.group])
            let type = kind == "writecache" ? "writecache" : "cache"
            if kind == "writecache" {
                // It asks for a volume that is not in use, or for an inactive cache.
                try await lab.lvm("lvchange", "-qq", "-an", "well/fast")
            }
            try await lab.lvm(
                "lvconvert", "-qq", "--yes", "--type", type, kind == "cachepool" ? "--cachepool" : "--cachevol", "fast",
                "well/v-a")

            let plan = try await lab.show("plan")
            #expect(!plan.contains("MoveNotSupported") && !plan.contains("discard"), "\(plan)")
            let again = try await lab.apply()
            #expect(again.status == 0, "\(again.text)")
            try await expectWell(lab)
            try lab.declare(pool + volume("32Mi") + attached("a"))
            let growth = try await lab.apply()
            #expect(growth.status == 3 && growth.text.contains("is cached (dm-\(type))"), "\(growth.text)")

            try lab.declare(pool)
            let removed = try await lab.apply("--prune")
            #expect(removed.status == 0, "\(removed.text)")
            #expect(try await lab.report("lvs", "lv_name", Self.group).contains { $0[0].hasPrefix("t-") })
            try lab.declare(pool + volume("16Mi") + attached("a"))
            let back = try await lab.apply()
            #expect(back.status == 0, "\(back.text)")
            #expect(try await lab.made(in: Self.group) == ["v-a"])
        }
    }

    @Test func aStripedVolumeIsTakenOverAndGrowsByHand() async throws {
        try await inWorld { lab in
            try await lab.lvm("lvcreate", "-qq", "--yes", "-i2", "-L", "16m", "-n", "data", Self.group)
            try await adopt("data", lab)
            let text = try String(contentsOfFile: "\(lab.folder)/storage.yaml", encoding: .utf8)
            try lab.declare(text + attached("data"))
            let applied = try await lab.apply()
            #expect(applied.status == 0, "\(applied.text)")
            try lab.declare(text.replacing(/size: \S+/, with: "size: 32Mi") + attached("data"))
            let growth = try await lab.apply()
            #expect(growth.status == 3 && growth.text.contains("is striped"), "\(growth.text)")
            let line = try command("lvextend", in: growth.text).replacing("SIZE", with: "32m")
            let typed = try await lab.shell(line)
            #expect(typed.status == 0, "\(line): \(typed.text)")
            let after = try await lab.apply()
            #expect(after.status == 0, "\(after.text)")
        }
    }

    private func adopt(_ name: String, _ lab: LabProgram) async throws {
        let written = try await lab.run("tuff", ["import"] + lab.hostOptions)
        try #require(written.status == 0, "\(written.standardError)")
        try lab.declare(String(decoding: written.standardOutput, as: UTF8.self))
        let adopted = try await lab.tuff(
            ["import", "--adopt", "--auto-approve", "-f", "\(lab.folder)/storage.yaml"])
        #expect(adopted.status == 0, "\(adopted.text)")
    }

    @Test(arguments: ["", ", readOnly: true"]) func aReadOnlyVolumeIsHandedOutOnceItIsWritable(_ more: String)
        async throws
    {
        try await inWorld { lab in
            try await lab.lvm("lvcreate", "-qq", "--yes", "-L", "16m", "-n", "data", Self.group)
            try await lab.lvm("lvchange", "-qq", "-pr", "well/data")
            try await adopt("data", lab)
            let text = try String(contentsOfFile: "\(lab.folder)/storage.yaml", encoding: .utf8)
            try lab.declare(text + attached("data", more))
            let refused = try await lab.apply()
            #expect(refused.status == 3 && refused.text.contains("ReadOnly"), "\(refused.text)")
            #expect(!refused.text.contains("Cannot write"), "\(refused.text)")
            let status = try await lab.show("status")
            #expect(status.contains("Volume/data ReadOnly: well/data is read-only in LVM"), "\(status)")
            let typed = try await lab.shell(try command("lvchange -prw", in: status))
            #expect(typed.status == 0, "\(typed.text)")
            let after = try await lab.apply()
            #expect(after.status == 0, "\(after.text)")
            try await expectWell(lab)
        }
    }

    // MARK: Sectors

    /// A disk image whose partition table counts in sectors of 512 bytes.
    @Test func anImageGoesToThePoolWithItsSectorsAndIsWarnedOfElsewhere() async throws {
        try await inWorld { lab in
            try await lab.must("modprobe", ["loop"])
            let line =
                "truncate -s 256M \(lab.folder)/large && losetup --sector-size 4096 --show -f \(lab.folder)/large"
            let loop = String(try await lab.must("bash", ["-c", line]).prefix { $0 != "\n" })
            try await lab.lvm("vgcreate", "-qq", "--yes", "--physicalextentsize", "1m", "large", loop)
            try await lab.must("truncate", ["-s", "8M", "\(lab.folder)/disk.raw"])
            let pools =
                LabProgram.document(
                    "Pool", "small", "lvm: {volumeGroup: well, wipe: none}, reserve: 98%", labels: "tier: ssd")
                + LabProgram.document(
                    "Pool", "large", "lvm: {volumeGroup: large, wipe: none}, reserve: 0%", labels: "tier: ssd")
            let source = "source: {image: {path: \(lab.folder)/disk.raw, format: raw}}"
            try lab.declare(
                pools + document("Volume", "a", "size: 8Mi, poolSelector: {matchLabels: {tier: ssd}}, \(source)"))
            let near = try await lab.show("plan")
            #expect(near.contains("in pool small") && !near.contains("WARNING"), "\(near)")
            try lab.declare(pools + document("Volume", "a", "size: 8Mi, pool: large, \(source)"))
            let warned = try await lab.show("plan")
            #expect(warned.contains("WARNING: pool 'large' has sectors of 4096 bytes"), "\(warned)")
            let described = try await lab.show("describe", "pool/large")
            #expect(described.contains("Sectors 4096 bytes"), "\(described)")
            #expect(try await lab.show("describe", "pool/small").contains("Sectors 512 bytes"))
            _ = try await lab.shell("vgremove -qq --yes --force large; pvremove -qq \(loop); losetup -d \(loop)")
        }
    }
}
