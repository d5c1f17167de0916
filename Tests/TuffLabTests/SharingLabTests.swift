import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Several initiators of one volume, by the program itself and the kernel's own initiator, which writes and reads back
/// all the while.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct SharingLabTests {
    static let folder = "/run/tuff-sharing"
    static let portal = "127.0.0.1:3268"
    static let iqn = "iqn.2026-01.dev.tuff:db"
    static let hosts = ["web1", "web2"]

    let tools: LinuxMachine

    init() {
        let bundle = "/" + CommandLine.arguments[0].split(separator: "/").dropLast().joined(separator: "/")
        var configuration = LinuxMachine.Configuration(
            workerCommand: [], reach: Reach(everythingBeneath: ["/run"]), tools: .real())
        configuration.searchPath.append(bundle)
        tools = LinuxMachine(configuration: configuration)
    }

    // MARK: Tools

    @discardableResult
    private func run(_ tool: String, _ arguments: [String], deadline: Int = 120) async throws -> CommandOutput {
        try await tools.read(Command(tool, arguments, effect: .reads, deadline: deadline))
    }

    @discardableResult
    private func must(_ tool: String, _ arguments: [String]) async throws -> String {
        let output = try await run(tool, arguments)
        try #require(output.status == 0, "\(tool) \(arguments): \(text(output))")
        return text(output)
    }

    private func tuff(_ arguments: [String]) async throws -> CommandOutput {
        let host = ["--config", "\(Self.folder)/config.yaml", "--state-directory", "\(Self.folder)/state"]
        return try await run("tuff", arguments + host + ["--lock-file", "\(Self.folder)/run/lock"])
    }

    private func text(_ output: CommandOutput) -> String {
        String(decoding: output.standardOutput, as: UTF8.self) + output.standardError
    }

    private func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(Self.folder)/\(name)"))
    }

    private func read(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }

    // MARK: The world

    private static func initiator(_ host: String) -> String { "iqn.2004-10.com.example:\(host)" }

    /// Volume `db`, shown to these hosts, and further documents.
    private func declare(_ sharing: String, _ hosts: [String], _ more: String = "") throws {
        var text = """
            apiVersion: tuff.dev/v1
            kind: Pool
            metadata: {name: fast}
            spec: {lvm: {volumeGroup: sharing, thinPool: tp0}, overprovision: 4.0}
            ---
            apiVersion: tuff.dev/v1
            kind: Volume
            metadata: {name: db}
            spec: {size: 64Mi, pool: fast, sharing: \(sharing)}

            """
        for host in hosts {
            text += """
                ---
                apiVersion: tuff.dev/v1
                kind: Attachment
                metadata: {name: db-on-\(host)}
                spec: {volume: db, iscsi: {initiator: "\(Self.initiator(host))"}}

                """
        }
        try write("storage.yaml", text + more)
    }

    private func apply(_ more: [String] = []) async throws -> CommandOutput {
        try await tuff(["apply", "-f", "\(Self.folder)/storage.yaml", "--auto-approve"] + more)
    }

    private func inWorld(_ body: () async throws -> Void) async throws {
        let disk = try #require(Lab.disks.dropFirst(3).first)
        umask(0o077)
        for name in ["", "/run", "/io"] {
            try FileManager.default.createDirectory(
                atPath: Self.folder + name, withIntermediateDirectories: true, attributes: nil)
        }
        try write(
            "config.yaml",
            """
            apiVersion: tuff.dev/v1
            kind: Controller
            spec: {node: tufflab, portals: ["\(Self.portal)"], iqnBase: "iqn.2026-01.dev.tuff"}
            """)
        try await must("lvm", ["vgcreate", "-qq", "--yes", "sharing", disk])
        try await must(
            "lvm", ["lvcreate", "-qq", "--yes", "--type", "thin-pool", "--size", "1g", "--name", "tp0", "sharing"])
        try await startInitiators()
        do {
            try await body()
        } catch {
            Issue.record(error)
        }
        for host in Self.hosts { try await run("iscsiadm", node(host) + ["--logout"]) }
        try await run("iscsiadm", ["-m", "node", "-o", "delete"])
        try await must("iscsiadm", ["-k", "0"])
        #expect(try await tuff(["exports", "withdraw", "--auto-approve"]).status == 0)
        try await must("lvm", ["vgremove", "-qq", "--yes", "sharing"])
        try await must("lvm", ["pvremove", "-qq", disk])
        try FileManager.default.removeItem(atPath: Self.folder)
    }

    // MARK: The kernel's initiator, once for each host

    private func startInitiators() async throws {
        try Data("InitiatorName=\(Self.initiator("none"))\n".utf8).write(
            to: URL(filePath: "/etc/iscsi/initiatorname.iscsi"))
        let settings = "node.startup = manual\nnode.session.timeo.replacement_timeout = 5\n"
        try Data(settings.utf8).write(to: URL(filePath: "/etc/iscsi/iscsid.conf"))
        try FileManager.default.createDirectory(
            atPath: "/run/lock/iscsi", withIntermediateDirectories: true, attributes: nil)
        try await must("iscsid", [])
        for host in Self.hosts {
            try await must("iscsiadm", ["-m", "iface", "-I", host, "-o", "new"])
            try await must(
                "iscsiadm",
                [
                    "-m", "iface", "-I", host, "-o", "update", "-n", "iface.initiatorname", "-v",
                    Self.initiator(host),
                ])
        }
    }

    private func node(_ host: String) -> [String] { ["-m", "node", "-T", Self.iqn, "-p", Self.portal, "-I", host] }

    /// - Returns: the disk of the new session, as `sda`.
    private func login(_ host: String) async throws -> String {
        try await must("iscsiadm", node(host) + ["-o", "new"])
        try await must("iscsiadm", node(host) + ["--login"])
        for _ in 0..<50 {
            if let session = try session(of: host), let disk = disk(of: session) { return disk }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw ContractViolation("\(host) got no disk")
    }

    /// Name of the host's session, as `session1`.
    private func session(of host: String) throws -> String? {
        let sessions = "/sys/class/iscsi_session"
        return try FileManager.default.contentsOfDirectory(atPath: sessions).first { name in
            try read("\(sessions)/\(name)/initiatorname") == Self.initiator(host) + "\n"
        }
    }

    private func disk(of session: String) -> String? {
        let device = "/sys/class/iscsi_session/\(session)/device"
        func entries(_ path: String) -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        }
        for target in entries(device) where target.hasPrefix("target") {
            for unit in entries("\(device)/\(target)") {
                for name in entries("\(device)/\(target)/\(unit)/block") where access("/dev/\(name)", R_OK) == 0 {
                    return name
                }
            }
        }
        return nil
    }

    private func serial(of disk: String) throws -> String { try read("/sys/block/\(disk)/device/wwid") }

    // MARK: I/O

    /// Writes a new pattern to 64 KiB of the disk, past all caches, reads it back and compares, until the file `stop` is
    /// there; then prints how often. `place` is in units of 64 KiB.
    private func use(_ disk: String, place: Int, _ host: String) async throws -> CommandOutput {
        let script = """
            n=0
            while [ ! -e "$2/stop-$4" ]; do
                head -c 65536 /dev/urandom >"$2/$4" || exit 1
                dd if="$2/$4" of="$1" bs=64k seek="$3" oflag=direct conv=notrunc,fsync status=none || exit 2
                dd if="$1" bs=64k count=1 skip="$3" iflag=direct status=none | cmp - "$2/$4" || exit 3
                n=$((n + 1))
                echo $n >"$2/count-$4"
            done
            """
        return try await run(
            "bash", ["-c", script, "use", "/dev/\(disk)", "\(Self.folder)/io", "\(place)", host], deadline: 400)
    }

    private func rounds(_ host: String) -> Int {
        let text = (try? read("\(Self.folder)/io/count-\(host)")) ?? ""
        return Int(text.prefix { $0.isNumber }) ?? 0
    }

    /// Waits until the host has written and read back some more.
    private func goesOn(_ hosts: [String]) async throws {
        for host in hosts {
            let before = rounds(host)
            for _ in 0..<150 where rounds(host) < before + 3 { try await Task.sleep(for: .milliseconds(100)) }
            #expect(rounds(host) >= before + 3, "\(host) does not get on")
        }
    }

    private func stop(_ host: String) throws { try write("io/stop-\(host)", "") }

    // MARK: Tests

    @Test func aLiveMigrationHasTwoInitiatorsThenOneAndNoError() async throws {
        try await inWorld {
            try declare("handover", ["web1"])
            let built = try await apply()
            try #require(built.status == 0, "\(text(built))")
            let first = try await login("web1")
            let serial = try serial(of: first)
            let errors = try read("/sys/block/\(first)/device/ioerr_cnt")
            async let ofFirst = use(first, place: 0, "web1")
            try await goesOn(["web1"])
            let session = try session(of: "web1")

            // The second host is let in while the first one works.
            try declare("handover", ["web1", "web2"])
            let added = try await apply()
            #expect(added.status == 0 && text(added).contains("1 to add"), "\(text(added))")
            let second = try await login("web2")
            #expect(second != first)
            #expect(try self.serial(of: second) == serial, "both see the same disk")
            async let ofSecond = use(second, place: 64, "web2")
            try await goesOn(["web1", "web2"])
            #expect(try self.session(of: "web1") == session)

            // The first one's document goes; its access stays as long as it is logged in.
            try declare("handover", ["web2"])
            let early = try await apply(["--prune"])
            #expect(early.status == 3 && text(early).contains("InUse"), "\(text(early))")
            try await goesOn(["web1", "web2"])

            try stop("web1")
            let done = try await ofFirst
            #expect(done.status == 0, "\(text(done))")
            #expect(try read("/sys/block/\(first)/device/ioerr_cnt") == errors)
            // What the first one wrote last, the second one reads.
            let compared = try await run(
                "bash",
                ["-c", "dd if=/dev/\(second) bs=64k count=1 iflag=direct status=none | cmp - \(Self.folder)/io/web1"])
            #expect(compared.status == 0, "\(text(compared))")
            try await must("iscsiadm", node("web1") + ["--logout"])
            let pruned = try await apply(["--prune"])
            #expect(pruned.status == 0 && text(pruned).contains("1 to remove"), "\(text(pruned))")
            try await goesOn(["web2"])
            #expect(try await run("iscsiadm", node("web1") + ["--login"]).status != 0)

            // Back to one initiator: nothing changes at the target.
            try declare("none", ["web2"])
            let plan = try await tuff(["plan", "-f", "\(Self.folder)/storage.yaml", "--detailed-exitcode"])
            #expect(plan.status == 0, "\(text(plan))")
            try await goesOn(["web2"])
            try stop("web2")
            let finished = try await ofSecond
            #expect(finished.status == 0, "\(text(finished))")
            print("rounds of 64 KiB: web1 \(rounds("web1")), web2 \(rounds("web2"))")
        }
    }

    /// Whether the target takes a write of this initiator, whatever the initiator's kernel thinks of the disk: WRITE(10) of a
    /// block, sent as it is (-R: to a disk that is opened for reading).
    private func write(_ path: String, to disk: String) async throws -> String {
        let line = "sg_raw -R -s 512 -i \(path) /dev/\(disk) 2a 00 00 00 00 08 00 00 01 00"
        return text(try await run("bash", ["-c", line]))
    }

    @Test func readersReadAndOnlyTheWriterAndWritersWrite() async throws {
        try await inWorld {
            let second = """
                ---
                apiVersion: tuff.dev/v1
                kind: Attachment
                metadata: {name: db-on-web2}
                spec: {volume: db, readOnly: true, iscsi: {initiator: "\(Self.initiator("web2"))"}}
                """
            try declare("readers", ["web1"], second)
            let built = try await apply()
            try #require(built.status == 0, "\(text(built))")
            let one = try await login("web1"), two = try await login("web2")
            let block = "\(Self.folder)/io/block", read = "dd bs=512 skip=8 count=1 iflag=direct status=none if=/dev/"
            try await must("dd", ["if=/dev/urandom", "of=\(block)", "bs=512", "count=1", "status=none"])
            #expect(try await write(block, to: one).contains("Good"))
            try await must("bash", ["-c", "\(read)\(two) | cmp - \(block)"])
            try await must("dd", ["if=/dev/urandom", "of=\(block)2", "bs=512", "count=1", "status=none"])
            let refused = try await write(block + "2", to: two)
            #expect(refused.contains("Data Protect") && refused.contains("Write protected"), "\(refused)")
            try await must("bash", ["-c", "\(read)\(one) | cmp - \(block)"])

            try declare("writers", Self.hosts)
            #expect(try await apply().status == 0)
            #expect(try await write(block + "2", to: two).contains("Good"))
            try await must("bash", ["-c", "\(read)\(one) | cmp - \(block)2"])
        }
    }

    /// What a reboot does to kernel state: no targets, no active volumes.
    private func reboot() async throws {
        #expect(try await tuff(["exports", "withdraw", "--auto-approve"]).status == 0)
        try await must("lvm", ["vgchange", "-qq", "-an", "sharing"])
        rmdir("/sys/kernel/config/target/iscsi")
    }

    @Test func reservationsOfAClusterSurviveAReboot() async throws {
        try await inWorld {
            // As on a host where nobody ever made it.
            let root = try read("/sys/kernel/config/target/dbroot").filter { !$0.isNewline }
            try await run("rm", ["-r", "\(root)/pr"])
            try declare("writers", Self.hosts)
            let doctor = ["doctor", "-f", "\(Self.folder)/storage.yaml"]
            #expect(text(try await tuff(doctor)).contains("\(root)/pr does not exist"))
            let built = try await apply()
            try #require(built.status == 0, "\(text(built))")
            #expect(text(try await tuff(doctor)).contains("persistent reservations \(root)/pr: only its owner"))
            var disks: [String] = []
            for (index, host) in Self.hosts.enumerated() {
                disks.append("/dev/" + (try await login(host)))
                let key = "--param-sark=0xabc\(index)"
                try await must("sg_persist", ["--out", "--register", key, "--param-aptpl", disks[index]])
            }
            // Only who is registered may write.
            try await must(
                "sg_persist", ["--out", "--reserve", "--param-rk=0xabc0", "--prout-type=5", disks[0]])
            let keys = try await must("sg_persist", ["--in", "--read-keys", disks[0]])
            #expect(keys.contains("0xabc0") && keys.contains("0xabc1"), "\(keys)")
            for host in Self.hosts { try await must("iscsiadm", node(host) + ["--logout"]) }
            try await reboot()
            let restored = try await tuff(["exports", "restore", "--wait", "0s"])
            #expect(restored.status == 0, "\(text(restored))")
            let disk = "/dev/" + (try await login("web2"))
            let after = try await must("sg_persist", ["--in", "--read-keys", disk])
            #expect(after.contains("0xabc0") && after.contains("0xabc1"), "\(after)")
            let reservation = try await must("sg_persist", ["--in", "--read-reservation", disk])
            #expect(reservation.contains("0xabc0") && reservation.contains("Write Exclusive"), "\(reservation)")
            let plan = try await tuff(["plan", "-f", "\(Self.folder)/storage.yaml", "--detailed-exitcode"])
            #expect(plan.status == 0, "\(text(plan))")
        }
    }

    /// An initiator gives its disk back, and finds on it what the snapshot holds.
    @Test func anInitiatorReadsWhatItsVolumeWasRolledBackTo() async throws {
        func document(_ kind: String, _ name: String, _ spec: String) -> String {
            "---\napiVersion: tuff.dev/v1\nkind: \(kind)\nmetadata: {name: \(name)}\nspec: {\(spec)}\n"
        }
        func fill(_ disk: String, _ byte: String) async throws {
            let script =
                "tr '\\0' \(byte) </dev/zero | dd of=/dev/\(disk) bs=64k count=256 iflag=fullblock oflag=direct"
            try await must("bash", ["-c", script + " conv=notrunc,fsync status=none"])
        }
        try await inWorld {
            try declare("none", ["web1"])
            #expect(try await apply().status == 0)
            var disk = try await login("web1")
            try await fill(disk, "A")
            let snapshot = document("Snapshot", "good", "volume: db")
            try declare("none", ["web1"], snapshot)
            #expect(try await apply().status == 0)
            try await fill(disk, "B")

            let listed = try await tuff(["get", "volumes", "-f", "\(Self.folder)/storage.yaml", "-o", "json"])
            let uid = try #require(text(listed).firstMatch(of: /"uid": ?"([a-z2-7]{16})"/)?.1)
            let restore =
                snapshot + document("Restore", "undo", "volume: db, volumeUID: \(uid), from: {snapshot: good}")
            try declare("none", ["web1"], restore)
            let attached = try await apply(["--prune"])
            #expect(attached.status == 3 && text(attached).contains("Attached"), "\(text(attached))")
            try declare("none", [], restore)
            let inUse = try await apply(["--prune"])
            #expect(inUse.status == 3 && text(inUse).contains("Attached"), "\(text(inUse))")

            try await must("iscsiadm", node("web1") + ["--logout"])
            let done = try await apply(["--prune"])
            #expect(done.status == 0 && text(done).contains("before-undo"), "\(text(done))")
            try declare("none", ["web1"], restore)
            let back = try await apply(["--prune"])
            #expect(back.status == 0, "\(text(back))")
            disk = try await login("web1")
            let found = try await must(
                "bash", ["-c", "dd if=/dev/\(disk) bs=64k count=256 iflag=direct status=none | tr -d A | wc -c"])
            #expect(found == "0\n")
            let kept = try await tuff(["trash", "ls"])
            #expect(text(kept).contains("before-undo"), "\(text(kept))")
        }
    }
}
