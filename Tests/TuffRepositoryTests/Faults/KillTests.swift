import Glibc
import Testing
import TuffRepository
import TuffTestSupport

@Suite("The program, killed and hindered, lists nothing that does not come back", .serialized)
struct KillTests {
    /// One directory with a disk that changes, and the program at work on both.
    struct Scenery {
        let folder: Folder
        var disk: [UInt8]
        var keeper: Keeper

        init(_ random: inout SeededGenerator) throws {
            folder = try Folder()
            disk = Scene.volume(&random, blocks: 40)
            keeper = Keeper("\(folder.path)/r")
            try folder.write(disk, to: "disk")
            #expect(try Processes.run(backup("init"), in: folder).code == 0)
        }

        /// The work is done in the process that is killed, and not in a worker.
        var isInProcess = true

        func backup(_ command: String, _ more: String...) -> [String] {
            [Processes.program, "backup", command, "--repository", "\(folder.path)/r"] + more
                + (command == "init" || !isInProcess ? [] : ["--in-process"])
        }

        var run: [String] { backup("run", "--source", "\(folder.path)/disk", "--name", "v") }
        var restore: [String] { backup("restore", "--name", "v", "--to", "\(folder.path)/out") }
        func prune(_ keep: Int) -> [String] { backup("prune", "--keep-last", "\(keep)", "--at-once") }

        /// Writes a few blocks anew.
        mutating func change(_ random: inout SeededGenerator) throws {
            for _ in 0..<(1 + Int(random.next() % 20)) {
                let begin = Int(random.next() % UInt64(disk.count / Format.block)) * Format.block
                let block = random.next() % 3 == 0 ? [UInt8](repeating: 0, count: Format.block) : Scene.noise(&random)
                disk.replaceSubrange(begin..<(begin + Format.block), with: block)
            }
            try folder.write(disk, to: "disk")
        }

        /// Makes three restore points, and changes the disk after each.
        mutating func backUpThrice(_ random: inout SeededGenerator) throws {
            for _ in 0..<3 {
                #expect(try Processes.run(run, in: folder).code == 0)
                #expect(keeper.violations(fresh: [disk]).isEmpty)
                try change(&random)
            }
        }
    }

    /// Kills what it started after some microseconds, if it still runs.
    private func kill(_ arguments: [String], after pause: UInt32, log: String) throws -> Int32 {
        let pid = try Processes.start(arguments, log: log)
        usleep(pause)
        Glibc.kill(pid, SIGKILL)
        return Processes.wait(pid)
    }

    /// The worker may live for a moment longer than the command that was killed, and lists nothing any more: the disk
    /// is written to at once.
    @Test("Killed at any moment, a command leaves no worker that lists what was read of two moments")
    func killedBesideItsWorker() throws {
        var random = SeededGenerator(seed: FaultBudget.seed)
        var scenery = try Scenery(&random)
        scenery.isInProcess = false
        var usual: UInt32 = 200_000, killed = 0
        let deadline = FaultBudget.deadline()
        var former = scenery.disk
        for round in 0... {
            guard ContinuousClock.now < deadline || (killed <= 5 && round < 200) else { break }
            let before = scenery.disk
            defer { former = before }
            let pause = UInt32(random.next() % UInt64(usual * 5 / 4))
            let code = try kill(scenery.run, after: pause, log: "\(scenery.folder.path)/log")
            usual = code == 137 ? usual * 51 / 50 : usual * 19 / 20
            try scenery.change(&random)
            if code == 137 { killed += 1 }
            // A worker of this round or of the last one lists points of its own moment. One that had read all of it
            // when its command died may list it while the next command runs.
            let violations = scenery.keeper.violations(fresh: [former, before, scenery.disk])
            FaultBudget.record(
                "backup-kill-worker/\(round)", level: "L1", op: "run", position: "after \(pause) us, exit \(code)",
                violations)
            guard violations.isEmpty else { return }
        }
        #expect(killed > 5, "too few were alive when they were to be killed")
    }

