import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// The real devices that `tuff backup restore` writes over, and thin pools above the threshold of LVM's own.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct RestoreTargetLabTests {
    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        let disk = try #require(Lab.disks.last)
        let lab = try LabProgram("target", port: 3291)
        try await lab.lvm("vgcreate", "-qq", "--yes", "over", disk)
        do { try await body(lab) } catch { Issue.record(error) }
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "over")
        try await lab.lvm("pvremove", "-qq", disk)
        try lab.remove()
    }

    /// Restores to a target of this folder or elsewhere.
    private func restore(
        _ lab: LabProgram, to target: String, _ more: String...
    ) async throws -> (status: Int32, text: String) {
        let path = target.hasPrefix("/") ? target : "\(lab.folder)/\(target)"
        return try await lab.tuff(
            ["backup", "restore", "--repository", "\(lab.folder)/r", "--name", "a", "--to", path] + more)
    }

    private func expectInUse(_ lab: LabProgram, _ target: String, _ whom: String) async throws {
        for more in [[], ["--force"]] {
            let ended = try await (more.isEmpty ? restore(lab, to: target) : restore(lab, to: target, "--force"))
            #expect(ended.status == 1 && ended.text.contains("is in use: \(whom)"), "\(target): \(ended.text)")
        }
    }

    @Test func whatTheKernelHasOpenIsNotWritten() async throws {
        try await inWorld { lab in
            let folder = lab.folder, plain = "/dev/over/plain"
            try await lab.must("modprobe", ["loop"])
            _ = try await lab.shell("head -c 4000000 /dev/urandom > \(folder)/src; truncate -s 8M \(folder)/file")
            for words in [["init"], ["run", "--source", "\(folder)/src", "--name", "a"]] {
                let output = try await lab.run("tuff", ["backup"] + words + ["--repository", "\(folder)/r"])
                try #require(output.status == 0, "\(output.standardError)")
            }
            try await lab.lvm("lvcreate", "-qq", "--yes", "-L", "32m", "-n", "plain", "-Wn", "-Zn", "over")
            #expect(try await restore(lab, to: plain).status == 0)
            #expect(try await lab.run("cmp", ["-n", "4000000", "\(folder)/src", plain]).status == 0)

            try await lab.must("mkfs.ext4", ["-q", "-F", plain])
            let held = try await restore(lab, to: plain)
            #expect(held.status == 1 && held.text.contains("holds ext4 at byte 1080"), "\(held.text)")
            _ = try await lab.shell("mkdir -p \(folder)/m; mount \(plain) \(folder)/m")
            try await expectInUse(lab, plain, "mounted at \(folder)/m")
            try await lab.must("umount", ["\(folder)/m"])
            // Neither a loop nor fileio opens a device for itself alone.
            try await lab.must("losetup", ["/dev/loop0", plain])
            try await expectInUse(lab, plain, "by /dev/loop0")
            try await lab.must("losetup", ["-d", "/dev/loop0"])
            try await lab.must("losetup", ["/dev/loop0", "\(folder)/file"])
            try await expectInUse(lab, "file", "by /dev/loop0")
            try await lab.must("losetup", ["-d", "/dev/loop0"])

            try await lab.must("losetup", ["/dev/loop1", "\(folder)/file"])
            try await lab.must("lvm", ["pvcreate", "-qq", "/dev/loop1"])
            let physical = try await restore(lab, to: "/dev/loop1")
            #expect(physical.status == 1 && physical.text.contains("holds LVM2_member"), "\(physical.text)")
            // Where LVM does not show all groups the signature may be that of a disk of Tuff's, or all that is left of
            // one.
            _ = try await lab.shell(
                """
                mkdir -p \(folder)/tools && ln -sf "$(command -v wipefs)" "$(command -v dmsetup)" \(folder)/tools
                printf '#!/bin/sh\\nexit 5\\n' >\(folder)/tools/lvm && chmod +x \(folder)/tools/lvm
                """)
            let hidden = try await restore(lab, to: "/dev/loop1", "--force", "--tool-path", "\(folder)/tools")
            #expect(hidden.status == 1 && hidden.text.contains("'wipefs -a /dev/loop1'"), "\(hidden.text)")
            #expect(try await restore(lab, to: "/dev/loop1", "--force").status == 0)
            try await lab.must("losetup", ["-d", "/dev/loop1"])
            #expect(try await restore(lab, to: plain, "--force").status == 0)
        }
    }

    @Test func aVolumeOfTuffAndADiskItIsOnAreNotWritten() async throws {
        try await inWorld { lab in
            let disk = try #require(Lab.disks.last)
            _ = try await lab.shell("head -c 4000000 /dev/urandom > \(lab.folder)/src")
            for words in [["init"], ["run", "--source", "\(lab.folder)/src", "--name", "a"]] {
                _ = try await lab.run("tuff", ["backup"] + words + ["--repository", "\(lab.folder)/r"])
            }
            try lab.declare(
                LabProgram.document("Pool", "slow", "lvm: {volumeGroup: over}")
                    + LabProgram.document("Volume", "db", "size: 16Mi, pool: slow"))
            #expect(try await lab.apply().status == 0)
            let inactive = try await restore(lab, to: disk, "--force")
            #expect(
                inactive.status == 1 && inactive.text.contains("is a disk of volume group over"), "\(inactive.text)")
            try await lab.lvm("lvchange", "-qq", "-ay", "over/v-db")
            let ours = try await restore(lab, to: "/dev/over/v-db", "--force")
            #expect(ours.status == 1 && ours.text.contains("is Volume/db of stack 'default', which Tuff manages"))
        }
    }

    /// The plan says first what LVM would say.
    @Test func aboveTheThresholdThePlanRefusesWhatLVMWould() async throws {
        try await inWorld { lab in
            try await lab.lvm("lvcreate", "-qq", "--yes", "-L", "100m", "--chunksize", "64k", "-T", "over/tp")
            try await lab.lvm("lvcreate", "-qq", "--yes", "-V", "100m", "-n", "theirs", "-T", "over/tp")
            _ = try await lab.shell("dd if=/dev/urandom of=/dev/over/theirs bs=1M count=85 conv=fsync")
            let profile = "/etc/lvm/profile/tufflab.profile"
            _ = try await lab.shell("printf 'activation {\\n thin_pool_autoextend_threshold=80\\n}\\n' > \(profile)")
            try await lab.lvm("lvchange", "-qq", "--metadataprofile", "tufflab", "over/tp")
            let refused = try await lab.run("lvm", ["lvcreate", "--yes", "-V", "10m", "-n", "b", "-T", "over/tp"])
            #expect(refused.status == 5 && refused.standardError.contains("reached threshold"))
            try lab.declare(
                LabProgram.document("Pool", "fast", "lvm: {volumeGroup: over, thinPool: tp}, overprovision: 4")
                    + LabProgram.document("Volume", "db", "size: 16Mi, pool: fast"))
            let plan = try await lab.show("plan")
            #expect(
                plan.contains(
                    "% full, beyond its autoextend threshold of 80 % (profile tufflab), and LVM makes no new volume"),
                "\(plan)")
            _ = try await lab.shell("rm \(profile)")
        }
    }
}
