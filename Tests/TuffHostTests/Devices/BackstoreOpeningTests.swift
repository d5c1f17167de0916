import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

/// Openings that can be tried without the kernel's target; the rest is in Tests/TuffLabTests.
@Suite("What the kernel opened")
struct BackstoreOpeningTests {
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("target/object")
        folder.directory("pool")
        try folder.write("target/object/enable", "0")
        try folder.write("pool/v", "data", mode: 0o600)
        machine = folder.machine()
    }

    private func enable() async -> HostError? {
        await failure { () throws(HostError) in
            try await machine.perform([
                .enableBackstore(.target("object"), opening: .file(HostPath(.directory(folder.at("pool")), "v")))
            ])
        }
    }

    @Test("A file that nobody has open after `enable` is not what the kernel opened")
    func elsewhere() async throws {
        let error = try #require(await enable())
        #expect(error.code == .preconditionFailed)
        #expect(error.sentence.contains("the kernel did not open that file"))
        #expect(folder.read("target/object/enable") == "1")
    }

    @Test("A file that somebody has open before proves nothing, and nothing is enabled")
    func inUse() async throws {
        let file = open(folder.at("pool/v"), O_RDWR)
        defer { close(file) }
        let error = try #require(await enable())
        #expect(error.code == .preconditionFailed)
        #expect(error.sentence.contains("somebody has \(folder.at("pool/v")) open already"))
        #expect(folder.read("target/object/enable") == "0")
    }

    @Test("The expected file is reached without following a link")
    func link() async throws {
        unlink(folder.at("pool/v"))
        symlink(folder.at("target/object/enable"), folder.at("pool/v"))
        #expect(await enable() != nil)
        #expect(folder.read("target/object/enable") == "0")
    }

    @Test("The device of a backstore is the one in the last line of its `info`")
    func info() {
        let head = "Status: DEACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 248\n"
        let path = "        iBlock device: dm-3  UDEV PATH: /dev/vg0/Major: 8 Minor: 0  readonly: 0\n"
        let found = BackstoreOpening.device(in: head + path + "        Major: 254 Minor: 3  CLAIMED: IBLOCK")
        #expect(found?.major == 254 && found?.minor == 3)
        #expect(BackstoreOpening.device(in: head + path + "        Major: 0 Minor: 0") == nil)
        #expect(BackstoreOpening.device(in: head) == nil)
        #expect(BackstoreOpening.device(in: "") == nil)
    }
}