    @Test("Killed at any moment of run, prune and restore")
    func killed() throws {
        var random = SeededGenerator(seed: FaultBudget.seed)
        var scenery = try Scenery(&random)
        // How long each takes when it is let be, in microseconds, as far as is known.
        var usual: [String: UInt32] = ["run": 60_000, "prune": 60_000, "restore": 60_000]
        var killed = 0
        let deadline = FaultBudget.deadline()
        for round in 0... {
            // However slow the machine is, some have to die.
            guard ContinuousClock.now < deadline || (killed <= 5 && round < 200) else { break }
            let op = ["run", "run", "prune", "restore"][Int(random.next() % 4)]
            let keep = 1 + Int(random.next() % 4)
            if op == "run" { try scenery.change(&random) }
            let command =
                switch op {
                case "run": scenery.run
                case "prune": scenery.prune(keep)
                default: scenery.restore
                }
            let pause = UInt32(random.next() % UInt64((usual[op] ?? 0) * 5 / 4))
            let log = "\(scenery.folder.path)/log"
            let code = try kill(command, after: pause, log: log)
            // What takes longer than was thought is given more time; what ended before may be killed earlier.
            usual[op] = code == 137 ? (usual[op] ?? 0) * 51 / 50 : (usual[op] ?? 0) * 19 / 20
            let newest = Set(scenery.keeper.order.suffix(keep))
            let gone = op == "prune" ? Set(scenery.keeper.order).subtracting(newest) : []
            var violations = scenery.keeper.violations(fresh: [scenery.disk], gone: gone)
            if code == 137 { killed += 1 }
            let isEmptyRestore = op == "restore" && code == 10 && scenery.keeper.order.isEmpty
            if ![0, 137].contains(code), !isEmptyRestore {
                violations.append("exit \(code): \(String(decoding: scenery.folder.bytes("log"), as: UTF8.self))")
            }
            if op == "restore", code == 137, let last = scenery.keeper.order.last {
                let again = try Processes.run(scenery.restore, in: scenery.folder)
                if again.code != 0 { violations.append("restore again: \(again.text)") }
                if scenery.folder.bytes("out") != scenery.keeper.volumes[last] {
                    violations.append("what a killed restore left was not mended")
                }
            }
            FaultBudget.record(
                "backup-kill/\(round)", level: "L1", op: op, position: "after \(pause) us, exit \(code)", violations)
            // A repository that is hurt once would be told of in every round.
            guard violations.isEmpty else { return }
        }
        #expect(killed > 5, "too few were alive when they were to be killed")
    }

    private enum Command: String, CaseIterable { case run, prune, restore, repair, initialize }

    /// The library that hinders calls; nil where there is no C compiler.
    static func hinderer(_ folder: Folder) throws -> String? {
        let source = "\(packageRoot)/Tests/Faults/faulty.c"
        let library = "\(folder.path)/faulty.so"
        for compiler in ["cc", "clang"] {
            let command = ["env", compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"]
            if try Processes.run(command, in: folder).code == 0 { return library }
        }
        return nil
    }

    @Test("Every call that changes a file fails in turn, with ENOSPC and EIO, once and for ever, or is the last one")
    func hindered() throws {
        var random = SeededGenerator(seed: FaultBudget.seed)
        var template = try Scenery(&random)
        try template.backUpThrice(&random)
        try template.folder.write(Array(template.disk[..<(template.disk.count / 2)]), to: "half")
        let scenery = template
        let hindrance = Hindrance<Command>(
            name: "backup-call", scenery: scenery,
            commands: [
                .run: scenery.run, .prune: scenery.prune(1), .restore: scenery.restore,
                .repair: scenery.backup("check", "--read-data", "--repair"),
                .initialize: [Processes.program, "backup", "init", "--repository", "\(scenery.folder.path)/new"],
            ],
            ends: [(ENOSPC, "once"), (ENOSPC, "ever"), (EIO, "once"), (EIO, "ever"), (0, "once"), (0, "after")],
            fewestCalls: 5, environment: [])
        try hindrance.tryAll(shuffledBy: &random) { fault in
            let isKill = Self.isKill(fault)
            let end =
                isKill
                ? "killed \(fault.mode == "after" ? "after" : "before") it" : "errno \(fault.error) \(fault.mode)"
            return "call \(fault.call) \(end)"
        } judge: { fault, ended, command in
            try judge(fault, ended: ended, command: command, template: scenery)
        }
    }

    private static func isKill(_ fault: Hindrance<Command>.Fault) -> Bool { fault.error == 0 || fault.mode == "after" }

    /// The violations after a fault, and after the same command was run once more in peace.
    private func judge(
        _ fault: Hindrance<Command>.Fault, ended: Ended, command: [String], template: Scenery
    ) throws -> [String] {
        var violations: [String] = []
        var keeper = template.keeper
        let gone = fault.command == .prune ? Set(keeper.order.dropLast()) : []
        if ended.code != 0, ended.code != (Self.isKill(fault) ? 137 : 1) {
            violations.append("exit \(ended.code): \(ended.text)")
        }
        if fault.command == .initialize {
            // That there is a repository already is what the second one may say.
            _ = try Processes.run(command, in: template.folder)
            var new = Keeper("\(template.folder.path)/new")
            violations += new.violations()
            return violations
        }
        let before = keeper.order
        violations += keeper.violations(fresh: [template.disk], gone: gone)
        if fault.command == .run, ended.code == 0, keeper.order == before {
            violations.append("it says that it backed up, and no restore point is there")
        }
        func isRestored() -> Bool { template.folder.bytes("out") == keeper.volumes[keeper.order.last ?? FileID()] }
        if fault.command == .restore, ended.code == 0, !isRestored() { violations.append("not what was restored") }
        let again = try Processes.run(command, in: template.folder)
        if again.code != 0 { violations.append("again: exit \(again.code): \(again.text)") }
        violations += keeper.violations(fresh: [template.disk], gone: gone)
        if fault.command == .restore, !isRestored() { violations.append("not restored the second time") }
        if fault.command == .prune, keeper.order.count != 1 { violations.append("not pruned the second time") }
        return violations
    }
}
