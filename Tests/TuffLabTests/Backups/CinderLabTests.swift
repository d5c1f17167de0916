import Testing

/// A volume that begins with what OpenStack Cinder backed up to an NFS share, in a real thin pool and as a thick
/// volume.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct CinderLabTests {
    private static let full = "aaaaaaa0-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    private static let increment = "aaaaaaa1-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    /// The share as its server has it.
    private static let export = "/run/lab/nfs/root"

    @Test(
        "An incremental backup of Cinder's comes back through the share, which is only read",
        arguments: ["fast": "thinPool: pool", "slow": "wipe: zero"].sorted { $0.key < $1.key })
    func comesBack(pool: String, storage: String) async throws {
        try await LabProgram.withShares("cinder", port: 3299) { lab in
            let made = try await lab.shell(
                """
                set -e
                cd \(lab.folder)
                dd if=/dev/urandom of=old bs=1M count=6 status=none
                truncate -s 16M old
                cp old new
                dd if=/dev/urandom of=new bs=32k seek=100 count=70 conv=notrunc status=none
                # Zeros in the place of data must not be passed over: Cinder itself restores the old bytes there.
                dd if=/dev/zero of=new bs=32k seek=3 count=2 conv=notrunc status=none
                Tests=$OLDPWD/Tests/Lab
                "$Tests/cinder-backup" cinder old \(Self.full)
                "$Tests/cinder-backup" cinder new \(Self.increment) \(Self.full) old
                cp -r cinder \(Self.export)/cinder
                chown -R 65534:65534 \(Self.export)/cinder
                """)
            #expect(made.status == 0, "\(made.text)")
            let before = try await lab.must("find", [Self.export, "-printf", "%p %s %T@ %C@\\n"])
            try lab.declare(
                LabProgram.document("Pool", pool, "lvm: {volumeGroup: cinder, \(storage)}")
                    + LabProgram.document(
                        "BackupRepository", "openstack",
                        "nfs: {server: 127.0.0.1, export: /root, path: cinder, options: [vers=4.2]}, format: cinder")
                    + LabProgram.document(
                        "Volume", "db",
                        "size: 32Mi, pool: \(pool), "
                            + "source: {cinderBackup: {repository: openstack, backup: \(Self.increment)}}"))
            let applied = try await lab.apply()
            #expect(applied.status == 0, "\(applied.text)")
            let compared = try await lab.shell(
                """
                set -e
                lvm lvchange -qq -ay cinder/v-db
                cmp -n $((16 << 20)) /dev/cinder/v-db \(lab.folder)/new
                cmp -n $((16 << 20)) -i $((16 << 20)):0 /dev/cinder/v-db /dev/zero
                lvm lvchange -qq -an cinder/v-db
                """)
            #expect(compared.status == 0, "\(compared.text)")
            let after = try await lab.must("find", [Self.export, "-printf", "%p %s %T@ %C@\\n"])
            #expect(after == before, "the share was written to")
            let again = try await lab.show("plan")
            #expect(again.contains("Nothing to do"), "\(again)")
        }
    }
}
