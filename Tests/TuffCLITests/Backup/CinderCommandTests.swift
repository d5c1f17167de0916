import FoundationEssentials
import Glibc
import Testing

/// `tuff backup ls` and `restore` with a directory of Cinder's; the reader itself has suites of its own.
struct CinderCommandTests {
    private static let backup = "aaaaaaa0-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    private static let volume = "11111111-2222-4333-8444-555555555555"

    /// A full backup of five bytes, with the volume's CHAP secret in its metadata.
    /// - Parameter size: in GiB, as its record says.
    private func container(
        object: String = "hello", recordVersion: Int = 2, size: Int? = nil
    ) throws -> TestFolder {
        let folder = try TestFolder()
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/cinder/shared", withIntermediateDirectories: true, attributes: nil)
        let prefix = "volume_\(Self.volume)_20260821100000_backup_\(Self.backup)"
        let ids = "\"backup_id\": \"\(Self.backup)\", \"volume_id\": \"\(Self.volume)\", \"version\": \"1.0.0\""
        let record =
            "{\\\"version\\\": \(recordVersion), "
            + "\\\"volume-base-metadata\\\": {\\\"display_name\\\": \\\"db\\\", \\\"provider_auth\\\": \\\"CHAP u "
            + "\(TestFolder.secret)\\\", \\\"size\\\": \(size.map(String.init) ?? "null")}, \\\"volume-metadata\\\": "
            + "{\\\"owner\\\": \\\"the \\\\\\\"db\\\\\\\" team\\\", \\\"a key\\\": \\\"x\\\"}}"
        try folder.write("cinder/shared/\(prefix)-00001", object)
        try folder.write(
            "cinder/shared/\(prefix)_sha256file",
            """
            {\(ids), "chunk_size": 32768,
             "sha256s": ["2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]}
            """)
        try folder.write(
            "cinder/shared/\(prefix)_metadata",
            """
            {\(ids), "created_at": "2026-08-21 10:00:00", "parent_id": null, "volume_meta": "\(record)",
             "objects": [{"\(prefix)-00001": {"offset": 0, "length": 5, "compression": "none",
                                              "md5": "5d41402abc4b2a76b9719d911017c592"}}]}
            """)
        return folder
    }

    private func run(_ folder: TestFolder, _ arguments: [String]) throws -> Ended {
        let ended = try folder.run(["backup"] + arguments)
        #expect(!(ended.out + ended.err).contains(TestFolder.secret))
        return ended
    }

    @Test func listsAndRestores() throws {
        let folder = try container()
        let list = try run(folder, ["ls", "--cinder", "cinder"])
        #expect(list.code == 0 && list.err.isEmpty)
        #expect(list.out.contains("\(Self.backup)  2026-08-21T10:00:00Z  db      5 B   5 B  full  complete"))
        #expect(try run(folder, ["ls", "--cinder", "cinder", "-o", "json"]).out.contains("\"CinderBackups\""))

        let restored = try run(folder, ["restore", "--cinder", "cinder", "--backup", Self.backup, "--to", "disk"])
        #expect(restored.code == 0, "\(restored.err)")
        #expect(restored.out.contains("Every object was checked, and the whole by Cinder's digests."))
        #expect(folder.text("disk") == "hello")
    }

