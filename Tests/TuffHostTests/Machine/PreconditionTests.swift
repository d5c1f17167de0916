import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Preconditions")
struct PreconditionTests {
    let folder: Folder
    let machine: LinuxMachine
    let uid = UID(bytes: [UInt8](1...10))

    init() throws {
        folder = try Folder()
        folder.directory("target/acl")
        machine = folder.machine()
    }

    private func check(_ condition: Precondition) async -> HostError? {
        let error = await failure { () throws(HostError) in
            try await machine.perform([.require(condition), .makeDirectory(.target("done"))])
        }
        #expect(folder.names("target").contains("done") == (error == nil))
        rmdir(folder.at("target/done"))
        return error
    }

    @Test("A device that is missing, that nobody identified or that is no logical volume is refused, and told why")
    func device() async throws {
        func device(_ group: String, _ name: String, _ uuid: String?) -> Precondition {
            .device(group: group, name: name, uid: uid, uuid: uuid)
        }
        for (condition, reason) in [
            (device("tuff-no-such", "v-a", "LVM-x"), "there is nothing"),
            (device("tuff-no-such", "v-a", nil), "LVM was not asked"),
            (device(".", "null", "LVM-x"), "no block device"),
        ] {
            let error = await check(condition)
            #expect(error?.code == .preconditionFailed)
            #expect(error?.sentence.contains(reason) == true, "\(error?.sentence ?? "passed")")
        }
    }

    @Test("A file of ours with its size passes, anything else does not")
    func file() async throws {
        try folder.write("disk", "0123456789")
        let path = HostPath(.directory(folder.path), "disk")
        #expect(await check(.file(path, size: ByteCount(10))) == nil)
        #expect(await check(.file(path, size: nil)) == nil)
        #expect(await check(.file(path, size: ByteCount(11)))?.code == .preconditionFailed)
        #expect(await check(.file(HostPath(.directory(folder.path), "none"), size: nil))?.code == .preconditionFailed)
        #expect(await check(.file(HostPath(.directory(folder.path), "target"), size: nil))?.code == .preconditionFailed)
        symlink(folder.at("disk"), folder.at("link"))
        #expect(await check(.file(HostPath(.directory(folder.path), "link"), size: nil))?.code == .preconditionFailed)
    }

    @Test("A place is vacant when nothing is there, or a blank file of ours")
    func vacant() async throws {
        let path = HostPath(.directory(folder.path), "disk")
        #expect(await check(.vacant(path)) == nil)
        try await machine.perform([.createFile(path, size: ByteCount(1 << 20))])
        #expect(await check(.vacant(path)) == nil)
        try folder.write("disk", String(repeating: "x", count: 8192))
        #expect(await check(.vacant(path))?.code == .preconditionFailed)
        #expect(await check(.vacant(HostPath(.directory(folder.path), "target")))?.code == .preconditionFailed)
    }

    @Test("A text passes with everything that is to be in it")
    func text() async throws {
        try folder.write("target/acl/enable", "one two\n")
        #expect(await check(.text(.target("acl/enable"), containing: ["one", "two"])) == nil)
        let error = await check(.text(.target("acl/enable"), containing: ["one", "three"]))
        #expect(error?.code == .preconditionFailed)
        #expect(error?.sentence.hasSuffix("but it reads 'one two'") == true)
        #expect(await check(.text(.target("acl/none"), containing: []))?.code == .preconditionFailed)
    }

    @Test("An ACL without a session passes, one with a session or without information does not")
    func session() async throws {
        #expect(await check(.noSession(.target("acl")))?.code == .preconditionFailed)
        try folder.write(
            "target/acl/info", "No active iSCSI Session for Initiator Endpoint: iqn.2004-10.com.example:a\n")
        #expect(await check(.noSession(.target("acl"))) == nil)
        try folder.write("target/acl/info", "InitiatorName: iqn.2004-10.com.example:a\nLIO Session ID: 1\n")
        #expect(await check(.noSession(.target("acl")))?.code == .preconditionFailed)
        try folder.write("target/acl/info", "")
        #expect(await check(.noSession(.target("acl")))?.code == .preconditionFailed)
    }
}
