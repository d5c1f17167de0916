import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Thin pools that are really full, read-only or coarse: what Tuff says of them, that it makes nothing there, and that
/// what it tells people to do helps.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct PoolConditionLabTests {
    private static let health = "lv_health_status,lv_check_needed,lv_when_full"

    private func declare(_ lab: LabProgram, _ volumes: [String]) throws {
        try lab.declare(
            volumes.reduce(
                LabProgram.document("Pool", "fast", "lvm: {volumeGroup: cond, thinPool: tp}, overprovision: 4")
            ) { $0 + LabProgram.document("Volume", $1, "size: 96Mi, pool: fast") })
    }

    /// A thin pool with volume `a`, active.
    private func inWorld(
        _ creation: [String] = ["--chunksize", "64k"], _ body: (LabProgram) async throws -> Void
    ) async throws {
        let disk = try #require(Lab.disks.last)
        let lab = try LabProgram("condition", port: 3272)
        try await lab.lvm("vgcreate", "-qq", "--yes", "--physicalextentsize", "1m", "cond", disk)
        try await lab.must(
            "lvm", ["lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "64m", "-n", "tp"] + creation + ["cond"])
        try declare(lab, ["a"])
        let made = try await lab.apply()
        #expect(made.status == 0, "\(made.text)")
        try await lab.lvm("lvchange", "-qq", "-ay", "-K", "cond/v-a")
        do { try await body(lab) } catch { Issue.record(error) }
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "cond")
        try await lab.lvm("pvremove", "-qq", disk)
        try lab.remove()
    }

    private func fill(_ mebi: Int, _ lab: LabProgram) async throws -> Int32 {
        try await lab.shell("dd if=/dev/zero of=/dev/cond/v-a bs=1M count=\(mebi) oflag=direct conv=fsync status=none")
            .status
    }

    /// Status and plan name the condition, and nothing is made.
    /// - Returns: what the status says.
    private func expectRefusal(_ lab: LabProgram, _ reason: String) async throws -> String {
        try declare(lab, ["a", "b"])
        let before = try await lab.volumes("cond")
        let status = try await lab.show("status")
        #expect(status.contains("Pool/fast \(reason):"), "\(status)")
        let applied = try await lab.apply()
        #expect(applied.status == 3 && applied.text.contains(reason), "\(applied.text)")
        #expect(try await lab.volumes("cond") == before)
        return status
    }

    private func expectMending(_ lab: LabProgram) async throws {
        #expect(try await lab.report("lvs", "lv_health_status,lv_check_needed", "cond/tp") == [["", ""]])
        let applied = try await lab.apply()
        #expect(applied.status == 0, "\(applied.text)")
        #expect(try await lab.made(in: "cond") == ["v-a", "v-b"])
    }

    @Test func aFullPoolWhoseWritesFailTakesNothingNewUntilItIsExtended() async throws {
        try await inWorld { lab in
            try await lab.lvm("lvchange", "-qq", "--errorwhenfull", "y", "cond/tp")
            #expect(try await fill(80, lab) != 0)
            #expect(try await lab.report("lvs", Self.health, "cond/tp") == [["out_of_data", "", "error"]])
            let status = try await expectRefusal(lab, "DataFull")
            #expect(
                status.contains("has no space left, and writes to it fail; 'lvextend -L+SIZE cond/tp'"), "\(status)")
            try await lab.lvm("lvextend", "-qq", "-L+64m", "cond/tp")
            try await expectMending(lab)
        }
    }

    @Test func writesThatWaitForRoomGoOnOnceThePoolIsExtended() async throws {
        try await inWorld { lab in
            // A busy machine may take longer than the minute that the kernel lets them wait.
            let limit = "/sys/module/dm_thin_pool/parameters/no_space_timeout"
            try await lab.must("bash", ["-c", "echo 0 >\(limit)"])
            async let writing = fill(80, lab)
            var health: [[String]] = []
            for _ in 0..<100 where health != [["out_of_data", "", "queue"]] {
                try await Task.sleep(for: .milliseconds(200))
                health = try await lab.report("lvs", Self.health, "cond/tp")
            }
            #expect(health == [["out_of_data", "", "queue"]])
            let status = try await expectRefusal(lab, "DataFull")
            #expect(
                status.contains("has no space left, and writes to it wait; 'lvextend -L+SIZE cond/tp'"), "\(status)")
            try await lab.lvm("lvextend", "-qq", "-L+64m", "cond/tp")
            #expect(try await writing == 0)
            try await lab.must("bash", ["-c", "echo 60 >\(limit)"])
            try await expectMending(lab)
        }
    }

    /// The device beneath the metadata stops taking writes: the kernel gives the transaction up and wants a check.
    @Test(arguments: [false, true]) func metadataThatWantsACheckIsMendedByWhatTheRefusalSays(_ isDamaged: Bool)
        async throws
    {
        try await inWorld { lab in
            #expect(try await fill(8, lab) == 0)
            let table = try await lab.must("dmsetup", ["table", "cond-tp_tmeta"]).split(whereSeparator: \.isWhitespace)
            try #require(table.count == 5 && table[2] == "linear", "\(table)")
            try await lab.must("modprobe", ["dm-flakey"])
            let faulty = "0 \(table[1]) flakey \(table[3]) \(table[4]) 0 3600 1 error_writes"
            try await exchange(faulty, lab)
            #expect(try await fill(16, lab) != 0)
            try await exchange(table.joined(separator: " "), lab)
            #expect(
                try await lab.report("lvs", "lv_health_status,lv_check_needed", "cond/tp")
                    == [["metadata_read_only", "check needed"]])
            _ = try await expectRefusal(lab, "NeedsCheck")

            try await lab.lvm("lvchange", "-qq", "-an", "cond/v-a")
            for command in try await commands(lab, repair: isDamaged) { try await lab.must("bash", ["-c", command]) }
            try await expectMending(lab)
            try await lab.lvm("lvchange", "-qq", "-ay", "-K", "cond/v-a")
            #expect(try await fill(16, lab) == 0)
        }
    }

    /// Devices that LVM knows nothing of fill the metadata but for a few blocks, each with a mapping of its own.
    @Test func fullMetadataGetsRoomWhileVolumesAreInUse() async throws {
        try await inWorld(["--chunksize", "64k", "--poolmetadatasize", "2m"]) { lab in
            let table = try await lab.must("dmsetup", ["table", "cond-tp_tmeta"])
            try await lab.lvm("lvchange", "-qq", "-an", "cond/v-a", "cond/tp")
            try await lab.must("dmsetup", ["create", "condition-metadata", "--table", table])
            let device =
                "<device dev_id='$i' mapped_blocks='1' transaction='0' creation_time='0' snap_time='0'>"
                + "<single_mapping origin_block='0' data_block='$i' time='0'/></device>"
            let filled = try await lab.shell(
                """
                { thin_dump /dev/mapper/condition-metadata | head -n -1
                for i in {100..530}; do echo "\(device)"; done
                echo '</superblock>'; } >\(lab.folder)/pool.xml
                thin_restore -i \(lab.folder)/pool.xml -o /dev/mapper/condition-metadata
                """)
            #expect(filled.status == 0, "\(filled.text)")
            try await lab.must("dmsetup", ["remove", "condition-metadata"])
            try await lab.lvm("lvchange", "-qq", "-ay", "-K", "cond/v-a")
            #expect(try await fill(20, lab) == 0)
            let last = try await lab.shell(
                "for i in {700..730}; do dmsetup message cond-tp-tpool 0 \"create_thin $i\" || exit; done")
            #expect(last.status != 0)
            #expect(
                try await lab.report("lvs", "lv_health_status,metadata_percent", "cond/tp")
                    == [["metadata_read_only", "100.00"]])
            let status = try await expectRefusal(lab, "MetadataFull")
            #expect(status.contains("'lvextend --poolmetadatasize +SIZE cond/tp' makes room"), "\(status)")
            try await lab.lvm("lvextend", "-qq", "--poolmetadatasize", "+8m", "cond/tp")
            // 431 chunks that no volume of LVM's has.
            try await lab.lvm("lvextend", "-qq", "-L+64m", "cond/tp")
            try await expectMending(lab)
        }
    }

    private func exchange(_ table: String, _ lab: LabProgram) async throws {
        try await lab.must("dmsetup", ["suspend", "--nolockfs", "cond-tp_tmeta"])
        try await lab.must("dmsetup", ["load", "cond-tp_tmeta", "--table", table])
        try await lab.must("dmsetup", ["resume", "cond-tp_tmeta"])
    }

    /// The commands that the pool's line tells people to type, as they are written there.
    private func commands(_ lab: LabProgram, repair: Bool) async throws -> [String] {
        struct View: Decodable {
            struct Change: Decodable {
                var reason: String?
                var summary: String
            }
            var changes: [Change]
        }
        let plan = try await lab.run(
            "tuff", ["plan", "-o", "json", "-f", "\(lab.folder)/storage.yaml"] + lab.hostOptions)
        let view = try JSONDecoder().decode(View.self, from: Data(plan.standardOutput))
        let sentence = try #require(view.changes.first { $0.reason == "NeedsCheck" }?.summary)
        let off = try #require(sentence.firstMatch(of: /'(lvchange -an [^']+)'/)?.1)
        let on = try #require(sentence.firstMatch(of: /lvchange -ay --config '[^']+' cond\/tp/)?.0)
        let mend = try #require(sentence.firstMatch(of: /'(lvconvert --repair [^']+)'/)?.1)
        return [String(off)] + (repair ? ["\(mend) -qq --yes"] : []) + [String(on)]
    }

    @Test func coarseChunksAreSaidAndStopNothing() async throws {
        try await inWorld(["--chunksize", "1m"]) { lab in
            let status = try await lab.show("status")
            #expect(status.contains("CoarseChunks: thin pool cond/tp has chunks of 1 MiB, for ever"), "\(status)")
            try declare(lab, ["a", "b"])
            try await expectMending(lab)
        }
    }
}
