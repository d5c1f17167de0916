import Glibc
import Testing

@testable import TuffSystem

@Suite("Processes that were written down, and whole reads and writes")
struct SystemTests {
    private func line(state: String, threads: Int, start: UInt64) -> String {
        let middle = Array(repeating: "0", count: 14).joined(separator: " ")
        return "4711 (a) name (with) parentheses) \(state) \(middle) 20 0 \(threads) 0 \(start) 1 2 3"
    }

    @Test(
        "A process is gone when its last thread is: others may sleep in the kernel after the first has ended",
        arguments: [
            ("S", 1, false), ("D", 1, false), ("Z", 1, true), ("Z", 0, true), ("Z", 3, false), ("X", 0, true),
        ])
    func gone(state: String, threads: Int, isGone: Bool) throws {
        let read = try #require(ProcessTable.StatusLine(line(state: state, threads: threads, start: 987_654)))
        #expect(read.state == state && read.threads == threads && read.start == 987_654)
        #expect(read.isGone == isGone)
    }

    @Test("A line that is cut off tells nothing", arguments: ["", "1 (a)", "1 (a) S 1 2 3", "S 1 2 3"])
    func cut(text: String) { #expect(ProcessTable.StatusLine(text) == nil) }

    @Test("A number of another container is neither running nor ended here; one of an earlier boot has ended")
    func presence() throws {
        let own = getpid(), space = ProcessTable.space
        let start = try #require(ProcessTable.start(of: own))
        #expect(space.hasPrefix(Boot.id) && !Boot.id.isEmpty)
        #expect(ProcessTable.presence(of: own, since: start, in: space) == .running)
        #expect(ProcessTable.presence(of: own, since: start + 1, in: space) == .ended)
        #expect(ProcessTable.presence(of: own, since: nil, in: space) == .ended)
        #expect(ProcessTable.presence(of: own, since: start, in: "\(Boot.id) pid:[1]") == .elsewhere)
        for other in ["", "another", "another pid:[1]"] {
            #expect(ProcessTable.presence(of: own, since: start, in: other) == .ended)
        }
    }

    @Test("A pipe that gives little at a time fills the whole buffer, and its end is told from a failure")
    func pipes() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { close(ends[0]) }
        let sent = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }, output = ends[1]
        // More than a pipe holds, so that both sides take several calls.
        let writer = try #require(
            SystemThread.begin(stack: 1 << 18) {
                _ = sent.withUnsafeBytes { DescriptorIO.write(output, $0) }
                close(output)
            })
        var received = [UInt8](repeating: 0, count: sent.count + 1)
        let outcome = received.withUnsafeMutableBytes { DescriptorIO.read(ends[0], into: $0) }
        writer.join()
        #expect(outcome == .init(count: sent.count, failure: nil) && outcome.number == EIO)
        #expect(received.dropLast() == sent[...])
    }

    @Test("What fails says how far it came and why")
    func failures() throws {
        var template = Array("/tmp/tuff-system-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        unlink(template)
        let bytes: [UInt8] = [1, 2, 3, 4]
        let written = bytes.withUnsafeBytes { DescriptorIO.write(file, at: 2, $0) }
        #expect(written == .init(count: 4, failure: nil))
        var room = [UInt8](repeating: 9, count: 8)
        let short = room.withUnsafeMutableBytes { DescriptorIO.read(file, at: 2, into: $0) }
        #expect(short.count == 4 && short.failure == nil)
        lseek(file, 0, SEEK_SET)
        #expect(DescriptorIO.readToEnd(file, limit: 100).bytes.count == 6)
        lseek(file, 0, SEEK_SET)
        #expect(DescriptorIO.readToEnd(file, limit: 3).bytes.count > 3)
        close(file)
        // No number of an open file, whatever other tests open meanwhile.
        let gone = room.withUnsafeMutableBytes { DescriptorIO.read(-1, into: $0) }
        #expect(gone == .init(count: 0, failure: EBADF))
        #expect(DescriptorIO.readToEnd(-1, limit: 3).failure == EBADF)
    }
}
