import Glibc
import Testing
import TuffRepository
import TuffTestSupport

extension KillTests {
    private enum Looker: String, CaseIterable { case run, prune, restore, repair, check, list }

    @Test("Every call that looks at the repository fails in turn, with EIO and EACCES, once and for ever")
    func blinded() throws {
        var random = SeededGenerator(seed: FaultBudget.seed)
        var template = try Scenery(&random)
        try template.backUpThrice(&random)
        // Something is marked, and its mark is read.
        #expect(try Processes.run(template.backup("prune", "--keep-last", "2"), in: template.folder).code == 0)
        #expect(template.keeper.violations(gone: Set(template.keeper.order.prefix(1))).isEmpty)
        let scenery = template
        let hindrance = Hindrance<Looker>(
            name: "backup-look", scenery: scenery,
            commands: [
                .run: scenery.run, .prune: scenery.prune(1), .restore: scenery.restore,
                .repair: scenery.backup("check", "--repair"), .check: scenery.backup("check", "--read-data"),
                .list: scenery.backup("ls"),
            ],
            ends: [(EIO, "once"), (EIO, "ever"), (EACCES, "once"), (EACCES, "ever")],
            fewestCalls: 10, environment: ["FAULTY_UNDER=\(scenery.folder.path)/r"])
        try hindrance.tryAll(shuffledBy: &random) { fault in
            "look \(fault.call), errno \(fault.error) \(fault.mode)"
        } judge: { fault, ended, command in
            try judge(fault, ended: ended, command: command, scenery: scenery)
        }
    }

    /// The violations after a fault, and after the same command was run once more in peace.
    private func judge(
        _ fault: Hindrance<Looker>.Fault, ended: Ended, command: [String], scenery: Scenery
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
