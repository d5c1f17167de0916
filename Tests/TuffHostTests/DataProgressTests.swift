import Glibc
import Synchronization
import Testing
import TuffModel

@testable import TuffHost

@Suite("Progress of long work") struct DataProgressTests {
    @Test("A worker process tells how many bytes of how many it has gone through")
    func tells() async throws {
        let folder = try Folder()
        folder.directory("pool")
        let machine = folder.machine()
        let size = 256 << 20
        // No holes, which a copy skips.
        for name in ["a", "b"] {
            try folder.write("pool/\(name)", [], mode: 0o600)
            let file = open(folder.at("pool/\(name)"), O_WRONLY)
            defer { close(file) }
            let block = [UInt8](repeating: name == "a" ? 1 : 2, count: 1 << 20)
            for index in 0..<size >> 20 { #expect(pwrite(file, block, block.count, off_t(index << 20)) == block.count) }
        }
        let root = HostPath.Root.directory(folder.at("pool"))
        let copy = HostAction.copyBytes(from: .file(HostPath(root, "a")), to: .file(HostPath(root, "b")))
        let told = Mutex<[DataProgress]>([])
        try await machine.perform([copy]) { progress in told.withLock { $0.append(progress) } }
        let reports = told.withLock { $0 }
        #expect(!reports.isEmpty, "256 MiB were copied within the 0.2 s between two reports")
        #expect(reports.allSatisfy { $0.total == ByteCount(Int64(size)) && $0.done < $0.total })
        #expect(reports.map(\.done) == reports.map(\.done).sorted())
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
