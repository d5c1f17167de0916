import FoundationEssentials
import Glibc
import Testing
import TuffModel

/// The story that Tuff exists for, on a real kernel: a volume that an initiator uses is backed up to an NFS share, it
/// and the whole host's memory of it are lost, and documents and the share bring it back.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct DisasterLabTests {
    static let initiator = "iqn.2004-10.com.example:web1"
    static let pools = [
        "fast": "lvm: {volumeGroup: disaster, thinPool: pool}",
        "slow": "lvm: {volumeGroup: disaster, tempSnapshotReserve: 50%}",
    ]

    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        try await LabProgram.withShares("disaster", port: 3294, body)
    }

    private func documents(_ pool: String, _ more: String = "", isAttached: Bool = true) -> String {
        LabProgram.document("Pool", pool, Self.pools[pool]!)
            + LabProgram.document("Volume", "db", "size: 64Mi, pool: \(pool)")
            + (isAttached
                ? LabProgram.document("Attachment", "db-web", "volume: db, iscsi: {initiator: \"\(Self.initiator)\"}")
                : "")
            + LabProgram.document(
                "BackupRepository", "nas",
                "nfs: {server: 127.0.0.1, export: /root, path: tuff, options: [vers=4.2]}, create: true")
            + more
    }

    @Test(
        "What is lost with its host comes back from the share under its identity, and is used again",
        arguments: ["fast", "slow"])
    func comesBack(pool: String) async throws {
        try await inWorld { lab in
            try lab.declare(documents(pool))
            let made = try await lab.apply("--allow-repository-create")
            #expect(made.status == 0, "\(made.text)")
            let device = "/dev/disaster/v-db"
            let filled = try await lab.shell("dd if=/dev/urandom of=\(device) bs=1M count=24 seek=8 oflag=direct")
            #expect(filled.status == 0, "\(filled.text)")
            let digest = try await lab.must("sha256sum", [device])
            let serial = try await serial(lab)

            try lab.declare(
                documents(pool, LabProgram.document("Backup", "before", "volume: db, repository: nas")))
            let backup = try await lab.apply()
            #expect(backup.status == 0, "\(backup.text)")
            #expect(try await lab.volumes("disaster").filter { $0.contains(" c-") } == [], "the snapshot is left")
            let again = try await lab.show("plan")
            #expect(again.contains("Nothing to do"), "\(again)")

            // The volume, its export, and all that this host knew of it.
            let withdrawn = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
            #expect(withdrawn.status == 0, "\(withdrawn.text)")
            try await lab.lvm("lvremove", "-qq", "--yes", "disaster/v-db")
            _ = try await lab.shell("rm -rf \(lab.folder)/state")
            let blank = try await lab.apply()
            #expect(blank.status == 3 && blank.text.contains("BackupExists"), "\(blank.text)")
            #expect(try await lab.made(in: "disaster") == [])

            // From its documents, or where they are lost, too, from the one that the restore point carries.
            if pool == "slow" { try await declareByRestorePoint(lab, pool) }
            let back = pool == "slow" ? try await lab.apply() : try await lab.apply("--restore-missing", "nas")
            #expect(back.status == 0, "\(back.text)")
            #expect(try await lab.must("sha256sum", [device]) == digest)
            #expect(try await self.serial(lab) == serial)
            #expect(try await lab.show("plan").contains("Nothing to do"))
            // Neither the worker's mount nor what it was mounted at is left on the host.
            let mounts = try String(contentsOfFile: "/proc/1/mountinfo", encoding: .utf8)
            #expect(!mounts.contains(" - nfs4 "))
        }
    }

    /// Has the volume's document written by `backup ls --print-yaml`, and the others alone by us.
    private func declareByRestorePoint(_ lab: LabProgram, _ pool: String) async throws {
        let printed = try await lab.tuff(
            ["backup", "ls", "-f", "\(lab.folder)/storage.yaml", "--repository", "nas", "--print-yaml"])
        #expect(printed.status == 0 && printed.text.contains("identity: keep"), "\(printed.text)")
        let others = documents(pool).split(separator: "---\n").filter { !$0.contains("kind: Volume") }
        try lab.declare(others.joined(separator: "---\n") + printed.text)
    }

    @Test("A restore that was killed shows the volume to nobody, and is gone on with")
    func interrupted() async throws {
        try await inWorld { lab in
            let backup = LabProgram.document("Backup", "before", "volume: db, repository: nas")
            try lab.declare(documents("fast"))
            #expect(try await lab.apply("--allow-repository-create").status == 0)
            let device = "/dev/disaster/v-db"
            let filled = try await lab.shell("dd if=/dev/urandom of=\(device) bs=1M count=60 oflag=direct")
            #expect(filled.status == 0, "\(filled.text)")
            let digest = try await lab.must("sha256sum", [device])
            try lab.declare(documents("fast", backup))
            #expect(try await lab.apply().status == 0)
            _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
            try await lab.lvm("lvremove", "-qq", "--yes", "disaster/v-db")
            _ = try await lab.shell("rm -rf \(lab.folder)/state")

            // Controller and worker, as by a power cut, once a part is written.
            let killed = try await lab.shell(
                """
                setsid tuff apply -f \(lab.folder)/storage.yaml --auto-approve --restore-missing nas \
                \(lab.hostOptions.joined(separator: " ")) >/dev/null 2>&1 &
                for i in $(seq 200); do lvs disaster/v-db >/dev/null 2>&1 && break; sleep 0.05; done
                sleep 0.5; kill -9 -- -$!; wait
                """)
            _ = killed
            let tags = try await lab.report("lvs", "lv_tags", "disaster/v-db")
            if tags.first?.first?.contains("tuff:op=copy") == true {
                #expect(
                    try FileManager.default.contentsOfDirectory(atPath: "/sys/kernel/config/target/iscsi")
                        .filter { $0.contains("disaster") } == [])
            }
            let finished = try await lab.tuff(
                ["apply", "-f", "\(lab.folder)/storage.yaml", "--auto-approve", "--lock-timeout", "60s"])
            #expect(finished.status == 0, "\(finished.text)")
            #expect(try await lab.must("sha256sum", [device]) == digest)
        }
    }

    @Test("A volume is rolled back in place: it waits for its initiator, is killed in the middle, and is finished")
    func inPlace() async throws {
        try await inWorld { lab in
            let device = "/dev/disaster/v-db"
            func fill() async throws {
                let filled = try await lab.shell("dd if=/dev/urandom of=\(device) bs=1M count=60 oflag=direct")
                #expect(filled.status == 0, "\(filled.text)")
            }
            try lab.declare(documents("fast"))
            #expect(try await lab.apply("--allow-repository-create").status == 0)
            try await fill()
            let digest = try await lab.must("sha256sum", [device])
            let serial = try await serial(lab)
            let backup = LabProgram.document("Backup", "before", "volume: db, repository: nas")
            try lab.declare(documents("fast", backup))
            #expect(try await lab.apply().status == 0)
            try await fill()

            let tags = try await lab.report("lvs", "lv_tags", "disaster/v-db").first?.first ?? ""
            let uid = tags.split(separator: ",").first { $0.hasPrefix("tuff:uid=") }?.dropFirst(9) ?? ""
            let restore = LabProgram.document(
                "Restore", "undo", "volume: db, volumeUID: \(uid), from: {backup: {repository: nas, at: latest}}")
            try lab.declare(documents("fast", backup + restore))
            let waiting = try await lab.apply()
            #expect(waiting.status == 3 && waiting.text.contains("Attached"), "\(waiting.text)")
            #expect(try await lab.must("sha256sum", [device]) != digest)

            try lab.declare(documents("fast", backup + restore, isAttached: false))
            // Controller and worker, as by a power cut, once the volume bears its mark.
            _ = try await lab.shell(
                """
                setsid tuff apply -f \(lab.folder)/storage.yaml --auto-approve --prune \
                \(lab.hostOptions.joined(separator: " ")) >/dev/null 2>&1 &
                for i in $(seq 400); do lvs -o lv_tags disaster/v-db 2>/dev/null | grep -q tuff:op=restore && break
                sleep 0.05; done
                sleep 0.3; kill -9 -- -$!; wait
                """)
            try lab.declare(documents("fast", backup + restore))
            let finished = try await lab.tuff(
                ["apply", "-f", "\(lab.folder)/storage.yaml", "--auto-approve", "--lock-timeout", "60s"])
            #expect(finished.status == 0, "\(finished.text)")
            #expect(try await lab.must("sha256sum", [device]) == digest)
            #expect(try await self.serial(lab) == serial)
            #expect(
                try await lab.report("lvs", "lv_tags", "disaster/v-db").first?.first?.contains("tuff:done=") == true)
            // Once only, whatever is written later.
            #expect(try await lab.show("plan").contains("Nothing to do"))
        }
    }

    @Test("While a volume is backed up another apply makes and attaches one, and the backup ends well")
    func beside() async throws {
        try await inWorld { lab in
            try lab.declare(documents("fast"))
            #expect(try await lab.apply("--allow-repository-create").status == 0)
            try lab.declare(documents("fast").replacing("size: 64Mi", with: "size: 160Mi"))
            #expect(try await lab.apply().status == 0)
            try await lab.must(
                "dd", ["if=/dev/urandom", "of=/dev/disaster/v-db", "bs=1M", "count=160", "oflag=direct"])
            let backup = LabProgram.document("Backup", "before", "volume: db, repository: nas")
            let set = documents("fast").replacing("size: 64Mi", with: "size: 160Mi") + backup
            try lab.write(set, to: "first.yaml")
            let more =
                LabProgram.document("Volume", "web", "size: 16Mi, pool: fast")
                + LabProgram.document("Attachment", "web-1", "volume: web, iscsi: {initiator: \"\(Self.initiator)\"}")
            try lab.declare(set + more)
            let options = lab.hostOptions.joined(separator: " ")
            let both = try await lab.shell(
                """
                tuff apply -f \(lab.folder)/first.yaml --auto-approve \(options) >\(lab.folder)/first.log 2>&1 &
                first=$!
                cd \(lab.folder)/run
                # The backup's own file, and that of the pass which gave the host back.
                for i in $(seq 1200); do
                    job=$(grep -ls '"kind":"backup"' jobs/*) && grep -qs '"kind":"pass"' jobs/* && break; sleep 0.05
                done
                worker=$(grep -o '"pid":[0-9]*' $job | cut -d: -f2)
                kill -STOP $worker
                tuff apply -f \(lab.folder)/storage.yaml --auto-approve --lock-timeout 60s \(options) || true
                kill -CONT $worker
                kill -0 $first && echo STILL-AT-WORK
                wait $first
                """)
            #expect(both.status == 0, "\(both.text)")
            #expect(both.text.contains("STILL-AT-WORK"), "\(both.text)")
            #expect(both.text.contains("it waits for"), "the backup is left alone: \(both.text)")
            #expect(try await lab.made(in: "disaster") == ["v-db", "v-web"])
            let calm = try await lab.show("plan")
            #expect(calm.contains("Nothing to do"), "\(calm)")
        }
    }

    /// As an initiator is told it.
    private func serial(_ lab: LabProgram) async throws -> String {
        let url = "iscsi://\(lab.portal)/iqn.2026-01.dev.tuff.disaster:db/0"
        return try await lab.must("iscsi-inq", ["-i", Self.initiator, "-e", "1", "-c", "128", url])
    }
}