    @Test func theVolumesArePrintedAsDocumentsWithWhatOpenStackKnewOfThem() throws {
        let folder = try container(size: 1)
        let bare = try run(folder, ["ls", "--cinder", "cinder", "--print-yaml"])
        #expect(bare.code == 0 && bare.out.contains("--pool NAME prints one"), "\(bare)")
        let printed = try run(
            folder, ["ls", "--cinder", "cinder", "--print-yaml", "--pool", "fast", "--declared-as", "openstack"])
        #expect(
            printed.out == """
                # The pools are to be declared beside these, and who may attach them: fast
                ---
                # db: Cinder's backup \(Self.backup) of 2026-08-21T10:00:00Z, 1 GiB
                # its metadata 'a key' cannot be the key of an annotation
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata:
                  annotations:
                    cinder.openstack.org/backup-created: "2026-08-21T10:00:00Z"
                    cinder.openstack.org/volume-id: "\(Self.volume)"
                    cinder.openstack.org/volume-name: db
                    metadata.cinder.openstack.org/owner: "the \\"db\\" team"
                  name: db
                spec:
                  pool: fast
                  size: "1Gi"
                  source:
                    cinderBackup:
                      backup: \(Self.backup)
                      repository: openstack

                """, "\(printed.out)\(printed.err)")
        try folder.write(
            "set.yaml",
            printed.out + """
                ---
                apiVersion: tuff.dev/v1
                kind: Pool
                metadata: {name: fast}
                spec: {lvm: {volumeGroup: vg0, thinPool: tp0}}
                ---
                apiVersion: tuff.dev/v1
                kind: BackupRepository
                metadata: {name: openstack}
                spec: {nfs: {server: nas.example.com, export: /cinder-backup}, format: cinder}

                """)
        let valid = try folder.run(["validate", "-f", "set.yaml"])
        #expect(valid.code == 0, "\(valid.err)")
    }

    @Test func aRecordOfAnUnknownVersionIsWarnedOf() throws {
        let folder = try container(recordVersion: 7)
        let restored = try run(folder, ["restore", "--cinder", "cinder", "--backup", Self.backup, "--to", "disk"])
        #expect(restored.code == 0 && folder.text("disk") == "hello")
        #expect(restored.err.contains("warning: backup \(Self.backup): the volume's own record"), "\(restored.err)")
        #expect(restored.err.contains("has version 7, and only 1 and 2 are known"), "\(restored.err)")
    }

    @Test func damageLeavesNothingNewAndSaysWhatItDidToWhatWasThere() throws {
        let folder = try container(object: "hallo")
        let command = ["restore", "--cinder", "cinder", "--backup", Self.backup, "--to"]
        let made = try run(folder, command + ["disk"])
        #expect(made.code == 1 && made.err.contains("MD5 digest is another"))
        #expect(made.err.contains("help: nothing was made at disk"))
        #expect(access("\(folder.path)/disk", F_OK) != 0)
        for _ in 0..<20 { _ = try run(folder, command + ["disk"]) }
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix(".tuff") }
        #expect(left.isEmpty, "temporary files were left: \(left)")
        try folder.write("old", "old")
        let over = try run(folder, command + ["old"])
        #expect(over.code == 1 && over.err.contains("old was there before and now has parts of the backup"))
    }

    @Test func nothingIsWrittenAmongTheBackups() throws {
        let folder = try container()
        let object = "cinder/shared/volume_\(Self.volume)_20260821100000_backup_\(Self.backup)-00001"
        symlink("\(folder.path)/\(object)", "\(folder.path)/link")
        for target in [object, "link", "cinder/new", "cinder/../cinder/shared/new"] {
            let ended = try run(folder, ["restore", "--cinder", "cinder", "--backup", Self.backup, "--to", target])
            #expect(ended.code == 64 && ended.err.contains("is among Cinder's backups"), "\(target): \(ended.err)")
        }
        #expect(folder.text(object) == "hello")
    }

    @Test func aDamagedBackupIsListedAndFailsTheCommand() throws {
        let folder = try container(object: "hello")
        let prefix = "volume_\(Self.volume)_20260821100000_backup_\(Self.backup)"
        unlink("\(folder.path)/cinder/shared/\(prefix)-00001")
        let list = try run(folder, ["ls", "--cinder", "cinder"])
        #expect(list.code == 1 && list.out.contains("damaged"))
        #expect(list.err.contains("\(prefix)-00001 is missing"))
        #expect(try run(folder, ["ls", "--cinder", "nowhere"]).code == 10)
    }

    @Test(arguments: [
        ("ls", "give --repository DIR or --cinder DIR"),
        ("ls --cinder a --repository b", "give --repository or --cinder, not both"),
        ("ls --cinder a --key-file b", "--key-file does not go with --cinder"),
        ("ls --cinder a --name b", "--name does not go with --cinder"),
        ("restore --cinder a --to b", "which backup? Give --backup UUID"),
        ("restore --cinder a --to b --backup c", "'c' is no UUID"),
        ("restore --cinder a --to b --backup c --at latest", "--at does not go with --cinder"),
        ("restore --repository a --to b --backup c", "--backup does not go with --repository"),
    ])
    func optionsThatContradictEachOtherAreUsageErrors(_ arguments: String, _ sentence: String) throws {
        let ended = try run(try TestFolder(), arguments.split(separator: " ").map(String.init))
        #expect(ended.code == 64)
        #expect(ended.err.contains(sentence), "\(ended.err)")
    }
}
