import Testing
import TuffTestSupport

/// Runs of the program in each of which one call is hindered. All begin with the same repository, whatever the commands
/// and the calls are.
struct Hindrance<Command: CaseIterable & Hashable & RawRepresentable> where Command.RawValue == String {
    struct Fault {
        let command: Command
        /// The number of the call among those that are counted, from 1.
        let call: Int
        /// The error that the call ends in; 0: the program is killed there.
        let error: Int32
        let mode: String
    }

    /// The name of these faults in the log.
    let name: String
    let scenery: KillTests.Scenery
    let commands: [Command: [String]]
    /// Each call ends in each of these in turn.
    let ends: [(error: Int32, mode: String)]
    /// Every command has more calls than this.
    let fewestCalls: Int
    /// Set for every run, beside the library that hinders calls.
    let environment: [String]

    /// Tries as many faults as there is time for, in an order of chance.
    ///
    /// - Parameters:
    ///   - description: of a fault, for the log.
    ///   - judge: the violations after a fault.
    func tryAll(
        shuffledBy random: inout SeededGenerator, description: (Fault) -> String,
        judge: (Fault, Ended, [String]) throws -> [String]
    ) throws {
        let folder = scenery.folder
        let library = try #require(try KillTests.hinderer(folder), "a C compiler is needed")
        #expect(try Processes.run(["cp", "-a", "\(folder.path)/r", "\(folder.path)/kept"], in: folder).code == 0)
        let hindered = ["LD_PRELOAD=\(library)"] + environment
        let faults = try allFaults(hindered)
        let deadline = FaultBudget.deadline()
        var (tried, felt) = (0, 0)
        for fault in faults.shuffled(using: &random) {
            guard ContinuousClock.now < deadline || tried < 20 else { break }
            try prepare()
            let words = commands[fault.command] ?? []
            let which = ["FAULTY_AT=\(fault.call)", "FAULTY_ERRNO=\(fault.error)", "FAULTY_MODE=\(fault.mode)"]
            let ended = try Processes.run(words, environment: hindered + which, in: folder)
            FaultBudget.record(
                "\(name)/\(fault.command)/\(fault.call)", level: "L1", op: fault.command.rawValue,
                position: "\(description(fault)), exit \(ended.code)", try judge(fault, ended, words))
            tried += 1
            if ended.code != 0 { felt += 1 }
        }
        #expect(felt > tried / 3, "of \(tried) faults only \(felt) were felt")
    }

    /// All faults of all commands: one list, so that it is shuffled as a whole.
    private func allFaults(_ hindered: [String]) throws -> [Fault] {
        let folder = scenery.folder
        var faults: [Fault] = []
        for command in Command.allCases {
            try prepare()
            let count = try Processes.run(
                commands[command] ?? [],
                environment: hindered + ["FAULTY_AT=0", "FAULTY_COUNT=\(folder.path)/count"], in: folder)
            #expect(count.code == 0, "\(count.text)")
            let calls = try #require(Int(String(decoding: folder.bytes("count"), as: UTF8.self)))
            #expect(calls > fewestCalls, "\(command) makes calls that are counted")
            for call in 1...calls {
                faults += ends.map { Fault(command: command, call: call, error: $0.error, mode: $0.mode) }
            }
        }
        return faults
    }

    /// The repository as it was, and no trace of an earlier run.
    private func prepare() throws {
        let copy = "rm -rf r out new && cp -a kept r && if [ -e half ]; then cp half out; fi"
        let words = ["env", "-C", scenery.folder.path, "sh", "-c", copy]
        #expect(try Processes.run(words, in: scenery.folder).code == 0)
    }
}
