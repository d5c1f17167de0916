import Testing

extension LabProgram {
    /// Lets a test run on a host that has a server of NFS (Tests/Lab/nfs-server), may reach some of its exports, and
    /// has a volume group of the host's name with a thin pool `pool`. All of it is gone afterwards.
    /// - Parameters:
    ///   - port: no other suite's.
    ///   - exports: what documents may name.
    ///   - pool: size of the thin pool; nil: neither it nor the group is made.
    static func withShares(
        _ name: String, port: Int, exports: [String] = ["root"], pool: String? = "512m",
        _ body: (LabProgram) async throws -> Void
    ) async throws {
        let lab = try LabProgram(name, port: port)
        let made = try await lab.shell("Tests/Lab/nfs-server start")
        #expect(made.status == 0, "\(made.text)")
        let shares = exports.map { "\"127.0.0.1:/\($0)\"" }.joined(separator: ", ")
        try lab.write(
            """
            apiVersion: tuff.dev/v1
            kind: Controller
            spec:
              node: tufflab
              portals: ["\(lab.portal)"]
              iqnBase: iqn.2026-01.dev.tuff.\(name)
              allow:
                secrets: [\(lab.folder)/secrets]
                images: [\(lab.folder)/images]
                directories: [\(lab.folder)/pools]
                nfs: [\(shares)]

            """, to: "config.yaml")
        if let pool {
            try await lab.lvm("vgcreate", "-qq", "--yes", name, Lab.disks[1])
            try await lab.lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", pool, "-n", "pool", name)
        }
        do { try await body(lab) } catch { Issue.record(error) }
        _ = try await lab.tuff(["exports", "withdraw", "--auto-approve"])
        if pool != nil {
            try await lab.lvm("vgremove", "-qq", "--yes", "--force", name)
            try await lab.lvm("pvremove", "-qq", "--yes", Lab.disks[1])
        }
        let gone = try await lab.shell("Tests/Lab/nfs-server stop")
        #expect(gone.status == 0, "\(gone.text)")
        try lab.remove()
    }
}
