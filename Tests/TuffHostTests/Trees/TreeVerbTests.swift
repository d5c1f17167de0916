import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Actions on trees and files", .serialized)
struct TreeVerbTests {
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("target/core")
        folder.directory("pool")
        machine = folder.machine()
    }

    private func fails(_ actions: HostAction...) async -> HostError? {
        await failure { () throws(HostError) in try await machine.perform(actions) }
    }

    private func pool(_ relative: String) -> HostPath { HostPath(.directory(folder.at("pool")), relative) }

    @Test("A directory is made once and removed once, and asking again is success")
    func directories() async throws {
        for _ in 0..<2 {
            #expect(await fails(.makeDirectory(.target("core/iblock_0"))) == nil)
            #expect(folder.names("target/core") == ["iblock_0"])
        }
        for _ in 0..<2 {
            #expect(await fails(.removeDirectory(.target("core/iblock_0"))) == nil)
            #expect(folder.names("target/core") == [])
        }
        #expect(await fails(.removeDirectory(.target("gone/iblock_0"))) == nil)
        #expect(await fails(.makeDirectory(.target("gone/iblock_0")))?.code == .notFound)
        try folder.write("target/core/file", "")
        #expect(await fails(.makeDirectory(.target("core/file")))?.code == .failed)
        #expect(await fails(.removeDirectory(.target("core/file")))?.code == .failed)
        folder.directory("target/core/full/inner")
        #expect(await fails(.removeDirectory(.target("core/full"))) != nil)
    }

    @Test("An attribute is written exactly, never made, and read back on request")
    func attributes() async throws {
        try folder.write("target/core/alias", "a longer text that was there before\n")
        #expect(await fails(.writeAttribute(.target("core/alias"), "short", verify: true)) == nil)
        #expect(folder.read("target/core/alias") == "short")
        #expect(await fails(.writeAttribute(.target("core/alias"), "", verify: true)) == nil)
        #expect(folder.read("target/core/alias") == "\n")
        #expect(await fails(.writeAttribute(.target("core/none"), "x", verify: false))?.code == .notFound)
        #expect(folder.names("target/core") == ["alias"])
        #expect(await fails(.writeAttribute(.target("core"), "x", verify: false)) != nil)
        symlink("/dev/null", folder.at("target/core/deaf"))
        #expect(await fails(.writeAttribute(.target("core/deaf"), "x", verify: true))?.code == .refused)
    }

    @Test("A link is made once; an equal one is success whatever its text, another is an error and stays")
    func links() async throws {
        folder.directory("target/core/a")
        folder.directory("target/core/b")
        folder.directory("target/iscsi/lun_0")
        let link = HostPath.target("iscsi/lun_0/disk")
        #expect(await fails(.link(link, to: .target("core/a")), .link(link, to: .target("core/a"))) == nil)
        #expect(await fails(.link(link, to: .target("core/b")))?.code == .failed)
        #expect(await fails(.unlink(link), .unlink(link)) == nil)
        #expect(folder.names("target/iscsi/lun_0") == [])
        // What configfs shows of the same link.
        symlink("../../core/a", folder.at("target/iscsi/lun_0/disk"))
        #expect(await fails(.link(link, to: .target("core/a"))) == nil)
        #expect(await fails(.link(link, to: .target("core/b")))?.code == .failed)
        #expect(await fails(.unlink(.target("core/a")))?.code == .refused)
        #expect(folder.names("target/core") == ["a", "b"])
        #expect(await fails(.link(link, to: pool("x")))?.code == .refused)
    }

    @Test("Unlinking '*' takes every link of a directory and nothing else")
    func unlinkAll() async throws {
        folder.directory("target/lun_0/statistics")
        try folder.write("target/lun_0/alua_tg_pt_gp", "text")
        symlink("/nowhere", folder.at("target/lun_0/one"))
        symlink("statistics", folder.at("target/lun_0/two"))
        #expect(await fails(.unlink(.target("lun_0/*"))) == nil)
        #expect(folder.names("target/lun_0") == ["alua_tg_pt_gp", "statistics"])
        #expect(await fails(.unlink(.target("lun_0/*")), .unlink(.target("none/*"))) == nil)
    }

    @Test("The mode is set on the entry itself, never through a link")
    func modes() async throws {
        try folder.write("target/core/password", "", mode: 0o644)
        #expect(await fails(.setMode(.target("core/password"), 0o600)) == nil)
        #expect(folder.mode("target/core/password") == 0o600)
        try folder.write("outside", "", mode: 0o644)
        symlink(folder.at("outside"), folder.at("target/core/link"))
        #expect(await fails(.setMode(.target("core/link"), 0o600))?.code == .refused)
        #expect(folder.mode("outside") == 0o644)
    }

    @Test("A new file is ours alone under any umask, sparse and of its size; a foreign one stays as it is")
    func createFile() async throws {
        for mask: UInt32 in [0, 0o777] {
            let old = umask(mask)
            defer { umask(old) }
            #expect(await fails(.createFile(pool("new-\(mask)"), size: ByteCount(1 << 30))) == nil)
            let status = try #require(folder.status("pool/new-\(mask)"))
            #expect(status.st_mode == S_IFREG | 0o600)
            #expect(status.st_size == 1 << 30)
            #expect(status.st_blocks == 0)
        }
        #expect(await fails(.createFile(pool("new-0"), size: ByteCount(4096))) == nil)
        #expect(folder.status("pool/new-0")?.st_size == 4096)
        try folder.write("pool/precious", "data")
        #expect(await fails(.createFile(pool("precious"), size: ByteCount(4096)))?.code == .failed)
        #expect(folder.read("pool/precious") == "data")
        symlink(folder.at("outside"), folder.at("pool/link"))
        #expect(await fails(.createFile(pool("link"), size: ByteCount(4096))) != nil)
        #expect(folder.status("outside") == nil)
        #expect(await fails(.createFile(pool("none/file"), size: ByteCount(1)))?.code == .notFound)
    }

    @Test("A file that cannot have its size leaves nothing behind")
    func createImpossible() async throws {
        #expect(await fails(.createFile(pool("huge"), size: ByteCount(-1))) != nil)
        #expect(folder.names("pool") == [])
    }

    @Test("A file grows and keeps its bytes; it never shrinks")
    func growFile() async throws {
        try folder.write("pool/disk", "0123456789")
        #expect(
            await fails(.growFile(pool("disk"), to: ByteCount(20)), .growFile(pool("disk"), to: ByteCount(20))) == nil)
        #expect(folder.read("pool/disk") == "0123456789" + String(repeating: "\0", count: 10))
        #expect(await fails(.growFile(pool("disk"), to: ByteCount(10)))?.code == .preconditionFailed)
        #expect(folder.status("pool/disk")?.st_size == 20)
        #expect(await fails(.growFile(pool("none"), to: ByteCount(10)))?.code == .notFound)
        mkfifo(folder.at("pool/fifo"), 0o600)
        #expect(await fails(.growFile(pool("fifo"), to: ByteCount(10))) != nil)
    }

    @Test("A file is replaced as a whole, mode 0600, over what a crash left and without following a link")
    func replaceFile() async throws {
        try folder.write("pool/sidecar", "old", mode: 0o644)
        try folder.write("pool/.sidecar.tuff-new", "half writ")
        let text = String(repeating: "{}\n", count: 100_000)
        #expect(await fails(.replaceFile(pool("sidecar"), text)) == nil)
        #expect(folder.read("pool/sidecar") == text)
        #expect(folder.mode("pool/sidecar") == 0o600)
        #expect(folder.names("pool") == ["sidecar"])
        try folder.write("outside", "precious")
        unlink(folder.at("pool/sidecar"))
        symlink(folder.at("outside"), folder.at("pool/sidecar"))
        #expect(await fails(.replaceFile(pool("sidecar"), "new")) == nil)
        #expect(folder.read("outside") == "precious")
        #expect(folder.read("pool/sidecar") == "new")
    }

    @Test(
        "A path that leaves its root is refused",
        arguments: ["../outside", "a/../../outside", "/outside", "", "a//b", "./a", "a/.", "a\0b"])
    func escaping(_ relative: String) async throws {
        folder.directory("pool/a")
        for action: HostAction in [
            .makeDirectory(pool(relative)), .createFile(pool(relative), size: ByteCount(1)),
            .replaceFile(pool(relative), "x"), .removeDirectory(pool(relative)),
        ] {
            #expect(await fails(action)?.code == .refused, "\(action)")
        }
        #expect(folder.names() == ["pool", "target"])
    }

    @Test("A pool outside the allowed roots, or reached through a link, is refused")
    func roots() async throws {
        let elsewhere = try Folder()
        for path in [elsewhere.path, "/", "relative", folder.at("../\(folder.path.split(separator: "/")[1])/pool")] {
            let place = HostPath(.directory(path), "file")
            #expect(await fails(.createFile(place, size: ByteCount(1)))?.code == .refused, "\(path)")
        }
        #expect(elsewhere.names() == [])
        symlink(elsewhere.path, folder.at("link"))
        let place = HostPath(.directory(folder.at("link")), "file")
        #expect(await fails(.createFile(place, size: ByteCount(1)))?.code == .refused)
        let space = await failure { () throws(HostError) in _ = try await machine.space(of: folder.at("link")) }
        #expect(space?.code == .refused)
        #expect(elsewhere.names() == [])
        let known = try await machine.space(of: folder.at("pool"))
        #expect(known.size > known.free)
        #expect(known.free > .zero)
    }

    @Test("A directory swapped for a link in the middle of the work never lets anything out")
    func swapRace() async throws {
        let outside = try Folder()
        try outside.write("victim", "precious")
        folder.directory("pool/inner")
        symlink(outside.path, folder.at("pool/trap"))
        let inner = folder.at("pool/inner"), trap = folder.at("pool/trap"), spare = folder.at("pool/spare")
        let racer = Beside { goesOn in
            while goesOn() {
                rename(inner, spare)
                rename(trap, inner)
                rename(inner, trap)
                rename(spare, inner)
            }
        }
        for round in 0..<300 {
            _ = await fails(.createFile(pool("inner/new-\(round % 7)"), size: ByteCount(1)))
            _ = await fails(.replaceFile(pool("inner/victim"), "overwritten"))
            _ = await fails(.writeAttribute(pool("inner/victim"), "overwritten", verify: false))
            _ = await fails(.setMode(pool("inner/victim"), 0o777))
        }
        await racer.end()
        #expect(outside.names() == ["victim"])
        #expect(outside.read("victim") == "precious")
        #expect(outside.mode("victim") == 0o644)
    }

    @Test("The first action that fails ends the batch, and the error names path and reason")
    func batch() async throws {
        let error = await fails(
            .makeDirectory(.target("one")), .writeAttribute(.target("one/none"), "1", verify: false),
            .makeDirectory(.target("two")))
        #expect(error?.code == .notFound)
        #expect(error?.subject == folder.at("target/one/none"))
        #expect(error?.cause == "No such file or directory")
        #expect(folder.names("target") == ["core", "one"])
    }
}
