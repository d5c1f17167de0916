import FoundationEssentials
import Glibc
import Testing
import TuffModel
import TuffTestSupport

/// Directory pools on a real server of NFS, mounted by the program in the guest's own mounts, under the squashing that
/// servers have.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct NFSPoolLabTests {
    static let initiator = "iqn.2004-10.com.example:web1"

    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        try await LabProgram.withShares("nfspool", port: 3295, exports: ["root", "all"], pool: nil) { lab in
            try await lab.must("mkdir", ["-p", "\(lab.folder)/pools/local"])
            try await body(lab)
        }
    }

    private func documents(_ lab: LabProgram, _ export: String, local: String = "16Mi", more: String = "") -> String {
        LabProgram.document(
            "Pool", "nas",
            "directory: {path: \(lab.folder)/pools/nas, nfs: {server: 127.0.0.1, export: /\(export), "
                + "options: [vers=4.2]}}, reserve: 0%, overprovision: 10")
            + LabProgram.document("Pool", "local", "directory: {path: \(lab.folder)/pools/local}, overprovision: 10")
            + LabProgram.document("Volume", "db", "size: 64Mi, pool: nas")
            + LabProgram.document("Volume", "here", "size: \(local), pool: local")
            + LabProgram.document("Attachment", "db-web", "volume: db, iscsi: {initiator: \"\(Self.initiator)\"}")
            + more
    }

    private func mounts() throws -> [Substring] {
        try String(contentsOfFile: "/proc/1/mountinfo", encoding: .utf8).split(separator: "\n")
            .filter { $0.contains(" - nfs4 ") }
    }

    private func expectServed(_ lab: LabProgram) async throws {
        let url = "iscsi://\(lab.portal)/iqn.2026-01.dev.tuff.nfspool:db/0"
        let seen = try await lab.shell("iscsi-inq -i \(Self.initiator) \(url)")
        #expect(seen.status == 0, "\(seen.text)")
    }

    @Test(
        "A pool is mounted, filled and served in one apply, and comes back at a boot, whoever root is to the server",
        arguments: ["root"])
    func lives(_ export: String) async throws {
        try await inWorld { lab in
            let point = "\(lab.folder)/pools/nas", server = "/run/lab/nfs/\(export)"
            try lab.declare(documents(lab, export))
            let planned = try await lab.show("plan", "--show-commands")
            #expect(planned.contains("mount NFS share 127.0.0.1:/\(export) at"), "\(planned)")
            #expect(planned.contains("mount.nfs4 127.0.0.1:/\(export) \(point) -o vers=4.2"), "\(planned)")
            let made = try await lab.apply()
            #expect(made.status == 0, "\(made.text)")
            let mounted = try mounts()
            #expect(mounted.count == 1, "\(mounted)")
            for option in ["nosuid", "nodev", "noexec", "hard", "vers=4.2"] {
                #expect(mounted.first?.contains(option) == true, "\(option) \(mounted)")
            }
            let there = try await lab.shell("stat -c %s \(server)/v-db; ls \(server)/.tuff | wc -l")
            #expect(there.text == "67108864\n1\n", "\(there.text)")
            try await expectServed(lab)
            let again = try await lab.show("plan")
            #expect(again.contains("Nothing to do"), "\(again)")

            // As a shutdown and a boot leave it.
            let withdrawn = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
            #expect(withdrawn.status == 0, "\(withdrawn.text)")
            #expect(try mounts().count == 1, "withdrawing unmounts nothing")
            try await lab.must("umount", [point])
            let away = try await lab.show("plan")
            #expect(away.contains("NotMounted") && !away.contains("Lost"), "\(away)")
            let back = try await lab.tuff(["exports", "restore", "--wait", "30s"])
            #expect(back.status == 0, "\(back.text)")
            try await expectServed(lab)
            #expect(try await lab.show("plan").contains("Nothing to do"))

            // Without its document it stays until it is empty.
            try lab.declare(
                LabProgram.document("Pool", "local", "directory: {path: \(lab.folder)/pools/local}, overprovision: 10")
                    + LabProgram.document("Volume", "here", "size: 16Mi, pool: local"))
            let pruned = try await lab.apply("--prune")
            #expect(pruned.text.contains("stays mounted"), "\(pruned.text)")
            #expect(try mounts().count == 1)
            let purged = try await lab.tuff(["trash", "purge", "db", "--auto-approve"])
            #expect(purged.status == 0, "\(purged.text)")
            let unmounted = try await lab.apply("--prune")
            #expect(unmounted.status == 0, "\(unmounted.text)")
            #expect(try mounts().isEmpty)
            let beneath = try await lab.shell("ls -A \(point) | wc -l")
            #expect(beneath.text == "0\n", "\(beneath.text)")
        }
    }

    @Test("Another share at its place, a server that is not named, and one that is frozen")
    func troubles() async throws {
        try await inWorld { lab in
            let point = "\(lab.folder)/pools/nas"
            try lab.declare(documents(lab, "plain"))
            let forbidden = try await lab.apply()
            #expect(forbidden.status == 3 && forbidden.text.contains("NotAllowed"), "\(forbidden.text)")
            #expect(try mounts().isEmpty)

            try lab.declare(documents(lab, "all"))
            let made = try await lab.apply()
            #expect(made.status == 0, "\(made.text)")
            // Frozen: it takes what is asked and does not answer. Everything else goes on.
            #expect(try await lab.shell("echo 0 > /proc/fs/nfsd/threads").status == 0)
            try lab.declare(documents(lab, "all", local: "32Mi"))
            let frozen = try await lab.apply()
            #expect(frozen.status == 3 && frozen.text.contains("last seen at"), "\(frozen.text)")
            let grown = try await lab.shell("stat -c %s \(lab.folder)/pools/local/v-here")
            #expect(grown.text == "33554432\n", "\(grown.text)")
            // A backup by hand there ends when it is told to, although no call for a path on the mount returns.
            let asked = try await lab.shell(
                "timeout --signal=INT --kill-after=150 10 tuff backup prune --repository \(point)/backups "
                    + "\(lab.hostOptions.dropFirst(2).joined(separator: " "))")
            #expect(asked.status != 137 && asked.status != 0, "\(asked.status): \(asked.text)")
            #expect(try await lab.shell("rpc.nfsd 2").status == 0)
            // It has its clients reclaim what they had first (`nfsv4gracetime`).
            var thawed = try await lab.apply()
            for _ in 0..<3 where thawed.status != 0 { thawed = try await lab.apply() }
            #expect(thawed.status == 0, "\(thawed.text)")

            let withdrawn = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
            #expect(withdrawn.status == 0, "\(withdrawn.text)")
            try await lab.must("umount", [point])
            try await lab.must("mount.nfs4", ["127.0.0.1:/plain", point, "-o", "vers=4.2"])
            let wrong = try await lab.apply()
            #expect(wrong.status == 3 && wrong.text.contains("WrongMount"), "\(wrong.text)")
            let written = try await lab.shell("ls -A /run/lab/nfs/plain | grep -c -e tuff -e v-db")
            #expect(written.text == "0\n", "\(written.text)")
        }
    }
}
