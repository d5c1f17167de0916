import FoundationEssentials
import Glibc
import Testing

/// `tuff backup` with a repository, as a person types it; the engine has suites of its own.
struct BackupCommandTests {
    /// A folder with the repository `r` and the file `disk` of 100,000 bytes.
    private func folder() throws -> TestFolder {
        let folder = try TestFolder()
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
        ("run --repository r --source . --name db", 1, "neither a block device nor a regular file"),
    ])
    func whatCannotBeDoneIsSaid(_ command: String, _ code: Int32, _ message: String) throws {
        let folder = try folder()
        let ended = try expect(folder, command, code)
        #expect(ended.err.contains(message), "\(ended.err)")
        #expect(access("\(folder.path)/back", F_OK) != 0)
    }
}
