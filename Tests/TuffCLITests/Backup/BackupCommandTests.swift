import FoundationEssentials
import Glibc
import Testing
import TuffCLI
import TuffController

/// `tuff backup` with a repository, as a person types it; the engine has suites of its own.
struct BackupCommandTests {
    /// A folder with the repository `r` and the file `disk` of 100,000 bytes.
    private func folder() throws -> TestFolder {
        let folder = try TestFolder()
        try folder.write("changes", "0 0\n")
        try folder.write("disk", String(repeating: "0123456789", count: 10_000))
        try expect(folder, "init --repository r", 0)
        return folder
    }

    @discardableResult
    private func expect(
        _ folder: TestFolder, _ command: String, _ code: Int32, location: SourceLocation = #_sourceLocation
    ) throws -> Ended {
        let ended = try folder.run(["backup"] + command.split(separator: " ").map(String.init))
        #expect(ended.code == code, "\(command): \(ended.out)\(ended.err)", sourceLocation: location)
        return ended
    }

    /// Changes one byte in the middle of the only pack of blocks.
    private func damage(_ folder: TestFolder) throws {
        let packs = URL(filePath: "\(folder.path)/r/packs")
        for name in try FileManager.default.subpathsOfDirectory(atPath: packs.path()) where name.utf8.count > 3 {
            var bytes = try Data(contentsOf: packs.appending(path: name))
            // The kind of the pack, and the begin of its first record (docs/repository-format.md).
            guard bytes[10] == 1 else { continue }
            bytes[33] ^= 1
            try bytes.write(to: packs.appending(path: name))
        }
    }

    @Test func aFileComesBackAndAReportSaysNoMoreThanWasLookedAt() throws {
        let folder = try folder()
        #expect(try expect(folder, "run --repository r --source disk --name db", 0).out.contains("97.65 KiB"))
        try expect(folder, "restore --repository r --name db --to back", 0)
        #expect(folder.text("back") == folder.text("disk"))
        let shallow = try expect(folder, "check --repository r", 0).out
        #expect(shallow.hasPrefix("1 restore point, 2 packs, 0 records read.\n"), "\(shallow)")
        #expect(!shallow.contains("can be restored"))
        for option in ["--read-data", "--read-data=100%", "--repair"] {
            let deep = try expect(folder, "check --repository r \(option)", 0).out
            #expect(deep.contains("3 records read.\n"), "\(option): \(deep)")
            #expect(deep.contains("Everything that is listed can be restored."), "\(option): \(deep)")
        }
        let share = try expect(folder, "check --repository r --read-data=5%", 0).out
        #expect(share.contains("of the data the 5% that were read are sound"), "\(share)")
        #expect(try expect(folder, "check --repository r --read-data=5% -o json", 0).out.contains("\"readPercent\": 5"))
        #expect(try expect(folder, "prune --repository r --keep-last 1", 0).out == "0 restore points taken away.\n")
    }

    @Test func aRepositoryThatLostItsFileIsNotMadeAnew() throws {
        let folder = try folder()
        try expect(folder, "run --repository r --source disk --name db", 0)
        #expect(rename("\(folder.path)/r/repository", "\(folder.path)/kept") == 0)
        for command in ["ls --repository r", "init --repository r"] {
            #expect(try expect(folder, command, 1).err.contains("put it back from a copy"))
        }
        #expect(rename("\(folder.path)/kept", "\(folder.path)/r/repository") == 0)
        try expect(folder, "check --repository r --read-data", 0)
    }

    @Test func whatAPackThatIsGoneHeldIsStoredAnew() throws {
        let folder = try folder()
        try expect(folder, "run --repository r --source disk --name db", 0)
        let packs = "\(folder.path)/r/packs"
        for name in try FileManager.default.subpathsOfDirectory(atPath: packs) where name.utf8.count > 3 {
            unlink("\(packs)/\(name)")
        }
        try folder.write("changes", "0 10\n")
        let refused = try expect(
            folder, "run --repository r --source disk --name db --changed-ranges changes", 1)
        #expect(refused.err.contains("packs that the index names are gone (2, packs/"), "\(refused.err)")
        try expect(folder, "run --repository r --source disk --name db", 0)
        try expect(folder, "restore --repository r --name db --to back", 0)
        #expect(folder.text("back") == folder.text("disk"))
    }

