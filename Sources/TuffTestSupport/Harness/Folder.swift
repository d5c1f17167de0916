package import Glibc
package import TuffHost
package import TuffModel

/// A directory of one test, removed with everything in it when the test lets go of it.
package final class Folder: Sendable {
    package let path: String

    package init() throws {
        // Where a person or the check says that what is passing lies.
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        // mkdtemp(3) puts letters of its own in the place of these.
        let end = String(repeating: "X", count: 6)
        var template = Array("\(parent)/tuff-test-\(end)".utf8CString)
        guard mkdtemp(&template) != nil else { throw HostError.system(errno, "Cannot make a directory for a test") }
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

    package static func names(in path: String) -> [String] {
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

    package func names(_ relative: String = "") -> [String] { Self.names(in: at(relative)) }

    package func at(_ relative: String) -> String { relative.isEmpty ? path : "\(path)/\(relative)" }

    @discardableResult
    package func directory(_ relative: String) -> String {
        var made = path
        for word in relative.split(separator: "/") {
            made += "/\(word)"
            mkdir(made, 0o755)
        }
        return made
    }

    @discardableResult
    package func write(_ relative: String, _ text: String, mode: UInt32 = 0o644) throws -> String {
        try write(relative, Array(text.utf8), mode: mode)
    }

    @discardableResult
    package func write(_ relative: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws -> String {
        let file = open(at(relative), O_WRONLY | O_CREAT | O_TRUNC, mode)
        guard file >= 0 else { throw HostError.system(errno, "Cannot open \(at(relative))") }
        defer { close(file) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + done, $0.count - done) }
            guard count > 0 || errno == EINTR else { throw HostError.system(errno, "Cannot write \(at(relative))") }
            if count > 0 { done += count }
        }
        chmod(at(relative), mode)
        return at(relative)
    }

    /// An executable script.
    @discardableResult
    package func tool(_ name: String, _ script: String) throws -> String {
        // Written elsewhere and renamed: a file open for writing anywhere, even in a child being made, cannot run.
        try write("\(name).new", "#!/bin/sh\n\(script)\n", mode: 0o755)
        rename(at("\(name).new"), at(name))
        return at(name)
    }

    package func read(_ relative: String) -> String? { Self.read(at(relative)) }

    package static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = max(0, Glibc.read(file, &bytes, bytes.count))
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// All of a file.
    package func bytes(_ relative: String) -> [UInt8]? {
        let file = open(at(relative), O_RDONLY)
        guard file >= 0, let status = status(relative) else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        return pread(file, &bytes, bytes.count, 0) == bytes.count ? bytes : nil
    }

    /// Bytes of all files in a directory and those beneath it.
    package func size(beneath relative: String) -> Int {
        names(relative).reduce(0) { sum, name in
            let inner = "\(relative)/\(name)"
            guard let status = status(inner) else { return sum }
            return sum + (status.st_mode & S_IFMT == S_IFDIR ? size(beneath: inner) : Int(status.st_size))
        }
    }

    package func status(_ relative: String) -> stat? {
        var status = stat()
        return lstat(at(relative), &status) == 0 ? status : nil
    }

    package func mode(_ relative: String) -> UInt32? { status(relative).map { $0.st_mode & 0o7777 } }

    /// A machine whose programs come from this folder first and whose target configuration is `target` in it.
    /// - Parameter tools: those that drivers bring, which tests of the machine itself have none of.
    package func machine(
        worker: [String] = [], allowed: [String]? = nil, lock: HostLock? = nil, deadline: Duration = .seconds(20),
        jobs: JobHandlers = JobHandlers(), tools: HostTools = HostTools()
    ) -> LinuxMachine {
        var configuration = LinuxMachine.Configuration(
            searchPath: [path, "/usr/sbin", "/usr/bin", "/sbin", "/bin"], targetRoot: at("target"),
            workerCommand: worker, reach: Reach(everythingBeneath: allowed ?? [path]), lock: lock,
            tools: tools, progressDeadline: deadline)
        configuration.jobsDirectory = at("run/jobs")
        configuration.jobHandlers = jobs
        return LinuxMachine(configuration: configuration)
    }
}

/// The error that a call threw; nil when it threw none.
package func failure(_ body: () async throws(HostError) -> Void) async -> HostError? {
    do throws(HostError) {
        try await body()
        return nil
    } catch {
        return error
    }
}
