package import TuffHost
package import TuffModel
import TuffSystem

/// A thin pool, as the tools of the device mapper are told of it.
package struct ThinPoolPlace: Hashable, Codable, Sendable, CustomStringConvertible {
    package var group: String
    package var name: String
    /// LVM's uuids of the group and of the pool.
    package var groupUUID: String
    package var uuid: String
    /// Bytes.
    package var chunkSize: ByteCount

    package init(group: String, name: String, groupUUID: String, uuid: String, chunkSize: ByteCount) {
        self.group = group
        self.name = name
        self.groupUUID = groupUUID
        self.uuid = uuid
        self.chunkSize = chunkSize
    }

    package var description: String { "\(group)/\(name)" }

    /// The device mapper's uuid of the pool itself. By it the pool is asked and told, since names are changed by
    /// whoever may.
    package var device: String { "\(DeviceMapper.uuid(group: groupUUID, volume: uuid))-tpool" }

    /// The device of the metadata. A name; that it is of the right pool is proven by what the tools read from it.
    package var metadataPath: String {
        func doubled(_ name: String) -> String {
            name.split(separator: "-", omittingEmptySubsequences: false).joined(separator: "--")
        }
        return "/dev/mapper/\(doubled(group))-\(doubled("\(name)_tmeta"))"
    }
}

/// The owner of a reserved metadata snapshot, and what follows from it.
package enum HoldDecision: Hashable, Sendable {
    /// Nobody holds anything, and nothing is on file.
    case free
    /// A record of ours is on file and nothing is held: the record goes.
    case forget
    /// Ours, left behind: it is released, then the record goes.
    case release
    /// The crash may have fallen between reserve and record: the transaction of what is held must be read first.
    case examine
    /// Somebody else's. It stays; a record of ours that it does not fit is spent and goes.
    case foreign

    /// - Parameters:
    ///   - held: the block that the kernel names; nil: none.
    ///   - intent: our record of this pool.
    ///   - transaction: of the pool when the snapshot was reserved, where it was looked at.
    ///
    /// A record without a number was written while nobody held anything, right before the reserve. A snapshot of the
    /// same transaction is then the one that was to be reserved. One of a later transaction was reserved after LVM
    /// changed the pool, and we had been dead by then.
    package static func judge(held: UInt64?, intent: HoldIntent?, transaction: UInt64? = nil) -> HoldDecision {
        guard let held else { return intent == nil ? .free : .forget }
        guard let intent else { return .foreign }
        if let block = intent.block { return block == held ? .release : .foreign }
        guard let transaction else { return .examine }
        return transaction == intent.transaction ? .release : .foreign
    }
}

