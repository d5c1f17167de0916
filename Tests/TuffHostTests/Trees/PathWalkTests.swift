import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Every component of a path belongs to root or to us, and nobody else may write it. The folders of these tests lie
/// below a sticky /tmp of root.
@Suite("Components of paths")
struct PathWalkTests {
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("roots/secrets/inner")
        folder.directory("roots/images/inner")
        folder.directory("roots/pools/alice/pool/.tuff")
        try folder.write("roots/secrets/inner/web1", "one-line-secret", mode: 0o600)
        try folder.write("roots/images/inner/disk.raw", [UInt8](repeating: 7, count: 4096))
        try folder.write("roots/pools/alice/pool/v-a", "")
        machine = Self.machine(folder)
    }

    private static func machine(_ folder: Folder, _ change: (inout Reach) -> Void = { _ in }) -> LinuxMachine {
        var reach = Reach(
            secrets: [folder.at("roots/secrets")], images: [folder.at("roots/images")],
            directories: [folder.at("roots/pools")])
        change(&reach)
        return LinuxMachine(
            configuration: LinuxMachine.Configuration(
                targetRoot: folder.at("target"), workerCommand: [], reach: reach))
    }

    private func image(_ path: String, _ machine: LinuxMachine? = nil) async -> HostError? {
        let machine = machine ?? self.machine
        let source = ImageSource(path: folder.at(path), format: .raw)
        return await failure { () throws(HostError) in _ = try await machine.image(source) }
    }

    private func secret(_ path: String, _ machine: LinuxMachine? = nil) async -> HostError? {
        let machine = machine ?? self.machine
        let reference = SecretReference(file: folder.at(path))
        return await failure { () throws(HostError) in _ = try await machine.fingerprint(reference, key: key) }
    }

    /// The ends of a look at a pool and of an act in it.
    private func pool(_ path: String, _ machine: LinuxMachine? = nil) async -> [HostError?] {
        let machine = machine ?? self.machine
        let directory = folder.at(path)
        return [
            await failure { () throws(HostError) in _ = try await machine.space(of: directory) },
            await failure { () throws(HostError) in
                _ = try await machine.readTree(.directory(directory), [TreeQuery("*", .status)], key: key)
            },
            await failure { () throws(HostError) in
                try await machine.perform([.require(.file(HostPath(.directory(directory), "v-a"), size: nil))])
            },
        ]
    }

    private func all() async -> [HostError?] {
        await [image("roots/images/inner/disk.raw"), secret("roots/secrets/inner/web1")]
            + pool("roots/pools/alice/pool")
    }

    @Test("What lies below directories of root, a sticky one among them, is opened")
    func welcome() async {
        #expect(await all() == [nil, nil, nil, nil, nil])
        let path = folder.at("roots/pools")
        #expect(await failure { () throws(HostError) in try HostRoots.inspect(path) } == nil)
    }

    @Test(
        "A component that others may write, or own, is named with owner, mode and remedy",
        arguments: ["roots", "roots/images", "roots/images/inner", "roots/images/inner/disk.raw"])
    func component(_ name: String) async throws {
        let path = folder.at(name), mode = try #require(folder.mode(name))
        for bit: UInt32 in [0o020, 0o002] {
            chmod(path, mode | bit)
            let error = await image("roots/images/inner/disk.raw")
            #expect(error?.code == .exposed)
            #expect(
                error?.sentence.contains(
                    "\(path) may be written by others than its owner (mode 0\(String(mode | bit, radix: 8)))") == true)
            #expect(error?.cause == "type: chmod go-w \(path)")
        }
        chmod(path, mode)
        guard geteuid() == 0 else { return }
        lchown(path, 4711, 0)
        let error = await image("roots/images/inner/disk.raw")
        #expect(error?.code == .exposed)
        #expect(error?.sentence.contains("\(path) belongs to user 4711 (mode 0") == true)
        #expect(error?.cause == "type: chown root \(path)")
        lchown(path, 0, 0)
        #expect(await image("roots/images/inner/disk.raw") == nil)
    }

    @Test("Secrets and pools below somebody else's directory are neither read nor written")
    func everySort() async {
        for name in ["roots/secrets/inner", "roots/pools/alice", "roots"] {
            chmod(folder.at(name), 0o777)
            let found = await all()
            chmod(folder.at(name), 0o755)
            let hit = name == "roots" ? [0, 1, 2, 3, 4] : name.contains("secrets") ? [1] : [2, 3, 4]
            for (index, error) in found.enumerated() {
                #expect(error?.code == (hit.contains(index) ? .exposed : nil), "\(name) \(index)")
            }
        }
    }

    @Test("A directory itself is looked at before anything is done in it")
    func ownPool() async {
        chmod(folder.at("roots/pools/alice/pool"), 0o770)
        // `space` tells what is wrong with it, so that what is there is seen.
        #expect(await pool("roots/pools/alice/pool").map { $0?.code } == [nil, nil, .exposed])
    }

    @Test("A sticky directory of root passes if what comes next is ours, and only then")
    func sticky() async {
        guard geteuid() == 0 else { return }
        chmod(folder.at("roots/images"), 0o1777)
        #expect(await image("roots/images/inner/disk.raw") == nil)
        chown(folder.at("roots/images/inner"), 4711, 0)
        #expect(await image("roots/images/inner/disk.raw")?.code == .exposed)
        chown(folder.at("roots/images/inner"), 0, 0)
        // One of somebody else's is none.
        chown(folder.at("roots/images"), 4711, 0)
        #expect(await image("roots/images/inner/disk.raw")?.code == .exposed)
        chown(folder.at("roots/images"), 0, 0)
        chmod(folder.at("roots/pools/alice/pool"), 0o1777)
        #expect(await pool("roots/pools/alice/pool")[2]?.code == .exposed, "volumes could be added to it")
    }

    @Test("Links are followed in what the administrator named, and not beneath")
    func links() async {
        symlink("roots/images", folder.at("way"))
        symlink(folder.at("roots/../way"), folder.at("roots/far"))
        let linked = Self.machine(folder) { $0.images = [folder.at("way"), folder.at("roots/far/inner")] }
        #expect(await image("way/inner/disk.raw", linked) == nil)
        #expect(await image("roots/far/inner/disk.raw", linked) == nil)
        symlink("inner", folder.at("roots/images/link"))
        symlink("disk.raw", folder.at("roots/images/inner/link"))
        for name in ["way/link/disk.raw", "way/inner/link"] {
            #expect(await image(name, linked)?.code == .refused, "\(name)")
        }
        symlink("loop", folder.at("loop"))
        #expect(await image("loop/disk.raw", Self.machine(folder) { $0.images = [folder.at("loop")] }) != nil)
        guard geteuid() == 0 else { return }
        // Whoever owns the link, or its directory, decides where it leads.
        lchown(folder.at("way"), 4711, 0)
        #expect(await image("way/inner/disk.raw", linked)?.code == .exposed)
        lchown(folder.at("way"), 0, 0)
        chmod(folder.path, 0o777)
        #expect(await image("way/inner/disk.raw", linked)?.code == .exposed)
    }

    @Test("A combining character hides no slash, and so no link")
    func combining() async throws {
        folder.directory("elsewhere")
        try folder.write("elsewhere/\u{308}x", "not an image of ours")
        symlink(folder.at("elsewhere"), folder.at("roots/images/link"))
        #expect(await image("roots/images/link/\u{308}x")?.code == .refused)
        #expect(await image("roots/images/../\u{308}x")?.code == .refused)
        try folder.write("roots/images/inner/\u{308}x", [UInt8](repeating: 7, count: 4096))
        #expect(await image("roots/images/inner/\u{308}x") == nil)
    }

    @Test("What is beneath a root of another sort is not opened, whatever leads there")
    func sorts() async throws {
        for name in ["roots/secrets/inner/web1", "roots/pools/alice/pool/v-a", "elsewhere"] {
            #expect(await image(name)?.code == .refused, "\(name)")
        }
        #expect(await secret("roots/images/inner/disk.raw")?.code == .refused)
        for path in ["roots/secrets/inner", "roots/images/inner", "roots"] {
            #expect(await pool(path).allSatisfy { $0?.code == .refused }, "\(path)")
        }
        // By texts these roots do not overlap.
        symlink("..", folder.at("roots/images/up"))
        let linked = Self.machine(folder) { $0.images = [folder.at("roots/images/up")] }
        #expect(await image("roots/images/up/secrets/inner/web1", linked)?.code == .refused)
        #expect(await image("roots/images/up/images/inner/disk.raw", linked) == nil)
    }

    @Test("A mount leads no image, pool or root to a root of another sort either")
    func mounts() async throws {
        let bound = folder.directory("roots/images/bound"), secrets = folder.at("roots/secrets")
        // Only root may mount.
        guard mount(secrets, bound, nil, UInt(MS_BIND), nil) == 0 else { return }
        defer { umount2(bound, Int32(MNT_DETACH)) }
        #expect(await image("roots/images/bound/inner/web1")?.code == .refused)
        let reach = Reach(secrets: [secrets], images: [bound], directories: [])
        #expect(try HostRoots.overlap(in: reach)?.second == Reach.Root(sort: .images, path: bound))
        #expect(try HostRoots.overlap(in: Reach(secrets: [secrets], images: [folder.at("roots/images")])) == nil)
    }

    @Test("No image lies in a pool or a repository, whoever's it is")
    func stores() async throws {
        folder.directory("roots/images/theirs/.tuff")
        folder.directory("roots/images/backups/packs/00")
        try folder.write("roots/images/theirs/v-secret", "secret")
        try folder.write("roots/images/backups/repository", "tuff")
        try folder.write("roots/images/backups/packs/00/pack", "pack")
        for name in ["theirs/v-secret", "backups/packs/00/pack", "backups/repository"] {
            let error = await image("roots/images/\(name)")
            #expect(error?.code == .refused && error?.sentence.contains("volumes or backups") == true, "\(name)")
        }
    }

    @Test("A root may be one file")
    func files() async {
        let exact = Self.machine(folder) {
            $0.secrets = [folder.at("roots/secrets/inner/web1")]
            $0.images = [folder.at("roots/images/inner/disk.raw")]
        }
        #expect(await secret("roots/secrets/inner/web1", exact) == nil)
        #expect(await image("roots/images/inner/disk.raw", exact) == nil)
        #expect(await image("roots/images/inner", exact)?.code == .refused)
        let file = folder.at("roots/secrets/inner/web1")
        func inspection() async -> HostError? {
            await failure { () throws(HostError) in try HostRoots.inspect(file) }
        }
        #expect(await inspection() == nil)
        chmod(file, 0o620)
        #expect(await inspection()?.code == .exposed)
    }

    /// A user who owns a directory on the way exchanges what is in it as fast as he can: whatever is opened in the end,
    /// it is never what he put there.
    @Test("Exchanging a component while it is walked never leads anywhere else")
    func race() async throws {
        guard geteuid() == 0 else { return }
        folder.directory("roots/images/alice")
        folder.directory("theirs")
        try folder.write("roots/images/alice/disk.raw", [UInt8](repeating: 7, count: 4096))
        try folder.write("theirs/disk.raw", [UInt8](repeating: 9, count: 8192))
        let alice = folder.at("roots/images/alice"), away = folder.at("roots/images/away")
        let evil = folder.at("roots/images/evil")
        symlink(folder.at("theirs"), evil)
        chmod(folder.at("roots/images"), 0o1777)
        lchown(evil, 4711, 0)
        let racer = Beside { goesOn in
            while goesOn() {
                rename(alice, away)
                rename(evil, alice)
                rename(alice, evil)
                rename(away, alice)
            }
        }
        var opened = 0, refused = 0
        for _ in 0..<2000 {
            let source = ImageSource(path: "\(alice)/disk.raw", format: .raw)
            do {
                guard case .usable(let size, _) = try await machine.image(source) else { continue }
                #expect(size == ByteCount(4096))
                opened += 1
            } catch {
                // Failed: it was a link at one look and a directory at the next.
                #expect([.exposed, .refused, .notFound, .failed].contains(error.code), "\(error)")
                refused += 1
            }
        }
        await racer.end()
        #expect(opened > 0 && refused > 0)
    }
}
