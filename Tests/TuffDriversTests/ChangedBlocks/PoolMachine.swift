import Synchronization
import TuffHost
import TuffModel

@testable import TuffDrivers

/// A machine with one thin pool that keeps the kernel's rules of its metadata snapshot, as they were measured: one
/// holder, EBUSY for a second, EINVAL for a release of nothing; and that can die at any call.
final class PoolMachine: Machine {
    struct Device {
        var transaction: UInt64
        /// Data blocks by chunk.
        var map: [Int: Int]
    }

    struct State {
        var transaction: UInt64 = 8
        var held: UInt64?
        /// The devices and the transaction when it was reserved.
        var heldDevices: [UInt32: Device] = [:]
        var heldTransaction: UInt64 = 0
        var devices: [UInt32: Device] = [:]
        var nextBlock: UInt64 = 100
        var isActive = true
        var version = "0.9.0\n"
        var mode = "rw"
        var calls = 0
        /// The call at which the controller dies, before or after its effect.
        var deathCall: Int?
        var diesAfter = false
        var isDead = false
        var releases = 0
        /// Done right before a command that begins with these words, once.
        var meddling: (begin: String, act: @Sendable (inout State) -> Void)?
        /// An error that is thrown in the place of the outcome of the next reserve, which happens.
        var reserveError: HostError?
        /// Changes what thin_delta prints.
        var lie: (@Sendable (String) -> String)?

        mutating func reserve() {
            held = nextBlock
            nextBlock += 5
            (heldDevices, heldTransaction) = (devices, transaction)
        }
    }

    let state: Mutex<State>
    static let place = ThinPoolPlace(
        group: "vg-0", name: "tp0", groupUUID: "2e0zgs-pMcv-VQ71-wXcl-TJLo-5L6E-xiaR3o",
        uuid: "5tId3p-LeQz-mrc6-eXic-NjRV-PZJy-VWSv4t", chunkSize: ByteCount(64 << 10))

    init(_ devices: [UInt32: Device] = [:]) {
        var first = State()
        first.devices = devices
        state = Mutex(first)
    }

    var held: UInt64? { state.withLock { $0.held } }

    /// The controller is started again; the pool is what it was.
    func restart() {
        state.withLock {
            ($0.isDead, $0.deathCall) = (false, nil)
        }
    }

    private static let death = HostError(.interrupted, "the controller died")

    private func call<Outcome: Sendable>(
        _ text: String, _ act: (inout State) throws(HostError) -> Outcome
    ) throws(HostError) -> Outcome {
        let outcome = state.withLock { state -> Result<Outcome, HostError> in
            if state.isDead { return .failure(Self.death) }
            state.calls += 1
            let dies = state.calls == state.deathCall
            if dies, !state.diesAfter {
                state.isDead = true
                return .failure(Self.death)
            }
            if let meddling = state.meddling, text.hasPrefix(meddling.begin) {
                state.meddling = nil
                meddling.act(&state)
            }
            let outcome = Result { () throws(HostError) -> Outcome in try act(&state) }
            if dies {
                state.isDead = true
                return .failure(Self.death)
            }
            return outcome
        }
        return try outcome.get()
    }

    func perform(_ actions: [HostAction]) async throws(HostError) {
        for action in actions {
            guard case .run(let command) = action else { throw HostError(.refused, "only commands are known here") }
            try call(command.description) { state throws(HostError) in
                switch command.description {
                case "dmsetup message --uuid \(Self.place.device) 0 reserve_metadata_snap":
                    guard state.held == nil else { throw Self.failure("Device or resource busy") }
                    state.reserve()
                    if let error = state.reserveError {
                        state.reserveError = nil
                        throw error
                    }
                case "dmsetup message --uuid \(Self.place.device) 0 release_metadata_snap":
                    guard state.held != nil else { throw Self.failure("Invalid argument") }
                    state.held = nil
                    state.releases += 1
                default: throw HostError(.refused, "unknown: \(command)")
                }
            }
        }
    }

    static func failure(_ text: String) -> HostError {
        HostError(.failed, "dmsetup ended with status 1", cause: "device-mapper: message ioctl on  … failed: \(text)")
    }

    func read(_ command: Command) async throws(HostError) -> CommandOutput {
        try call(command.description) { state throws(HostError) in
            func output(_ text: String) -> CommandOutput { CommandOutput(status: 0, standardOutput: Array(text.utf8)) }
            func failure(_ text: String) -> CommandOutput {
                CommandOutput(status: 1, standardOutput: Array("Usage: …\n".utf8), standardError: text)
            }
            switch command.tool {
            case "dmsetup":
                guard state.isActive else { return failure("Device does not exist.\nCommand failed.") }
                return output(
                    "0 614400 thin-pool \(state.transaction) 113/1024 11/600 \(state.held.map { "\($0)" } ?? "-") "
                        + "\(state.mode) no_discard_passdown queue_if_no_space - 256 \n")
            case "thin_delta" where command.arguments == ["--version"]: return output(state.version)
            case _ where state.held == nil: return failure("no current metadata snap")
            case "thin_dump":
                return output("\(Self.superblock(state.heldTransaction))</superblock>\n")
            case "thin_ls":
                return output(
                    state.heldDevices.sorted { $0.key < $1.key }.map {
                        "\($0.key) \($0.value.map.count) \($0.value.transaction) \n"
                    }.joined())
            case "thin_delta":
                guard command.arguments.count == 6, command.arguments[5] == "/dev/mapper/vg--0-tp0_tmeta",
                    let one = UInt32(command.arguments[2]), let other = UInt32(command.arguments[4]),
                    let left = state.heldDevices[one], let right = state.heldDevices[other]
                else { return failure("Unable to find mapping tree") }
                let text = Self.delta((one, left), (other, right), at: state.heldTransaction)
                return output(state.lie?(text) ?? text)
            default: throw HostError(.refused, "unknown: \(command)")
            }
        }
    }

    private static func superblock(_ transaction: UInt64) -> String {
        "<superblock uuid=\"\" time=\"3\" transaction=\"\(transaction)\" data_block_size=\"128\" "
            + "nr_data_blocks=\"0\">\n"
    }

    private static func delta(
        _ left: (number: UInt32, Device), _ right: (number: UInt32, Device), at transaction: UInt64
    ) -> String {
        let (before, after) = (left.1.map, right.1.map)
        let ranges = Set(before.keys).union(after.keys).sorted().map { chunk in
            let word =
                switch (before[chunk], after[chunk]) {
                case (nil, _): "right_only"
                case (_, nil): "left_only"
                case (let left, let right): left == right ? "same" : "different"
                }
            return "    <\(word) begin=\"\(chunk)\" length=\"1\"/>\n"
        }
        return superblock(transaction)
            + "  <diff left=\"\(left.number)\" right=\"\(right.number)\">\n" + ranges.joined()
            + "  </diff>\n</superblock>\n"
    }

    // MARK: What is not needed

    func clock() -> ClockReading { HostFacts.clock() }

    func readTree(
        _ root: HostPath.Root, _ queries: [TreeQuery], key: FingerprintKey
    ) async throws(HostError) -> [TreeEntry] { throw Self.unneeded }

    func space(of directory: String) async throws(HostError) -> FileSystemSpace { throw Self.unneeded }

    func fingerprint(_ secret: SecretReference, key: FingerprintKey) async throws(HostError) -> SecretFingerprint {
        throw Self.unneeded
    }

    func image(_ source: ImageSource) async throws(HostError) -> ObservedImage { throw Self.unneeded }

    private static let unneeded = HostError(.refused, "this machine has nothing but a pool")
}
