import FoundationEssentials
import Glibc
import Testing
import TuffCLI
import TuffModel
import TuffCinder
import TuffRepository
import TuffTestSupport

/// A backup that is not as Cinder wrote it is refused with the reason, and nothing is left at the target.
struct RefusalTests {
    /// Three backups, each on the one before, the second one changed everywhere.
    private func chain(_ options: CinderScene.Options = CinderScene.Options()) throws -> CinderScene {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 3)
        let first = CinderScene.volume(&random, blocks: 20)
        let second = first.map { ~$0 }
        try scene.backUp(first, number: 0, options)
        try scene.backUp(second, number: 1, parent: 0, old: first, options)
        try scene.backUp(CinderScene.changed(second, &random, blocks: 4), number: 2, parent: 1, old: second, options)
        return scene
    }

    @Test func aMissingParent() throws {
        let scene = try chain()
        try FileManager.default.removeItem(atPath: scene.directory(1))
        #expect(scene.refusal(2).contains("builds on \(CinderScene.id(1)), which is not beneath"))
    }

    @Test func aParentThatCinderDidNotFinish() throws {
        let scene = try chain()
        unlink(scene.stem(0) + "_metadata")
        #expect(scene.refusal(1).contains("has no metadata: Cinder failed to finish it, or is still at work"))
        #expect(try scene.backups().list().map(\.state).contains(.incomplete))
    }

    @Test func aCycle() throws {
        let scene = try chain()
        try scene.edit(
            scene.stem(0) + "_metadata", replacing: "\"parent_id\": null", by: "\"parent_id\": \"\(CinderScene.id(2))\""
        )
        #expect(scene.refusal(2).contains("is its own parent or grandparent"))
        try scene.edit(scene.stem(0) + "_metadata", replacing: CinderScene.id(2), by: CinderScene.id(0))
        #expect(scene.refusal(0).contains("is its own parent or grandparent"))
    }

    @Test func aParentOfAnotherVolume() throws {
        let scene = try chain()
        var options = CinderScene.Options()
        options.volume = "99999999-2222-4333-8444-555555555555"
        let bytes = [UInt8](repeating: 1, count: 10_000)
        try scene.backUp(bytes, number: 5, parent: 0, old: [UInt8](repeating: 0, count: 10_000), options)
        #expect(scene.refusal(5).contains("builds on one of another volume"))
    }

    @Test func aBackupThatIsThereTwice() throws {
        let scene = try chain()
        try FileManager.default.copyItem(atPath: scene.directory(0), toPath: "\(scene.root)/copy")
        #expect(scene.refusal(2).contains("is there 2 times: "))
    }

    @Test func aBackupThatIsNotThere() throws {
        let scene = try chain()
        #expect(scene.refusal(7).contains("there is no backup \(CinderScene.id(7)) beneath \(scene.root)"))
    }

    @Test func aMissingObject() throws {
        let scene = try chain()
        unlink(scene.stem(0) + "-00002")
        #expect(scene.refusal(2).contains("-00002 is missing"))
    }

    @Test func anObjectMore() throws {
        let scene = try chain()
        try scene.write("x", scene.stem(1) + "-00099")
        #expect(scene.refusal(2).contains("-00099 is not in the backup's metadata"))
        unlink(scene.stem(1) + "-00099")
        try scene.write("x", scene.stem(1) + "-00001.orig")
        #expect(scene.refusal(2).contains("no backup has a file that ends in '-00001.orig'"))
    }

    @Test(arguments: ["zlib", "bz2", "zstd", "none"])
    func anAlteredOrCutOffObject(_ compression: String) throws {
        var options = CinderScene.Options()
        options.compression = compression
        let scene = try chain(options)
        let object = scene.stem(0) + "-00001"
        let bytes = try scene.bytes(object)
        try scene.write(bytes.dropLast(), object)
        #expect(scene.refusal(2).contains("-00001 "), "cut off")
        try scene.write(bytes + [0], object)
        #expect(scene.refusal(2).contains("-00001 "), "with a byte more")
        try scene.write([], object)
        #expect(scene.refusal(2).contains("-00001 has 0 bytes"), "empty")
        // Whole and well-formed, but of other bytes of the same length.
        let other = CinderScene.compress([UInt8](repeating: 9, count: 4_096), compression)
        try scene.write(other, object)
        #expect(scene.refusal(2).contains("-00001 "), "of other bytes")
    }

    @Test func anObjectThatHoldsMoreOrLessThanItsLength() throws {
        let scene = try CinderScene()
        try scene.backUp([UInt8](repeating: 0, count: 4_096), number: 0)
        let object = scene.stem(0) + "-00001"
        try scene.write(CinderScene.compress([UInt8](repeating: 0, count: 50 << 20), "zlib"), object)
        #expect(scene.refusal(0).contains("-00001 holds more than its 4096 bytes"))
        try scene.write(CinderScene.compress([1, 2, 3], "zlib"), object)
        #expect(scene.refusal(0).contains("-00001 ends after 3 of 4096 bytes"))
        try scene.edit(
            scene.stem(0) + "_metadata", replacing: "\"length\": 4096", by: "\"length\": 9000000000000000000")
        #expect(scene.refusal(0).contains("cannot make a file of 9000000000000000000 bytes"))
    }

    @Test func whatIsNoRegularFile() throws {
        let scene = try chain()
        for suffix in ["-00001", "_metadata", "_sha256file"] {
            let path = scene.stem(0) + suffix
            rename(path, "\(scene.root)/aside")
            symlink("\(scene.root)/aside", path)
            #expect(scene.refusal(2).contains("no regular file"), "a symbolic link at \(suffix)")
            unlink(path)
            mkfifo(path, 0o600)
            #expect(scene.refusal(2).contains("no regular file"), "a FIFO at \(suffix)")
            unlink(path)
            rename("\(scene.root)/aside", path)
        }
        // A container behind a link is not looked into.
        rename("\(scene.root)/aa", "\(scene.folder)/elsewhere")
        symlink("\(scene.folder)/elsewhere", "\(scene.root)/aa")
        #expect(try scene.backups().list().isEmpty)
    }

    /// Each with what the sentence says.
    private static let edits: [(String, String, String)] = [
        ("\"version\": \"1.0.0\"", "\"version\": \"1.1.0\"", "it has version '1.1.0'; only 1.0.0 is known"),
        ("\"version\": \"1.0.0\"", "\"version\": 1", "'version' is not of the type"),
        ("\"compression\": \"zlib\"", "\"compression\": \"lz4\"", "has the unknown compression 'lz4'"),
        ("\"offset\": 0", "\"offset\": 512", "object 2 begins at 4096, before the end of the one before it"),
        ("\"length\": 4096", "\"length\": 4000", "lacks the bytes from 4000 on before object 2"),
        ("\"offset\": 8192", "\"offset\": 18446744073709551615", "has the impossible length"),
        ("\"offset\": 8192", "\"offset\": -1", "or has a number that cannot be"),
        ("\"offset\": 8192", "\"offset\": \"8192\"", "'objects[2]"),
        ("\"length\": 4096", "\"length\": 0", "has the impossible length 0"),
        ("\"length\": 1736", "\"length\": 9223372036854775000", "has the impossible length"),
        ("-00001\": {", "-00001/../../../etc/passwd\": {", "not volume_"),
        ("\"volume_11111111", "\"/volume_11111111", "object 1 is named"),
        ("-00002\": {", "-00001\": {", "object 2 is named"),
        ("-00002\": {", "-000002\": {", "object 2 is named"),
        ("\"md5\": \"", "\"md5\": \"zz", "has no MD5 digest"),
        ("\"parent_id\": null", "\"parent_id\": \"../../x\"", "its parent's id is no UUID: '../../x'"),
        ("\"parent_id\": null", "\"parent_ix\": null", "there is no 'parent_id'"),
        ("\"objects\": [", "\"objects\": null, \"x\": [", "objects"),
        ("\"backup_id\": \"aaaaaaa0", "\"backup_id\": \"aaaaaaa7", "of another backup or volume than its name says"),
        ("\\\"size\\\": null", "\\\"size\\\": -1", "the volume's size is impossible"),
        ("\\\"size\\\": null", "\\\"size\\\": \\\"1\\\"", "the volume's own record"),
        ("\\\"size\\\": null", "\\\"size\\\": ", "the volume's own record"),
    ]

    @Test func metadataThatCannotBe() throws {
        let scene = try chain()
        let path = scene.stem(0) + "_metadata"
        let good = try scene.text(path)
        for (old, new, reason) in Self.edits {
            try scene.write(good, path)
            try scene.edit(path, replacing: old, by: new)
            let sentence = scene.refusal(0)
            #expect(sentence.contains(reason), "\(old) → \(new): \(sentence)")
        }
    }

    @Test func metadataThatIsCutOffAnywhere() throws {
        let scene = try chain()
        let path = scene.stem(0) + "_metadata"
        let good = try scene.bytes(path)
        for count in stride(from: 0, to: good.count - 1, by: 7) {
            try scene.write(Array(good[..<count]), path)
            #expect(scene.refusal(0).contains("_metadata is cut off, no JSON"), "after \(count)")
        }
    }

    @Test func metadataThatIsTooLarge() throws {
        let scene = try chain()
        #expect(truncate(scene.stem(0) + "_metadata", 257 << 20) == 0)
        #expect(scene.refusal(0).contains("has \(257 << 20) bytes; more than \(256 << 20) are not read"))
    }

    @Test func anIncrementalThatWritesBehindTheFullBackup() throws {
        let scene = try chain()
        try scene.edit(scene.stem(1) + "_metadata", replacing: "\"offset\": 8192", by: "\"offset\": 9216")
        #expect(scene.refusal(1).contains("behind the 9928 bytes of the full backup"))
    }

    /// Offsets have no checksum; the list of digests of the whole volume tells.
    @Test func anIncrementalWhoseObjectBelongsElsewhere() throws {
        let scene = try CinderScene()
        let first = [UInt8](repeating: 1, count: 8_192)
        try scene.backUp(first, number: 0)
        try scene.backUp(first[..<7_680] + [UInt8](repeating: 2, count: 512), number: 1, parent: 0, old: first)
        try scene.edit(scene.stem(1) + "_metadata", replacing: "\"offset\": 7680", by: "\"offset\": 1024")
        #expect(scene.refusal(1).contains("has another digest for the 512 bytes at 1024"))
    }

    @Test func objectsThatEndBeforeTheDigests() throws {
        let scene = try CinderScene()
        var options = CinderScene.Options()
        options.piece = 1
        try scene.backUp([UInt8](repeating: 1, count: 1_024), number: 0, options)
        let short = try scene.text(scene.stem(0) + "_metadata")
        try scene.backUp([UInt8](repeating: 1, count: 1_536), number: 0, options)
        try scene.write(short, scene.stem(0) + "_metadata")
        unlink(scene.stem(0) + "-00003")
        #expect(scene.refusal(0).contains("end at 1024, but backup \(CinderScene.id(0)) has digests up to 1536"))
    }

    @Test func aVolumeLargerThanItsObjectsWithoutDigests() throws {
        var options = CinderScene.Options()
        options.size = 1
        options.hasDigests = false
        #expect(try chain(options).refusal(0).contains("to tell whether some are lost"))
    }

    @Test func digestsThatCannotBe() throws {
        let scene = try chain()
        let path = scene.stem(2) + "_sha256file"
        let good = try scene.text(path)
        let edits = [
            ("\"chunk_size\": 512", "\"chunk_size\": 0", "no block size"),
            ("\"chunk_size\": 512", "\"chunk_size\": 99999999999999999999", "no block size"),
            ("\"chunk_size\": 512", "\"chunk_size\": 1024", "digest"),
            ("\"chunk_size\": 512", "\"chunk_size\": [512]", "unexpected 'chunk_size'"),
            ("\"sha256s\": [", "\"sha256s\": [\"ab\",", "has a digest that is none"),
            ("\"version\": \"1.0.0\"", "\"version\": \"2.0.0\"", "has version '2.0.0'"),
            ("\"backup_id\": \"aaaaaaa2", "\"backup_id\": \"aaaaaaa7", "of another backup"),
            ("\"nightly\"", "\"" + String(repeating: "x", count: 5_000) + "\"", "too long"),
        ]
        for (old, new, reason) in edits {
            try scene.write(good, path)
            try scene.edit(path, replacing: old, by: new)
            let sentence = scene.refusal(2)
            #expect(sentence.contains(reason), "\(old) → \(new.prefix(40)): \(sentence)")
        }
        for count in stride(from: 0, to: good.utf8.count - 1, by: 41) {
            try scene.write(Array(good.utf8.prefix(count)), path)
            #expect(!scene.refusal(2).isEmpty, "cut off after \(count)")
        }
    }

    /// A file that was there must not be touched by what can be told beforehand.
    @Test func aFileThatWasThereStaysWhenTheChainIsBroken() throws {
        let scene = try chain()
        let target = "\(scene.folder)/old"
        try scene.write("old", target)
        try scene.write([], scene.stem(0) + "-00001")
        #expect(throws: RepositoryError.self) { try scene.run(2, to: target) }
        #expect(try scene.text(target) == "old")
    }

    @Test func aPathThatIsTakenMeanwhileIsNotReplaced() throws {
        let scene = try chain()
        let target = "\(scene.folder)/late"
        let file = try NewFileTarget(target, size: 10)
        try scene.write("somebody's", target)
        #expect(throws: RepositoryError.self) { try file.finish(size: 0) }
        #expect(try scene.text(target) == "somebody's")
    }
}

