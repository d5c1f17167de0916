import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// A disk that was handed out with targetcli itself, taken over while it is in use, and given back.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct TargetcliLabTests {
    private static let web1 = "iqn.2004-10.com.example:web1"
    private static let iqn = "iqn.2003-01.org.linux-iscsi.lab:archive"
    private static let group = "/sys/kernel/config/target/iscsi/\(iqn)/tpgt_1"

    private func targetcli(_ lab: LabProgram, _ line: String) async throws {
        let (status, text) = try await lab.shell("TARGETCLI_HOME=\(lab.folder)/targetcli targetcli \(line)")
        try #require(status == 0, "targetcli \(line): \(text)")
    }

    /// LV `hand/archive` of random bytes, exported as docs/howto/move-in-from-lvm.md supposes.
    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        let disk = try #require(Lab.disks.last)
        let lab = try LabProgram("targetcli", port: 3273)
        // targetcli looks for tcmu-runner on the system's bus, and does without it, but not without the bus.
        try await lab.must("mkdir", ["-p", "/run/dbus"])
        let bus = try await lab.must(
            "dbus-daemon", ["--session", "--fork", "--print-pid", "--address=unix:path=/run/dbus/system_bus_socket"])
        try await lab.lvm("vgcreate", "-qq", "--yes", "hand", disk)
        try await lab.lvm("lvcreate", "-qq", "--yes", "-L", "32m", "-n", "archive", "hand")
        try await lab.must(
            "dd", ["if=/dev/urandom", "of=/dev/hand/archive", "bs=1M", "count=32", "oflag=direct", "status=none"])
        try await targetcli(lab, "/backstores/block create name=disk1 dev=/dev/hand/archive")
        try await targetcli(lab, "/iscsi create \(Self.iqn)")
        try await targetcli(lab, "/iscsi/\(Self.iqn)/tpg1/luns create /backstores/block/disk1")
        try await targetcli(lab, "/iscsi/\(Self.iqn)/tpg1/acls create \(Self.web1)")
        try await targetcli(lab, "/iscsi/\(Self.iqn)/tpg1/portals delete 0.0.0.0 3260")
        let portal = lab.portal.replacing(":", with: " ")
        try await targetcli(lab, "/iscsi/\(Self.iqn)/tpg1/portals create \(portal)")
        do { try await body(lab) } catch { Issue.record(error) }
        _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
        _ = try await lab.shell("TARGETCLI_HOME=\(lab.folder)/targetcli targetcli clearconfig confirm=True")
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "hand")
        try await lab.lvm("pvremove", "-qq", disk)
        _ = try await lab.shell("kill \(bus)")
        try lab.remove()
    }

    /// The identity of the disk that an initiator remembers: serial number and designators, and the target that showed
    /// them.
    private func identity(_ lab: LabProgram) async throws -> [String] {
        var pages: [String] = []
        for page in ["128", "131"] {
            let url = "iscsi://\(lab.portal)/\(Self.iqn)/0"
            // The T10 designator has the vendor in it, which is whoever made the target. NAA is bytes.
            let line = "iscsi-inq -i \(Self.web1) -e 1 -c \(page) \(url) | grep -av 'LIO-ORG\\|TUFF' | cat -v"
            let (status, text) = try await lab.shell("set -o pipefail; \(line)")
            try #require(status == 0, "\(text)")
            pages += text.split(separator: "\n").map(String.init)
        }
        let info = "\(Self.group)/acls/\(Self.web1)/info"
        for _ in 0..<100 where try !String(contentsOfFile: info, encoding: .utf8).hasPrefix("No active iSCSI Session") {
            try await Task.sleep(for: .milliseconds(50))
        }
        return pages
    }

    /// Every byte of the volume, where it lies on the disk, and what LVM calls it.
    private func content(_ lab: LabProgram) async throws -> String {
        try await lab.must("sha256sum", ["/dev/hand/archive"])
            + lab.report("lvs", "lv_name,lv_uuid,lv_size,seg_pe_ranges", "hand").description
    }

    @Test func aDiskOfTargetcliIsTakenOverAndGivenBackWithoutAByteMoved() async throws {
        try await inWorld { lab in
            let file = "\(lab.folder)/storage.yaml"
            let born = try await identity(lab), content = try await content(lab)
            let tree = try await lab.must("find", [Self.group])
            let volumes = try await lab.volumes("hand")
            let wwn = try await lab.shell("cat /sys/kernel/config/target/core/*/disk1/wwn/vpd_unit_serial").text
            let serial = try #require(wwn.split(separator: " ").last?.filter { !$0.isNewline })
            #expect(serial.count == 36 && born.contains { $0.contains(serial) }, "\(born)")

            let (status, yaml) = try await lab.tuff(["import"])
            #expect(status == 0 && yaml.contains(serial) && yaml.contains(Self.iqn), "\(yaml)")
            try lab.declare(yaml)
            #expect(try await lab.run("tuff", ["validate", "-f", file]).status == 0)
            let adopted = try await lab.tuff(["import", "--adopt", "--auto-approve", "-f", file])
            #expect(adopted.status == 0, "\(adopted.text)")
            let tags = try await lab.report("lvs", "lv_tags", "hand/archive")[0][0]
            #expect(tags.contains("tuff:adopted") && tags.contains("tuff:iqn=\(Self.iqn)"), "\(tags)")
            #expect(try await lab.must("find", [Self.group]) == tree)
            #expect(try await identity(lab) == born)
            #expect(try await self.content(lab) == content)
            // As long as targetcli's target is there, Tuff makes none.
            let waiting = try await lab.apply()
            #expect(waiting.status == 3 && waiting.text.contains("disk1"), "\(waiting.text)")
            #expect(try await lab.must("find", [Self.group]) == tree)

            try await targetcli(lab, "/iscsi delete \(Self.iqn)")
            try await targetcli(lab, "/backstores/block delete disk1")
            let applied = try await lab.apply()
            #expect(applied.status == 0, "\(applied.text)")
            #expect(try await identity(lab) == born)
            #expect(try await self.content(lab) == content)
            #expect(try await lab.tuff(["plan", "--detailed-exitcode", "-f", file]).status == 0)

            let detached = try await lab.tuff(["detach", "archive-on-web1", "--auto-approve"])
            #expect(detached.status == 0, "\(detached.text)")
            let released = try await lab.tuff(["release", "Volume/archive", "--auto-approve"])
            #expect(released.status == 0, "\(released.text)")
            #expect(try await lab.volumes("hand") == volumes)
            #expect(try await self.content(lab) == content)
            #expect(try await lab.shell("ls /sys/kernel/config/target/iscsi").text.contains(Self.iqn) == false)
        }
    }
}
