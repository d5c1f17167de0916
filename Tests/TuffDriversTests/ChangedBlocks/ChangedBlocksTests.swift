import Glibc
import Synchronization
import Testing
import TuffHost
import TuffModel

@testable import TuffDrivers

struct ChangedBlocksTests {
    private static let base = ThinIdentity(uuid: "base", device: 2, transaction: 3)
    private static let snapshot = ThinIdentity(uuid: "new", device: 5, transaction: 7)
    private static let chunk: UInt64 = 64 << 10
    private static let subject = ChangedBlocks.Subject(snapshot, size: 100 * chunk, base: base)
    private static let devices: [UInt32: PoolMachine.Device] = [
        2: .init(transaction: 3, map: [0: 0, 1: 1, 7: 2]), 5: .init(transaction: 7, map: [0: 0, 1: 3, 9: 4]),
    ]

    private func answer(_ subject: ChangedBlocks.Subject, _ machine: PoolMachine) async throws -> ChangedBlocks.Answer {
        var template = Array("/tmp/tuff-blocks.XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer { rmdir(folder) }
        let hold = MetadataHold(HoldIntents(in: folder), on: machine)
        let answers = await ChangedBlocks(hold, on: machine).answers(for: [subject], in: PoolMachine.place)
        return try #require(answers.first)
    }

    private func bytes(_ chunks: [Range<UInt64>]) -> [Range<UInt64>] {
        chunks.map { $0.lowerBound * Self.chunk..<$0.upperBound * Self.chunk }
    }

    private func reason(_ answer: ChangedBlocks.Answer) -> FullRead.Reason? {
        switch answer {
        case .changes: nil
        case .mapped(_, let read): read?.reason
        case .nothing(let read): read.reason
        }
    }

    @Test func whatChangedAndWhatIsThereIsKnown() async throws {
        let machine = PoolMachine(Self.devices)
        guard case .changes(let delta) = try await answer(Self.subject, machine) else {
            Issue.record("there is no delta")
            return
        }
        #expect(delta.changed == bytes([1..<2, 7..<8, 9..<10]))
        #expect(delta.mapped == bytes([0..<2, 9..<10]))
        #expect(machine.held == nil)
    }

    @Test func aFirstBackupReadsWhatIsThere() async throws {
        var first = Self.subject
        first.base = nil
        let found = try await answer(first, PoolMachine(Self.devices))
        guard case .mapped(let delta, nil) = found else {
            Issue.record("it is \(found)")
            return
        }
        #expect(delta.mapped == bytes([0..<2, 9..<10]))
    }

    @Test func whatReadsAnotherVolumeIsReadInFull() async throws {
        var subject = Self.subject
        subject.readsOrigin = true
        guard case .nothing = try await answer(subject, PoolMachine(Self.devices)) else {
            Issue.record("blocks that it lacks were taken for zeros")
            return
        }
    }

    /// A number that was given to another volume since: same number, other transaction.
    @Test func aBaseThatIsAnotherVolumeIsNoBase() async throws {
        var devices = Self.devices
        devices[2]?.transaction = 6
        let exchanged = try await answer(Self.subject, PoolMachine(devices))
        #expect(reason(exchanged) == .baseExchanged)
        guard case .mapped = exchanged else {
            Issue.record("it is \(exchanged)")
            return
        }
        devices[2] = nil
        #expect(reason(try await answer(Self.subject, PoolMachine(devices))) == .baseExchanged)
        devices = Self.devices
        devices[5]?.transaction = 9
        guard case .nothing = try await answer(Self.subject, PoolMachine(devices)) else {
            Issue.record("another snapshot was believed")
            return
        }
    }

    @Test func anAnswerThatLacksALineIsNotBelieved() async throws {
        let machine = PoolMachine(Self.devices)
        machine.state.withLock {
            $0.lie = { $0.replacing("    <different begin=\"1\" length=\"1\"/>\n", with: "") }
        }
        #expect(reason(try await answer(Self.subject, machine)) == .deltaUnknown)
        machine.state.withLock { $0.lie = { String($0.dropLast(4)) } }
        guard case .nothing(let read) = try await answer(Self.subject, machine) else {
            Issue.record("half an answer was believed")
            return
        }
        #expect(read.reason == .deltaUnknown && machine.held == nil)
    }

    @Test func toolsThatLeaveChangesOutAreNotAsked() async throws {
        let machine = PoolMachine(Self.devices)
        machine.state.withLock { $0.version = "1.0.4\n" }
        #expect(reason(try await answer(Self.subject, machine)) == .deltaUnknown)
        #expect(machine.state.withLock { $0.nextBlock } == 100)
    }

    @Test func somebodyElsesHoldMeansAFullRead() async throws {
        let machine = PoolMachine(Self.devices)
        machine.state.withLock { $0.reserve() }
        #expect(reason(try await answer(Self.subject, machine)) == .metadataSnapshotHeld)
        #expect(machine.held == 100)
    }
}
