import Glibc
import Synchronization
import Testing
import TuffHost
import TuffModel

@testable import TuffDrivers

/// A reserve that is ours is given back whatever dies, and one that is not ours stays whatever happens.
struct MetadataHoldTests {
    private let pool = PoolMachine.place

    /// A directory of state that goes when the test ends.
    private final class StateFolder {
        let path: String
        init() throws {
            var template = Array("/tmp/tuff-hold.XXXXXX".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
        }
        deinit {
            for name in (try? HoldIntents(in: path).pools()) ?? [] { try? HoldIntents(in: path).remove(name) }
            rmdir(path)
        }
        var intents: HoldIntents { HoldIntents(in: path) }
    }

    private func hold(_ folder: StateFolder, _ machine: PoolMachine, boot: String = "boot-1") -> MetadataHold {
        MetadataHold(folder.intents, on: machine, bootID: boot)
    }

    private func use(_ hold: MetadataHold, _ machine: PoolMachine) async throws(HostError) -> UInt64 {
        try await hold.use(pool) { held throws(HostError) in
            _ = try await machine.read(MetadataHold.superblock(pool.metadataPath))
            return held.block
        }
    }

    @Test func whatIsReservedIsRecordedAndGivenBack() async throws {
        let folder = try StateFolder(), machine = PoolMachine()
        let block = try await hold(folder, machine).use(pool) { held throws(HostError) in
            let intent = try folder.intents.read(pool.uuid)
            guard intent?.block == held.block, machine.held == held.block else {
                throw HostError(.failed, "the record is \(String(describing: intent))")
            }
            return held.block
        }
        #expect(block == 100 && machine.held == nil)
        #expect(try folder.intents.pools().isEmpty)
    }

    @Test func whateverDiesNothingStaysReserved() async throws {
        for diesAfter in [false, true] {
            var call = 1
            while true {
                let folder = try StateFolder(), machine = PoolMachine()
                machine.state.withLock { ($0.deathCall, $0.diesAfter) = (call, diesAfter) }
                let result = try? await use(hold(folder, machine), machine)
                let died = machine.state.withLock { $0.isDead }
                #expect((result == nil) == died)
                machine.restart()
                // Another boot, or the same: the kernel's memory of it is on the disk.
                let left = await hold(folder, machine, boot: "boot-2").settle()
                #expect(left.isEmpty, "call \(call)")
                #expect(machine.held == nil, "call \(call)")
                #expect(try folder.intents.pools().isEmpty, "call \(call)")
                // And work goes on.
                #expect(try await use(hold(folder, machine), machine) >= 100)
                guard died else { break }
                call += 1
            }
            #expect(call > 5)
        }
    }

    @Test func whateverDiesSomebodyElsesStays() async throws {
        for diesAfter in [false, true] {
            var call = 1
            while true {
                let folder = try StateFolder(), machine = PoolMachine()
                machine.state.withLock { ($0.deathCall, $0.diesAfter) = (call, diesAfter) }
                _ = try? await use(hold(folder, machine), machine)
                let died = machine.state.withLock { $0.isDead }
                machine.restart()
                // A person clears up, makes a volume and reserves for themselves.
                let foreign = machine.state.withLock { state in
                    state.transaction += 1
                    state.releases = 0
                    state.reserve()
                    return state.held
                }
                _ = await hold(folder, machine).settle()
                #expect(machine.held == foreign, "call \(call)")
                let error = await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
                #expect(error?.code == .busy)
                #expect(machine.held == foreign && machine.state.withLock { $0.releases } == 0, "call \(call)")
                #expect(try folder.intents.pools().isEmpty)
                guard died else { break }
                call += 1
            }
        }
    }

    @Test func whatSomebodyHoldsIsNotTouched() async throws {
        let folder = try StateFolder(), machine = PoolMachine()
        machine.state.withLock { $0.reserve() }
        let error = await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
        #expect(error?.code == .busy && machine.held == 100)
        #expect(try folder.intents.pools().isEmpty)
        #expect(machine.state.withLock { $0.calls } == 1)
    }

    @Test func whoIsFasterKeepsIt() async throws {
        let folder = try StateFolder(), machine = PoolMachine()
        machine.state.withLock { $0.meddling = ("dmsetup message", { $0.reserve() }) }
        let error = await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
        #expect(error?.code == .busy)
        #expect(try folder.intents.pools().isEmpty)
        #expect(await hold(folder, machine).settle().isEmpty)
        #expect(machine.held == 100)
    }