struct ListTests {
    @Test func theListShowsWhatCanBeRestored() throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: 5)
        let first = CinderScene.volume(&random, blocks: 100)
        let second = CinderScene.changed(first, &random, blocks: 10)
        var options = CinderScene.Options()
        options.volumeName = "a\\\\u001b[31m red name that is longer than anybody should choose"
        try scene.backUp(first, number: 0, options)
        options.hasRecord = false
        try scene.backUp(second, number: 1, parent: 0, old: first, options)
        options.hasRecord = true
        options.volumeName = "lost"
        options.size = 3
        try scene.backUp(second, number: 3, parent: 2, old: first, options)
        try scene.backUp(first, number: 4)
        unlink(scene.stem(4) + "_metadata")
        try scene.backUp(first, number: 5)
        try scene.write("{", scene.stem(5) + "_metadata")
        // Strangers do not matter.
        try scene.write("x", "\(scene.root)/README")
        try scene.write("x", "\(scene.directory(0))/volume_x_metadata")

        let view = CinderBackupsView(try scene.backups().list())
        let text = view.text(Style()) + "\n" + view.document.json + "\n"
        #expect(!text.contains(CinderScene.secret))
        expectGolden(text.replacing(scene.folder, with: "FOLDER"), "Golden/list.txt")
    }

    @Test func whatCannotBeReadIsSaid() throws {
        let scene = try CinderScene()
        #expect(throws: RepositoryError.self) { try CinderDirectory("\(scene.root)/nothing") }
        #expect(try scene.backups().list().isEmpty)
        #expect(CinderBackupsView([]).text(Style()) == "There is no backup of Cinder's.\n")
    }
}
