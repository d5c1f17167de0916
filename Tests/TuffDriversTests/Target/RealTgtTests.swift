import FoundationEssentials
import Glibc
import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The contract on a real tgtd of this test's own: loopback, own folder, own control port, own socket, ended by pid.
@Suite(.serialized, .enabled(if: TgtDaemon.isInstalled, "tgtd, tgtadm and libiscsi's tools are not installed"))
struct RealTgtTests {
    private func run(_ body: (ExportContract) async throws -> Void) async throws {
        let daemon = try TgtDaemon()
        defer { daemon.stop() }
        let machine = LinuxMachine(
            configuration: LinuxMachine.Configuration(
                workerCommand: [], reach: Reach(everythingBeneath: [daemon.folder]), tools: .real()))
        try await daemon.waitUntilReady(machine)
        let size = ByteCount(64 << 20)
        func spec(_ name: String, _ uid: String) throws -> BackstoreSpec {
            let location = VolumeLocation.file(directory: daemon.folder, name: name)
            try #require(truncate(daemon.makeFile(name), Int(size.bytes)) == 0)
            let uid = try #require(UID(uid))
            return BackstoreSpec(
                uid: uid, location: location, size: size, identity: DiskIdentity(serial: uid.serial), discard: true)
        }
        let secret = SecretReference(file: "\(daemon.folder)/unused")
        try await body(
            ExportContract(
                machine: machine, driver: TgtDriver(controlPort: daemon.controlPort), kind: .tgt,
                initiators: LibiscsiInitiators(machine: machine, portal: daemon.portal, kind: .tgt),
                spec: try spec("v-ours", "aaaabbbbccccdddd"), other: try spec("v-theirs", "aaaabbbbccccddde"),
                portal: daemon.portal, secrets: (secret, secret)))
    }

    @Test func buildsAnExportThatOneInitiatorSees() async throws {
        try await run { try await $0.buildsAnExportThatOneInitiatorSees() }
    }

    @Test func keepsReadOnlyDisksFromBeingWritten() async throws {
        try await run { try await $0.keepsReadOnlyDisksFromBeingWritten() }
    }

    @Test func observesAndRepairsEachDifferenceAlone() async throws {
        try await run { try await $0.observesAndRepairsEachDifferenceAlone() }
    }

    @Test func withdrawsOnlyWithoutASession() async throws {
        try await run { try await $0.withdrawsOnlyWithoutASession() }
    }

    @Test func withdrawsInFull() async throws {
        try await run { try await $0.withdrawsInFull() }
    }

    @Test func finishesAWithdrawalThatWasCutAnywhere() async throws {
        try await run { try await $0.finishesAWithdrawalThatWasCutAnywhere() }
    }

    @Test func cutsASessionOnlyWhenTold() async throws {
        try await run { try await $0.cutsASessionOnlyWhenTold() }
    }

    @Test func disablesAndEnables() async throws {
        try await run { try await $0.disablesAndEnables() }
    }

    @Test func handsADiskOverUnderLiveSessions() async throws {
        try await run { try await $0.handsADiskOverUnderLiveSessions() }
    }

    @Test func keepsAReaderBesideAWriterFromWriting() async throws {
        try await run { try await $0.keepsAReaderBesideAWriterFromWriting() }
    }

    @Test func leavesOtherPeoplesTargetsAlone() async throws {
        try await run { try await $0.leavesOtherPeoplesTargetsAlone() }
    }

    @Test func aGrownFileShowsThatInitiatorsStillHaveTheOldSize() async throws {
        try await run { contract in
            try await contract.perform(contract.building())
            try #require(truncate(contract.spec.location.path, 128 << 20) == 0)
            #expect(try await contract.ours().backstore?.size == ByteCount(67_000_000))
            try await contract.takeAway()
        }
    }

    /// One answer of a real daemon is what the fake prints for the same commands, byte for byte.
    @Test func theFakeSpeaksAsTheRealDaemon() async throws {
        try await run { contract in
            try await contract.perform(contract.building(readOnly: true))
            let port = (contract.driver as? TgtDriver)?.controlPort ?? 0
            let show = ["-C", "\(port)", "--lld", "iscsi", "--op", "show", "--mode"]
            var fake = FakeTgt(controlPort: port, portals: [contract.portal])
            for case .run(let command) in contract.driver.lower(contract.building(readOnly: true))
                .flatMap(\.actions)
            {
                #expect(fake.run(command.arguments) { _ in ByteCount(64 << 20) }.status == 0)
            }
            for mode in ["target", "portal"] {
                let real = try await contract.machine.read(Command("tgtadm", show + [mode], effect: .reads))
                let copy = fake.run(show + [mode]) { _ in nil }
                #expect(
                    String(decoding: real.standardOutput, as: UTF8.self)
                        == String(decoding: copy.standardOutput, as: UTF8.self))
            }
            try await contract.takeAway()
        }
    }
}

/// A tgtd that belongs to one test.
private final class TgtDaemon {
    static let isInstalled: Bool = {
        let tools: [String] = ["/usr/sbin/tgtd", "/usr/sbin/tgtadm", "/usr/bin/iscsi-inq", "/usr/bin/iscsi-test-cu"]
        return tools.allSatisfy { access($0, X_OK) == 0 }
    }()

    let folder: String
    let controlPort: Int
    let portal: Portal
    private var pid: pid_t = 0

    init() throws {
        var template = Array("/tmp/tuff-tgt-XXXXXX".utf8CString)
        folder = String(cString: try #require(mkdtemp(&template)))
        // Control and network ports follow from our pid, so that test processes side by side stay apart.
        controlPort = 1000 + Int(getpid()) % 30000
        portal = Portal(address: "127.0.0.1", port: 20000 + Int(getpid()) % 30000)
        // tgtd and tgtadm put the control port behind it. Suites of this process that talk to a tgtd are this one.
        setenv("TGT_IPC_SOCKET", "\(folder)/socket", 1)
        let arguments = ["tgtd", "-f", "-C", "\(controlPort)", "--iscsi", "portal=\(portal)"]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in [0, 1, 2] as [Int32] {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        try #require(posix_spawn(&pid, "/usr/sbin/tgtd", &actions, nil, &pointers, environ) == 0)
    }

    func makeFile(_ name: String) -> String {
        let path = "\(folder)/\(name)"
        close(open(path, O_CREAT | O_RDWR, 0o600))
        return path
    }

    func waitUntilReady(_ machine: any Machine) async throws {
        let arguments = ["-C", "\(controlPort)", "--lld", "iscsi", "--op", "show", "--mode", "portal"]
        for _ in 0..<100 {
            let output = try await machine.read(Command("tgtadm", arguments, effect: .reads))
            if output.status == 0, !output.standardOutput.isEmpty { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("tgtd did not come up")
    }

    func stop() {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
        unsetenv("TGT_IPC_SOCKET")
        try? FileManager.default.removeItem(atPath: folder)
    }
}