    /// A command that was ended by a signal, or that did not end: it may have reserved.
    @Test(arguments: [HostError.Code.failed, .timeout])
    func aReserveOfUnknownOutcomeIsGivenBackLater(code: HostError.Code) async throws {
        let folder = try StateFolder(), machine = PoolMachine()
        machine.state.withLock { $0.reserveError = HostError(code, "dmsetup was ended by signal 9") }
        await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
        #expect(machine.held == 100)
        #expect(try folder.intents.read(pool.uuid)?.block == nil)
        #expect(await hold(folder, machine).settle().isEmpty)
        #expect(machine.held == nil)
        #expect(try folder.intents.pools().isEmpty)
    }

    @Test func whatIsReadWhileSomebodyMeddlesDoesNotCount() async throws {
        for isTaken in [false, true] {
            let folder = try StateFolder(), machine = PoolMachine()
            machine.state.withLock {
                $0.meddling = (
                    "thin_dump",
                    { state in
                        state.held = nil
                        if isTaken { state.reserve() }
                    }
                )
            }
            await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
            #expect(machine.held == (isTaken ? 105 : nil))
            #expect(machine.state.withLock { $0.releases } == 0)
            #expect(try folder.intents.pools().isEmpty)
        }
    }

    @Test func aPoolThatIsIllOrAwayIsLeftAlone() async throws {
        let folder = try StateFolder(), machine = PoolMachine()
        for mode in ["ro", "out_of_data_space"] {
            machine.state.withLock { $0.mode = mode }
            let error = await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
            #expect(error?.code == .refused && machine.held == nil)
        }
        machine.state.withLock { ($0.mode, $0.isActive) = ("rw", false) }
        let error = await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
        #expect(error?.code == .notFound)
        #expect(try folder.intents.pools().isEmpty)
    }

    /// A record that cannot be understood proves nothing: what is held stays, and once nothing is, it goes.
    @Test func aDamagedRecordReleasesNothing() async throws {
        let folder = try StateFolder(), machine = PoolMachine()
        let file = StateFile("\(folder.path)/metadata-hold-\(pool.uuid).json", what: "test")
        try file.write(Array("{}".utf8))
        machine.state.withLock { $0.reserve() }
        #expect(await hold(folder, machine).settle().count == 1)
        await #expect(throws: HostError.self) { try await use(hold(folder, machine), machine) }
        #expect(machine.held == 100)
        machine.state.withLock { $0.held = nil }
        #expect(try await use(hold(folder, machine), machine) == 105)
        #expect(try folder.intents.pools().isEmpty)
    }

    @Test func theDecisionIsOfTheRecordAlone() {
        func intent(_ block: UInt64?) -> HoldIntent {
            HoldIntent(
                pool: pool.uuid, device: pool.device, name: "\(pool)", bootID: "b", since: HostFacts.now(),
                transaction: 8, block: block)
        }
        #expect(HoldDecision.judge(held: nil, intent: nil) == .free)
        #expect(HoldDecision.judge(held: nil, intent: intent(nil)) == .forget)
        #expect(HoldDecision.judge(held: nil, intent: intent(58)) == .forget)
        #expect(HoldDecision.judge(held: 58, intent: nil) == .foreign)
        #expect(HoldDecision.judge(held: 58, intent: intent(58)) == .release)
        #expect(HoldDecision.judge(held: 59, intent: intent(58)) == .foreign)
        #expect(HoldDecision.judge(held: 58, intent: intent(nil)) == .examine)
        #expect(HoldDecision.judge(held: 58, intent: intent(nil), transaction: 8) == .release)
        #expect(HoldDecision.judge(held: 58, intent: intent(nil), transaction: 9) == .foreign)
    }

    @Test func namesAreDoubledAsTheDeviceMapperDoes() {
        #expect(pool.metadataPath == "/dev/mapper/vg--0-tp0_tmeta")
        #expect(pool.device == "LVM-2e0zgspMcvVQ71wXclTJLo5L6ExiaR3o5tId3pLeQzmrc6eXicNjRVPZJyVWSv4t-tpool")
        #expect(throws: HostError.self) { try HoldIntents(in: "/tmp").read("../x") }
    }
}