/// Reserves the metadata snapshot of a thin pool, of which the kernel has one, and gives it back whatever happens.
///
/// Only with the host lock held: nobody else of ours does the same meanwhile.
package struct MetadataHold: Sendable {
    /// Seconds for what asks or tells the kernel one thing.
    static let deadline = 60

    private let intents: HoldIntents
    private let machine: any Machine
    private let bootID: String

    /// - Parameter bootID: the kernel's; nil: this one's.
    package init(_ intents: HoldIntents, on machine: any Machine, bootID: String? = nil) {
        self.intents = intents
        self.machine = machine
        self.bootID = bootID ?? Boot.id
    }

    /// The sentence of somebody else's hold.
    package static func heldByOthers(_ name: String, block: UInt64) -> HostError {
        HostError(
            .busy, "the metadata snapshot of \(name) is reserved by somebody else (block \(block))",
            cause: "whoever reserved it gives it back by: dmsetup message …-tpool 0 release_metadata_snap")
    }

    // MARK: After a crash

    /// Gives back what an earlier process that died had reserved.
    ///
    /// - Returns: sentences on what stays as it is, for people. Nothing is given back that could be somebody else's,
    ///   and a pool that is not active now is left for a later pass.
    package func settle() async -> [HostError] {
        let pools: [String]
        do throws(HostError) { pools = try intents.pools() } catch { return [error] }
        var left: [HostError] = []
        for pool in pools {
            do throws(HostError) {
                guard let intent = try intents.read(pool), let status = try await state(of: intent.device) else {
                    continue
                }
                try await settle(pool, intent, status: status, metadata: nil)
            } catch {
                left.append(error)
            }
        }
        return left
    }

    /// Settles one pool.
    /// - Parameter metadata: path of the metadata's device; nil: as the device mapper names it.
    /// - Throws: `busy` where somebody else holds it, which is told once: without a record it is nobody's business.
    private func settle(
        _ pool: String, _ intent: HoldIntent?, status: ThinPoolStatus, metadata: String?
    ) async throws(HostError) {
        var decision = HoldDecision.judge(held: status.held, intent: intent)
        if case .examine = decision, let intent {
            let path = try await metadataPath(metadata, intent)
            let transaction = try await heldTransaction(path)
            decision = HoldDecision.judge(held: status.held, intent: intent, transaction: transaction)
        }
        switch decision {
        case .free: return
        case .forget: try intents.remove(pool)
        case .release:
            guard let intent, let block = status.held else { return }
            try await release(block, of: intent.device, named: intent.name)
            try intents.remove(pool)
        case .examine, .foreign:
            if intent != nil { try intents.remove(pool) }
            throw Self.heldByOthers(intent?.name ?? pool, block: status.held ?? 0)
        }
    }

    private func metadataPath(_ known: String?, _ intent: HoldIntent) async throws(HostError) -> String {
        if let known { return known }
        // `GROUP/POOL` as it was; a group that was renamed since is for the pass that backs something up in it.
        let words = intent.name.split(separator: "/").map(String.init)
        guard words.count == 2 else {
            throw HostError(.malformed, "the record of reserved metadata names the pool '\(intent.name)'")
        }
        return ThinPoolPlace(
            group: words[0], name: words[1], groupUUID: "", uuid: intent.pool, chunkSize: .zero
        ).metadataPath
    }

    // MARK: Use

    /// A snapshot that is held, for as long as the work on it lasts.
    package struct Held: Hashable, Sendable {
        package var block: UInt64
        /// The pool's, which every answer from the snapshot must repeat.
        package var transaction: UInt64
    }

    /// Reserves, has `work` done, and gives back.
    ///
    /// Snapshots that `work` asks for must have been made before. What it returns counts only if the snapshot was the
    /// same one before and after it.
    /// - Throws: `busy` where somebody else holds it; `refused` where the pool is in no state for it;
    ///   `preconditionFailed` where somebody gave it back meanwhile; what `work` throws.
    package func use<Result: Sendable>(
        _ pool: ThinPoolPlace, _ work: (Held) async throws(HostError) -> Result
    ) async throws(HostError) -> Result {
        let held = try await reserve(pool)
        let result: Result
        do throws(HostError) {
            result = try await work(held)
        } catch {
            // The first error is told; what is not given back now is by the next pass.
            _ = try? await giveBack(pool, held)
            throw error
        }
        guard try await giveBack(pool, held) else {
            throw HostError(
                .preconditionFailed, "somebody gave the metadata snapshot of \(pool) back while it was read")
        }
        return result
    }

    private func reserve(_ pool: ThinPoolPlace) async throws(HostError) -> Held {
        guard let before = try await state(of: pool.device) else {
            throw HostError(.notFound, "the thin pool \(pool) is not active")
        }
        let intent = try record(of: pool, before)
        if intent == nil, let block = before.held { throw Self.heldByOthers("\(pool)", block: block) }
        try await settle(pool.uuid, intent, status: before, metadata: pool.metadataPath)
        // A hold that was left behind may have been given back in this moment.
        guard let status = before.held == nil ? before : try await state(of: pool.device) else {
            throw HostError(.notFound, "the thin pool \(pool) is not active")
        }
        if let block = status.held { throw Self.heldByOthers("\(pool)", block: block) }
        if let obstacle = status.obstacle {
            throw HostError(.refused, "nothing is reserved in \(pool): \(obstacle)")
        }
        var own = HoldIntent(
            pool: pool.uuid, device: pool.device, name: "\(pool)", bootID: bootID, since: machine.now(),
            transaction: status.transaction)
        try intents.save(own)
        do throws(HostError) {
            try await machine.perform([.run(Self.message(pool.device, "reserve_metadata_snap"))])
        } catch {
            throw try await refused(pool, error)
        }
        guard let after = try await state(of: pool.device), let block = after.held else {
            throw HostError(.malformed, "\(pool) reserved its metadata snapshot and does not name it")
        }
        own.block = block
        try intents.save(own)
        return Held(block: block, transaction: status.transaction)
    }

    /// Our record of the pool. One that cannot be understood goes where it can be of nothing any more.
    private func record(of pool: ThinPoolPlace, _ status: ThinPoolStatus) throws(HostError) -> HoldIntent? {
        do throws(HostError) {
            return try intents.read(pool.uuid)
        } catch {
            guard error.code == .malformed, status.held == nil else { throw error }
            try intents.remove(pool.uuid)
            return nil
        }
    }

    /// The error of a reserve that did not succeed. The record stays for a command that may have reserved, or may yet.
    private func refused(_ pool: ThinPoolPlace, _ error: HostError) async throws(HostError) -> HostError {
        guard error.code == .failed, let status = try await state(of: pool.device) else { return error }
        guard let block = status.held else {
            try intents.remove(pool.uuid)
            return error
        }
        // EBUSY, with LC_ALL=C: somebody was faster in this moment. Without that word a signal may have ended the
        // command.
        guard error.cause?.contains("Device or resource busy") == true else { return error }
        try intents.remove(pool.uuid)
        return Self.heldByOthers("\(pool)", block: block)
    }

    /// - Returns: whether it was still the same one.
    private func giveBack(_ pool: ThinPoolPlace, _ held: Held) async throws(HostError) -> Bool {
        let isOurs = try await state(of: pool.device)?.held == held.block
        if isOurs { try await release(held.block, of: pool.device, named: "\(pool)") }
        try intents.remove(pool.uuid)
        return isOurs
    }

    /// A command that said so is not believed: the record goes only when the pool says that nothing is held.
    private func release(_ block: UInt64, of device: String, named name: String) async throws(HostError) {
        try await machine.perform([.run(Self.message(device, "release_metadata_snap"))])
        guard try await state(of: device)?.held != block else {
            throw HostError(.failed, "\(name) was told to give its metadata snapshot back, and holds it still")
        }
    }

    // MARK: Commands

    /// Nil where the pool is not active.
    private func state(of device: String) async throws(HostError) -> ThinPoolStatus? {
        let output = try await machine.read(Self.status(device))
        guard output.status == 0 else {
            guard output.standardError.contains("Device does not exist") else {
                throw HostError(
                    .failed, "dmsetup status ended with status \(output.status)", cause: output.standardError,
                    subject: Self.status(device).description)
            }
            return nil
        }
        return try ThinPoolStatus.decode(output.standardOutput)
    }

    /// The pool's transaction when its metadata snapshot was reserved.
    private func heldTransaction(_ path: String) async throws(HostError) -> UInt64 {
        let command = Self.superblock(path)
        let output = try await machine.read(command)
        guard output.status == 0 else {
            throw HostError(
                .failed, "thin_dump ended with status \(output.status)", cause: output.standardError,
                subject: command.description)
        }
        var tags = ThinTagReader(), rest = output.standardOutput[...]
        guard let tag = try tags.next(&rest), tag.form == .opening, tag.name == "superblock" else {
            throw ThinDeltaDecoder.malformed("thin_dump does not begin with the pool's superblock")
        }
        return try tag.number("transaction")
    }

    static func status(_ device: String) -> Command {
        Command(
            "dmsetup", ["status", "--noflush", "--uuid", device], effect: .reads, deadline: deadline,
            outputLimit: 1 << 16)
    }

    static func message(_ device: String, _ text: String) -> Command {
        Command("dmsetup", ["message", "--uuid", device, "0", text], effect: .mutates, deadline: deadline)
    }

    static func superblock(_ path: String) -> Command {
        Command("thin_dump", ["--metadata-snap", "--skip-mappings", path], effect: .reads, deadline: deadline)
    }
}
