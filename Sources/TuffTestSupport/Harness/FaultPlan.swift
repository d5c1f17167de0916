import TuffHost
package import TuffModel

/// Faults by the call at which they happen, counted from the moment the plan is given to a machine.
package struct FaultPlan: Equatable, Sendable, CustomStringConvertible {
    /// At one action of `Machine.perform`.
    package enum ActionFault: Equatable, Sendable {
        /// The controller is killed; the action is not carried out.
        case crashBefore
        /// The controller is killed; the action is carried out, its child finishing alone.
        case crashAfter
        case failBefore
        /// It fails but did the work.
        case failAfter
        /// The deadline passes and nothing ever comes of it.
        case hang
        /// The deadline passes; the work is done all the same.
        case hangAfter
        /// The deadline passes; the work is done this many calls later.
        case late(calls: Int)
        /// A command says that it is done, and did nothing.
        case pretend

        /// One of each kind.
        package static let samples: [ActionFault] = [
            .crashBefore, .crashAfter, .failBefore, .failAfter, .hang, .hangAfter, .late(calls: 2), .pretend,
        ]
    }

    /// At one read: a command, a tree, free space, a secret's fingerprint or an image's header.
    package enum ReadFault: Equatable, Sendable {
        case fail(HostError.Code)
        /// The state of before the last action that changed anything.
        case stale
        /// Only this many percent of the output, with status 0.
        case truncated(percent: Int)
        /// The output is complete and the status is this.
        case status(Int32)
        /// Something else entirely.
        case garbage([UInt8])

        package static let samples: [ReadFault] = [
            .fail(.timeout), .fail(.failed), .fail(.malformed), .fail(.exhausted), .stale, .truncated(percent: 0),
            .truncated(percent: 50), .truncated(percent: 99), .status(5), .status(127), .garbage([]),
            .garbage(Array("Segmentation fault\n".utf8)),
        ]
    }

    /// The thing that is read. Reads are counted per source: sources are read side by side, and a seed must mean the
    /// same calls in every run.
    package enum Source: String, CaseIterable, Comparable, Sendable {
        case lvm, tgt, targets, directories, secrets, images, devices, pools

        package static func < (lhs: Source, rhs: Source) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    /// The n-th read of a source.
    package struct Read: Hashable, Comparable, Sendable {
        package var source: Source
        package var index: Int

        package init(_ source: Source, _ index: Int) {
            self.source = source
            self.index = index
        }

        package static func < (lhs: Read, rhs: Read) -> Bool {
            (lhs.source, lhs.index) < (rhs.source, rhs.index)
        }
    }

    package var actions: [Int: ActionFault]
    package var reads: [Read: ReadFault]

    package init(actions: [Int: ActionFault] = [:], reads: [Read: ReadFault] = [:]) {
        self.actions = actions
        self.reads = reads
    }

    /// Faults by seed: each of the first `calls` actions and reads fails with `percent` chance.
    package static func random(seed: UInt64, calls: Int = 200, percent: Int = 5) -> FaultPlan {
        var generator = SeededGenerator(seed: seed)
        var plan = FaultPlan()
        for index in 0..<calls {
            if Int.random(in: 0..<100, using: &generator) < percent {
                plan.actions[index] = ActionFault.samples.randomElement(using: &generator)
            }
            for source in Source.allCases where Int.random(in: 0..<100, using: &generator) < percent {
                plan.reads[Read(source, index)] = ReadFault.samples.randomElement(using: &generator)
            }
        }
        return plan
    }

    package var description: String {
        (actions.sorted { $0.key < $1.key }.map { "action \($0.key): \($0.value)" }
            + reads.sorted { $0.key < $1.key }.map { "\($0.key.source) read \($0.key.index): \($0.value)" }).joined(
                separator: ", ")
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for a seed on every machine and in every version.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
