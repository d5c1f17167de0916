import Glibc
import Synchronization
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

@Suite("Progress of long work") struct DataProgressTests {
    @Test("A worker process tells how many bytes of how many it has gone through")
    func tells() async throws {
        let folder = try Folder()
        folder.directory("pool")
        let machine = folder.machine()
        let root = HostPath.Root.directory(folder.at("pool"))
        // As much as takes longer than the 0.2 s between two reports, on whatever machine this is.
        var size = 256 << 20, reports: [DataProgress] = []
        while reports.isEmpty, size < 4 << 30 {
            size *= 2
            for (name, byte) in [("a", UInt8(1)), ("b", 2)] { try fill(folder.at("pool/\(name)"), byte, size) }
            let copy = HostAction.copyBytes(from: .file(HostPath(root, "a")), to: .file(HostPath(root, "b")))
            let told = Mutex<[DataProgress]>([])
            try await machine.perform(
                [copy], telling: { progress in told.withLock { $0.append(progress) } }, until: { false })
            reports = told.withLock { $0 }
        }
        #expect(!reports.isEmpty)
        #expect(reports.allSatisfy { $0.total == ByteCount(Int64(size)) && $0.done < $0.total })
        #expect(reports.map(\.done) == reports.map(\.done).sorted())
    }

    /// Makes a file without holes, which a copy skips.
    private func fill(_ path: String, _ byte: UInt8, _ size: Int) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        let block = [UInt8](repeating: byte, count: 1 << 20)
        for index in 0..<size >> 20 { #expect(pwrite(file, block, block.count, off_t(index << 20)) == block.count) }
    }

    @Test("What moves data ends when somebody says so, and the next worker goes on with it")
    func stops() async throws {
        let folder = try Folder()
        folder.directory("pool")
        folder.directory("target")
        let machine = folder.machine()
        // Gone through within minutes, not within the moments that stopping takes.
        let size: off_t = 64 << 30
        try folder.write("pool/a", [], mode: 0o600)
        #expect(truncate(folder.at("pool/a"), size) == 0)
        try folder.write("pool/b", [UInt8](repeating: 7, count: 4096), mode: 0o600)
        #expect(truncate(folder.at("pool/b"), 1 << 20) == 0)
        let root = HostPath.Root.directory(folder.at("pool"))
        var image = ImageSource(path: folder.at("pool/a"), format: .raw)
        image.sha256 = String(repeating: "0", count: 64)
        let begun = ContinuousClock.now
        let fill = HostAction.copyImage(image, to: .file(HostPath(root, "b")))
        let error = await failure { () throws(HostError) in
            try await machine.perform([fill], telling: { _ in }, until: { ContinuousClock.now > begun + .seconds(1) })
        }
        #expect(error?.code == .interrupted, "\(String(describing: error))")
        #expect(machine.stuckWorkers.isEmpty)
        try await machine.perform([.makeDirectory(.target("after"))])
        #expect(folder.names("target") == ["after"])
    }

    @Test("A copy holds a file that names its volume, and no other process copies there meanwhile")
    func isSeen() async throws {
        let folder = try Folder()
        folder.directory("pool")
        let machine = folder.machine(), other = folder.machine()
        // Gone through within minutes, not within the moments that this takes.
        for name in ["a", "b"] {
            try folder.write("pool/\(name)", [], mode: 0o600)
            #expect(truncate(folder.at("pool/\(name)"), 64 << 30) == 0)
        }
        let root = HostPath.Root.directory(folder.at("pool"))
        var image = ImageSource(path: folder.at("pool/a"), format: .raw)
        // All of it is read to see whether it is the one.
        image.sha256 = String(repeating: "0", count: 64)
        let fill = HostAction.copyImage(image, to: .file(HostPath(root, "b")))
        let isOver = Flag()
        let copy = Task {
            await failure { () throws(HostError) in
                try await machine.perform([fill], telling: { _ in }, until: { isOver.isSet })
            }
        }
        #expect(await eventually { !machine.jobs().entries.isEmpty })
        let job = try #require(other.jobs().entries.values.first?.value)
        #expect(job.summary == "filling \(folder.at("pool/b"))" && job.keys == ["data:\(folder.at("pool/b"))"])
        let second = await failure { () throws(HostError) in try await other.perform([fill]) }
        #expect(second?.code == .busy, "\(String(describing: second))")
        isOver.set()
        #expect(await copy.value?.code == .interrupted)
        #expect(machine.jobs().entries.isEmpty)
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .acquiring) }
        func set() { value.store(true, ordering: .releasing) }
    }

    @Test("Nothing is begun for somebody who has stopped already")
    func beginsNothing() async throws {
        let folder = try Folder()
        folder.directory("pool")
        let machine = folder.machine()
        try folder.write("pool/a", [UInt8](repeating: 1, count: 64 << 20), mode: 0o600)
        try folder.write("pool/b", [UInt8](repeating: 2, count: 64 << 20), mode: 0o600)
        let root = HostPath.Root.directory(folder.at("pool"))
        let copy = HostAction.copyBytes(from: .file(HostPath(root, "a")), to: .file(HostPath(root, "b")))
        let error = await failure { () throws(HostError) in
            try await machine.perform([copy], telling: { _ in }, until: { true })
        }
        #expect(error?.code == .interrupted)
        func last() -> UInt8 {
            let file = open(folder.at("pool/b"), O_RDONLY)
            defer { close(file) }
            var byte: UInt8 = 0
            #expect(pread(file, &byte, 1, off_t((64 << 20) - 1)) == 1)
            return byte
        }
        #expect(last() == 2)
        try await machine.perform([copy])
        #expect(last() == 1)
    }

    @Test("Numbers of different moments do not exceed their whole")
    func clamps() {
        #expect(WorkerProgress(sequences: 1, bytes: 9, of: 0).moved == nil)
        let whole = DataProgress(done: ByteCount(5), total: ByteCount(5))
        #expect(WorkerProgress(sequences: 1, bytes: 9, of: 5).moved == whole)
        #expect(WorkerProgress(sequences: 0, bytes: .max, of: .max).moved?.total == ByteCount(.max))
    }

    @Test("More done than there is, and negative numbers, are no report")
    func refuses() {
        var form: [UInt8] = []
        for number: Int64 in [0, 6, 5] { ProgressCoding.put(number, &form) }
        #expect(ProgressCoding.decode(form) == nil)
        #expect(ProgressCoding.decode(Array(form.dropLast())) == nil)
        form = []
        for number: Int64 in [0, -1, 5] { ProgressCoding.put(number, &form) }
        #expect(ProgressCoding.decode(form) == nil)
    }
}
