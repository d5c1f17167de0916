import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// LVM as people have set it up: what Tuff sees and does must not hang on their taste, and what it cannot do it must
/// say.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct LVMSettingsLabTests {
    private static let file = "/etc/lvm/lvm.conf"

    private func declare(_ lab: LabProgram, _ volumes: [String], _ more: String = "", size: String = "32Mi") throws {
        try lab.declare(
            volumes.reduce(
                LabProgram.document("Pool", "fast", "lvm: {volumeGroup: sett, thinPool: tp}, overprovision: 4")
            ) {
                $0 + LabProgram.document("Volume", $1, "size: \(size), pool: fast")
            } + more)
    }

    private func attachment(_ volume: String) -> String {
        LabProgram.document(
            "Attachment", "\(volume)-there", "volume: \(volume), iscsi: {initiator: \"iqn.2026-01.test:there\"}")
    }

    /// A thin pool with volumes `a` and `b`, which the ledger knows.
    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        let disk = try #require(Lab.disks.last)
        let lab = try LabProgram("settings", port: 3281)
        let before = try String(contentsOfFile: Self.file, encoding: .utf8)
        try await lab.lvm("vgcreate", "-qq", "--yes", "sett", disk)
        try await lab.lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "256m", "-n", "tp", "sett")
        try declare(lab, ["a", "b"])
        let made = try await lab.apply()
        #expect(made.status == 0, "\(made.text)")
        do { try await body(lab) } catch { Issue.record(error) }
        try before.write(toFile: Self.file, atomically: false, encoding: .utf8)
        _ = try await lab.shell("rm -rf /etc/lvm/lvmlocal.conf /etc/lvm/devices /etc/lvm/lvm_tufflab.conf")
        try declare(lab, [])
        _ = try await lab.apply("--prune")
        _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "sett")
        try await lab.lvm("pvremove", "-qq", disk)
        try lab.remove()
    }

    /// Adds settings for as long as `body` runs.
    private func with(_ settings: String, in file: String = Self.file, _ body: () async throws -> Void) async throws {
        let before = try? String(contentsOfFile: file, encoding: .utf8)
        try ((before ?? "") + "\n" + settings + "\n").write(toFile: file, atomically: false, encoding: .utf8)
        do { try await body() } catch { Issue.record(error, "\(settings)") }
        if let before {
            try before.write(toFile: file, atomically: false, encoding: .utf8)
        } else {
            try FileManager.default.removeItem(atPath: file)
        }
    }

    /// LVM as a person runs it: `LabProgram.lvm` goes through Tuff's door, with Tuff's settings.
    private func plain(_ lab: LabProgram, _ line: String) async throws {
        let output = try await lab.shell("lvm \(line)")
        try #require(output.status == 0, "\(line): \(output.text)")
    }

    // MARK: What reports look like

    private static let tastes = [
        "report { list_item_separator = \";\" }", "report { prefixes = 1 }", "report { prefixes = 1 quoted = 0 }",
        "report { compact_output = 1 }", "report { compact_output_cols = \"lv_tags,lv_name\" }",
        "report { output_format = \"json\" binary_values_as_numeric = 1 mark_hidden_devices = 0 }",
        "report { aligned = 0 buffered = 0 headings = 0 columns_as_rows = 1 separator = \"\\\"\" }",
        "report { lvs_sort = \"x\" vgs_sort = \"x\" pvs_sort = \"x\" segs_sort = \"x\" pvsegs_sort = \"x\" }",
        "report { lvs_sort_full = \"x\" vgs_sort_full = \"x\" pvs_sort_full = \"x\" segs_sort_full = \"x\" }",
        "log { prefix = \"LVM: \" command_names = 1 indent = 0 }", "log { verbose = 3 silent = 1 }",
        "log { report_command_log = 1 command_log_selection = \"x=1\" }",
        "log { report_command_log = 1 command_log_cols = \"x\" }",
        "global { units = \"h\" suffix = 1 si_unit_consistency = 0 wait_for_locks = 0 }",
        "devices { hints = \"none\" } metadata { record_lvs_history = 1 }",
    ]

    /// The first of these made `a` lost, with the advice to forget it; the others everything unknown.
    @Test func noTasteOfReportsChangesWhatIsSeenOrDone() async throws {
        try await inWorld { lab in
            let before = try await lab.volumes("sett")
            for taste in Self.tastes {
                try await with(taste) {
                    let status = try await lab.tuff(["status", "-f", "\(lab.folder)/storage.yaml"])
                    #expect(status.status == 0 && !status.text.contains("Lost"), "\(taste): \(status.text)")
                    let applied = try await lab.apply()
                    #expect(applied.status == 0, "\(taste): \(applied.text)")
                }
            }
            #expect(try await lab.volumes("sett") == before)
            let all = Self.tastes.joined(separator: "\n")
            for file in ["/etc/lvm/lvmlocal.conf", "/etc/lvm/lvm_tufflab.conf"] {
                try await with(all, in: file) {
                    // Host tags limit what LVM activates, and make it read the second of these files.
                    try await with("tags { hosttags = 1 } activation { volume_list = [ \"sett\" ] }") {
                        try declare(lab, ["a", "b", "c"], attachment("a"))
                        let applied = try await lab.apply()
                        #expect(applied.status == 0, "\(applied.text)")
                    }
                }
            }
            #expect(try await lab.made(in: "sett") == ["v-a", "v-b", "v-c"])
        }
    }

    /// Those that LVM itself comes with, and one of the settings above.
    @Test func noCommandProfileOfTheCallerCounts() async throws {
        try await inWorld { lab in
            try await lab.must(
                "bash",
                [
                    "-c",
                    "mkdir -p /etc/lvm/profile; "
                        + "echo 'report { list_item_separator=\";\" prefixes=1 }' >/etc/lvm/profile/mine.profile",
                ])
            let variables = [
                "LVM_COMMAND_PROFILE=mine", "LVM_SYSTEM_DIR=/nowhere", "LVM_VG_NAME=other", "LVM_OUT_FD=9",
                "LVM_REPORT_FD=9", "LVM_EXPECTED_EXIT_STATUS=5", "LVM_RUN_BY_DMEVENTD=1", "LC_ALL=de_DE.UTF-8",
                "DM_DEFAULT_NAME_MANGLING_MODE=hex", "TZ=nowhere",
            ]
            let status = try await lab.run(
                "env",
                variables + ["tuff", "status", "-f", "\(lab.folder)/storage.yaml"] + lab.hostOptions)
            #expect(status.status == 0, "\(String(decoding: status.standardOutput, as: UTF8.self))")
            try await lab.must("rm", ["/etc/lvm/profile/mine.profile"])
        }
    }

    // MARK: Groups inside volumes

    /// A group with the name of ours, made inside a volume by the initiator that it is exported to.
    private func makeGuestGroup(_ lab: LabProgram, on device: String) async throws {
        // A group cannot be renamed to a name that has a folder in /dev: its text is restored under the name.
        let made = try await lab.shell(
            """
            set -e
            only='devices { scan_lvs=1 global_filter=["a|^\(device)$|","r|.*|"] }'
            pvcreate -qq --config "$only" \(device)
            vgcreate -qq --config "$only" guestgroup \(device)
            vgcfgbackup -qq --config "$only" -f \(lab.folder)/guest guestgroup
            sed 's/^guestgroup {/sett {/' \(lab.folder)/guest >\(lab.folder)/guest.sett
            vgcfgrestore --config "$only" --force --yes -f \(lab.folder)/guest.sett sett
            """)
        #expect(made.status == 0, "\(made.text)")
    }

    /// Lists that accept every name that a device has.
    private static let accepting =
        "filter = [ \"r|/dev/nothing|\", \"a|.*|\" ] global_filter = [ \"r|/dev/nothing|\", \"a|.*|\" ]"

    @Test(arguments: ["", accepting])
    func aGroupOfOurNameInsideAnExportedVolumeStopsNothing(_ filters: String) async throws {
        try await inWorld { lab in
            try declare(lab, ["a", "b"], attachment("a"), size: "64Mi")
            #expect(try await lab.apply().status == 0)
            try declare(lab, ["a", "b"], size: "64Mi")
            #expect(try await lab.apply("--prune").status == 0)
            try await lab.lvm("lvchange", "-qq", "-ay", "-K", "sett/v-a")
            try await makeGuestGroup(lab, on: "/dev/sett/v-a")
            try await with("devices { scan_lvs = 1 \(filters) }") {
                // Nobody has the volume open yet, as at boot.
                let plain = try await lab.shell("lvm lvcreate -qq --yes -an -V 4m -T sett/tp -n x")
                #expect(plain.status != 0, "LVM takes the name for one of two groups")
                try declare(lab, ["a", "b", "c", "d"], attachment("a"), size: "64Mi")
                let applied = try await lab.apply()
                #expect(applied.status == 0, "\(applied.text)")
                let again = try await lab.apply()
                #expect(again.status == 0, "\(again.text)")
                let status = try await lab.show("status", "--monitoring")
                #expect(status.contains("TUFF OK"), "\(status)")
                let withdrawn = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
                #expect(withdrawn.status == 0, "\(withdrawn.text)")
                let down = try await lab.shell("lvm lvchange -an --config devices/scan_lvs=0 sett")
                #expect(down.status == 0, "\(down.text)")
                let restored = try await lab.tuff(["exports", "restore"])
                #expect(restored.status == 0, "\(restored.text)")
                #expect(try await lab.shell("cat /sys/kernel/config/target/core/*/*/enable").text.contains("1"))
            }
            #expect(try await lab.made(in: "sett") == ["v-a", "v-b", "v-c", "v-d"])
        }
    }

    /// The reason why people set it.
    @Test(arguments: ["", "filter = [ \"a|.*|\" ] global_filter = [ \"r|/dev/nothing|\", \"a|.*|\" ]", accepting])
    func aGroupUponAVolumeOfNobodyStaysUsable(_ filters: String) async throws {
        let disk = try #require(Lab.disks.first)
        let lab = try LabProgram("stacked", port: 3282)
        let before = try String(contentsOfFile: Self.file, encoding: .utf8)
        try await lab.lvm("vgcreate", "-qq", "--yes", "below", disk)
        try await lab.lvm("lvcreate", "-qq", "--yes", "-L", "512m", "-n", "carrier", "below")
        try await with("devices { scan_lvs = 1 \(filters) }") {
            try await plain(lab, "pvcreate -qq /dev/below/carrier")
            try await plain(lab, "vgcreate -qq upon /dev/below/carrier")
            try await plain(lab, "lvcreate -qq --yes --type thin-pool -L 256m -n tp upon")
            try lab.declare(
                LabProgram.document("Pool", "up", "lvm: {volumeGroup: upon, thinPool: tp}, overprovision: 4")
                    + LabProgram.document("Volume", "a", "size: 64Mi, pool: up")
                    + LabProgram.document("Volume", "b", "size: 64Mi, pool: up") + attachment("a"))
            let applied = try await lab.apply()
            #expect(applied.status == 0, "\(applied.text)")
            let made = try await lab.shell("lvm lvs --noheadings -o lv_name -S 'lv_name=~^v-' upon").text
            #expect(made.split(whereSeparator: \.isWhitespace) == ["v-a", "v-b"], "\(made)")
            // What an initiator makes inside is not found, whatever its name.
            let status = try await lab.tuff(["status", "-f", "\(lab.folder)/storage.yaml"])
            #expect(status.status == 0, "\(status.text)")
        }
        // Without the setting LVM shows the group no more; it is not lost.
        let plan = try await lab.show("plan")
        #expect(plan.contains("does not show it, though it is there") || plan.contains("Unknown"), "\(plan)")
        #expect(!plan.contains("forget") && !plan.contains("--recreate"), "\(plan)")
        try await with("devices { scan_lvs = 1 \(filters) }") {
            try lab.declare(
                LabProgram.document("Pool", "up", "lvm: {volumeGroup: upon, thinPool: tp}, overprovision: 4"))
            _ = try await lab.apply("--prune")
            _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
            try await plain(lab, "vgremove -qq --yes --force upon")
        }
        try before.write(toFile: Self.file, atomically: false, encoding: .utf8)
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "below")
        try await lab.lvm("pvremove", "-qq", disk)
        try lab.remove()
    }

    @Test(arguments: ["filter = [ \"r|.*|\" ]", "global_filter = [ \"r|.*|\" ]", "use_devicesfile = 1"])
    func aGroupThatAFilterHidesIsUnknownAndNotLost(_ setting: String) async throws {
        try await inWorld { lab in
            _ = try await lab.shell("mkdir -p /etc/lvm/devices; echo 'VERSION=1.1.1' >/etc/lvm/devices/system.devices")
            try await with("devices { \(setting) }") {
                let plan = try await lab.show("plan")
                #expect(plan.contains("Unknown") && plan.contains("though it is there"), "\(plan)")
                #expect(!plan.contains("forget") && !plan.contains("recreate"), "\(plan)")
                let applied = try await lab.apply()
                #expect(applied.status != 0, "\(applied.text)")
            }
            _ = try await lab.shell("rm -r /etc/lvm/devices")
            let applied = try await lab.apply()
            #expect(applied.status == 0, "\(applied.text)")
        }
    }

    // MARK: Whose the group is

    @Test func theGroupOfARenamedHostIsNotLostAndComesBackByWhatTheRefusalSays() async throws {
        try await inWorld { lab in
            try await with("global { system_id_source = \"uname\" }") {
                try await lab.lvm("vgchange", "-qq", "--yes", "--systemid", "tufflab", "sett")
                #expect(try await lab.apply().status == 0)
                try await lab.lvm("vgchange", "-qq", "-an", "sett")
                try await lab.must("bash", ["-c", "echo renamed >/proc/sys/kernel/hostname"])
                let before = try await lab.shell("vgs --foreign --noheadings -o vg_seqno sett").text
                let status = try await lab.show("status")
                #expect(status.contains("ForeignGroup") && status.contains("'tufflab'"), "\(status)")
                try declare(lab, ["a", "b", "c"], attachment("a"))
                let applied = try await lab.apply()
                #expect(applied.status != 0 && applied.text.contains("ForeignGroup"), "\(applied.text)")
                #expect(!(status + applied.text).contains("forget"), "\(status)\(applied.text)")
                #expect(try await lab.shell("vgs --foreign --noheadings -o vg_seqno sett").text == before)
                let doctor = try await lab.tuff(["doctor"])
                #expect(
                    doctor.text.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(
                        "volume group sett belongs to the host with system ID 'tufflab', and this one has 'renamed'"),
                    "\(doctor.text)")
                let command = try #require(
                    status.firstMatch(of: /vgchange --config '[^']+' --systemid '[^']*' sett/)?.0)
                let taken = try await lab.shell("echo y | \(command)")
                #expect(taken.status == 0, "\(taken.text)")
                // How full an inactive pool is nobody can tell; nothing new is made there before.
                try await lab.lvm("vgchange", "-qq", "-ay", "sett")
                let mended = try await lab.apply()
                #expect(mended.status == 0, "\(mended.text)")
                try await lab.lvm("vgchange", "-qq", "--yes", "--systemid", "", "sett")
            }
            try await lab.must("bash", ["-c", "echo tufflab >/proc/sys/kernel/hostname"])
            #expect(try await lab.made(in: "sett") == ["v-a", "v-b", "v-c"])
        }
    }

    @Test func anExportedGroupIsSaidToBeOneAndComesBackByWhatTheRefusalSays() async throws {
        try await inWorld { lab in
            try await lab.lvm("vgchange", "-qq", "-an", "sett")
            try await lab.lvm("vgexport", "-qq", "sett")
            try declare(lab, ["a", "b", "c"])
            let applied = try await lab.apply()
            #expect(applied.status != 0 && applied.text.contains("PoolUnhealthy"), "\(applied.text)")
            #expect(applied.text.contains("vgimport sett") && !applied.text.contains("forget"), "\(applied.text)")
            try await lab.lvm("vgimport", "-qq", "sett")
            try await lab.lvm("vgchange", "-qq", "-ay", "sett")
            let mended = try await lab.apply()
            #expect(mended.status == 0, "\(mended.text)")
        }
    }

    // MARK: Room that LVM does not hand out

    @Test func aGroupWhoseOnlyDeviceTakesNothingNewIsNotChosen() async throws {
        let disks = Array(Lab.disks.suffix(2))
        let lab = try LabProgram("closed", port: 3283)
        for (group, disk) in zip(["large", "small"], disks) {
            try await lab.lvm("vgcreate", "-qq", "--yes", group, disk)
        }
        // Of two groups the one with more room would be chosen.
        try await lab.lvm("lvcreate", "-qq", "--yes", "-an", "-Zn", "-Wn", "-L", "1g", "-n", "taken", "small")
        try await lab.lvm("pvchange", "-qq", "-xn", disks[0])
        var documents = ""
        for group in ["large", "small"] {
            documents += LabProgram.document("Pool", group, "lvm: {volumeGroup: \(group)}", labels: "tier: disk")
        }
        try lab.declare(
            documents + LabProgram.document("Volume", "a", "size: 64Mi, poolSelector: {matchLabels: {tier: disk}}"))
        let applied = try await lab.apply()
        #expect(applied.status == 0, "\(applied.text)")
        #expect(try await lab.made(in: "small") == ["v-a"])
        let status = try await lab.show("status")
        #expect(status.contains("Pool/large NotAllocatable") && status.contains("pvchange -xy DEVICE"), "\(status)")
        // Growth, too, is refused in the plan and not by LVM.
        try await lab.lvm("pvchange", "-qq", "-xn", disks[1])
        try lab.declare(
            documents + LabProgram.document("Volume", "a", "size: 128Mi, poolSelector: {matchLabels: {tier: disk}}"))
        let grown = try await lab.apply()
        #expect(grown.status == 3 && grown.text.contains("InsufficientCapacity"), "\(grown.text)")
        for disk in disks { try await lab.lvm("pvchange", "-qq", "-xy", disk) }
        #expect(try await lab.apply().status == 0)
        for (group, disk) in zip(["large", "small"], disks) {
            try await lab.lvm("vgremove", "-qq", "--yes", "--force", group)
            try await lab.lvm("pvremove", "-qq", disk)
        }
        try lab.remove()
    }

    // MARK: What LVM does not activate

    @Test func aVolumeThatLVMDoesNotActivateIsSaidToBeOneWithTheSetting() async throws {
        try await inWorld { lab in
            try declare(lab, ["a", "b"], attachment("a"))
            try await with("activation { volume_list = [ \"other\", \"@tag\" ] }") {
                let applied = try await lab.apply()
                let text = applied.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(applied.status != 0, "\(text)")
                #expect(text.contains("lvm did not activate sett/v-a, since activation/volume_list="), "\(text)")
                #expect(text.contains("add \"sett\" to that list"), "\(text)")
                #expect(try await lab.tuff(["doctor"]).text.contains("activation/volume_list="))
            }
            try await with("activation { volume_list = [ \"other\", \"sett\" ] }") {
                let mended = try await lab.apply()
                #expect(mended.status == 0, "\(mended.text)")
            }
        }
    }

    // MARK: Helpers for what only people do

    @Test func whatTheFilesSetIsNamedByTheDoctor() async throws {
        try await inWorld { lab in
            try await with(
                "global { test = 1 } activation { read_only_volume_list = [ \"x\" ] } devices { scan_lvs = 1 }"
            ) {
                let doctor = try await lab.tuff(["doctor"]).text
                for setting in ["global/test=1", "activation/read_only_volume_list=", "scan_lvs=1"] {
                    #expect(doctor.contains(setting), "\(setting): \(doctor)")
                }
            }
        }
    }
}
