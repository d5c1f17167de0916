import FoundationEssentials
import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffDrivers
@testable import TuffHost

/// The settings that every command of LVM is started with, whoever asks for it, and on machines of people who like
/// others.
@Suite struct LVMSettingsTests {
    private let folder: Folder

    init() throws {
        folder = try Folder()
        folder.directory("etc")
        try folder.tool(
            "lvm",
            "for word; do echo \"<$word>\"; done >>\(folder.at("log")); "
                + "[ \"$1\" != lvmconfig ] || cat \(folder.at("answer"))"
        )
        try folder.write("answer", "")
    }

    private var machine: LinuxMachine {
        var configuration = LinuxMachine.Configuration(
            searchPath: [folder.path, "/usr/bin", "/bin"], workerCommand: [],
            reach: Reach(everythingBeneath: [folder.path]))
        let state = folder.at("state"), etc = folder.at("etc")
        configuration.tools = HostTools(lvm: { LVMTool(stateDirectory: state, directory: etc) })
        return LinuxMachine(configuration: configuration)
    }

    private func words() -> [String] {
        (folder.read("log") ?? "").split(separator: "\n").map { String($0.dropFirst().dropLast()) }
    }

    private func started(_ arguments: [String], _ effect: Command.Effect = .reads) async throws -> [String] {
        unlink(folder.at("log"))
        let command = Command("lvm", arguments, effect: effect)
        switch effect {
        case .reads: _ = try await machine.read(command)
        case .mutates: try await machine.perform([.run(command)])
        }
        return words()
    }

