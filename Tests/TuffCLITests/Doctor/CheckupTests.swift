import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

/// A door behind which there are only the commands' answers.
private struct AnsweringMachine: Machine {
    var answers: [String: CommandOutput] = [:]
    var secretError: HostError?
    var space: FileSystemSpace?

    func clock() -> ClockReading { ClockReading(boot: "this", uptime: 0, civil: Examples.context.now) }

    func read(_ command: Command) async throws(HostError) -> CommandOutput {
        guard let answer = answers[command.description] ?? answers[command.tool] else {
            throw HostError(.notFound, "\(command.tool) is not installed")
        }
        return answer
    }

    func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry] { [] }

    func space(of directory: String) async throws(HostError) -> FileSystemSpace {
        guard let space else { throw HostError(.notFound, "no such directory") }
        return space
    }

    func fingerprint(_ secret: SecretReference, key: FingerprintKey) async throws(HostError) -> SecretFingerprint {
        if let secretError { throw secretError }
        return World.print
    }

    func image(_ source: ImageSource) async throws(HostError) -> ObservedImage {
        throw HostError(.notFound, "a checkup looks at no image")
    }

    func perform(_ actions: [HostAction]) async throws(HostError) {
        throw HostError(.refused, "a checkup changes nothing")
    }
}

