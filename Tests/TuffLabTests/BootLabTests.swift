import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Shutdown and boot on the real kernel, by the program itself: what an initiator sees must be the same disk.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct BootLabTests {
    static let folder = "/run/tuff-boot"
    static let web1 = "iqn.2004-10.com.example:web1"
    static let base = "iqn.2026-01.dev.tuff"
    /// Of the range for examples (RFC 5737); the guest has it only while a test gives it.
    static let lateAddress = "192.0.2.9"

    let tools: LinuxMachine
    let secret = String(UInt64.random(in: 1 << 62...UInt64.max), radix: 16)

    init() {
        let bundle = "/" + CommandLine.arguments[0].split(separator: "/").dropLast().joined(separator: "/")
        var configuration = LinuxMachine.Configuration(
            workerCommand: [], reach: Reach(everythingBeneath: ["/run"]), tools: .real())
        configuration.searchPath.append(bundle)
        tools = LinuxMachine(configuration: configuration)
    }

    // MARK: Tools

    @discardableResult
    private func run(_ tool: String, _ arguments: [String]) async throws -> CommandOutput {
        try await tools.read(Command(tool, arguments, effect: .reads, deadline: 120))
    }

    /// A tool that must succeed.
    private func must(_ tool: String, _ arguments: [String]) async throws {
        let output = try await run(tool, arguments)
        try #require(output.status == 0, "\(tool) \(arguments): \(output.standardError)")
    }

    private func tuff(_ arguments: [String]) async throws -> CommandOutput {
        let host = ["--config", "\(Self.folder)/config.yaml", "--state-directory", "\(Self.folder)/state"]
        return try await run("tuff", arguments + host + ["--lock-file", "\(Self.folder)/run/lock"])
    }

    private func text(_ output: CommandOutput) -> String {
        String(decoding: output.standardOutput, as: UTF8.self) + output.standardError
    }

    // MARK: The world

    /// A host with volumes `db` (CHAP) and `log` of one thin pool, both exported.
    private func inWorld(_ body: (_ disk: String) async throws -> Void) async throws {
        let disk = try #require(Lab.disks.dropFirst(2).first)
        umask(0o077)
        for name in ["", "/run", "/secrets"] {
            try FileManager.default.createDirectory(
                atPath: Self.folder + name, withIntermediateDirectories: true, attributes: nil)
        }
        try write("secrets/web1", secret)
        try write(
            "config.yaml",
            """
            apiVersion: tuff.dev/v1
            kind: Controller
            spec:
              node: tufflab
              portals: ["127.0.0.1:3267"]
              iqnBase: "\(Self.base)"
              allow: {secrets: [\(Self.folder)/secrets]}
            """)
        try write("storage.yaml", Self.documents(portals: "[\"127.0.0.1:3267\"]"))
        try await must("lvm", ["vgcreate", "-qq", "--yes", "boot", disk])
        try await must(
            "lvm", ["lvcreate", "-qq", "--yes", "--type", "thin-pool", "--size", "1g", "--name", "tp0", "boot"])
        do {
            try await body(disk)
        } catch {
            Issue.record(error)
        }
        #expect(try await tuff(["exports", "withdraw", "--auto-approve"]).status == 0)
        try await must("lvm", ["vgremove", "-qq", "--yes", "boot"])
        try await must("lvm", ["pvremove", "-qq", disk])
        try FileManager.default.removeItem(atPath: Self.folder)
    }

    private func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(Self.folder)/\(name)"))
    }

    private static func documents(portals: String, volumes: [String] = ["db", "log"]) -> String {
        var text = """
            apiVersion: tuff.dev/v1
            kind: Pool
            metadata: {name: fast}
            spec: {lvm: {volumeGroup: boot, thinPool: tp0}, overprovision: 4.0}

            """
        for name in volumes {
            let chap = name == "db" ? ", chap: {user: web1, passwordFrom: {file: \(folder)/secrets/web1}}" : ""
            text += """
                ---
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata: {name: \(name)}
                spec: {size: 64Mi, pool: fast, iscsi: {portals: \(portals)}}
                ---
                apiVersion: tuff.dev/v1
                kind: Attachment
                metadata: {name: \(name)-on-web1}
                spec: {volume: \(name), iscsi: {initiator: \(web1)\(chap)}}

                """
        }
        return text
    }

    /// What a reboot does to kernel state: no targets, no active volumes.
    private func reboot() async throws {
        #expect(try await tuff(["exports", "withdraw", "--auto-approve"]).status == 0)
        try await must("lvm", ["vgchange", "-qq", "-an", "boot"])
        rmdir("/sys/kernel/config/target/iscsi")
    }

    // MARK: What an initiator sees

    private func page(_ page: Int, of volume: String, at address: String = "127.0.0.1", login: String = "")
        async throws -> [UInt8]?
    {
        let url = "iscsi://\(login)\(address):3267/\(Self.base):\(volume)/0"
        let output = try await run("iscsi-inq", ["-e", "1", "-c", "\(page)", "-i", Self.web1, url])
        return output.status == 0 ? output.standardOutput : nil
    }

    /// Serial number (page 0x80) and designators (page 0x83) of LUN 0 of both volumes, `db` with its secret.
    private func disks() async throws -> [[UInt8]?] {
        let login = "web1%\(secret)@"
        return [
            try await page(128, of: "db", login: login), try await page(131, of: "db", login: login),
            try await page(128, of: "log"), try await page(131, of: "log"),
        ]
    }

    /// A line for each, of name, uuid, size and tags.
    private func logicalVolumes() async throws -> [String] {
        let columns = "lv_name,lv_uuid,lv_size,lv_tags"
        let report = text(try await run("lvm", ["lvs", "--noheadings", "-o", columns, "boot"]))
        return report.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    }

    private func apply(_ more: [String] = []) async throws {
        let applied = try await tuff(["apply", "-f", "\(Self.folder)/storage.yaml", "--auto-approve"] + more)
        try #require(applied.status == 0, "\(text(applied))")
    }

    // MARK: Tests

    @Test func theSameDisksComeBackAfterShutdownAndAfterAReboot() async throws {
        try await inWorld { _ in
            try await apply()
            let before = try await disks()
            #expect(before.allSatisfy { $0 != nil })
            let volumes = try await logicalVolumes()
            #expect(try await tuff(["exports", "withdraw", "--auto-approve"]).status == 0)
            #expect(try await disks().allSatisfy { $0 == nil })
            #expect(try await tuff(["exports", "restore", "--wait", "0s"]).status == 0)
            #expect(try await disks() == before)
            try await reboot()
            let restored = try await tuff(["exports", "restore", "--wait", "0s"])
            #expect(restored.status == 0, "\(text(restored))")
            #expect(try await disks() == before)
            #expect(try await page(128, of: "db") == nil, "without its secret nobody gets in")
            #expect(try await logicalVolumes() == volumes)
            let plan = try await tuff(["plan", "-f", "\(Self.folder)/storage.yaml", "--detailed-exitcode"])
            #expect(plan.status == 0, "\(text(plan))")
            #expect(!text(restored).contains(secret))
        }
    }

    @Test func aSessionDoesNotKeepAnExportFromGoing() async throws {
        try await inWorld { _ in
            try await apply()
            // It connects again for ever, so it is ended.
            let perf = Command(
                "iscsi-perf", ["-i", Self.web1, "iscsi://127.0.0.1:3267/\(Self.base):log/0"], effect: .reads,
                deadline: 15)
            async let reading = tools.read(perf)
            try await Task.sleep(for: .seconds(2))
            let withdrawn = try await tuff(["exports", "withdraw", "--auto-approve"])
            #expect(withdrawn.status == 0, "\(text(withdrawn))")
            try await must("lvm", ["vgchange", "-qq", "-an", "boot"])
            _ = try? await reading
        }
    }

    @Test func eachWaitsForItsOwnLatenessAndNothingIsMade() async throws {
        try await inWorld { disk in
            try write("storage.yaml", Self.documents(portals: "[\"127.0.0.1:3267\", \"\(Self.lateAddress):3267\"]"))
            try await must("ip", ["addr", "add", "\(Self.lateAddress)/32", "dev", "lo"])
            try await apply()
            let before = try await disks()
            try await reboot()
            try await must("ip", ["addr", "del", "\(Self.lateAddress)/32", "dev", "lo"])
            // A filter takes the disk from LVM, as if it were not there yet; the secret is not mounted yet.
            let configuration = try Data(contentsOf: URL(filePath: "/etc/lvm/lvm.conf"))
            let filter = "devices/global_filter=[\"r|^\(disk)$|\"]\n"
            try (configuration + Data(filter.utf8)).write(to: URL(filePath: "/etc/lvm/lvm.conf"))
            let secretFile = "\(Self.folder)/secrets/web1"
            rename(secretFile, secretFile + ".late")
            async let restoring = tuff(["exports", "restore", "--wait", "90s"])
            try await Task.sleep(for: .seconds(4))
            #expect(try await page(128, of: "log") == nil)
            try configuration.write(to: URL(filePath: "/etc/lvm/lvm.conf"))
            var log: [UInt8]?
            for _ in 0..<60 where log == nil {
                try await Task.sleep(for: .milliseconds(500))
                log = try await page(128, of: "log")
            }
            #expect(log == before[2], "one does not wait for the other's secret")
            #expect(try await page(128, of: "log", at: Self.lateAddress) == nil)
            try await must("ip", ["addr", "add", "\(Self.lateAddress)/32", "dev", "lo"])
            #expect(try await page(128, of: "log", at: Self.lateAddress) == before[2])
            rename(secretFile + ".late", secretFile)
            let restored = try await restoring
            #expect(restored.status == 0, "\(text(restored))")
            #expect(try await disks() == before)
            try await must("ip", ["addr", "del", "\(Self.lateAddress)/32", "dev", "lo"])
        }
    }

    @Test func whatIsInTheTrashOrGoneIsNeitherExportedNorMade() async throws {
        try await inWorld { _ in
            try await apply()
            let record = "\(Self.folder)/state/accepted-default.json"
            let everything = try Data(contentsOf: URL(filePath: record))
            let before = try await page(128, of: "log")
            try write("storage.yaml", Self.documents(portals: "[\"127.0.0.1:3267\"]", volumes: ["log"]))
            try await apply(["--prune", "--allow-removals", "2"])
            try await reboot()
            // As if the crash of that apply had lost what it accepted.
            try everything.write(to: URL(filePath: record))
            let volumes = try await logicalVolumes()
            let restored = try await tuff(["exports", "restore", "--wait", "0s"])
            #expect(restored.status == 3)
            #expect(text(restored).contains("is in the trash"))
            #expect(try await page(128, of: "log") == before)
            try await must("lvm", ["lvremove", "-qq", "--yes", "boot", "--select", "lv_name=~^t-"])
            let again = try await tuff(["exports", "restore", "--wait", "0s"])
            #expect(again.status == 3)
            #expect(text(again).contains("nothing is made in its place"))
            #expect(try await logicalVolumes() == volumes.filter { !$0.hasPrefix("t-") })
        }
    }

    @Test func aDetachedInitiatorStaysOutAfterAReboot() async throws {
        try await inWorld { _ in
            try await apply()
            #expect(try await tuff(["detach", "log-on-web1", "--auto-approve"]).status == 0)
            try await reboot()
            #expect(try await tuff(["exports", "restore", "--wait", "0s"]).status == 0)
            #expect(try await page(128, of: "log") == nil)
            #expect(try await page(128, of: "db", login: "web1%\(secret)@") != nil)
        }
    }
}
