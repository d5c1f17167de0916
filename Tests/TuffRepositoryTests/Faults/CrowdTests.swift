import Glibc
import Testing
import TuffRepository
import TuffTestSupport

/// Eight writers and a pruner, each a process that is started anew when it has ended, and now and then killed.
private struct Crowd {
    private struct Worker {
        var command: [String]
        let log: String
        var pid: pid_t?
        var isKilled = false
    }

    private static let base = [Processes.program, "backup"]

    let folder: Folder
    var keeper: Keeper
    /// All that restore points may hold.
    private(set) var history: [[UInt8]] = []
    private(set) var runs = 0, prunes = 0, killed = 0
    private(set) var violations: [String] = []
    private var workers: [Worker] = []
    private var volumes: [[UInt8]]

    init(_ random: inout SeededGenerator) throws {
        folder = try Folder()
        keeper = Keeper("\(folder.path)/r")
        #expect(try Processes.run(Self.base + ["init", "--repository", keeper.path], in: folder).code == 0)
        // They share much, so that what one stores the others rely on.
        volumes = Array(repeating: Scene.volume(&random, blocks: 20), count: 8)
        let wait = ["--repository", keeper.path, "--lock-timeout", "60s", "--in-process"]
        for number in volumes.indices {
            let source = ["--source", "\(folder.path)/disk\(number)", "--name", "v\(number)"]
            workers.append(Worker(command: Self.base + ["run"] + source + wait, log: "log\(number)"))
        }
        workers.append(Worker(command: Self.base + ["prune", "--keep-last", "2", "--at-once"] + wait, log: "prune"))
    }

    /// True while anybody is still at work.
    var isBusy: Bool { workers.contains { $0.pid != nil } }

    /// Starts whoever is idle, if `isOpen`, kills one or another, and takes note of those that ended.
    mutating func turn(isOpen: Bool, _ random: inout SeededGenerator) throws {
        for number in workers.indices {
            if let pid = workers[number].pid {
                if random.next() % 150 == 0 {
                    Glibc.kill(pid, SIGKILL)
                    workers[number].isKilled = true
                }
                var status: Int32 = 0
                guard waitpid(pid, &status, WNOHANG) == pid else { continue }
                workers[number].pid = nil
                note(number, status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f))
            } else if isOpen {
                if number < volumes.count { try change(number, &random) }
                workers[number].isKilled = false
                let log = "\(folder.path)/\(workers[number].log)"
                workers[number].pid = try Processes.start(workers[number].command, log: log)
            }
        }
    }

    private mutating func note(_ number: Int, _ code: Int32) {
        let worker = workers[number]
        switch code {
        case 0 where number < volumes.count: runs += 1
        case 0: prunes += 1
        case 137 where worker.isKilled: killed += 1
        default:
            let said = String(decoding: folder.bytes(worker.log), as: UTF8.self)
            violations.append("\(worker.log): exit \(code): \(said)")
        }
    }

    private mutating func change(_ number: Int, _ random: inout SeededGenerator) throws {
        let blocks = volumes[number].count / Format.block
        let begin = Int(random.next() % UInt64(blocks)) * Format.block
        volumes[number].replaceSubrange(begin..<(begin + Format.block), with: Scene.noise(&random))
        history.append(volumes[number])
        try folder.write(volumes[number], to: "disk\(number)")
    }

    var hasSaidSomething: Bool { runs > 8 && prunes > 0 }

    mutating func judge() { violations += keeper.violations(fresh: history) }
}

@Suite("Several at work in one repository")
struct CrowdTests {
    @Test("Eight writers and a pruner at once, some of them killed: nobody fails, and all that is listed comes back")
    func together() throws {
        var random = SeededGenerator(seed: FaultBudget.seed)
        var crowd = try Crowd(&random)
        let deadline = FaultBudget.deadline()
        /// Until the time is over; a slow machine is given more, for less would say nothing.
        func isOpen() -> Bool {
            let now = ContinuousClock.now
            return now < deadline || (!crowd.hasSaidSomething && now < deadline + .seconds(60))
        }
        while isOpen() || crowd.isBusy {
            try crowd.turn(isOpen: isOpen(), &random)
            usleep(2_000)
        }
        crowd.judge()
        FaultBudget.record(
            "backup-crowd", level: "L1", op: "run and prune",
            position: "\(crowd.runs) runs, \(crowd.prunes) prunes, \(crowd.killed) killed", crowd.violations)
        #expect(crowd.hasSaidSomething && !crowd.keeper.order.isEmpty)
    }
}
