import Glibc
import Testing
import TuffRepository
import TuffTestSupport

/// In a run of their own, since they measure the memory of the whole process: `SCALE_GIB=1024` is the whole claim and
/// takes an hour in a debug build, `make unit` has a slice of it.
@Suite("Large volumes in little memory", .enabled(if: environment("SCALE_GIB") != nil, "make unit"))
struct ScaleTests {
    /// Every block of it is another, and none takes long to make or much room when compressed.
    private struct Counting: BlockSource {
        let size: UInt64
        /// Two of these with different salts have no block in common.
        var salt: UInt64 = 0

        func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
            let words = buffer.bindMemory(to: UInt64.self)
            let perBlock = Format.block / 8
            for begin in stride(from: 0, to: words.count, by: perBlock) {
                let number = (offset / 8 + UInt64(begin)) / UInt64(perBlock) + 1
                UnsafeMutableBufferPointer(rebasing: words[begin..<min(begin + perBlock, words.count)])
                    .update(repeating: number &* 0x9E37_79B9_7F4A_7C15 ^ salt)
            }
        }

        func demandSameSize() {}
        func isHole(at offset: UInt64, count: Int) -> Bool { false }
    }

    /// A store in a directory that is gone in the end.
    private func withStore<Value>(_ body: (DirectoryStore) throws -> Value) throws -> Value {
        var template = Array("/tmp/tuff-scale-XXXXXX".utf8CString)
        let path = template.withUnsafeMutableBufferPointer { buffer -> String? in
            mkdtemp(buffer.baseAddress!).map { String(cString: $0) }
        }
        let folder = try #require(path)
        defer { _ = try? run("/bin/rm", ["-rf", folder]) }
        return try body(try DirectoryStore(folder + "/repository", making: true))
    }

    private func run(_ program: String, _ arguments: [String]) throws {
        var pid = pid_t()
        var words = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        try #require(posix_spawn(&pid, program, nil, nil, &words, environ) == 0)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    /// MiB that this process has in memory now, and had at most since the last call.
    private func memory() throws -> (now: Int, peak: Int) {
        func field(_ name: String) -> Int {
            let file = fopen("/proc/self/status", "r")
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 256)
            while fgets(&line, 256, file) != nil {
                let text = line.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
                if text.hasPrefix(name) { return Int(text.split(whereSeparator: \.isWhitespace)[1]) ?? 0 }
            }
            return 0
        }
        let result = (field("VmRSS:") / 1024, field("VmHWM:") / 1024)
        // "5" resets the peak (proc(5), clear_refs).
        if let file = fopen("/proc/self/clear_refs", "w") {
            fputs("5", file)
            fclose(file)
        }
        return result
    }

    @Test("A volume of distinct blocks, and another against the index that is full of it")
    func distinctBlocks() throws {
        let gibi = environment("SCALE_GIB").flatMap(UInt64.init) ?? 2
        try withStore { store in
            let repository = try Scene.repository(store)
            var before = try memory().now
            for name in ["first", "second", "third"] {
                let source = Counting(size: gibi << 30, salt: name == "third" ? 1 << 63 : 0)
                let request = Backup.Request(series: Series(name: name), time: Scene.time, program: "test")
                let start = ContinuousClock.now
                let point = try Backup(of: source, to: repository, request, lease: nil, progress: JobProgress())
                    .run(threads: SystemThreads(count: 2), finished: { Scene.time })
                let blocks = Int(gibi << 30) / Format.block
                #expect(point.record.counts.new == (name == "second" ? 0 : UInt64(blocks)))
                let (now, peak) = try memory()
                let files = try store.list("index").count
                print(
                    "\(name): \(gibi) GiB of distinct blocks in \(ContinuousClock.now - start), "
                        + "\(peak - before) MiB of memory at most, \(files) index files")
                #expect(peak - before <= 256)
                before = now
            }
        }
    }
}
