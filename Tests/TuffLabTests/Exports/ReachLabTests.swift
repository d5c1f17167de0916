import Testing

/// A local user who owns a directory above a pool, with the kernel's target.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct ReachLabTests {
    private func document(_ kind: String, _ name: String, _ spec: String) -> String {
        LabProgram.document(kind, name, spec)
    }

    /// Exchanges the pool for a folder of links to a disk, over and over, as user 1000.
    private static func swapping(_ alice: String) -> String {
        """
        cd \(alice) && exec setpriv --reuid 1000 --regid 1000 --clear-groups bash -c \
        'while [ ! -e stop ]; do mv -T pool away; mv -T trap pool; mv -T pool trap; mv -T away pool; done'
        """
    }

    @Test func whatHeExchangesIsNeverHandedOut() async throws {
        let lab = try LabProgram("reach", port: 3289)
        let alice = "\(lab.folder)/pools/alice", disk = try #require(Lab.disks.first)
        try await lab.must("chmod", ["0755", lab.folder])
        try await lab.must("mkdir", ["-p", "-m", "0755", "\(lab.folder)/pools", alice])
        try await lab.must("mkdir", ["-m", "0700", "\(alice)/pool"])
        try lab.declare(
            document("Pool", "dir", "directory: {path: \(alice)/pool}, reserve: 0%")
                + document("Volume", "db", "size: 16Mi, pool: dir")
                + document("Attachment", "web", "volume: db, iscsi: {initiator: \"iqn.2004-10.com.example:web1\"}"))
        let applied = try await lab.apply()
        #expect(applied.status == 0, "\(applied.text)")
        let backstores = "grep -ohs 'File: [^ ]*' /sys/kernel/config/target/core/*/tuff-*/info | sort"
        let served = try await lab.shell(backstores)
        #expect(served.text.contains("\(alice)/pool/v-db"), "\(served.text)")
        #expect(try await lab.tuff(["exports", "withdraw", "--auto-approve"]).status == 0)

        // The same name leads to somebody's disk, whenever it is looked at at the right moment.
        let trap = "cp -a \(alice)/pool \(alice)/trap && ln -sf \(disk) \(alice)/trap/v-db && chown 1000 \(alice)"
        #expect(try await lab.shell(trap).status == 0)
        async let swapper = lab.shell(Self.swapping(alice))
        for _ in 0..<5 {
            let restored = try await lab.tuff(["exports", "restore", "--wait", "0s"])
            #expect(restored.status == 1, "\(restored.text)")
            #expect(restored.text.contains("belongs to user 1000"), "\(restored.text)")
            #expect(
                try await lab.shell("\(backstores); ls /sys/kernel/config/target/iscsi").text.contains(":db") == false)
        }
        try await lab.must("touch", ["\(alice)/stop"])
        _ = try await swapper
        let plan = try await lab.show("plan")
        // Its place in the documents stands beside it, in the middle of the sentence.
        #expect(plan.contains("blocked: Exposed]") && plan.contains("\(alice) belongs to user"), "\(plan)")
        #expect(plan.contains("1000 (mode 0755), who decides what is at \(alice)/pool"), "\(plan)")

        try await lab.must("chown", ["root", alice])
        let restored = try await lab.tuff(["exports", "restore", "--wait", "0s"])
        #expect(restored.status == 0, "\(restored.text)")
        #expect(try await lab.shell(backstores).text == served.text)
        #expect(try await lab.tuff(["exports", "withdraw", "--auto-approve"]).status == 0)
        try lab.remove()
    }
}
