import CTuffHost
import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost
import TuffSystem

@Suite("Files of running jobs")
struct JobFileTests {
    let folder: Folder
    let directory: String

    init() throws {
        folder = try Folder()
        directory = folder.at("run/jobs")
    }

    private func ticket(_ id: String, _ keys: [String] = ["data:/dev/vg0/v-db"]) -> JobTicket {
        JobTicket(
            id: id, kind: "restore", summary: "restoring Volume/db", keys: keys,
            objects: [UID("aaaabbbbccccdddd")!])
    }

    private var live: [RunningJob] {
        JobFiles.live(in: directory).entries.sorted { $0.key < $1.key }.compactMap(\.value.value)
    }

    /// A file of a job of ours that nobody holds any more.
    private func leave(
        _ id: String, keys: [String] = ["data:/dev/vg0/v-db"], _ change: (String) -> String = { $0 }
    ) throws {
        let file = try JobFile.take(ticket(id, keys), in: directory)
        let text = try #require(folder.read("run/jobs/\(id)"))
        file.end()
        try folder.write("run/jobs/\(id)", change(text), mode: 0o600)
    }

    /// A process that holds a file and does nothing else.
    private func hold(_ id: String) async throws -> Int32 {
        let path = strdup("\(directory)/\(id)")!
        let pid = tuff_fork_with_heap(1 << 16)
        if pid == 0 {
            // Only calls that are safe in the child of a process with threads. Nothing of other tests stays open in it.
            tuff_close_from(3)
            flock(open(path, O_RDWR), LOCK_EX)
            while true { pause() }
        }
        free(path)
        let descriptor = open("\(directory)/\(id)", O_RDWR)
        defer { close(descriptor) }
        let isHeld = await eventually {
            guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return true }
            flock(descriptor, LOCK_UN)
            return false
        }
        try #require(isHeld)
        return pid
    }

    private func end(_ pid: Int32) {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    @Test("A held file tells what is at work on what, for root alone; it goes with the job")
    func taken() throws {
        #expect(live.isEmpty)
        let file = try JobFile.take(ticket("a"), in: directory)
        #expect(folder.mode("run/jobs") == 0o700)
        #expect(folder.mode("run/jobs/a") == 0o600)
        let job = try #require(live.first)
        #expect(job.id == "a" && job.kind == "restore" && job.summary == "restoring Volume/db")
        #expect(job.keys == ["data:/dev/vg0/v-db"] && job.objects == [UID("aaaabbbbccccdddd")!])
        #expect(job.pid == getpid() && !job.hasEnded && job.progress == nil)
        #expect(abs(job.since.secondsSince1970 - HostFacts.now().secondsSince1970) < 60)
        file.end()
        #expect(live.isEmpty && folder.names("run/jobs") == [])
    }

    @Test("How far it is can be read by others: at once for a new phase, then once a second")
    func progress() throws {
        let file = try JobFile.take(ticket("a"), in: directory)
        let long = WorkProgress(phase: "reading everything", done: ByteCount(Int64.max), total: ByteCount(Int64.max))
        file.note(long)
        #expect(live.first?.progress == long)
        let short = WorkProgress(phase: "writing", done: ByteCount(1), total: ByteCount(2))
        file.note(short)
        #expect(live.first?.progress == short)
        file.note(WorkProgress(phase: "writing", done: ByteCount(2), total: ByteCount(2)))
        #expect(live.first?.progress == short)
        #expect(live.first?.keys == ["data:/dev/vg0/v-db"])
    }

    @Test("Two jobs of one key never run at once; of other keys they do")
    func keys() throws {
        let first = try JobFile.take(ticket("a"), in: directory)
        let error = #expect(throws: HostError.self) {
            _ = try JobFile.take(ticket("b", ["repository:nas", "data:/dev/vg0/v-db"]), in: directory)
        }
        #expect(error?.code == .busy)
        #expect(
            error?.sentence.contains("restoring Volume/db (pid \(getpid())") == true, "\(String(describing: error))")
        let other = try JobFile.take(ticket("c", ["data:/dev/vg0/v-web"]), in: directory)
        #expect(live.map(\.id) == ["a", "c"])
        first.end()
        try JobFile.take(ticket("b"), in: directory).end()
        other.end()
    }

    @Test("What another process holds counts until that has ended, however it ended")
    func heldByAnother() async throws {
        try leave("a")
        let pid = try await hold("a")
        #expect(live.map(\.id) == ["a"])
        #expect(throws: HostError.self) { _ = try JobFile.take(ticket("b"), in: directory) }
        end(pid)
        // A child that another test starts at that moment has a copy of every descriptor until it is its own program.
        #expect(await eventually { live.isEmpty && folder.names("run/jobs") == [] }, "the file of a dead job stays")
        try JobFile.take(ticket("b"), in: directory).end()
    }

    @Test("A file that nobody holds is of no job, whatever it says, and goes")
    func dead() throws {
        try leave("a")
        try folder.write("run/jobs/b", "{", mode: 0o600)
        #expect(live.isEmpty)
        #expect(folder.names("run/jobs") == [])
        // Also where nobody ever looks, and jobs only begin.
        try leave("a")
        try JobFile.take(ticket("b"), in: directory).end()
        #expect(folder.names("run/jobs") == [])
    }

    @Test("A file of an earlier boot, or of a process that ended, is held by what that one started")
    func otherBoot() async throws {
        try leave("a") { $0.replacing(ProcessTable.space, with: "00000000-0000-0000-0000-000000000000") }
        let first = try await hold("a")
        try leave("b", keys: ["data:/dev/vg0/v-web"]) { $0.replacing("\"startTicks\":\"", with: "\"startTicks\":\"1") }
        let holders = [first, try await hold("b")]
        #expect(live.map(\.hasEnded) == [true, true])
        #expect(live.first?.sentence.contains("which has ended; something it started is still running") == true)
        holders.forEach(end)
        #expect(live.isEmpty)
    }

    @Test("A held file that says nothing is unknown, and nothing is begun beside it")
    func unreadable() async throws {
        try leave("a") { _ in "{" }
        let pid = try await hold("a")
        defer { end(pid) }
        guard case .unknown(let error)? = JobFiles.live(in: directory).entries["a"] else {
            Issue.record("it is not unknown")
            return
        }
        #expect(error.code == .malformed)
        let refusal = #expect(throws: HostError.self) { _ = try JobFile.take(ticket("b", []), in: directory) }
        #expect(refusal?.code == .busy)
    }

    @Test("A directory that others may write in is not believed")
    func exposed() throws {
        try leave("a")
        chmod(directory, 0o777)
        #expect(JobFiles.live(in: directory).unlisted?.code == .refused)
        #expect(throws: HostError.self) { _ = try JobFile.take(ticket("b"), in: directory) }
        #expect(folder.read("run/jobs/a") != nil)
    }
}
