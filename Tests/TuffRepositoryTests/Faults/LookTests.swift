import Glibc
import Testing
import TuffRepository
import TuffTestSupport

extension KillTests {
    private enum Looker: String, CaseIterable { case run, prune, restore, repair, check, list }

    private struct Blindness: CustomStringConvertible {
        let command: Looker
        let call: Int
        let error: Int32
        let mode: String

        var description: String { "look \(call), errno \(error) \(mode)" }
    }

    private func commands(_ scenery: Scenery) -> [Looker: [String]] {
        [
            .run: scenery.run, .prune: scenery.prune(1), .restore: scenery.restore,
            .repair: scenery.backup("check", "--repair"), .check: scenery.backup("check", "--read-data"),
            .list: scenery.backup("ls"),
        ]
    }

    /// The number of calls of each command that look at the repository.
    private func faults(_ scenery: Scenery, _ library: String) throws -> [Blindness] {
        var faults: [Blindness] = []
        for (command, words) in commands(scenery).sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            try prepare(scenery)
            let folder = scenery.folder.path
            let count = try Processes.run(
                words,
                environment: [
                    "LD_PRELOAD=\(library)", "FAULTY_AT=0", "FAULTY_COUNT=\(folder)/count", "FAULTY_UNDER=\(folder)/r",
                ], in: scenery.folder)
            #expect(count.code == 0, "\(count.text)")
            let calls = try #require(Int(String(decoding: scenery.folder.bytes("count"), as: UTF8.self)))
            #expect(calls > 10, "\(command) looks at the repository")
            for call in 1...calls {
                for error in [EIO, EACCES] {
                    for mode in ["once", "ever"] {
                        faults.append(Blindness(command: command, call: call, error: error, mode: mode))
                    }
                }
            }
        }
        return faults
    }

    private func prepare(_ scenery: Scenery) throws {
        let copy = "rm -rf r out && cp -a kept r"
        let words = ["env", "-C", scenery.folder.path, "sh", "-c", copy]
        #expect(try Processes.run(words, in: scenery.folder).code == 0)
    }

    @Test("Every call that looks at the repository fails in turn, with EIO and EACCES, once and for ever")
    func blinded() throws {
        var random = SeededGenerator(seed: FaultBudget.seed)
        var scenery = try Scenery(&random)
        let library = try #require(try Self.hinderer(scenery.folder), "a C compiler is needed")
        for _ in 0..<3 {
            #expect(try Processes.run(scenery.run, in: scenery.folder).code == 0)
            #expect(scenery.keeper.violations(fresh: [scenery.disk]).isEmpty)
            try scenery.change(&random)
        }
        // Something is marked, and its mark is read.
        #expect(try Processes.run(scenery.backup("prune", "--keep-last", "2"), in: scenery.folder).code == 0)
        #expect(scenery.keeper.violations(gone: Set(scenery.keeper.order.prefix(1))).isEmpty)
        let folder = scenery.folder.path
        #expect(try Processes.run(["cp", "-a", "\(folder)/r", "\(folder)/kept"], in: scenery.folder).code == 0)
        let faults = try faults(scenery, library)
        let deadline = FaultBudget.deadline()
        var (tried, felt) = (0, 0)
        for fault in faults.shuffled(using: &random) {
            guard ContinuousClock.now < deadline || tried < 20 else { break }
            try prepare(scenery)
            let command = commands(scenery)[fault.command] ?? []
            let ended = try Processes.run(
                command,
                environment: [
                    "LD_PRELOAD=\(library)", "FAULTY_AT=\(fault.call)", "FAULTY_ERRNO=\(fault.error)",
                    "FAULTY_MODE=\(fault.mode)", "FAULTY_UNDER=\(folder)/r",
                ], in: scenery.folder)
            FaultBudget.record(
                "backup-look/\(fault.command)/\(fault.call)", level: "L1", op: fault.command.rawValue,
                position: "\(fault), exit \(ended.code)",
                try judge(fault, ended: ended, command: command, scenery: scenery))
            tried += 1
            if ended.code != 0 { felt += 1 }
        }
        #expect(felt > tried / 3, "of \(tried) faults only \(felt) were felt")
    }

    /// The violations after a fault, and after the same command was run once more in peace.
    private func judge(
        _ fault: Blindness, ended: Ended, command: [String], scenery: Scenery
    ) throws -> [String] {
        var violations: [String] = []
        var keeper = scenery.keeper
        let newest = keeper.volumes[keeper.order.last ?? FileID()]
        let gone = fault.command == .prune ? Set(keeper.order.dropLast()) : []
        // That nothing is there would be another status, or a sentence.
        if ended.code != 0, ended.code != 1 { violations.append("exit \(ended.code): \(ended.text)") }
        if ended.text.contains("here is no re") { violations.append("nothing there: \(ended.text)") }
        if ended.code == 0 {
            switch fault.command {
            case .restore where scenery.folder.bytes("out") != newest ?? []: violations.append("not what was restored")
            case .list where !keeper.order.allSatisfy({ ended.text.contains($0.description.prefix(8)) }):
                violations.append("not all is listed: \(ended.text)")
            case .check where !ended.text.hasPrefix("\(keeper.order.count) restore points"):
                violations.append("not all is checked: \(ended.text)")
            default: break
            }
        }
        // What a medium does not give back a repair leaves out, until it does.
        if fault.command != .repair { violations += keeper.violations(fresh: [scenery.disk], gone: gone) }
        let again = try Processes.run(command, in: scenery.folder)
        let isMended = fault.command == .repair && again.code == 1
        if again.code != 0, !isMended { violations.append("again: exit \(again.code): \(again.text)") }
        violations += keeper.violations(fresh: [scenery.disk], gone: gone)
        if fault.command == .restore, scenery.folder.bytes("out") != newest ?? [] {
            violations.append("not restored the second time")
        }
        if fault.command == .prune, keeper.order.count != 1 { violations.append("not pruned the second time") }
        return violations
    }
}
