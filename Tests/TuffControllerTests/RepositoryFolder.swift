import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffModel
import TuffRepository

/// A folder with the repository `r` and the file `disk` of 100,000 bytes.
final class RepositoryFolder {
    let path: String
    let place: RepositoryPlace
    /// Of the repository.
    var directory: String { "\(path)/r" }
    var disk: String { "\(path)/disk" }

    init() throws {
        var template = Array("/tmp/tuff-backups-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } }
        path = try #require(made)
        place = RepositoryPlace("\(path)/r")
        try place.make(listener: Witness())
        try write("disk", String(repeating: "0123456789", count: 10_000))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
    }

    func text(_ name: String) -> String? {
        FileManager.default.contents(atPath: "\(path)/\(name)").map { String(decoding: $0, as: UTF8.self) }
    }

    func files(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/r/\(directory)")
    }

    func repository() throws -> Repository { try place.open(listener: Witness()) }

    func known() throws -> KnownPoints { try KnownPoints(of: try repository()) }

    func request(_ name: String = "db") -> BackupRun.Request {
        BackupRun.Request(disk, to: place, series: Series(name: name), purpose: "a test's backup")
    }

    /// Backs `disk` up as it is now.
    func backUp(_ request: BackupRun.Request, _ listener: any Listener = Witness()) throws -> BackupRun.Outcome {
        let run = try BackupRun.begin(request, progress: JobProgress(), listener: listener)
        defer { run.end() }
        return try run.run()
    }

    /// A point of some other time.
    @discardableResult
    func point(_ name: String = "db", at time: String, after parent: RestorePoint? = nil) throws -> RestorePoint {
        let repository = try repository()
        var request = Backup.Request(series: Series(name: name), time: time, program: "test")
        request.parent = parent
        return try Backup(
            of: try DeviceSource(disk), to: repository, request, lease: nil, progress: JobProgress()
        ).run(threads: SystemThreads(count: 1), finished: { time })
    }

    /// Says, as a check does, that a point lacks something.
    func hurt(_ point: RestorePoint) throws { try write("r/hurt/\(point.id)", "") }
}
