import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// A host in a folder: a directory pool, plain directories in the place of the kernel's targets, tools that stand in
/// for the host's, and threads in the place of worker processes.
final class ControlledHost {
    let path: String
    var config: ControllerConfig

    init() throws {
        var template = Array("/tmp/tuff-controller-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } }
        path = try #require(made)
        config = ControllerConfig(node: "storage1")
        config.portals = [try #require(Portal(text: "127.0.0.1:3260"))]
        config.allow.directories = ["\(path)/pool"]
        for name in ["pool", "tools", "run", "target/iscsi", "target/core"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
        }
        chmod("\(path)/run", 0o700)
        try Data("#!/bin/sh\necho '{\"report\":[]}'\n".utf8).write(to: URL(filePath: "\(path)/tools/lvm"))
        chmod("\(path)/tools/lvm", 0o755)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// - Parameters:
    ///   - worker: absolute path and arguments of worker processes; empty: threads.
    ///   - jobs: what those threads can do.
    func controller(worker: [String] = [], jobs: JobHandlers = JobHandlers()) -> Controller {
        var places = HostPlaces()
        places.lockFile = "\(path)/run/lock"
        places.stateDirectory = "\(path)/run/state"
        places.targetRoot = "\(path)/target"
        places.toolPath = ["\(path)/tools"]
        places.workerCommand = worker
        return Controller(places: places, purpose: "a test", jobs: jobs)
    }

    /// An executable script.
    func script(_ name: String, _ text: String) throws -> String {
        // Written elsewhere and renamed: a file open for writing anywhere, even in a child being made, cannot run.
        let file = "\(path)/tools/\(name)"
        try Data("#!/bin/sh\n\(text)\n".utf8).write(to: URL(filePath: "\(file).new"))
        chmod("\(file).new", 0o755)
        rename("\(file).new", file)
        return file
    }

    func documents(_ volumes: String...) throws -> DesiredState {
        var text =
            "apiVersion: tuff.dev/v1\nkind: Pool\nmetadata: {name: local}\nspec: {directory: {path: \(path)/pool}}\n"
        for name in volumes {
            text += "---\napiVersion: tuff.dev/v1\nkind: Volume\nmetadata: {name: \(name)}\n"
            text += "spec: {size: 16Mi, pool: local}\n"
        }
        try Data(text.utf8).write(to: URL(filePath: "\(path)/documents.yaml"))
        let reading = try Documents.read(["\(path)/documents.yaml"], under: config)
        return try #require(reading.documents, "\(reading.diagnostics)").state
    }

    func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/pool").filter { !$0.hasPrefix(".") }.sorted()
    }
}

/// An overseer that approves what it is told to, and remembers everything.
final class Witness: Overseer {
    struct Seen {
        var remarks: [Remark] = []
        var plans: [Plan] = []
        var questions = 0
        var finished = 0
    }

    private let seen = Mutex(Seen())
    private let answer: Result<Approval, PassError>

    init(_ answer: Result<Approval, PassError> = .success(.given)) { self.answer = answer }

    var report: Seen { seen.withLock { $0 } }

    var asksToStop: Bool { false }
    func tell(_ remark: Remark) { seen.withLock { $0.remarks.append(remark) } }
    func show(_ plan: Plan, elsewhere: [String: Int]) { seen.withLock { $0.plans.append(plan) } }

    func approve(_ plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval {
        seen.withLock { $0.questions += 1 }
        return try answer.get()
    }

    func listener(to plan: Plan) -> any ExecutionListener { Ear(witness: self) }

    private struct Ear: ExecutionListener {
        let witness: Witness

        func tell(_ event: ExecutionEvent) {
            if case .finished = event { witness.seen.withLock { $0.finished += 1 } }
        }
        func end() {}
    }
}
