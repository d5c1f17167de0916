import FoundationEssentials
import Glibc
import Testing
import TuffDrivers
import TuffModel
import TuffTestSupport

@testable import TuffCLI
@testable import TuffHost

/// Import, adoption and letting go through the built program, on an `lvm` that shows one logical volume of somebody's.
@Suite struct ImportCommandTests {
    let folder: TestFolder
    private var host: [String] { folder.host + ["--auto-approve"] }

    init() throws { folder = try TestFolder() }

    private func report(tags: [String]) async throws -> String {
        var world = FakeWorld()
        try world.lvm.create("Data_1", in: "vg0", pool: "tp0", size: ByteCount(1 << 30), tags: tags)
        let output = try await FakeMachine(world).read(LVMDriver.report(of: nil))
        return String(decoding: output.standardOutput, as: UTF8.self)
    }

    /// An `lvm` whose `lvchange` is what makes the second report true, and lists its arguments.
    private func prepare() async throws {
        try folder.write("report", try await report(tags: ["backup"]))
        try folder.write(
            "tools/lvm",
            """
            #!/bin/sh
            case "$1" in
            fullreport) exec /bin/cat \(folder.path)/report ;;
            lvs) exec /bin/cat \(folder.path)/volume ;;
            lvchange)
                echo "$@" >>\(folder.path)/changes
                /bin/cp \(folder.path)/report.next \(folder.path)/report ;;
            *) exit 5 ;;
            esac

            """, mode: 0o755)
    }

    private func next(tags: [String], from before: [String]) async throws {
        try folder.write("report.next", try await report(tags: tags))
        var world = FakeWorld()
        try world.lvm.create("Data_1", in: "vg0", pool: "tp0", size: ByteCount(1 << 30))
        let uuid = world.lvm["vg0", "Data_1"]?.uuid ?? ""
        try folder.write(
            "volume",
            """
            {"report":[{"lv":[{"vg_uuid":"g","lv_uuid":"\(uuid)","lv_size":"1073741824","lv_device_open":"",\
            "lv_tags":"\(before.joined(separator: ","))"}]}]}
            """)
    }

    /// The marks that the documents in `old.yaml` say.
    private func marks() throws -> [String] {
        // The program chose the uid; its command says it.
        let arguments = folder.text("changes").split(separator: " ").map(String.init)
        return arguments.indices.filter { arguments[$0] == "--addtag" }.map { arguments[$0 + 1] }
    }

    @Test func documentsAreWrittenAdoptedAndGivenBack() async throws {
        try await prepare()
        try await next(tags: ["backup"], from: ["backup"])
        let printed = try folder.run(["import"] + folder.host)
        #expect(printed.code == 0 && printed.out.contains("tuff.dev/imported-from: vg0/Data_1"), "\(printed)")
        #expect(folder.text("changes").isEmpty)
        try folder.write("old.yaml", printed.out)
        #expect(try folder.run(["validate", "-f", "old.yaml"]).code == 0)
        let early = try folder.run(["apply", "-f", "old.yaml"] + host)
        #expect(early.code != 0 && early.out.contains("NotAdopted"), "\(early)")

        // The first try changes nothing that a report shows, and says so.
        let failed = try folder.run(["import", "--adopt", "-f", "old.yaml"] + host)
        #expect(failed.code == 1 && failed.out.contains("adopt 1 GiB as it is (vg0/Data_1)"), "\(failed)")
        let marks = try marks()
        #expect(marks.contains("tuff:adopted") && marks.contains("tuff:vol=data-1"), "\(marks)")
        try await next(tags: ["backup"] + marks, from: ["backup"])
        let adopted = try folder.run(["import", "--adopt", "-f", "old.yaml"] + host)
        #expect(adopted.code == 0, "\(adopted)")
        let again = try folder.run(["import", "--adopt", "-f", "old.yaml"] + host)
        #expect(again.code == 0 && again.err.contains("nothing to adopt"), "\(again)")
        #expect(try folder.run(["plan", "-f", "old.yaml"] + folder.host).out.contains("Nothing to do"))
        #expect(try folder.run(["import"] + folder.host).out.contains("# vg0/Data_1, adopted"))

        try await next(tags: ["backup"], from: ["backup"] + marks)
        let released = try folder.run(["release", "Volume/data-1"] + host)
        #expect(released.code == 0 && released.out.contains("all marks of Tuff's are taken off"), "\(released)")
        let last = folder.text("changes").split(separator: "\n").last ?? ""
        #expect(marks.allSatisfy { last.contains("--deltag \($0)") }, "\(last)")
        #expect(try folder.run(["plan", "-f", "old.yaml"] + folder.host).out.contains("NotAdopted"))
    }

