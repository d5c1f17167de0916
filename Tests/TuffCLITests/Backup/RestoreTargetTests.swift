import FoundationEssentials
import Glibc
import Testing
import TuffController

/// The effect of `tuff backup restore` on a target that is there, as a person types it. Devices are the lab's affair.
struct RestoreTargetTests {
    /// A folder with the repository `r`, and in it restore points of `a` and `b`, of 100,000 bytes.
    private func folder() throws -> TestFolder {
        let folder = try TestFolder()
        try expect(folder, "init --repository r", 0)
        for name in ["a", "b"] {
            try folder.write(name, String(repeating: name, count: 100_000))
            try expect(folder, "run --repository r --source \(name) --name \(name)", 0)
        }
        return folder
    }

    @discardableResult
    private func expect(
        _ folder: TestFolder, _ command: String, _ code: Int32, location: SourceLocation = #_sourceLocation
    ) throws -> Ended {
        let ended = try folder.run(arguments(folder, command))
        #expect(ended.code == code, "\(command): \(ended.out)\(ended.err)", sourceLocation: location)
        return ended
    }

    private func arguments(_ folder: TestFolder, _ command: String) -> [String] {
        let restores = command.hasPrefix("restore")
        return ["backup"] + command.split(separator: " ").map(String.init)
            + (restores
                ? ["--state-directory", "\(folder.path)/run/state", "--config", "\(folder.path)/config.yaml"] : [])
    }

