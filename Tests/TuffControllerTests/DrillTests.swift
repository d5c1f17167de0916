import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@testable import TuffController
@testable import TuffRepository

/// Restoring for practice, as a worker does it, with a real repository and files as scratch volumes.
@Suite struct DrillTests {
    let folder: RepositoryFolder
    let scratch: String

    init() throws {
        folder = try RepositoryFolder()
        scratch = "\(folder.path)/scratch"
        // Bytes that are there by chance, as in the extents of a thick volume.
        try folder.write("scratch", String(repeating: "x", count: 131_072))
    }

    private func task(_ point: RestorePoint) throws -> DrillTask {
        let uid = try #require(UID("aaaabbbbccccdddd"))
        var observed = ObservedPoint(point, isSetAside: false)
        observed.uid = uid
        let path = try #require(folder.place.path)
        let content = BackupContent(
            repository: "nas", access: RepositoryAccess(.directory(path)), point: observed.id,
            size: observed.size, content: observed.content)
        return DrillTask(
            of: observed, content, uid: uid, by: "n", of: "default", for: "nightly", due: observed.time)
    }

    /// - Parameter between: called when all is restored and nothing is compared yet.
    private func drill(
        _ point: RestorePoint, between: () throws -> Void = {}
    ) throws -> (receipt: ObservedReceipt, phases: [String]) {
        let now = try #require(Instant(text: "2031-03-09T07:00:00Z"))
        let file = open(scratch, O_RDWR)
        defer { close(file) }
        var phases: [String] = []
        let drill = Drill(try task(point), in: try folder.repository(), on: file, path: scratch, now: { now })
        let receipt = try drill.run { phase, _, work throws(HostError) in
            try inWorker(work)
            phases.append(phase)
            if phase == "restoring" { try? between() }
        }
        return (receipt, phases)
    }

    @Test func aPointThatComesBackIsSaidToInAReceipt() throws {
        let point = try folder.point(at: "2031-03-01T02:30:00Z")
        let (receipt, phases) = try drill(point)
        #expect(receipt.work == .drill && receipt.fault == nil && receipt.policy == "nightly")
        #expect(receipt.volume == "db" && receipt.point == point.id.description && receipt.read == ByteCount(100_000))
        #expect(receipt.uid == UID("aaaabbbbccccdddd") && receipt.time.description == "2031-03-09T07:00:00Z")
        #expect(phases == ["restoring", "comparing"])
        #expect(folder.text("scratch")?.prefix(100_000) == folder.text("disk")?[...])
        let left = try folder.repository().receipts()
        #expect(left.map(\.work) == [.drill] && left.map(\.fault) == [nil])
        #expect(try folder.files("leases") == [] && folder.known().points.count == 1)
    }

    @Test func theDigestOfAVolumeIsThatOfItsBackup() throws {
        // Of no block, of less than one, of several leaves with zeros between.
        let sizes = [0, 1, 65_536, 65_537, 3_000_000]
        for size in sizes {
            var bytes = [UInt8](repeating: 0, count: size)
            for index in stride(from: 0, to: size, by: 400_000) { bytes[index] = 7 }
            try Data(bytes).write(to: URL(filePath: folder.disk))
            let point = try folder.point(at: "2031-03-01T02:30:00Z")
            let file = open(folder.disk, O_RDWR)
            defer { close(file) }
            let target = try DeviceTarget(file, path: folder.disk, isNew: false, size: UInt64(size))
            let digest = try VolumeDigest(
                ofSize: UInt64(size), in: try folder.repository(), progress: JobProgress()
            ).run(target, threads: SystemThreads(count: 2))
            #expect(digest == point.record.root, "\(size)")
        }
    }

    /// A controller that compares nothing, or leaves its receipt before it compares, says nothing of this.
    @Test(arguments: [0, 70_000, 99_999]) func oneByteThatDiffersIsFoundAndNoReceiptSaysOtherwise(_ place: Int) throws {
        let point = try folder.point(at: "2031-03-01T02:30:00Z")
        let (receipt, _) = try drill(point) {
            let file = open(scratch, O_WRONLY)
            defer { close(file) }
            var byte: UInt8 = 0xff
            pwrite(file, &byte, 1, off_t(place))
            #expect((try? folder.repository().receipts()) == [])
        }
        #expect(receipt.fault?.hasPrefix("what was restored from restore point ") == true, "\(receipt)")
        #expect(receipt.fault?.contains(String(point.record.root.prefix(16))) == true)
        #expect(try folder.repository().receipts().map { $0.fault == nil } == [false])
    }

    @Test func whatTheRepositoryDoesNotGiveBackIsAFinding() throws {
        let point = try folder.point(at: "2031-03-01T02:30:00Z")
        let packs = try folder.repository().packFiles()
        for pack in packs {
            let path = "\(folder.path)/r/\(Pack.path(pack.id))"
            var bytes = try #require(FileManager.default.contents(atPath: path))
            bytes[40] ^= 1
            try bytes.write(to: URL(filePath: path))
        }
        let (receipt, phases) = try drill(point)
        #expect(receipt.fault?.contains(" of Volume/db cannot be restored: ") == true, "\(receipt)")
        #expect(receipt.fault?.hasSuffix("see 'tuff backup check'") == true && phases == ["restoring"])
        #expect(try folder.repository().receipts().map { $0.fault == nil } == [false])
    }

    @Test func aPointThatIsGoneIsAFinding() throws {
        let point = try folder.point(at: "2031-03-01T02:30:00Z")
        try FileManager.default.removeItem(atPath: "\(folder.path)/r/points/\(point.id)")
        let (receipt, _) = try drill(point)
        #expect(receipt.fault?.contains("cannot be restored") == true, "\(receipt)")
    }

    /// A scratch volume that cannot be written proves nothing of the point: no receipt, and the next pass tries again.
    @Test func whatFailsHereLeavesNoReceipt() throws {
        let point = try folder.point(at: "2031-03-01T02:30:00Z")
        let file = open(scratch, O_RDONLY)
        defer { close(file) }
        let drill = Drill(try task(point), in: try folder.repository(), on: file, path: scratch)
        #expect(throws: HostError.self) {
            _ = try drill.run { _, _, work throws(HostError) in try inWorker(work) }
        }
        #expect(try folder.repository().receipts() == [])
        #expect(try folder.files("leases") == [])
    }

    @Test func theWorkerTellsWhatWasFoundAsAnError() async throws {
        let point = try folder.point(at: "2031-03-01T02:30:00Z")
        let task = try task(point)
        let place = BytesPlace.file(HostPath(.directory(folder.path), "scratch"))
        chmod(folder.path, 0o700)
        chmod(scratch, 0o600)
        let request = DrillOnVolume(task, on: place, path: scratch)
        #expect(request.keys == ["data:\(scratch)"] && request.summary.hasSuffix(" for practice"))
        func run() async throws -> ObservedReceipt {
            let control = JobControl(
                roots: HostRoots(target: "/nonexistent", reach: Reach(everythingBeneath: [folder.path])),
                summary: request.summary, isOver: { false }, telling: { _ in })
            return try await Beside { _ in JobHandlers.ours.result(of: request, control) }.value.get()
        }
        #expect(try await run().fault == nil)
        try FileManager.default.removeItem(atPath: "\(folder.path)/r/points/\(point.id)")
        await #expect(throws: HostError.self) { _ = try await run() }
        #expect(try folder.repository().receipts().map { $0.fault == nil }.sorted { $0 && !$1 } == [true, false])
    }
}