    @Test func aDamagedRestorePointSaysWhatCanBeDone() throws {
        let folder = try folder()
        try expect(folder, "run --repository r --source disk --name db", 0)
        let points = "\(folder.path)/r/points"
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: points).first)
        try expect(folder, "run --repository r --source disk --name db", 0)
        #expect(try expect(folder, "prune --repository r --keep-last 2 --dry-run", 0).out.contains("No restore point"))
        #expect(truncate("\(points)/\(name)", 100) == 0)
        for command in ["ls --repository r", "prune --repository r --keep-last 1 --dry-run"] {
            #expect(
                try expect(folder, command, 1).err.contains("tuff backup rm --repository r \(name) --force")
            )
        }
    }

    @Test func damageIsNamedRepairedAndHealedByTheNextBackup() throws {
        let folder = try folder()
        try expect(folder, "run --repository r --source disk --name db", 0)
        try damage(folder)
        try expect(folder, "check --repository r", 0)
        let found = try expect(folder, "check --repository r --read-data", 1)
        #expect(found.out.contains("'db' of ") && found.out.contains("  bytes 0 to 65535\n"))
        #expect(found.out.contains("'tuff backup check --repair', then back up"))
        #expect(try expect(folder, "restore --repository r --name db --to back", 1).err.contains("--keep-going"))
        try expect(folder, "restore --repository r --name db --to back --keep-going", 3)
        try expect(folder, "check --repository r --repair", 1)
        try expect(folder, "run --repository r --source disk --name db", 0)
        try expect(folder, "check --repository r --read-data", 0)
        try expect(folder, "restore --repository r --name db --to back", 0)
        #expect(folder.text("back") == folder.text("disk"))
    }

    @Test(arguments: [
        ("run --repository none --source disk --name db", 10, "there is no repository at none"),
        ("restore --repository r --name db --to back", 10, "no restore point of 'db'"),
        ("restore --repository r --to back", 64, "Give --name NAME, or --at ID"),
        ("check --repository r --read-data=0%", 64, "and no '0%'"),
        ("check --repository r --read-data=5% --repair", 64, "--repair reads all data"),
        ("prune --repository r --keep-last 0", 64, "keep rules count from 1 on"),
        ("restore --repository r --name db --at 12 --to back", 1, "nor an ID of at least 4 digits"),
        ("key list --repository r --key-file secret", 12, "says that it is not encrypted"),
        ("init --repository r", 1, "there is a repository here already"),
        (
            "run --repository r --source disk --name db --changed-ranges disk", 1,
            "no restore point of 'db' that changes"
        ),
        ("run --repository r --source disk --name db --changed-since 1234", 64, "give both"),
        (
            "run --repository r --source disk --name db --changed-ranges changes --changed-since 12345", 10,
            "no restore point whose ID begins with 12345"
        ),
        ("run --repository r --source . --name db", 1, "neither a block device nor a regular file"),
        ("run --repository r --source nowhere --name db", 1, "cannot open nowhere"),
        ("ls --repository .", 10, "there is no repository here"),
        ("run --repository r --source /dev/vg9/s-before --name db", 1, "lvchange -ay -K GROUP/NAME"),
        ("init --repository a/b/c", 1, "cannot make the directory a/b/c"),
        ("prune --repository r --name nobody", 10, "no restore point of 'nobody'"),
    ])
    func whatCannotBeDoneIsSaid(_ command: String, _ code: Int32, _ message: String) throws {
        let folder = try folder()
        let ended = try expect(folder, command, code)
        #expect(ended.err.contains(message), "\(ended.err)")
        #expect(access("\(folder.path)/back", F_OK) != 0)
    }

    @Test(arguments: [
        (BackupError.Sort.failed, Int32(1)), (.usage, 64), (.missing, 10), (.locked, 11), (.wrongKey, 12),
        (.interrupted, 130),
    ])
    func everySortOfErrorHasItsExitCode(_ sort: BackupError.Sort, _ code: Int32) {
        let failure = Failure(BackupError("what happened", help: "what to do", sort: sort))
        #expect(failure == Failure("what happened", help: "what to do", code: code))
    }

    @Test func changesMayBeRelativeToAPointThatIsNamed() throws {
        let folder = try folder()
        try expect(folder, "run --repository r --source disk --name db", 0)
        let first = try #require(
            try expect(folder, "ls --repository r", 0).out.split(separator: "\n").last?.prefix(8))
        try folder.write("disk", "new" + String(repeating: "0123456789", count: 9_999) + "0123456")
        try expect(folder, "run --repository r --source disk --name db", 0)
        // As the last but one, but for its end.
        try folder.write("disk", String(repeating: "0123456789", count: 9_999) + "0123456new")
        try folder.write("changes", "99997 3\n")
        let run = "run --repository r --source disk --changed-ranges changes --changed-since \(first)"
        let done = try expect(folder, run + " --name db --json", 0).out
        #expect(done.contains("\"parent\": \"\(first)") && done.contains("\"readBytes\": 34464"), "\(done)")
        try expect(folder, "restore --repository r --name db --to back", 0)
        #expect(folder.text("back") == folder.text("disk"))
        #expect(try expect(folder, run + " --name other", 1).err.contains("is of 'db' and not of 'other'"))
        try folder.write("disk", "shorter")
        #expect(try expect(folder, run + " --name db", 1).err.contains("back up once without --changed-ranges"))
    }

    @Test func keysComeAndGoAndTheLastStays() throws {
        let folder = try folder()
        for name in ["one", "two", "three"] { try folder.write(name, name + "-and-some-more\n", mode: 0o600) }
        try expect(folder, "init --repository e --key-file one", 0)
        try expect(folder, "key add --repository e --key-file one --new-key-file two --label spare", 0)
        let list = try expect(folder, "key list --repository e --key-file two", 0).out
        let first = try #require(list.split(separator: "\n").first { $0.hasSuffix("first") }?.prefix(32))
        #expect(list.contains("spare"))
        let wrong = try expect(folder, "ls --repository e --key-file three", 12)
        #expect(wrong.err.contains("the key opens none of the repository's key slots"))
        #expect(try expect(folder, "ls --repository e", 12).err.contains("no key was given"))
        try expect(folder, "key rm --repository e --key-file two \(first)", 0)
        try expect(folder, "ls --repository e --key-file one", 12)
        let spare = try #require(
            try expect(folder, "key list --repository e --key-file two", 0).out.split(separator: "\n").last?.prefix(32))
        #expect(try expect(folder, "key rm --repository e --key-file two \(spare)", 1).err.contains("last key slot"))
    }

    /// A repository of which a key of 600 opens a slot, and the same key as `open`, which others may read, and as
    /// `strange`, of another user.
    private func encrypted() throws -> TestFolder {
        let folder = try folder()
        try folder.write("key", "a-key-of-sixteen-bytes\n", mode: 0o600)
        try folder.write("open", "a-key-of-sixteen-bytes\n", mode: 0o644)
        try folder.write("strange", "a-key-of-sixteen-bytes\n", mode: 0o600)
        // Only root can give a file away; anybody else has the other two.
        if geteuid() == 0 { #expect(chown("\(folder.path)/strange", 65_534, 65_534) == 0) }
        try expect(folder, "init --repository e --key-file key", 0)
        try expect(folder, "run --repository e --key-file key --source disk --name db", 0)
        return folder
    }

    @Test(arguments: geteuid() == 0 ? ["open", "strange"] : ["open"])
    func aKeyThatOthersHaveOpensForReadingAlone(_ key: String) throws {
        let folder = try encrypted()
        let what = key == "open" ? "is open to other users (mode 0644)" : "belongs to user 65534, not to root"
        for command in ["ls", "check", "restore --name db --to back", "check --repair"] {
            let ended = try expect(folder, "\(command) --repository e --key-file \(key)", 0)
            #expect(ended.err.contains("warning: the key file \(key) \(what)"), "\(command): \(ended.err)")
        }
        #expect(folder.text("back") == folder.text("disk"))
        for command in [
            "run --source disk --name db", "prune", "prune --dry-run", "key list", "key add --new-key-file key",
            "key rm 00000000000000000000000000000000",
        ] {
            let ended = try expect(folder, "\(command) --repository e --key-file \(key)", 1)
            #expect(ended.err.contains("the key file \(key) \(what)"), "\(command): \(ended.err)")
            #expect(ended.err.contains(key == "open" ? "chmod 600 open" : "chown root strange"), "\(ended.err)")
        }
        for command in [
            "init --repository f --key-file \(key)", "key add --repository e --key-file key --new-key-file \(key)",
        ] {
            #expect(try expect(folder, command, 1).err.contains("the key file \(key) \(what)"))
        }
        #expect(access("\(folder.path)/f", F_OK) != 0)
    }

    @Test func aShortKeyMakesNoSlot() throws {
        let folder = try encrypted()
        for (name, bytes) in [("one", "1\n"), ("seven", "1234567\n"), ("eight", "12345678\n")] {
            try folder.write(name, bytes, mode: 0o600)
        }
        for (name, count) in [("one", 1), ("seven", 7)] {
            for command in [
                "init --repository f --key-file \(name)",
                "key add --repository e --key-file key --new-key-file \(name)",
            ] {
                let ended = try expect(folder, command, 1)
                #expect(ended.err.contains("a key of \(count) bytes is guessed in no time"), "\(ended.err)")
            }
            try expect(folder, "ls --repository e --key-file \(name)", 12)
        }
        #expect(access("\(folder.path)/f", F_OK) != 0, "nothing is left of an init that was refused")
        let short = try expect(folder, "init --repository f --key-file eight", 0)
        #expect(short.err.contains("warning: the key in eight has 8 bytes"), "\(short.err)")
        try expect(folder, "ls --repository f --key-file eight", 0)
    }

    @Test func aDryRunOfPruneTellsBytes() throws {
        let folder = try folder()
        try expect(folder, "run --repository r --source disk --name db", 0)
        try folder.write("disk", String((0..<100_000).map { _ in "abcdefghijklmnop".randomElement() ?? "x" }))
        try expect(folder, "run --repository r --source disk --name db", 0)
        let command = "prune --repository r --keep-last 1"
        let told = try expect(folder, command + " --dry-run -o json", 0).out
        let text = try expect(folder, command + " --dry-run", 0).out
        #expect(
            text.contains("2 packs would be marked (") && text.contains("0 packs would be destroyed now"), "\(text)")
        let done = try expect(folder, command + " -o json", 0).out
        for key in ["markedBytes", "marked", "destroyed", "copiedBytes"] {
            let wanted = try #require(done.split(separator: "\n").first { $0.contains("\"\(key)\":") })
            #expect(told.contains(wanted.trimmingPrefix(" ").replacing(",", with: "")), "\(key): \(told)")
        }
        let atOnce = try expect(folder, "prune --repository r --at-once --dry-run", 0).out
        #expect(atOnce.contains("2 packs would be destroyed now ("), "\(atOnce)")
    }

    @Test func aRestoreTouchesNeitherTheRepositoryNorATargetThatItCannotFill() throws {
        let folder = try folder()
        try expect(folder, "run --repository r --source disk --name db", 0)
        for target in ["r/new", "./r/../r/repository", "\(folder.path)/r/points/x"] {
            let ended = try expect(folder, "restore --repository r --name db --to \(target)", 64)
            #expect(ended.err.contains("is in the repository itself"), "\(ended.err)")
        }
        let device = try expect(folder, "restore --repository r --name db --to /dev/tuff-no-such-device", 64)
        #expect(device.err.contains("there is no device"))
        // Without its index nothing can be restored, and what is there stays as it is.
        try folder.write("old", String(repeating: "x", count: 200_000))
        for name in try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/r/index") {
            try folder.write("r/index/\(name)", "damaged")
        }
        let ended = try expect(folder, "restore --repository r --name db --to old --force", 1)
        #expect(ended.err.contains("'tuff backup check --repair' makes the index anew"), "\(ended.err)")
        #expect(folder.text("old").utf8.count == 200_000)
        let repaired = try expect(folder, "check --repository r --repair", 1).out
        #expect(repaired.contains("The index is made anew. No restore point lacks anything."), "\(repaired)")
        try expect(folder, "restore --repository r --name db --to old --force", 0)
        #expect(folder.text("old") == folder.text("disk"))
    }

    @Test(.timeLimit(.minutes(2))) func ctrlCEndsABackupThatGoesOnLater() throws {
        let folder = try folder()
        // Blocks that are like no other, of which a pack holds 256: the first is there long before the last is read.
        var data = Data()
        var block = (0..<65_536).map { _ in UInt8.random(in: 0...255) }
        for number in 0..<6_000 {
            withUnsafeBytes(of: number) { block.replaceSubrange(0..<8, with: $0) }
            data.append(contentsOf: block)
        }
        try data.write(to: URL(filePath: "\(folder.path)/large"))
        let running = try folder.start(["backup", "run", "--repository", "r", "--source", "large", "--name", "db"])
        let packs = "\(folder.path)/r/packs"
        while try FileManager.default.contentsOfDirectory(atPath: packs).isEmpty { usleep(1_000) }
        running.signal(SIGINT)
        let ended = running.wait()
        #expect(ended.code == 130 && ended.err.contains("run it again: what is stored"), "\(ended)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/r/leases").isEmpty)
        let again = try expect(folder, "run --repository r --source large --name db --json", 0).out
        let line = try #require(again.split(separator: "\n").first { $0.contains("\"new\":") })
        let new = try #require(Int(line.filter(\.isNumber)))
        #expect((1..<6_000).contains(new), "what was stored is not stored again: \(new)")
        try expect(folder, "check --repository r --read-data", 0)
    }
}