@Suite struct CheckupTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    private func output(_ text: String, status: Int32 = 0) -> CommandOutput {
        CommandOutput(status: status, standardOutput: Array(text.utf8))
    }

    private var healthyMachine: AnsweringMachine {
        AnsweringMachine(answers: [
            "lvm version": output("  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n"),
            "lvm lvmconfig --type full devices/scan_lvs": output("scan_lvs=0\n"),
        ])
    }

    private func makeHealthyRoot() throws {
        for path in [
            "sys/module/dm_mod", "sys/module/dm_thin_pool", "sys/module/target_core_mod", "lib/modules/6.1", "proc",
            "etc/tuff", "srv", "run/tuff", "usr/sbin", "etc/rtslib-fb-target",
        ] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(path)", withIntermediateDirectories: true, attributes: nil)
        }
        try folder.write("lib/modules/6.1/modules.builtin", "kernel/drivers/target/iscsi/iscsi_target_mod.ko\n")
        try folder.write("proc/mounts", "none /sys/kernel/config configfs rw 0 0\n")
        try folder.write("usr/sbin/thin_check", "")
        try folder.write("etc/tuff/config.yaml", "")
        try folder.write("etc/rtslib-fb-target/saveconfig.json", "{\"targets\": []}")
    }

    private func findings(
        _ machine: AnsweringMachine, user: UInt32 = 0, addresses: [String] = ["192.0.2.10"],
        secrets: [SecretReference] = [], driver: TargetDriver = .lio, pools: [String] = [], isReadOnly: Bool = false
    ) async -> [Finding] {
        var config = Examples.config
        config.targetDriver = driver
        config.allow.images = ["/srv"]
        var probe = HostProbe(
            root: folder.path, effectiveUser: user, addresses: addresses, kernelRelease: "6.1")
        let root = folder.path
        probe.inspectRoot = { path throws(HostError) in try HostRoots.inspect(root + path) }
        if isReadOnly { probe.isReadOnly = { _ in true } }
        return await Checkup(
            config: config, configPath: "/etc/tuff/config.yaml", probe: probe, machine: machine,
            lockFile: "/run/tuff/lock", secrets: secrets, pools: pools
        ).run()
    }

    @Test func aHealthyHostHasNothingToFix() async throws {
        try makeHealthyRoot()
        // Files of this test belong to whoever runs it.
        let found = await findings(healthyMachine, user: 0).filter { !$0.sentence.contains("belongs to user") }
        #expect(found.allSatisfy { $0.level == .ok }, "\(found.filter { $0.level != .ok })")
        #expect(found.contains { $0.sentence == "lvm 2.03.16(2) (2022-05-18)" })
        #expect(found.contains { $0.sentence.contains("iscsi_target_mod") })
    }

    @Test func everyFaultIsFoundAndComesWithAFix() async throws {
        try makeHealthyRoot()
        try folder.write("lib/modules/6.1/modules.builtin", "")
        try folder.write("lib/modules/6.1/modules.dep", "kernel/drivers/target/iscsi/iscsi_target_mod.ko.xz: x\n")
        try folder.write("proc/mounts", "")
        try folder.write(
            "etc/rtslib-fb-target/saveconfig.json", "{\"targets\": [{\"wwn\": \"iqn.2026-01.dev.tuff:db\"}]}")
        chmod("\(folder.path)/etc/tuff/config.yaml", 0o666)
        try FileManager.default.removeItem(atPath: "\(folder.path)/usr/sbin/thin_check")
        try FileManager.default.removeItem(atPath: "\(folder.path)/srv")
        var machine = healthyMachine
        machine.answers["lvm lvmconfig --type full devices/scan_lvs"] = output("scan_lvs=1\n")
        machine.secretError = HostError(
            .refused, "The secret file /etc/tuff/secrets/web1 is open to other users", cause: "type: chmod 600 …")
        let found = await findings(machine, user: 1000, addresses: [], secrets: [World.secret])
        let faults = found.filter { $0.level != .ok }
        for word in [
            "not running as root", "config.yaml", "scan_lvs=1", "thin_check", "iscsi_target_mod", "configfs",
            "192.0.2.10", "saveconfig.json", "/srv does not exist", "secret file",
        ] {
            #expect(faults.contains { $0.sentence.contains(word) }, "nothing about \(word)")
        }
        #expect(faults.allSatisfy { $0.fix != nil })
        #expect(DoctorView(found).exitCode == 1)
    }

    /// lvm.conf(5) as `lvmconfig` prints it: sections, and in them settings that are really set.
    @Test func settingsByWhichLVMDoesSomethingElseAreNamed() async throws {
        try makeHealthyRoot()
        var machine = healthyMachine
        machine.answers["lvm lvmconfig --typeconfig current"] = output(
            "devices {\n\tscan_lvs=0\n}\nglobal {\n\ttest=1\n\tactivation=1\n}\n"
                + "activation {\n\tudev_sync=0\n\tvolume_list=[\"vg1\",\"@tag\"]\n}\n")
        let found = await findings(machine).filter { $0.level == .warn }.map(\.sentence)
        #expect(found.contains { $0.hasPrefix("lvm.conf: global/test=1: LVM only pretends") }, "\(found)")
        #expect(found.contains { $0.contains("activation/volume_list=[\"vg1\",\"@tag\"]: LVM activates only") })
        #expect(!found.contains { $0.contains("global/activation") || $0.contains("udev_sync") })
    }

    @Test func directoryPoolsThatOthersMayWriteAreFound() async throws {
        try makeHealthyRoot()
        var machine = healthyMachine
        func level() async -> Finding.Level? {
            await findings(machine, pools: ["/srv/pool"]).first { $0.sentence.contains("/srv/pool") }?.level
        }
        #expect(await level() == .warn)
        machine.space = FileSystemSpace(size: ByteCount(1), free: ByteCount(1))
        #expect(await level() == .ok)
        machine.space?.exposure = "may be written by others"
        #expect(await level() == .fail)
    }

    @Test(arguments: ["etc/rtslib-fb-target", "etc/target"]) func savedTargetsOfOursFail(place: String) async throws {
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/\(place)", withIntermediateDirectories: true, attributes: nil)
        func level(_ text: String) async throws -> Finding.Level? {
            try folder.write("\(place)/saveconfig.json", text)
            return await findings(healthyMachine).first { $0.sentence.contains("\(place)/saveconfig.json") }?.level
        }
        let theirs = #"{"name": "disk1", "plugin": "block", "wwn": "abc"}"#
        let ours = #"{"name": "tuff-aaaabbbbccccdddd", "plugin": "block"}"#
        #expect(try await level(#"{"storage_objects": [\#(theirs)], "targets": []}"#) == .ok)
        #expect(try await level(#"{"storage_objects": [{"name": "tuff-notes"}]}"#) == .ok)
        #expect(try await level(#"{"storage_objects": [\#(theirs), \#(ours)]}"#) == .fail)
        #expect(try await level(#"{"targets": [{"fabric": "iscsi", "wwn": "iqn.2026-01.dev.tuff:db"}]}"#) == .fail)
        #expect(try await level(#"{"targets": [{"wwn": "iqn.2026-01.dev.tuffy:db"}]}"#) == .ok)
        #expect(try await level(#"{"targets": [{"wwn":"#) == .warn)
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(place)/saveconfig.json")
    }

    @Test func aPoolThatCannotBeWrittenIsFound() async throws {
        var machine = healthyMachine
        machine.space = FileSystemSpace(size: ByteCount(1), free: ByteCount(1))
        let found = await findings(machine, pools: ["/srv/pool"], isReadOnly: true)
        #expect(found.contains { $0.level == .fail && $0.sentence.contains("mounted read-only") })
        #expect(HostProbe.current().isReadOnly(folder.path) == false)
    }

    @Test func aSecretThatInitiatorsMayRefuseIsFound() async throws {
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/etc/tuff/secrets", withIntermediateDirectories: true, attributes: nil)
        func level(_ secret: String) async throws -> Finding.Level? {
            try folder.write("etc/tuff/secrets/web1", secret)
            let found = await findings(healthyMachine, secrets: [World.secret])
            return found.first { $0.sentence.hasPrefix("secret ") }?.level
        }
        #expect(try await level("short") == .warn)
        #expect(try await level("long-enough-1\n") == .ok)
    }

    @Test func aPortalWithoutAListenerIsFound() async throws {
        func faults(_ portals: String) async -> [Finding] {
            let base = "tgtadm -C 0 --lld iscsi --mode"
            let machine = AnsweringMachine(answers: [
                "\(base) target --op show": output(""), "\(base) portal --op show": output(portals),
            ])
            return await findings(machine, driver: .tgt).filter { $0.sentence.contains("tgtd does not listen") }
        }
        #expect(await faults("Portal: 127.0.0.1:3260,1\n").first?.level == .fail)
        #expect(await faults("").first?.sentence.hasSuffix("but on nothing") == true)
        #expect(await faults("Portal: 0.0.0.0:3260,1\nPortal: [::]:3260,1\n").isEmpty)
        #expect(await faults("Portal: 192.0.2.10:3260,1\n").isEmpty)
    }

    /// The example in docs/cli.md: what this program says, not what it once said.
    @Test func theLinesInTheManualAreTheLinesOfTheProgram() async throws {
        try makeHealthyRoot()
        try folder.write("lib/modules/6.1/modules.builtin", "")
        let shown = ["running as root", "lvm 2", "iscsi_target_mod", "portal 192", "saveconfig"]
        let found = await findings(healthyMachine, addresses: []).filter { finding in
            shown.contains { finding.sentence.contains($0) }
        }
        expectGolden(DoctorView(found).text(Style()), "Golden/doctor.txt")
    }

    @Test func missingToolsAreNamedWithTheirPackages() async throws {
        let found = await findings(AnsweringMachine(), driver: .tgt)
        #expect(found.contains { $0.level == .warn && $0.fix?.contains("lvm2") == true })
        #expect(found.contains { $0.level == .fail && $0.fix == "apt install tgt" })
    }
}

@Suite struct LockTextTests {
    @Test func theHolderIsNamed() {
        let now = Examples.context.now
        let holder = LockHolder(
            pid: 4711, host: "storage1", since: Instant(secondsSince1970: now.secondsSince1970 - 192),
            command: "tuff apply -f volumes.yaml", isRunning: true)
        let failure = Failure(PassError.held(by: holder, now: now))
        #expect(failure.code == 11)
        expectGolden(failure.text(Style()), "Golden/locked.txt")
    }

    @Test func aCommandLeftBehindIsNamed() {
        let now = Examples.context.now
        let holder = LockHolder(
            pid: 4711, host: "storage1", since: now, command: "tuff apply -f volumes.yaml", isRunning: false)
        #expect(PassError.held(by: holder, now: now).sentence.contains("a command it started is still running"))
    }
}
