import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// The roots of `allow` are compared without asking a server, which may be gone. The mounts are those of this host and
/// some that are not there: a look beneath one of these finds plain directories and a link, which a server's would not
/// be.
@Suite("Roots on remote mounts")
struct RootIdentityTests {
    let folder: Folder

    init() throws {
        folder = try Folder()
        for name in ["images", "dead/pools/inner", "other", "with blank"] { folder.directory(name) }
        symlink(folder.at("images"), folder.at("dead/link"))
    }

    private var mountInfo: String { Folder.read("/proc/self/mountinfo") ?? "" }

    /// The table with more mounts in it.
    private func table(_ more: [String]) -> MountTable { MountTable(text: mountInfo + more.joined(separator: "\n")) }

    /// A line of mountinfo.
    /// - Parameter parent: nil: the mount in which the folder lies.
    private func line(
        _ number: Int, _ name: String, _ type: String, _ source: String = "nas:/export", device: String = "0:900",
        root: String = "/", parent: Int? = nil
    ) throws -> String {
        var best: (length: Int, number: Int)?
        for line in mountInfo.split(separator: "\n") {
            let fields = line.split(separator: " ")
            let point = String(fields[4])
            guard folder.path.hasPrefix(point), point.count >= best?.length ?? 0 else { continue }
            best = (point.count, Int(fields[0]) ?? 0)
        }
        let above = try parent ?? #require(best).number
        return
            "\(number) \(above) \(device) \(root) \(folder.at(name)) rw,relatime shared:1 - \(type) \(source) rw,hard"
    }

    private func overlap(_ images: String, _ directories: String, _ mounts: MountTable) throws -> Bool {
        let reach = Reach(secrets: [], images: [folder.at(images)], directories: [folder.at(directories)])
        return try HostRoots.overlap(in: reach, mounts) != nil
    }

    @Test(
        "Nothing beneath a remote mount is looked at",
        arguments: ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse", "autofs"])
    func remote(_ type: String) throws {
        let mounts = table([try line(9001, "dead", type)])
        #expect(try !overlap("images", "dead/link", mounts), "the link was followed")
        #expect(try overlap("dead/missing", "dead/missing/inner", mounts), "somebody looked for it")
    }

    @Test("Beneath a mount of this host's links are followed", arguments: ["ext4", "xfs", "btrfs", "tmpfs", "fuseblk"])
    func local(_ type: String) throws {
        let mounts = table([try line(9001, "dead", type)])
        #expect(try overlap("images", "dead/link", mounts))
        #expect(try !overlap("dead/missing", "dead/missing/inner", mounts))
        #expect(try overlap("dead/pools", "dead/pools/inner", mounts))
    }

    @Test("Of several mounts at one place the uppermost counts")
    func stacked() throws {
        let lower = try line(9001, "dead", "nfs4")
        #expect(try overlap("images", "dead/link", table([lower, line(9002, "dead", "ext4", parent: 9001)])))
        let upper = [try line(9001, "dead", "ext4"), try line(9002, "dead", "nfs4", parent: 9001)]
        #expect(try !overlap("images", "dead/link", table(upper)))
    }

    @Test("A remote directory is told by its file system and where it lies on the server")
    func identity() throws {
        let dead = try line(9001, "dead", "nfs4")
        func mounted(_ source: String, device: String = "0:900") throws -> MountTable {
            table([dead, try line(9002, "other", "nfs4", source, device: device)])
        }
        #expect(try overlap("other", "dead/pools", mounted("nas:/export/pools")))
        #expect(try overlap("other", "dead/pools", mounted("nas:/export")))
        #expect(try overlap("other/inner", "dead/pools", mounted("nas:/export/pools")))
        #expect(try overlap("dead/pools/inner", "other", mounted("nas:/export/pools")))
        #expect(try !overlap("other", "dead/pools", mounted("nas:/export/images")))
        #expect(try !overlap("other", "dead/pools", mounted("nas:/export/pools2")))
        #expect(try !overlap("other", "dead/pools", mounted("nas:/export/pools", device: "0:901")))
        // Others than NFS show what of a file system is mounted.
        let share = try line(9001, "dead", "cifs", "//nas/share")
        let bound = try line(9002, "other", "cifs", "//nas/share", root: "/pools")
        #expect(try overlap("other", "dead/pools", table([share, bound])))
        #expect(try !overlap("other", "dead/images", table([share, bound])))
    }

    @Test("A blank in a mount point is a blank")
    func escapes() throws {
        symlink(folder.at("images"), folder.at("with blank/link"))
        let blank = try line(9001, "with\\040blank", "nfs4")
        #expect(try !overlap("images", "with blank/link", table([blank])))
        #expect(try overlap("images", "with blank/link", table([])))
    }

    @Test("What is mounted since the table was read is no root's content: the table is read again")
    func stale() throws {
        // A table without this host's mounts: every mount on the way came since.
        let reach = Reach(secrets: [], images: ["/proc/self"], directories: ["/proc"])
        #expect(throws: MountTable.Stale.self) { try HostRoots.overlap(in: reach, MountTable(text: "")) }
        #expect(try HostRoots.overlap(in: reach) != nil)
    }

    @Test("A root on NFS is inspected as far as its mount point")
    func inspection() async throws {
        let missing = folder.at("dead/pools/missing"), point = folder.at("dead")
        func inspect(_ point: String?) async -> HostError.Code? {
            await failure { () throws(HostError) in try HostRoots.inspect(missing, endingAt: point) }?.code
        }
        chmod(point, 0o777)
        #expect(await inspect(point) == nil)
        #expect(await inspect(nil) == .exposed)
        chmod(folder.path, 0o777)
        #expect(await inspect(point) == .exposed)
        chmod(folder.path, 0o700)
    }
}
