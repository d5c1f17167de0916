import FoundationEssentials
import Glibc
import Testing

/// `tuff backup … -f DIR --repository NAME`: a document says where the repository is and which key opens it.
struct NamedRepositoryTests {
    private let folder: TestFolder
    private let named = "-f set.yaml --repository nas --config config.yaml"

    /// An encrypted repository beneath a directory that documents may reach, and the documents that declare it.
    init() throws {
        folder = try TestFolder()
        try folder.write("disk", String(repeating: "0123456789", count: 10_000))
        try declare("directory: {path: \(folder.path)/pool/r}, encryption: {keyFrom: {file: \(folder.path)/secret}}")
        try expect("init --repository pool/r --key-file secret", 0)
    }

    private func declare(_ spec: String) throws {
        try folder.write(
            "set.yaml",
            "apiVersion: tuff.dev/v1\nkind: BackupRepository\nmetadata: {name: nas}\nspec: {\(spec)}\n")
    }

    @discardableResult
    private func expect(
        _ command: String, _ code: Int32, location: SourceLocation = #_sourceLocation
    ) throws -> Ended {
        let host = command.hasPrefix("init") ? [] : ["--lock-file", "\(folder.path)/run/lock"]
        let ended = try folder.run(["backup"] + command.split(separator: " ").map(String.init) + host)
        #expect(ended.code == code, "\(command): \(ended.out)\(ended.err)", sourceLocation: location)
        return ended
    }

    @Test func everyCommandFindsItAndItsKey() throws {
        #expect(try expect("run \(named) --source disk --name db", 0).out.contains("97.65 KiB"))
        let list = try expect("ls \(named)", 0).out
        #expect(list.contains("db"), "\(list)")
        #expect(try expect("ls --repository pool/r --key-file secret", 0).out == list, "the same as by hand")
        #expect(try expect("check \(named) --read-data", 0).out.contains("Everything that is listed can be restored."))
        #expect(try expect("prune \(named) --keep-last 1 --dry-run", 0).out.contains("No restore point"))
        #expect(try expect("prune \(named) --keep-last 1", 0).out == "0 restore points taken away.\n")
        try expect("restore \(named) --name db --to back", 0)
        #expect(folder.text("back") == folder.text("disk"))
        try folder.write("spare", "another-key-of-bytes\n", mode: 0o600)
        try expect("key add \(named) --new-key-file spare --label spare", 0)
        let slots = try expect("key list \(named)", 0).out
        let slot = try #require(slots.split(separator: "\n").first { $0.hasSuffix("spare") }?.prefix(32))
        try expect("key rm \(named) \(slot)", 0)
        try expect("ls --repository pool/r --key-file spare", 12)
        // Nothing of the key is in a job's file, a lease or a message.
        #expect(!slots.contains(TestFolder.secret))
    }

    @Test func aRestoreIntoTheRepositoryItselfIsRefused() throws {
        try expect("run \(named) --source disk --name db", 0)
        let ended = try expect("restore \(named) --name db --to pool/r/points/x", 64)
        #expect(ended.err.contains("is in the repository itself"), "\(ended.err)")
    }

    @Test(arguments: [
        ("ls -f set.yaml --repository other", Int32(64), "no document declares BackupRepository/other"),
        ("ls -f set.yaml --repository nas --key-file secret", 64, "--key-file does not go with -f"),
        ("ls -f set.yaml --repository pool/r", 64, "takes the name of a BackupRepository, and no 'pool/r'"),
        ("check -f set.yaml --repository pool/r", 64, "takes the name of a BackupRepository, and no 'pool/r'"),
        ("ls -f set.yaml --cinder pool", 64, "-f does not go with --cinder"),
        ("ls -f none.yaml --repository nas", 1, "none.yaml"),
    ])
    func whatNamesNoRepositoryIsSaid(_ command: String, code: Int32, message: String) throws {
        let ended = try expect(command + " --config config.yaml", code)
        #expect(ended.err.contains(message), "\(ended.err)")
    }

    @Test(arguments: [
        ("directory: {path: FOLDER/elsewhere}", Int32(1), "which the controller's 'allow' does not name"),
        ("nfs: {server: nas.example.com, export: /b}", 1, "which the controller's 'allow' does not name"),
        ("directory: {path: FOLDER/pool/none}", 10, "FOLDER/pool/none"),
        ("directory: {path: FOLDER/pool/r}", 12, "no key was given"),
        (
            "directory: {path: FOLDER/pool/r}, encryption: {keyFrom: {file: FOLDER/config.yaml}}", 1,
            "lies beneath none of allow.secrets"
        ),
        ("directory: {path: FOLDER/pool/r}, format: cinder", 64, "has backups of OpenStack Cinder"),
    ])
    func whatADocumentMustNotReachIsRefused(_ spec: String, code: Int32, message: String) throws {
        try declare(spec.replacing("FOLDER", with: folder.path))
        let ended = try expect("run \(named) --source disk --name db", code)
        #expect(ended.err.contains(message.replacing("FOLDER", with: folder.path)), "\(ended.err)")
        #expect(!ended.err.contains(TestFolder.secret))
    }
}