    @Test(arguments: [Command.Effect.reads, .mutates])
    func everyCommandGetsTheSettings(_ effect: Command.Effect) async throws {
        let found = try await started(["lvs", "-o", "lv_tags", "--", "--config"], effect)
        #expect(found.count == 7 && found[0] == "lvs" && found[1] == "--config")
        #expect(found.suffix(4) == ["-o", "lv_tags", "--", "--config"])
        for text in [
            "list_item_separator=\",\"", "prefixes=0", "compact_output=0", "command_names=0", "prefix=\"  \"",
            "report_command_log=0", "devices/scan_lvs=0",
        ] { #expect(found[2].contains(text), "\(text)") }
    }

    /// LVM refuses a second `--config` (status 3), and of one setting twice the last counts.
    @Test func aCommandsOwnSettingsComeLast() async throws {
        let found = try await started(
            ["lvremove", "-qq", "--config", "devices/issue_discards=0", "--", "vg0/x"], .mutates)
        #expect(found.count { $0 == "--config" } == 1)
        #expect(found[2].hasSuffix(" devices/issue_discards=0"))
        #expect(Array(found.suffix(3)) == ["-qq", "--", "vg0/x"])
    }

    @Test func whatTheMachineHasIsAskedWithoutThem() async throws {
        #expect(try await started(["lvmconfig", "devices/scan_lvs"]) == ["lvmconfig", "devices/scan_lvs"])
    }

    /// docs/design/lvm-settings.md says of each setting that LVM 2.03.16 has whether Tuff decides it.
    @Test func theListOfSettingsIsWrittenDownWhole() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let page = String(
            decoding: try Data(contentsOf: root.appending(path: "docs/design/lvm-settings.md")), as: UTF8.self)
        for section in LVMSettings.overrides {
            for (name, value) in section.values {
                #expect(page.contains("| `\(section.name)/\(name)` | `\(value)` |"), "\(section.name)/\(name)")
            }
        }
        let known = String(
            decoding: try Data(
                contentsOf: root.appending(path: "Tests/Lab/samples/lvm-settings.txt")), as: UTF8.self)
        let names = known.split(separator: "\n")
        #expect(names.count > 200)
        for name in names { #expect(page.contains("`\(name)`"), "\(name)") }
    }

    @Test func namesAreFoundOutsideOfCommentsAndTexts() {
        func named(_ text: String) -> Set<String> { LVMSettings.words(in: Data(text.utf8)) }
        #expect(named("report { prefixes = 1 }\n# log { verbose=1 }") == ["report", "prefixes", "1"])
        #expect(named("file = \"/a#b \\\" units\" global/test=1") == ["file", "global", "test", "1"])
        #expect(named("\t#scan_lvs = 1\n\tscan_lvs=0#x") == ["scan_lvs", "0"])
        #expect(named("prefix") == ["prefix"])
    }

    @Test func everyFileThatLVMReadsCounts() throws {
        #expect(LVMSettings.named(in: folder.at("nowhere")) == [])
        #expect(LVMSettings.named(in: folder.at("etc")) == [])
        try folder.write("etc/lvm.conf", "activation { udev_sync = 0 }\n# report { prefixes = 1 }\n")
        #expect(LVMSettings.named(in: folder.at("etc")) == [])
        for file in ["lvmlocal.conf", "lvm_tag.conf"] {
            try folder.write("etc/\(file)", "report { prefixes = 1 } devices { scan_lvs = 1 }")
            #expect(LVMSettings.named(in: folder.at("etc")) == ["prefixes"])
            #expect(LVMSettings.named(in: folder.at("etc"), among: ["scan_lvs"]) == ["prefixes", "scan_lvs"])
            unlink(folder.at("etc/\(file)"))
        }
        // LVM's own profiles count for nobody who does not ask for them.
        folder.directory("etc/profile")
        try folder.write("etc/profile/x.profile", "report { prefixes = 1 }")
        #expect(LVMSettings.named(in: folder.at("etc")) == [])
    }

    private func creation(_ name: String) -> HostAction {
        .makeVolume(
            Command(
                "lvm",
                ["lvcreate", "-qq", "--yes", "--thin", "--virtualsize", "512b", "--name", name, "--activate", "n"]
                    + ["--addtag", "tuff:uid=\(Sample.uid)", "--", "vg0/tp0"], effect: .mutates),
            group: "vg0", uid: Sample.uid)
    }

    /// A line of a script has no room for settings.
    @Test(arguments: [
        ("", true), ("devices { filter = [ \"r|/dev/x|\" ] }", true), ("devices { scan_lvs = 1 }", false),
        ("log { silent = 0 }", false),
    ])
    func aScriptIsForMachinesWhoseFilesSetNothing(_ text: String, _ isScript: Bool) async throws {
        try folder.write("etc/lvm.conf", text)
        _ = await machine.performEach([[creation("v-a")], [creation("v-b")]])
        #expect(words().contains { $0.hasPrefix("/proc/") } == isScript)
        #expect(words().count { $0 == "lvcreate" } == (isScript ? 0 : 2))
    }

    // MARK: Volumes that are looked into

    private static let volumes = [7, 8, 9, 10].map {
        LogicalVolumeDevice(number: "254:\($0)", paths: ["/dev/dm-\($0)", "/dev/vg0/n\($0)"])
    }

    /// The `--config` of a command when LVM tells of one volume with a mark of Tuff's (7), one of nobody's (8), one
    /// that somebody has open (9) and an inactive one, and another (10) is active.
    private func settings(
        _ view: LVMView, _ file: String, _ volumes: [LogicalVolumeDevice] = Self.volumes
    ) async throws -> String {
        unlink(folder.at("log"))
        func row(_ tags: String, _ minor: Int, _ open: String) -> String {
            #"{"lv_tags":"\#(tags)","lv_kernel_major":"\#(minor < 0 ? -1 : 254)","lv_kernel_minor":"\#(minor)","#
                + #""lv_device_open":"\#(open)"}"#
        }
        let rows = [
            row("x,tuff:uid=\(Sample.uid)", 7, ""), row("x", 8, ""), row("", 9, "open"), row("", -1, "unknown"),
        ]
        try folder.write("lvs", #"{"report":[{"lv":[\#(rows.joined(separator: ","))]}]}"#)
        try folder.write("answer", file)
        try folder.write("etc/lvm.conf", file.isEmpty ? "" : "devices { scan_lvs = 1 }")
        try folder.tool(
            "lvm",
            """
            for word; do echo "<$word>"; done >>\(folder.at("log"))
            case $1 in
            lvmconfig) grep "^${4#devices/}=" \(folder.at("answer")) ;;
            lvs) cat \(folder.at("lvs")) ;;
            esac
            """)
        let host = LVMHost(directory: folder.at("etc"), volumes: { volumes })
        let command = Command("lvm", ["vgs", "--readonly"], effect: .reads, view: view)
        let arguments = try await host.arguments(of: command, by: machine.commands)
        #expect(arguments.count == 4 && arguments[0] == "vgs" && arguments[1] == "--config")
        return arguments[2]
    }

    private static let everything = #" devices{use_devicesfile=0 filter="a|.*|" global_filter="a|.*|"} "#

    @Test func whatIsHiddenIsLookedForOnEveryDevice() async throws {
        let none = try await settings(.everything, "", [])
        #expect(none.hasSuffix(Self.everything + "devices/scan_lvs=1"))
        let found = try await settings(.everything, "")
        #expect(found.hasSuffix(Self.everything + #"devices{scan_lvs=1 global_filter=["r|^/dev/dm-(10|[79])$|"]}"#))
        // So are the volumes that tell of it.
        let query = try #require(words().firstIndex(of: "lvs"))
        #expect(words()[query + 2].hasSuffix(Self.everything + "devices/scan_lvs=0"))
    }

    /// A group that is hidden may be upon a volume that is open. What an initiator wrote into one of Tuff's says
    /// nothing about the groups of this host.
    @Test func whereLVMLooksIntoVolumesOursArePassedOverEvenThen() async throws {
        let found = try await settings(
            .everything, "scan_lvs=1\nuse_devicesfile=0\nglobal_filter=\"r|x|\"\nfilter=\"r|y|\"\n")
        #expect(found.hasSuffix(Self.everything + #"devices{scan_lvs=1 global_filter=["r|^/dev/dm-(10|7)$|"]}"#))
    }

    @Test(arguments: [
        ("", #"global_filter=["r|^/dev/dm-(10|[79])$|"]"#),
        ("global_filter=[\"a|x|\",\"r|.*|\"]\nfilter=\"r|y|\"\n", #"filter=["r|^/dev/dm-(10|[79])$|","r|y|"]"#),
        (
            "global_filter=[\"a|x|\",\"r|.*|\"]\nfilter=[\"a|y|\",\"r|.*|\"]\n",
            #"global_filter=["r|^/dev/(dm-(10|[79])|vg0/n(10|[79]))$|","a|x|","r|.*|"]"#
        ),
    ])
    func noneThatMayBeAnInitiatorsIsLookedInto(_ lists: String, _ filter: String) async throws {
        let found = try await settings(.volumes, "scan_lvs=1\nuse_devicesfile=0\n" + lists)
        #expect(found.hasSuffix(" devices{scan_lvs=1 \(filter)}"), "\(found)")
    }

    /// And nothing is said about groups.
    @Test func withMoreThanLVMTakesNothingIsAsked() async throws {
        let volumes = (0..<9_000).map { LogicalVolumeDevice(number: "254:\($0 * 101)", paths: ["/dev/dm-\($0 * 101)"]) }
        let error = try await #require(throws: HostError.self) {
            try await settings(.everything, "scan_lvs=1\n", volumes)
        }
        #expect(error.code == .failed && error.sentence.contains("scan_lvs = 0"), "\(error.sentence)")
    }

    // MARK: The machine's files

    @Test func whereLVMLooksIsAskedOnlyWhereAFileSaysAnythingOfIt() async throws {
        try folder.write("etc/lvm.conf", "global { units = \"h\" }")
        #expect(try await machine.lvmOutlook() == LVMOutlook())
        #expect(words().isEmpty)
        try folder.write("etc/lvm.conf", "devices { scan_lvs = 1 }")
        try folder.write("answer", "scan_lvs=1\n")
        #expect(try await machine.lvmOutlook() == LVMOutlook(looksIntoVolumes: true))
        try folder.write("answer", "scan_lvs=0\n")
        #expect(try await machine.lvmOutlook() == LVMOutlook())
    }
}
