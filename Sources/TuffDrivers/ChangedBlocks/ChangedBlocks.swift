package import TuffHost
package import TuffModel

/// Asks a thin pool which bytes of snapshots differ from their bases, and which they have at all.
///
/// Everything runs in the controller, as commands that read: workers run none. It takes about a second (docs/design/
/// changed-blocks.md) and is done under the host lock, so it has a deadline of minutes and no more; a pool that needs
/// longer is read in full.
package struct ChangedBlocks: Sendable {
    /// Seconds for one answer of `thin_delta`: 2 million chunks take half a second of one processor.
    static let deadline = 180
    /// Bytes of one answer: some 3 million ranges. A volume with more is read in full.
    static let answerLimit = 128 << 20
    /// Bytes of the list of all devices of a pool: each has some 30.
    static let listLimit = 16 << 20

    /// A snapshot that is to be backed up.
    package struct Subject: Hashable, Sendable {
        package var snapshot: ThinIdentity
        /// Bytes of the snapshot.
        package var size: UInt64
        /// The snapshot that the last restore point was made of; nil: there is none that serves.
        package var base: ThinIdentity?
        /// Its volume has an origin outside of the pool: where it has no blocks it reads that, and not zeros.
        package var readsOrigin: Bool

        package init(_ snapshot: ThinIdentity, size: UInt64, base: ThinIdentity?, readsOrigin: Bool = false) {
            self.readsOrigin = readsOrigin
            self.snapshot = snapshot
            self.size = size
            self.base = base
        }
    }

    /// The knowledge of one subject.
    package enum Answer: Hashable, Sendable {
        /// The parts that differ from the base, and those that have blocks at all.
        case changes(ThinDelta)
        /// The parts that have blocks, and the reason why it is not known what differs. All of it is read, and compared
        /// by hash.
        case mapped(ThinDelta, FullRead?)
        /// Nothing is known. All of the volume is read.
        case nothing(FullRead)
    }

    private let hold: MetadataHold
    private let machine: any Machine

    package init(_ hold: MetadataHold, on machine: any Machine) {
        self.hold = hold
        self.machine = machine
    }

    /// Answers for subjects of one pool, by one reserve. Their snapshots must be made already.
    /// - Returns: an answer for each, in order.
    package func answers(for subjects: [Subject], in pool: ThinPoolPlace) async -> [Answer] {
        guard !subjects.isEmpty else { return [] }
        do throws(HostError) {
            guard try await toolsAreTrusted() else {
                let error = HostError(
                    .refused, "thin_delta of this version is not trusted to name all changes",
                    cause: "0.9.0, or 1.0.6 and later of thin-provisioning-tools are")
                return subjects.map { _ in .nothing(FullRead(.deltaUnknown, error.description)) }
            }
            return try await hold.use(pool) { held throws(HostError) in
                let list = try await output(Self.list(pool.metadataPath))
                let devices = try ThinDevice.decode(list)
                var answers: [Answer] = []
                for subject in subjects { answers.append(await answer(subject, in: pool, held: held, devices)) }
                return answers
            }
        } catch {
            let reason: FullRead.Reason = error.code == .busy ? .metadataSnapshotHeld : .deltaUnknown
            return subjects.map { _ in .nothing(FullRead(reason, error.description)) }
        }
    }

    private func answer(
        _ subject: Subject, in pool: ThinPoolPlace, held: MetadataHold.Held, _ devices: [UInt32: ThinDevice]
    ) async -> Answer {
        if subject.readsOrigin {
            return .nothing(FullRead(.deltaUnknown, "the volume reads an origin outside of its pool"))
        }
        var doubt: FullRead?
        if let base = subject.base {
            do throws(HostError) {
                return .changes(try await delta(from: base, to: subject, in: pool, held: held, devices))
            } catch {
                doubt = FullRead(error.code == .preconditionFailed ? .baseExchanged : .deltaUnknown, error.description)
            }
        }
        do throws(HostError) {
            return .mapped(try await delta(from: subject.snapshot, to: subject, in: pool, held: held, devices), doubt)
        } catch {
            return .nothing(doubt ?? FullRead(.deltaUnknown, error.description))
        }
    }

    /// The difference, proven by the kernel's own list: both devices are those that LVM means, and each has as many
    /// chunks as the answer counts.
    /// - Throws: `preconditionFailed` where a device is another one.
    private func delta(
        from base: ThinIdentity, to subject: Subject, in pool: ThinPoolPlace, held: MetadataHold.Held,
        _ devices: [UInt32: ThinDevice]
    ) async throws(HostError) -> ThinDelta {
        let left = try Self.device(base, devices), right = try Self.device(subject.snapshot, devices)
        let question = ThinDelta.Question(
            left: base.device, right: subject.snapshot.device, chunkSectors: UInt64(pool.chunkSize.bytes) / 512,
            transaction: held.transaction, size: subject.size)
        let answer = try await output(Self.delta(base.device, subject.snapshot.device, in: pool.metadataPath))
        let delta = try ThinDelta.decode(answer, of: question)
        guard delta.leftChunks == left.mappedChunks, delta.rightChunks == right.mappedChunks else {
            throw ThinDeltaDecoder.malformed(
                "it counts \(delta.leftChunks) and \(delta.rightChunks) chunks, and the pool "
                    + "\(left.mappedChunks) and \(right.mappedChunks)")
        }
        return delta
    }

    private static func device(
        _ identity: ThinIdentity, _ devices: [UInt32: ThinDevice]
    ) throws(HostError) -> ThinDevice {
        guard let device = devices[identity.device] else {
            throw HostError(.preconditionFailed, "the pool has no device \(identity.device)")
        }
        guard device.transaction == identity.transaction else {
            throw HostError(
                .preconditionFailed,
                "device \(identity.device) of the pool was made at transaction \(device.transaction) and not at "
                    + "\(identity.transaction): it is another one")
        }
        return device
    }

    // MARK: Commands

    private func toolsAreTrusted() async throws(HostError) -> Bool {
        ThinTools.isTrusted(try await output(Self.version))
    }

    /// The output of a command that succeeded. These tools print their usage where they fail.
    private func output(_ command: Command) async throws(HostError) -> [UInt8] {
        let output = try await machine.read(command)
        guard output.status == 0 else {
            throw HostError(
                .failed, "\(command.tool) ended with status \(output.status)",
                cause: output.standardError.isEmpty ? nil : output.standardError, subject: command.description)
        }
        return output.standardOutput
    }

    static let version = Command(
        "thin_delta", ["--version"], effect: .reads, deadline: MetadataHold.deadline, outputLimit: 1 << 12)

    static func list(_ path: String) -> Command {
        Command(
            "thin_ls", ["--metadata-snap", "--no-headers", "--format", ThinDevice.columns, path], effect: .reads,
            deadline: deadline, outputLimit: listLimit)
    }

    /// `--metadata-snap` without a number: 0.9 would take one, and 1.x does not.
    static func delta(_ left: UInt32, _ right: UInt32, in path: String) -> Command {
        Command(
            "thin_delta", ["--metadata-snap", "--snap1", "\(left)", "--snap2", "\(right)", path], effect: .reads,
            deadline: deadline, outputLimit: answerLimit)
    }
}
