import Glibc
import SystemPackage
import TuffHost
import TuffModel
import TuffTestSupport

/// A directory of one test, removed with everything in it when the test lets go of it.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/tuff-host-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in names(in: path) { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    static func names(in path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var result: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != ".", name != ".." { result.append(name) }
        }
        return result.sorted()
    }

    func names(_ relative: String = "") -> [String] { Self.names(in: at(relative)) }

    func at(_ relative: String) -> String { relative.isEmpty ? path : "\(path)/\(relative)" }

    @discardableResult
    func directory(_ relative: String) -> String {
        var made = path
        for word in relative.split(separator: "/") {
            made += "/\(word)"
            mkdir(made, 0o755)
        }
        return made
    }

    @discardableResult
    func write(_ relative: String, _ text: String, mode: UInt32 = 0o644) throws -> String {
        try write(relative, Array(text.utf8), mode: mode)
    }

    @discardableResult
    func write(_ relative: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws -> String {
        let descriptor = try FileDescriptor.open(
            FilePath(at(relative)), .writeOnly, options: [.create, .truncate],
            permissions: FilePermissions(rawValue: mode))
        try descriptor.closeAfter { _ = try descriptor.writeAll(bytes) }
        chmod(at(relative), mode)
        return at(relative)
    }

    /// An executable script.
    @discardableResult
    func tool(_ name: String, _ script: String) throws -> String {
        // Written elsewhere and renamed: a file open for writing anywhere, even in a child being made, cannot run.
        try write("\(name).new", "#!/bin/sh\n\(script)\n", mode: 0o755)
        rename(at("\(name).new"), at(name))
        return at(name)
    }

    func read(_ relative: String) -> String? { Self.read(at(relative)) }

    static func read(_ path: String) -> String? {
        guard let descriptor = try? FileDescriptor.open(FilePath(path), .readOnly) else { return nil }
        defer { try? descriptor.close() }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = (try? bytes.withUnsafeMutableBytes { try descriptor.read(into: $0) }) ?? 0
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    func status(_ relative: String) -> stat? {
        var status = stat()
        return lstat(at(relative), &status) == 0 ? status : nil
    }

    func mode(_ relative: String) -> UInt32? { status(relative).map { $0.st_mode & 0o7777 } }

    /// A machine whose tools come from this folder first and whose target configuration is `target` in it.
    func machine(
        worker: [String] = [], allowed: [String]? = nil, lock: HostLock? = nil, deadline: Duration = .seconds(20),
        jobs: JobHandlers = JobHandlers()
    ) -> LinuxMachine {
        var configuration = LinuxMachine.Configuration(
            searchPath: [path, "/usr/sbin", "/usr/bin", "/sbin", "/bin"], targetRoot: at("target"),
            workerCommand: worker, reach: Reach(everythingBeneath: allowed ?? [path]), lock: lock,
            progressDeadline: deadline)
        configuration.stateDirectory = at("state")
        configuration.jobsDirectory = at("run/jobs")
        configuration.jobHandlers = jobs
        return LinuxMachine(configuration: configuration)
    }
}

/// The error that a call threw; nil when it threw none.
func failure(_ body: () async throws(HostError) -> Void) async -> HostError? {
    do throws(HostError) {
        try await body()
        return nil
    } catch {
        return error
    }
}

/// Waits until something holds, for at most ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<500 {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(20))
    }
    return condition()
}

/// Takes a lock that was given up. Between fork and exec a child of another test has a copy of every descriptor, this
/// lock's too, so it may take a moment.
func acquireFreed(_ path: String) async throws -> HostLock {
    var result: HostLock?
    _ = await eventually {
        result = try? HostLock.acquire(path: path, purpose: "next")
        return result != nil
    }
    return try result ?? HostLock.acquire(path: path, purpose: "next")
}

func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

func readPID(_ folder: Folder, _ name: String) async -> Int32? {
    guard await eventually({ folder.read(name)?.hasSuffix("\n") == true }) else { return nil }
    return folder.read(name).flatMap { Int32($0.split(separator: "\n")[0]) }
}

/// Runs blocking work on a thread of its own: the cooperative pool may be one thread wide.
func onThread(_ work: @escaping @Sendable () -> Void) {
    final class Job: Sendable {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { argument in
            // The argument is the job retained below; a thread always gets it.
            Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue().work()
            return nil
        }, Unmanaged.passRetained(Job(work)).toOpaque())
    pthread_detach(thread)
}

/// A source of random numbers whose seed is printed.
struct Seeded: RandomNumberGenerator {
    private var generator: SeededGenerator
    let seed: UInt64

    init(_ purpose: String) {
        seed = UInt64.random(in: 0...UInt64.max)
        generator = SeededGenerator(seed: seed)
        print("\(purpose): seed \(seed)")
    }

    mutating func next() -> UInt64 { generator.next() }
}

let key = FingerprintKey(bytes: Array("a key of the tests".utf8))
