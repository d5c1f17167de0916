import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Renaming and removing files", .serialized)
struct FileRemovalTests {
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("pool/.tuff")
        machine = folder.machine()
    }

    private func fails(_ actions: HostAction...) async -> HostError? {
        await failure { () throws(HostError) in try await machine.perform(actions) }
    }

    private func pool(_ relative: String) -> HostPath { HostPath(.directory(folder.at("pool")), relative) }

    @Test("A file gets its new name with its bytes, and asking again is success")
    func rename() async throws {
        try folder.write("pool/v-db", "data")
        for _ in 0..<2 { #expect(await fails(.renameFile(pool("v-db"), to: pool("t-db"))) == nil) }
        #expect(folder.names("pool") == [".tuff", "t-db"])
        #expect(folder.read("pool/t-db") == "data")
        #expect(await fails(.renameFile(pool("none"), to: pool("nowhere")))?.code == .notFound)
    }

    @Test("A taken name is refused and both files stay")
    func taken() async throws {
        try folder.write("pool/v-db", "data")
        try folder.write("pool/t-db", "precious")
        #expect(await fails(.renameFile(pool("v-db"), to: pool("t-db"))) != nil)
        #expect(folder.read("pool/v-db") == "data")
        #expect(folder.read("pool/t-db") == "precious")
        symlink(folder.at("outside"), folder.at("pool/link"))
        #expect(await fails(.renameFile(pool("v-db"), to: pool("link"))) != nil)
        #expect(folder.read("pool/v-db") == "data")
    }

    @Test("One file with both names, as a crash may leave it where renames cannot refuse, keeps the new one")
    func bothNames() async throws {
        try folder.write("pool/v-db", "data")
        link(folder.at("pool/v-db"), folder.at("pool/t-db"))
        #expect(await fails(.renameFile(pool("v-db"), to: pool("t-db"))) == nil)
        #expect(folder.names("pool") == [".tuff", "t-db"])
        #expect(folder.read("pool/t-db") == "data")
    }

    @Test("What is no plain file is neither renamed nor removed; what is not there is removed already")
    func others() async throws {
        try folder.write("outside", "precious")
        symlink(folder.at("outside"), folder.at("pool/link"))
        mkfifo(folder.at("pool/fifo"), 0o600)
        for name in ["link", "fifo", ".tuff"] {
            #expect(await fails(.renameFile(pool(name), to: pool("new")))?.code == .refused, "\(name)")
            #expect(await fails(.removeFile(pool(name)))?.code == .refused, "\(name)")
        }
        #expect(folder.names("pool") == [".tuff", "fifo", "link"])
        #expect(folder.read("outside") == "precious")
        try folder.write("pool/v-db", "data")
        for _ in 0..<2 { #expect(await fails(.removeFile(pool("v-db"))) == nil) }
        #expect(folder.status("pool/v-db") == nil)
    }

    @Test("Neither leaves its directory", arguments: ["../outside", "/outside", "", "a\0b", ".", "a/../b"])
    func escaping(_ relative: String) async throws {
        try folder.write("pool/v-db", "data")
        try folder.write("outside", "precious")
        for action: HostAction in [
            .removeFile(pool(relative)), .renameFile(pool(relative), to: pool("new")),
            .renameFile(pool("v-db"), to: pool(relative)),
        ] {
            #expect(await fails(action)?.code == .refused, "\(action)")
        }
        let elsewhere = HostPath(.directory(folder.path), "moved")
        #expect(await fails(.renameFile(pool("v-db"), to: elsewhere))?.code == .refused)
        #expect(folder.names("pool") == [".tuff", "v-db"])
        #expect(folder.read("outside") == "precious")
    }
}