    private func records(_ folder: TestFolder) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/run/state")) ?? [])
            .filter { $0.hasPrefix("restore-") }
    }

    /// Ends a restore in the middle of 128 MiB: it may write no more of a file than half.
    private static let halfWay = ["prlimit", "--fsize=\(64 << 20)"]

    /// The magic number of UFS where its superblock is, in a file of `size` bytes (libblkid looks at 256 KiB for it).
    private func content(_ size: Int, seed: UInt64 = 0) -> Data {
        var words = [UInt64](repeating: 0, count: size / 8)
        // Blocks that are like no other.
        for index in words.indices where seed != 0 && index % 64 == 0 { words[index] = seed &+ UInt64(index) }
        var data = words.withUnsafeBytes { Data($0) }
        data.replaceSubrange((256 << 10) + 1372..<(256 << 10) + 1376, with: [0x54, 0x19, 0x01, 0x00])
        return data
    }

    @Test func whatHoldsSomethingIsWrittenWithForceAlone() throws {
        let folder = try folder()
        try content(1 << 20).write(to: URL(filePath: "\(folder.path)/disk"))
        let before = try Data(contentsOf: URL(filePath: "\(folder.path)/disk"))
        let ended = try expect(folder, "restore --repository r --name a --to disk", 1)
        #expect(ended.err.contains("disk holds ufs at byte 263516, and nothing was written"), "\(ended.err)")
        #expect(ended.err.contains("--force writes over it"))
        #expect(try Data(contentsOf: URL(filePath: "\(folder.path)/disk")) == before)
        try expect(folder, "restore --repository r --name a --to disk --force", 0)
        #expect(folder.text("disk") == folder.text("a"))
        #expect(records(folder).isEmpty)
    }

    /// A copy of a disk, for one. LVM, which may hang or fail for reasons of its own, is not asked.
    @Test func aFileWithThePhysicalVolumesSignatureIsNoDiskOfAGroup() throws {
        let folder = try folder()
        try folder.write("disk", "a copy")
        try folder.write("tools/lvm", "#!/bin/sh\n: >'\(folder.path)/asked'\nexit 5\n", mode: 0o755)
        let row = #"{"device":"disk","offset":"0x218","type":"LVM2_member","uuid":"abc","label":null}"#
        try folder.write("tools/wipefs", "#!/bin/sh\necho '{\"signatures\":[\(row)]}'\n", mode: 0o755)
        let command = "restore --repository r --name a --to disk --tool-path \(folder.path)/tools"
        let ended = try expect(folder, command, 1)
        #expect(ended.err.contains("disk holds LVM2_member at byte 536 (abc), and nothing was written"), "\(ended.err)")
        try expect(folder, command + " --force", 0)
        #expect(folder.text("disk") == folder.text("a"))
        #expect(access("\(folder.path)/asked", F_OK) != 0, "LVM was asked")
    }

    @Test func aSignatureThatIsLeftOverIsToldWithItsCure() {
        let stale = RestoreTarget.unseenGroup(of: "/dev/sdx", isDisk: true)
        #expect(stale.sentence.contains("/dev/sdx has the signature of a physical volume"))
        #expect(stale.help?.contains("If nobody uses what was there, 'wipefs -a /dev/sdx'") == true, "\(stale)")
        let volume = RestoreTarget.unseenGroup(of: "/dev/vg/lv", isDisk: false)
        #expect(volume.help?.contains("wipefs") == false, "a logical volume's group is hidden, not its signature stale")
    }

    @Test func aFileIsNotShortenedWithoutForce() throws {
        let folder = try folder()
        let long = String(repeating: "x", count: 200_000)
        try folder.write("old", long)
        let ended = try expect(folder, "restore --repository r --name a --to old", 1)
        #expect(ended.err.contains("has 200000 bytes, more than the 100000 of the volume, and would be shortened"))
        #expect(folder.text("old") == long)
        try expect(folder, "restore --repository r --name a --to old --force", 0)
        #expect(folder.text("old") == folder.text("a"))
        // A shorter one loses nothing.
        try folder.write("old", "short")
        try expect(folder, "restore --repository r --name a --to old", 0)
        #expect(folder.text("old") == folder.text("a"))
    }

    @Test(arguments: [O_RDONLY, O_RDWR])
    func whatSomebodyHasOpenIsNotWritten(_ access: Int32) throws {
        let folder = try folder()
        try folder.write("disk", "theirs")
        let holder = open("\(folder.path)/disk", access | O_CLOEXEC)
        try #require(holder >= 0)
        for force in ["", " --force"] {
            let ended = try expect(folder, "restore --repository r --name a --to disk" + force, 1)
            #expect(ended.err.contains("disk is in use: by process \(getpid())"), "\(ended.err)")
            #expect(ended.err.contains("--force does not help here"))
        }
        #expect(folder.text("disk") == "theirs")
        close(holder)
        try expect(folder, "restore --repository r --name a --to disk", 0)
    }

    @Test(arguments: ["", "r2/../"])
    func aVolumeOfTuffIsNotWrittenAndTheWayThatIsNamedWorks(_ detour: String) throws {
        let folder = try folder()
        try folder.writeVolume()
        try FileManager.default.createDirectory(atPath: "\(folder.path)/r2", withIntermediateDirectories: true)
        let apply = ["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host
        #expect(try folder.run(apply).code == 0)
        let volume = "\(folder.path)/pool/v-db-data"
        try folder.write("disk.raw", "")
        symlink(volume, "\(folder.path)/link")
        var help = ""
        for target in ["\(detour)pool/v-db-data", "link"] {
            for force in ["", " --force"] {
                let ended = try expect(folder, "restore --repository r --name a --to \(target)" + force, 1)
                #expect(ended.err.contains("is Volume/db-data of stack 'default', which Tuff manages"), "\(ended.err)")
                help = ended.err
            }
        }
        var status = stat()
        #expect(stat(volume, &status) == 0 && status.st_size == 64 << 20 && status.st_blocks == 0)
        // As it says.
        let image = "\(folder.path)/disk.raw"
        #expect(
            help.contains("with --to \(image), then a Volume with 'source: {image: {path: \(image), format: raw}}'"))
        try expect(folder, "restore --repository r --name a --to \(image)", 0)
        try folder.writeVolume(
            rest: """
                ---
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata: {name: again}
                spec: {size: 1Mi, pool: local, source: {image: {path: \(image), format: raw}}}
                """)
        let applied = try folder.run(apply)
        #expect(applied.code == 0, "\(applied.out)\(applied.err)")
        #expect(folder.text("pool/v-again").hasPrefix(folder.text("a") + "\0"))
        // The name of one whose data is gone is not free either.
        unlink(volume)
        let gone = try expect(folder, "restore --repository r --name a --to pool/v-db-data --force", 1)
        #expect(gone.err.contains("is Volume/db-data of stack 'default'") && access(volume, F_OK) != 0)
    }

    /// A file that somebody puts in the place of a sidecar is neither waited for nor read to its end.
    @Test(.timeLimit(.minutes(1)), arguments: ["pipe", "link", "huge"])
    func aSidecarIsAPlainFileOfAStatedLength(_ sort: String) throws {
        let folder = try folder()
        try folder.writeVolume()
        #expect(try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host).code == 0)
        let sidecars = "\(folder.path)/pool/.tuff"
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: sidecars).first)
        let sidecar = "\(sidecars)/\(name)"
        let known = try VolumeFiles.owner(ofFile: "\(folder.path)/pool/v-db-data")
        #expect(known?.name == "db-data")
        switch sort {
        case "pipe":
            unlink(sidecar)
            mkfifo(sidecar, 0o600)
        case "link":
            rename(sidecar, "\(folder.path)/elsewhere")
            symlink("\(folder.path)/elsewhere", sidecar)
        // It ends with what would be read as blank.
        default: truncate(sidecar, 200 << 20)
        }
        let before = bytesRead()
        let failure = #expect(throws: BackupError.self) {
            try VolumeFiles.owner(ofFile: "\(folder.path)/pool/v-db-data")
        }
        #expect(bytesRead() - before < 1 << 20)
        #expect(failure?.sentence.contains("\(sidecar) cannot be read, and may say that the target") == true)
        let ended = try expect(folder, "restore --repository r --name a --to pool/v-db-data --force", 1)
        #expect(ended.err.contains("cannot be read, and may say that the target is a volume of Tuff's"), "\(ended.err)")
    }

    /// By this thread, of files of any sort (proc_pid_io(5)).
    private func bytesRead() -> Int {
        let line = TestFolder.text("/proc/thread-self/io").split(separator: "\n").first { $0.hasPrefix("rchar: ") }
        return line.flatMap { Int($0.dropFirst("rchar: ".count)) } ?? 0
    }

    @Test func aRestoreThatWasCutOffGoesOnAndNoOtherDoes() throws {
        let folder = try folder()
        let disk = "\(folder.path)/disk"
        for (name, seed) in [("c", UInt64(1) << 40), ("d", 2 << 40)] {
            try content(128 << 20, seed: seed).write(to: URL(filePath: "\(folder.path)/\(name)"))
            try expect(folder, "run --repository r --source \(name) --name \(name)", 0)
        }
        try content(128 << 20).write(to: URL(filePath: disk))
        let command = "restore --repository r --name c --to disk"
        try expect(folder, command, 1)
        let cut = try folder.run(arguments(folder, command + " --force"), within: Self.halfWay)
        #expect(cut.code == 1 && cut.err.contains("File too large"), "\(cut.err)")
        let kept = try #require(records(folder).first)
        let record = folder.text("run/state/\(kept)")
        // Another restore point has no right to what this one was allowed.
        let other = try expect(folder, "restore --repository r --name d --to disk", 1)
        #expect(other.err.contains("disk holds ufs"), "\(other.err)")
        try expect(folder, command, 0)
        #expect(try Data(contentsOf: URL(filePath: disk)) == Data(contentsOf: URL(filePath: "\(folder.path)/c")))
        #expect(records(folder).isEmpty)
        // Done is done, even if the record had stayed.
        try folder.write("run/state/\(kept)", record, mode: 0o600)
        let again = try expect(folder, command, 1)
        #expect(again.err.contains("disk holds ufs"), "\(again.err)")
    }

    @Test func halfARestoreThatBecameSomethingElseIsThatElse() throws {
        let folder = try folder()
        let disk = "\(folder.path)/disk"
        try content(128 << 20, seed: 1 << 40).write(to: URL(filePath: "\(folder.path)/c"))
        try expect(folder, "run --repository r --source c --name c", 0)
        try content(128 << 20).write(to: URL(filePath: disk))
        let command = "restore --repository r --name c --to disk --force"
        // A child that another test starts may have the file open for the moment until it is a program of its own.
        for _ in 0..<20 {
            let cut = try folder.run(arguments(folder, command), within: Self.halfWay)
            #expect(cut.code == 1, "\(cut.err)")
            if cut.err.contains("File too large") { break }
            usleep(200_000)
        }
        #expect(folder.text("disk").hasPrefix("Tuff was restoring to this place, and is not done"))
        // One byte of somebody's where the restore says that it is not done.
        let file = open(disk, O_WRONLY | O_CLOEXEC)
        #expect(pwrite(file, "x", 1, 40_000) == 1)
        close(file)
        let ended = try expect(folder, "restore --repository r --name c --to disk", 1)
        #expect(ended.err.contains("disk holds ufs"), "\(ended.err)")
    }

    @Test(.enabled(if: TestFolder.canRunAsNobody)) func aUserKeepsRecordsToo() throws {
        let folder = try folder()
        chmod(folder.path, 0o755)
        let home = "\(folder.path)/home"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        #expect(chown(home, 65534, 65534) == 0)
        try content(128 << 20, seed: 1 << 40).write(to: URL(filePath: "\(folder.path)/c"))
        let environment = ["XDG_STATE_HOME=\(home)/state"]
        for words in ["init --repository home/r", "run --repository home/r --source c --name c"] {
            let command = ["backup"] + words.split(separator: " ").map(String.init)
            #expect(try folder.run(command, environment: environment, asNobody: true).code == 0)
        }
        let command = ["backup", "restore", "--repository", "home/r", "--name", "c", "--to", "home/disk"]
        // It holds nothing that anybody could miss.
        try Data().write(to: URL(filePath: "\(home)/disk"))
        #expect(truncate("\(home)/disk", 128 << 20) == 0 && chown("\(home)/disk", 65534, 65534) == 0)
        let cut = try folder.run(command, environment: environment, asNobody: true, within: Self.halfWay)
        #expect(cut.code == 1 && cut.err.contains("File too large"), "\(cut.err)")
        let state = "\(home)/state/tuff"
        func records() -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: state)) ?? []).filter { $0.hasSuffix(".json") }
        }
        #expect(records().count == 1)
        let ended = try folder.run(command, environment: environment, asNobody: true)
        #expect(ended.code == 0, "\(ended.err)")
        #expect(records().isEmpty)
        // Another user's file: nobody tells a stranger whether it is in use.
        try folder.write("roots", "x", mode: 0o666)
        let refused = try folder.run(
            command.dropLast() + ["roots"], environment: environment, asNobody: true)
        #expect(refused.code == 1 && refused.err.contains("is told to that user and root alone"), "\(refused.err)")
    }
}