    /// The command in the header of what is printed does what it says, for a snapshot that was named too.
    @Test func thePrintedCommandAdoptsWhatWasPrinted() async throws {
        try await prepare()
        var world = FakeWorld()
        try world.lvm.create("Data_1", in: "vg0", pool: "tp0", size: ByteCount(1 << 30))
        try world.lvm.snapshot("before", of: "Data_1", in: "vg0")
        let output = try await FakeMachine(world).read(LVMDriver.report(of: nil))
        for name in ["report", "report.next"] {
            try folder.write(name, String(decoding: output.standardOutput, as: UTF8.self))
        }
        let uuid = try #require(world.lvm["vg0", "before"]?.uuid)
        try folder.write(
            "volume",
            """
            {"report":[{"lv":[{"vg_uuid":"g","lv_uuid":"\(uuid)","lv_size":"1073741824","lv_device_open":"",\
            "lv_tags":""}]}]}
            """)
        let printed = try folder.run(["import", "vg0/before"] + folder.host)
        #expect(printed.code == 0 && printed.out.contains("tuff.dev/imported-from: vg0/before"), "\(printed)")
        try folder.write("snapshot.yaml", printed.out)
        let line = try #require(printed.out.split(separator: "\n").first { $0.contains("then: tuff ") })
        let typed = line.split(separator: " ").drop { $0 != "tuff" }.dropFirst().map {
            $0 == "FILE" ? "snapshot.yaml" : String($0)
        }
        let adopted = try folder.run(typed + ["--auto-approve"])
        #expect(adopted.out.contains("as it is (vg0/before)"), "\(adopted)")
        #expect(folder.text("changes").contains("vg0/before"), "\(adopted)")

        // One that is not there any more is no success.
        try folder.write("gone.yaml", printed.out.replacing("vg0/before", with: "vg0/gone"))
        let gone = try folder.run(["import", "--adopt", "-f", "gone.yaml"] + host)
        #expect(gone.code == 1 && gone.err.contains("vg0/gone"), "\(gone)")
    }

    @Test func whatIsNotThereOrNotAskedForIsNotAdopted() async throws {
        try await prepare()
        try await next(tags: ["backup"], from: ["backup"])
        let missing = try folder.run(["import", "nothing"] + folder.host)
        #expect(missing.code == 1 && missing.err.contains("no logical volume 'nothing'"), "\(missing)")
        let pool = try folder.run(["import", "vg0/tp0"] + folder.host)
        #expect(pool.code == 0 && pool.out.contains("is a thin pool"), "\(pool)")
        try folder.writeVolume()
        let other = try folder.run(["import", "--adopt", "-f", "volumes.yaml"] + host)
        #expect(other.code == 0 && other.err.contains("no document says it was imported from vg0/Data_1"), "\(other)")
        let unasked = try folder.run(["import", "--adopt"] + folder.host)
        #expect(unasked.code == 1 && unasked.err.contains("--auto-approve"), "\(unasked)")
        #expect(folder.text("changes").isEmpty)
    }

    /// A target as LIO's tree shows it, whose secret is in a file that is read for everything else.
    @Test func aSecretIsNeitherReadNorPrinted() async throws {
        try await prepare()
        let group = "target/iscsi/iqn.2003-01.org.linux-iscsi.lab:data/tpgt_1"
        let acl = "\(group)/acls/iqn.2004-10.com.example:web1"
        for path in [
            "target/core/iblock_0/disk1/wwn", "\(group)/lun/lun_0", "\(acl)/lun_0", "\(acl)/auth", "\(acl)/attrib",
            "\(group)/attrib", "\(group)/np/127.0.0.1:3260",
        ] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(path)", withIntermediateDirectories: true, attributes: nil)
        }
        for (path, text) in [
            (
                "target/core/iblock_0/disk1/info",
                "Status: ACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 248\n"
                    + "        iBlock device: dm-3  UDEV PATH: /dev/vg0/Data_1  readonly: 0\n"
                    + "        Major: 254 Minor: 2  CLAIMED: IBLOCK\n"
            ),
            ("target/core/iblock_0/disk1/wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: 3f1b0c52-5a9e\n"),
            ("\(group)/enable", "1\n"), ("\(group)/dynamic_sessions", ""), ("\(group)/attrib/authentication", "1\n"),
            ("\(acl)/info", "No active iSCSI Session for Initiator Endpoint: x\n"),
            ("\(acl)/lun_0/write_protect", "0\n"), ("\(acl)/auth/userid", "web1"),
            ("\(acl)/auth/password", TestFolder.secret), ("\(acl)/auth/userid_mutual", "NULL\n"),
            ("\(acl)/auth/password_mutual", "NULL\n"), ("\(acl)/attrib/authentication", "-1\n"),
        ] { try folder.write(path, text, mode: 0o600) }
        symlink("../../../../../core/iblock_0/disk1", "\(folder.path)/\(group)/lun/lun_0/a1b2")
        symlink(
            "../../../../../../iscsi/iqn.2003-01.org.linux-iscsi.lab:data/tpgt_1/lun/lun_0",
            "\(folder.path)/\(acl)/lun_0/c3d4")
        let printed = try folder.run(["import"] + folder.host)
        #expect(printed.code == 0, "\(printed)")
        for word in [
            "serial: \"3f1b0c52-5a9e\"", "user: web1", "secret/data-1-on-web1", "iqn.2003-01.org.linux-iscsi.lab:data",
        ] {
            #expect(printed.out.contains(word), "no \(word) in \(printed)")
        }
        #expect(!printed.out.contains(TestFolder.secret) && !printed.err.contains(TestFolder.secret))
    }
}
