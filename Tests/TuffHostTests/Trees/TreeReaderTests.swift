import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Reading trees")
struct TreeReaderTests {
    @Test("Who else may change a file or directory is told")
    func exposure() async throws {
        let folder = try Folder()
        let machine = folder.machine()
        folder.directory("pool")
        try folder.write("pool/disk", "x", mode: 0o644)
        symlink("disk", folder.at("pool/link"))
        let pool = folder.at("pool")
        func seen() async throws -> [String?] {
            let entries = try await machine.readTree(.directory(pool), [TreeQuery("*", .status)], key: key)
            return try await entries.map(\.exposure) + [machine.space(of: pool).exposure]
        }
        #expect(try await seen() == [nil, nil, nil])
        for (place, index) in [("pool/disk", 0), ("pool", 2)] {
            let mode = try #require(folder.mode(place))
            for bit: UInt32 in [0o020, 0o002] {
                chmod(folder.at(place), mode | bit)
                #expect(try await seen()[index]?.contains("may be written by others") == true, "\(place)")
            }
            chmod(folder.at(place), mode)
            // Only root may give files away.
            guard geteuid() == 0 else { continue }
            chown(folder.at(place), 4711, 0)
            #expect(try await seen()[index]?.contains("belongs to user 4711") == true, "\(place)")
            chown(folder.at(place), 0, 0)
        }
        #expect(try await seen() == [nil, nil, nil])
    }

    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("target")
        machine = folder.machine()
    }

    private func read(_ queries: TreeQuery...) async throws(HostError) -> [TreeEntry] {
        try await machine.readTree(.targetConfiguration, queries, key: key)
    }

    @Test("Patterns match names, any name and beginnings, each entry once, sorted by path")
    func patterns() async throws {
        folder.directory("target/core/iblock_0/tuff-a")
        folder.directory("target/core/fileio_1/other")
        try folder.write("target/core/iblock_0/tuff-a/enable", "1\n")
        try folder.write("target/core/fileio_1/other/enable", "0\n")
        try folder.write("target/version", "v1")
        #expect(
            try await read(TreeQuery("core/*/tuff-*/enable"), TreeQuery("version"), TreeQuery("missing/*/x")) == [
                TreeEntry(path: "core/iblock_0/tuff-a/enable", kind: .file, text: "1"),
                TreeEntry(path: "version", kind: .file, text: "v1"),
            ])
        #expect(
            try await read(TreeQuery("core/*/*", .presence), TreeQuery("core/i*", .presence), TreeQuery("core/*/*/*"))
                == [
                    TreeEntry(path: "core/fileio_1/other", kind: .directory),
                    TreeEntry(path: "core/fileio_1/other/enable", kind: .file, text: "0"),
                    TreeEntry(path: "core/iblock_0", kind: .directory),
                    TreeEntry(path: "core/iblock_0/tuff-a", kind: .directory),
                    TreeEntry(path: "core/iblock_0/tuff-a/enable", kind: .file, text: "1"),
                ])
    }

    @Test("Several readings of one entry are one entry")
    func readings() async throws {
        try folder.write("target/password", "s3cret\n", mode: 0o600)
        let entries = try await read(
            TreeQuery("password", .fingerprint), TreeQuery("pass*", .status), TreeQuery("password", .presence))
        let entry = try #require(entries.first)
        #expect(entries.count == 1)
        #expect(entry.text == nil)
        #expect(entry.fingerprint?.text.prefix { $0.isHexDigit }.count == 16)
        #expect(entry.fingerprint?.traits == [.short])
        #expect(entry.size == ByteCount(7))
        #expect(entry.mode == 0o600)
    }

    @Test("A fingerprint is the same for the same secret and key only, with or without its newline; cleared is none")
    func fingerprints() async throws {
        for (name, text) in [
            ("a", "s3cret"), ("b", "s3cret\n"), ("c", "s3creT"), ("d", "NULL\n"), ("e", "\n"), ("f", ""),
        ] {
            try folder.write("target/\(name)", text)
        }
        let entries = try await read(TreeQuery("*", .fingerprint))
        let texts = entries.map(\.fingerprint)
        #expect(entries.map(\.path) == ["a", "b", "c", "d", "e", "f"])
        #expect(texts[0] != nil)
        #expect(texts[0] == texts[1])
        #expect(texts[0] != texts[2])
        #expect(texts[3...].allSatisfy { $0 == nil })
        // HMAC-SHA-256 of "s3cret" under the tests' key, by Python's hmac, and that the secret is short.
        #expect(texts[0]?.text == "f4af3adee223b237s")
        let other = try await machine.readTree(
            .targetConfiguration, [TreeQuery("a", .fingerprint)], key: FingerprintKey(bytes: [1]))
        #expect(other[0].fingerprint != texts[0])
        try folder.write("file", "s3cret\n", mode: 0o600)
        #expect(try await machine.fingerprint(SecretReference(file: folder.at("file")), key: key) == texts[0])
    }

    @Test("A link is reported with its text and never followed")
    func links() async throws {
        folder.directory("target/lun")
        try folder.write("target/lun/inside", "text")
        symlink("../../target/lun", folder.at("target/link"))
        #expect(
            try await read(TreeQuery("link"), TreeQuery("link/inside"), TreeQuery("link/*")) == [
                TreeEntry(path: "link", kind: .link, target: "../../target/lun")
            ])
        #expect(
            try await read(TreeQuery("*", .presence)) == [
                TreeEntry(path: "link", kind: .link, target: "../../target/lun"),
                TreeEntry(path: "lun", kind: .directory),
            ])
        #expect(try await read(TreeQuery("l*/inside")) == [TreeEntry(path: "lun/inside", kind: .file, text: "text")])
    }

    @Test("What is no short text is an entry with an error; the others are read")
    func unreadable() async throws {
        try folder.write("target/a", [0xff, 0xfe])
        try folder.write("target/b", String(repeating: "x", count: 65_537))
        try folder.write("target/c", String(repeating: "x", count: 65_536))
        folder.directory("target/d")
        mkfifo(folder.at("target/e"), 0o600)
        let entries = try await read(TreeQuery("*"))
        #expect(entries.map(\.kind) == [.file, .file, .file, .directory, .other])
        #expect(entries.map { $0.error?.code } == [.malformed, .malformed, nil, nil, nil])
        #expect(entries[2].text?.count == 65_536)
        let named = try await read(TreeQuery("a"), TreeQuery("d"), TreeQuery("e"))
        #expect(named.map(\.kind) == [.file, .directory, .other])
    }

    @Test("A missing root is an error, an empty one is empty")
    func roots() async throws {
        #expect(try await read(TreeQuery("*"), TreeQuery("a/b")) == [])
        let error = await failure { () throws(HostError) in
            _ = try await machine.readTree(.directory(folder.at("none")), [TreeQuery("*")], key: key)
        }
        #expect(error?.code == .notFound)
    }

    @Test("Size and allocation of sparse files")
    func status() async throws {
        try await machine.perform([.createFile(HostPath(.directory(folder.path), "disk"), size: ByteCount(1 << 30))])
        let entries = try await machine.readTree(.directory(folder.path), [TreeQuery("disk", .status)], key: key)
        #expect(
            entries == [
                TreeEntry(
                    path: "disk", kind: .file, size: ByteCount(1 << 30), allocated: .zero, mode: 0o600)
            ])
    }

    @Test("A random tree is read as a plain walk reads it")
    func randomTree() async throws {
        var random = Seeded("random tree")
        var expected: [String: String] = [:]
        for _ in 0..<300 {
            let words = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                ["a", "ab", "b", "ba", "c"].randomElement(using: &random)! + "\(Int.random(in: 0...3, using: &random))"
            }
            let path = words.joined(separator: "/")
            guard folder.status("target/\(path)") == nil else { continue }
            let parent = words.dropLast().joined(separator: "/")
            guard words.indices.dropLast().allSatisfy({ expected[words[...$0].joined(separator: "/")] == nil }) else {
                continue
            }
            folder.directory("target/\(parent)")
            let text = String(random.next())
            try folder.write("target/\(path)", text)
            expected[path] = text
        }
        for pattern in ["*", "a*", "*/*", "a*/b*", "ab*/*", "*/c1", "*/*/*", "b*/*/a*", "*/*/*/*"] {
            let wanted = expected.filter { Self.matches($0.key, pattern) }.sorted { $0.key < $1.key }
            let found = try await read(TreeQuery(pattern)).filter { $0.kind == .file }
            #expect(found.map(\.path) == wanted.map(\.key), "\(pattern), seed \(random.seed)")
            #expect(found.map(\.text) == wanted.map(\.value))
        }
    }

    private static func matches(_ path: String, _ pattern: String) -> Bool {
        let words = path.split(separator: "/"), parts = pattern.split(separator: "/")
        return words.count == parts.count
            && zip(words, parts).allSatisfy { word, part in
                part.hasSuffix("*") ? word.hasPrefix(part.dropLast()) : word == part
            }
    }
}
