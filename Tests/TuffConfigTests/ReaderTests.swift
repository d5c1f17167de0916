import FoundationEssentials
import Testing
import TuffConfig
import TuffModel

/// A directory that is gone when the test ends.
struct TemporaryDirectory: ~Copyable {
    let path = "/tmp/tuff-config-\(UInt64.random(in: 0 ... .max))"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: "\(path)/\(name)", withDestinationPath: target)
    }

    func write(_ name: String, _ text: String) throws {
        let url = URL(filePath: "\(path)/\(name)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }
}

@Suite struct ReaderTests {
    @Test func aDirectoryIsReadRecursivelyInOrderWithoutHiddenFiles() throws {
        let directory = try TemporaryDirectory()
        for name in ["b.yaml", "a/z.yml", "a/y.yaml", ".hidden.yaml", ".git/x.yaml", "notes.txt", "c.yaml"] {
            try directory.write(name, name)
        }
        let (sources, diagnostics) = ConfigLoader.read(paths: [directory.path + "/"])
        #expect(diagnostics == [])
        #expect(
            sources.map { $0.path.dropFirst(directory.path.count + 1) } == ["a/y.yaml", "a/z.yml", "b.yaml", "c.yaml"])
        #expect(
            sources.map { String(decoding: $0.text, as: UTF8.self) } == ["a/y.yaml", "a/z.yml", "b.yaml", "c.yaml"])
    }

    @Test func aFileReachedTwiceIsReadOnce() throws {
        let directory = try TemporaryDirectory()
        try directory.write("a.yaml", "")
        try directory.link("b.yaml", to: "a.yaml")
        let (sources, diagnostics) = ConfigLoader.read(paths: [directory.path, "\(directory.path)/a.yaml"])
        #expect(diagnostics == [])
        #expect(sources.map(\.path) == ["\(directory.path)/a.yaml"])
    }

    @Test func whatCannotBeReadIsAnErrorAndTheRestIsRead() throws {
        let directory = try TemporaryDirectory()
        try directory.write("good.yaml", "# nothing\n")
        try directory.write("large.yaml", String(repeating: "#", count: 1 << 20) + "\n")
        try directory.link("broken.yaml", to: "missing")
        let (sources, diagnostics) = ConfigLoader.read(paths: ["\(directory.path)/absent.yaml", directory.path])
        #expect(sources.map(\.path) == ["\(directory.path)/good.yaml"])
        #expect(diagnostics.map(\.rule) == ["unreadable-file", "unreadable-file", "file-too-large"])
        #expect(diagnostics.allSatisfy { $0.severity == .error })
        #expect(diagnostics.first?.message.contains("No such file or directory") == true)
    }

    @Test func aDirectoryWithoutFilesIsAnErrorRatherThanAnEmptySet() throws {
        let directory = try TemporaryDirectory()
        try directory.write("notes.txt", "")
        #expect(ConfigLoader.read(paths: [directory.path]).diagnostics.map(\.rule) == ["no-files"])
    }
}
