import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Taking over disks that were there before Tuff, on the real kernel, by the program itself: LVM and LIO as a person with
/// targetcli, or Cinder, made them.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct ImportLabTests {
    static let folder = "/run/tuff-import"
    static let root = "/sys/kernel/config/target"
    static let web1 = "iqn.2004-10.com.example:web1"
    static let portal = "127.0.0.1:3269"
    static let serial = "3f1b0c52-5a9e-4a0f-9c5e-2f7a6f1d0b11"
    static let theirs = "iqn.2003-01.org.linux-iscsi.lab:data"
    static let cinder = "volume-0f2d8a0e-6a6c-4dfd-9a39-1b6c0d7a5d10"

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

    private func run(_ tool: String, _ arguments: [String]) async throws -> CommandOutput {
        try await tools.read(Command(tool, arguments, effect: .reads, deadline: 120))
    }

    @discardableResult
    private func must(_ tool: String, _ arguments: [String]) async throws -> String {
        let output = try await run(tool, arguments)
        try #require(output.status == 0, "\(tool) \(arguments): \(text(output))")
        return String(decoding: output.standardOutput, as: UTF8.self)
    }

    private func tuff(_ arguments: [String]) async throws -> CommandOutput {
        let host = ["--config", "\(Self.folder)/config.yaml", "--state-directory", "\(Self.folder)/state"]
        return try await run("tuff", arguments + host + ["--lock-file", "\(Self.folder)/run/lock"])
    }

    private func text(_ output: CommandOutput) -> String {
        String(decoding: output.standardOutput, as: UTF8.self) + output.standardError
    }

    private func write(_ text: String, _ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(descriptor >= 0, "\(path)")
        defer { close(descriptor) }
        let count = text.withCString { Glibc.write(descriptor, $0, strlen($0)) }
        try #require(count == text.utf8.count, "\(path): \(errno)")
    }

    private func make(_ path: String) throws {
        try #require(mkdir(path, 0o755) == 0 || errno == EEXIST, "\(path): \(errno)")
    }

    private func entries(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    private func volumes() async throws -> String {
        try await must(
            "lvm", ["lvs", "--noheadings", "-o", "lv_name,lv_uuid,lv_size,lv_tags,lv_active,lv_kernel_minor", "old"])
    }

    // MARK: The world before Tuff

    /// A target as `targetcli` leaves it in configfs; every name but the IQN is its own choice.
    private func export(_ volume: String, as iqn: String, backstore: String, adapter: String, chap: Bool) throws {
        let object = "\(Self.root)/core/\(adapter)/\(backstore)"
        try make("\(Self.root)/core/\(adapter)")
        try make(object)
        try write("udev_path=/dev/old/\(volume)", "\(object)/control")
        try write(Self.serial, "\(object)/wwn/vpd_unit_serial")
        try write("1", "\(object)/enable")
        let group = "\(Self.root)/iscsi/\(iqn)/tpgt_1"
        for path in [
            "\(Self.root)/iscsi", "\(Self.root)/iscsi/\(iqn)", group, "\(group)/lun/lun_0",
            "\(group)/acls/\(Self.web1)", "\(group)/acls/\(Self.web1)/lun_0", "\(group)/np/\(Self.portal)",
        ] { try make(path) }
        try #require(symlink(object, "\(group)/lun/lun_0/a1b2c3d4e5") == 0)
        try #require(symlink("\(group)/lun/lun_0", "\(group)/acls/\(Self.web1)/lun_0/f6a7b8c9d0") == 0)
        try write(chap ? "1" : "0", "\(group)/attrib/authentication")
        if chap {
            try write("web1", "\(group)/acls/\(Self.web1)/auth/userid")
            try write(secret, "\(group)/acls/\(Self.web1)/auth/password")
        }
        try write("1", "\(group)/enable")
    }

    private func unexport(_ iqn: String, backstore: String, adapter: String) throws {
        let group = "\(Self.root)/iscsi/\(iqn)/tpgt_1"
        guard entries("\(Self.root)/iscsi").contains(iqn) else { return }
        for mapped in ["\(group)/acls/\(Self.web1)/lun_0", "\(group)/lun/lun_0"] {
            for name in entries(mapped) { unlink("\(mapped)/\(name)") }
        }
        for path in [
            "\(group)/acls/\(Self.web1)/lun_0", "\(group)/acls/\(Self.web1)", "\(group)/lun/lun_0",
            "\(group)/np/\(Self.portal)", group, "\(Self.root)/iscsi/\(iqn)",
            "\(Self.root)/core/\(adapter)/\(backstore)", "\(Self.root)/core/\(adapter)",
        ] { try #require(rmdir(path) == 0, "\(path): \(errno)") }
    }

    private func inWorld(_ body: () async throws -> Void) async throws {
        let disk = try #require(Lab.disks.dropFirst(3).first)
        umask(0o077)
        for name in ["", "/run", "/secrets"] {
            try FileManager.default.createDirectory(
                atPath: Self.folder + name, withIntermediateDirectories: true, attributes: nil)
        }
        try write(
            """
            apiVersion: tuff.dev/v1
            kind: Controller
            spec: {node: tufflab, portals: ["\(Self.portal)"], allow: {secrets: [\(Self.folder)/secrets]}}
            """, "\(Self.folder)/config.yaml")
        try await must("lvm", ["vgcreate", "-qq", "--yes", "old", disk])
        try await must(
            "lvm", ["lvcreate", "-qq", "--yes", "--type", "thin-pool", "--size", "1g", "--name", "tp", "old"])
        for name in ["Data_1", Self.cinder] {
            try await must("lvm", ["lvcreate", "-qq", "-V", "64m", "--thinpool", "old/tp", "-n", name])
        }
        try await must("lvm", ["lvcreate", "-qq", "--yes", "-L", "32m", "-n", "busy", "old"])
        try await must("dmsetup", ["create", "import-user", "--table", "0 8 linear /dev/old/busy 0"])
        try write("precious", "/dev/old/Data_1")
        try export("Data_1", as: Self.theirs, backstore: "disk1", adapter: "iblock_0", chap: false)
        try export(
            Self.cinder, as: "iqn.2010-10.org.openstack:\(Self.cinder)", backstore: "cinder", adapter: "iblock_1",
            chap: true)
        do { try await body() } catch { Issue.record(error) }
        _ = try await tuff(["exports", "withdraw", "--auto-approve"])
        try unexport(Self.theirs, backstore: "disk1", adapter: "iblock_0")
        try unexport("iqn.2010-10.org.openstack:\(Self.cinder)", backstore: "cinder", adapter: "iblock_1")
        try await must("dmsetup", ["remove", "import-user"])
        try await must("lvm", ["vgremove", "-qq", "--yes", "--force", "old"])
        try await must("lvm", ["pvremove", "-qq", disk])
        try FileManager.default.removeItem(atPath: Self.folder)
    }

    /// What an initiator remembers of a disk: unit serial number and NAA.
    private func identity() async throws -> [String] {
        let url = "iscsi://\(Self.portal)/\(Self.theirs)/0"
        var found: [String] = []
        for page in ["128", "131"] {
            let output = try await must("iscsi-inq", ["-i", Self.web1, "-e", "1", "-c", page, url])
            let lines = output.split(separator: "\n").map(String.init)
            if page == "128" {
                found += lines.filter { $0.contains("Unit Serial Number") }
            } else if let start = lines.firstIndex(where: { $0.contains("NAA") }) {
                found += lines[start...].prefix(2)
            }
        }
        let info = "\(Self.root)/iscsi/\(Self.theirs)/tpgt_1/acls/\(Self.web1)/info"
        for _ in 0..<100 where try !String(contentsOfFile: info, encoding: .utf8).hasPrefix("No active iSCSI Session") {
            try await Task.sleep(for: .milliseconds(50))
        }
        try #require(found.count == 3 && found[0].contains(Self.serial), "\(found)")
        return found
    }

    private func content() throws -> String {
        let descriptor = open("/dev/old/Data_1", O_RDONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 8)
        try #require(read(descriptor, &bytes, 8) == 8)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Every name in the target's configuration.
    private func tree() async throws -> String { try await must("find", [Self.root]) }

    // MARK: The tests

    @Test func aDiskIsTakenOverAndGivenBackAsItWas() async throws {
        try await inWorld {
            let born = try await identity()
            let before = try await volumes()
            let targets = try await tree()
            let file = "\(Self.folder)/old.yaml"

            let printed = try await tuff(["import"])
            let yaml = String(decoding: printed.standardOutput, as: UTF8.self)
            #expect(printed.status == 0, "\(text(printed))")
            for word in [
                Self.theirs, Self.serial, "name: data-1\n", "name: \(Self.cinder)\n", "old/busy", "mounted",
                "user: web1", "\(Self.folder)/secrets/",
            ] { #expect(yaml.contains(word), "no \(word) in \(yaml)") }
            #expect(!text(printed).contains(secret))
            try write(yaml, file)
            let valid = try await run("tuff", ["validate", "-f", file])
            #expect(valid.status == 0, "\(text(valid))")
            let early = try await tuff(["plan", "-f", file])
            #expect(text(early).contains("NotAdopted") && text(early).contains("0 to add"), "\(text(early))")
            #expect(try await volumes() == before)

            let adopted = try await tuff(["import", "--adopt", "--auto-approve", "-f", file])
            #expect(adopted.status == 0, "\(text(adopted))")
            let tagged = try await volumes()
            #expect(tagged.contains("tuff:adopted") && tagged.contains("tuff:iqn=\(Self.theirs)"), "\(tagged)")
            #expect(try await tree() == targets)
            #expect(try await identity() == born && content() == "precious")
            #expect(try await String(decoding: tuff(["import"]).standardOutput, as: UTF8.self).contains(Self.serial))

            let waiting = try await tuff(["apply", "--auto-approve", "-f", file])
            #expect(waiting.status == 3 && text(waiting).contains("disk1"), "\(text(waiting))")
            #expect(try await tree() == targets)

            try unexport(Self.theirs, backstore: "disk1", adapter: "iblock_0")
            let applied = try await tuff(["apply", "--auto-approve", "-f", file])
            #expect(applied.status == 3, "Cinder's secret is missing: \(text(applied))")
            #expect(try await identity() == born && content() == "precious")
            #expect(try await volumes() == tagged)

            let busy = try await tuff(["release", "Volume/data-1", "--auto-approve"])
            #expect(busy.status == 3 && text(busy).contains("InUse"), "\(text(busy))")
            let detached = try await tuff(["detach", "data-1-on-web1", "--auto-approve"])
            #expect(detached.status == 0, "\(text(detached))")
            for name in ["data-1", Self.cinder] {
                let released = try await tuff(["release", "Volume/\(name)", "--auto-approve"])
                #expect(released.status == 0, "\(text(released))")
            }
            #expect(try await volumes() == before && content() == "precious")

            let again = try await tuff(["import", "--adopt", "--auto-approve", "-f", file])
            #expect(again.status == 0, "\(text(again))")
            #expect(try await volumes() == tagged)
        }
    }
}
