import TuffDrivers
import TuffHost
import TuffModel

/// The metadata of thin pools as the kernel keeps them and thin-provisioning-tools read them: numbers of devices, which
/// are given again, transactions, which are not, and one reserved snapshot of a pool (measured on a real kernel).
extension FakeLVM {
    /// Of one pool.
    package struct Metadata: Equatable, Sendable {
        struct Device: Equatable, Sendable {
            var transaction: UInt64
            var runs: [Run]
        }

        struct Held: Equatable, Sendable {
            var block: UInt64
            var transaction: UInt64
            var devices: [UInt32: Device]
        }

        package init() {}

        var transaction: UInt64 = 0
        var held: Held?
        var nextBlock: UInt64 = 100
        /// The number and the transaction of each thin volume, by LVM's uuid.
        var numbers: [String: ThinIdentity] = [:]
        /// What `thin_delta` prints leaves out every range that differs: it looks right, and only a sample tells.
        package var lies = false

        /// Block of the reserved snapshot.
        package var heldBlock: UInt64? { held?.block }
    }

    /// A thin volume was made. A number that was given before is given again.
    mutating func number(_ uuid: String, in place: String) {
        var kept = metadata[place] ?? Metadata()
        let used = Set(kept.numbers.values.map(\.device))
        let device = (UInt32(1)...).first { !used.contains($0) } ?? 0
        kept.numbers[uuid] = ThinIdentity(uuid: uuid, device: device, transaction: kept.transaction)
        kept.transaction += 1
        metadata[place] = kept
    }

    mutating func forget(_ uuid: String, in place: String) {
        guard metadata[place]?.numbers.removeValue(forKey: uuid) != nil else { return }
        metadata[place]?.transaction += 1
    }

    /// Tests put volumes into a group without LVM, too.
    mutating func renumber(_ group: String) {
        guard let found = self[group] else { return }
        let thin = found.volumes.values.filter { $0.pool != nil }.sorted { $0.uuid < $1.uuid }
        for pool in Set(thin.compactMap(\.pool)).union(found.volumes.keys.filter { metadata["\(group)/\($0)"] != nil })
        {
            let place = "\(group)/\(pool)"
            let here = thin.filter { $0.pool == pool }
            let known = metadata[place]?.numbers ?? [:]
            for uuid in known.keys.sorted() where !here.contains(where: { $0.uuid == uuid }) { forget(uuid, in: place) }
            for volume in here where known[volume.uuid] == nil { number(volume.uuid, in: place) }
        }
    }

    func thinIdentity(of volume: Volume, in group: String) -> ThinIdentity? {
        volume.pool.flatMap { metadata["\(group)/\($0)"]?.numbers[volume.uuid] }
    }

    /// Somebody reserves a pool's metadata snapshot, or gives it back (`dmsetup message`).
    package mutating func reserve(_ pool: String, in group: String) {
        renumber(group)
        let place = "\(group)/\(pool)"
        var kept = metadata[place] ?? Metadata()
        guard kept.held == nil, let found = self[group] else { return }
        var devices: [UInt32: Metadata.Device] = [:]
        for volume in found.volumes.values {
            guard volume.pool == pool, let identity = kept.numbers[volume.uuid] else { continue }
            devices[identity.device] = Metadata.Device(transaction: identity.transaction, runs: volume.runs)
        }
        kept.held = Metadata.Held(block: kept.nextBlock, transaction: kept.transaction, devices: devices)
        kept.nextBlock += 5
        metadata[place] = kept
    }

    package mutating func release(_ pool: String, in group: String) { metadata["\(group)/\(pool)"]?.held = nil }

    // MARK: Tools

    /// Runs `dmsetup`, `thin_delta`, `thin_ls` or `thin_dump`.
    mutating func runThin(_ command: Command) -> FakeResponse {
        func failure(_ text: String) -> FakeResponse {
            .output(
                CommandOutput(
                    status: 1, standardOutput: command.tool == "dmsetup" ? [] : Array("Usage: …\n".utf8),
                    standardError: text))
        }
        func output(_ text: String) -> FakeResponse {
            .output(CommandOutput(status: 0, standardOutput: Array(text.utf8)))
        }
        if command.arguments == ["--version"] { return output("0.9.0\n") }
        guard let (group, pool) = pool(of: command) else { return failure("Device does not exist.\nCommand failed.") }
        renumber(group)
        let kept = metadata["\(group)/\(pool)"] ?? Metadata()
        guard self[group, pool]?.active == true else { return failure("Device does not exist.\nCommand failed.") }
        switch (command.tool, command.arguments.first, command.arguments.last) {
        case ("dmsetup", "status", _):
            let held = kept.held.map { "\($0.block)" } ?? "-"
            return output(
                "0 614400 thin-pool \(kept.transaction) 113/1024 11/600 \(held) rw no_discard_passdown "
                    + "queue_if_no_space - 256 \n")
        case ("dmsetup", "message", "reserve_metadata_snap"):
            guard kept.held == nil else { return failure("message ioctl failed: Device or resource busy") }
            reserve(pool, in: group)
            return output("")
        case ("dmsetup", "message", "release_metadata_snap"):
            guard kept.held != nil else { return failure("message ioctl failed: Invalid argument") }
            release(pool, in: group)
            return output("")
        default: break
        }
        guard let held = kept.held else { return failure("no current metadata snap") }
        let superblock = "<superblock uuid=\"\" time=\"1\" transaction=\"\(held.transaction)\" "
        switch command.tool {
        case "thin_dump":
            return output(superblock + "data_block_size=\"128\" nr_data_blocks=\"0\">\n</superblock>\n")
        case "thin_ls":
            return output(
                held.devices.sorted { $0.key < $1.key }.map {
                    "\($0.key) \(Self.chunks($0.value.runs).reduce(0) { $0 + $1.length }) \($0.value.transaction) \n"
                }.joined())
        case "thin_delta":
            guard command.arguments.count == 6, let one = UInt32(command.arguments[2]),
                let other = UInt32(command.arguments[4]), let left = held.devices[one],
                let right = held.devices[other]
            else { return failure("Unable to find mapping tree") }
            let lines = Self.delta(Self.chunks(left.runs), Self.chunks(right.runs)).map { line in
                // A lie that keeps all counts.
                let kind = kept.lies && line.kind == "different" ? "same" : line.kind
                return "    <\(kind) begin=\"\(line.begin)\" length=\"\(line.end - line.begin)\"/>\n"
            }
            return output(
                superblock + "data_block_size=\"128\" nr_data_blocks=\"0\">\n"
                    + "  <diff left=\"\(one)\" right=\"\(other)\">\n"
                    + lines.joined() + "  </diff>\n</superblock>\n")
        default: preconditionFailure("FakeMachine has no tool for: \(command)")
        }
    }

    private func pool(of command: Command) -> (group: String, pool: String)? {
        for group in groups {
            for volume in group.volumes.values {
                guard case .thinPool = volume.kind else { continue }
                let device = "\(DeviceMapper.uuid(group: group.uuid, volume: volume.uuid))-tpool"
                let path = ThinPoolPlace(
                    group: group.name, name: volume.name, groupUUID: "", uuid: "", chunkSize: .zero
                ).metadataPath
                if command.arguments.contains(device) || command.arguments.last == path {
                    return (group.name, volume.name)
                }
            }
        }
        return nil
    }

    // MARK: Chunks

    private struct Chunks {
        var begin: Int64
        var end: Int64
        var origin: UInt64

        var length: Int64 { end - begin }
    }

    /// In chunks of 64 KiB, of which the first and the last of a run may have a part only.
    private static func chunks(_ runs: [Run]) -> [Chunks] {
        var result: [Chunks] = []
        for run in runs.sorted(by: { $0.from < $1.from }) {
            let begin = max(run.from.bytes / 65_536, result.last?.end ?? 0)
            let end = (run.to.bytes + 65_535) / 65_536
            if begin < end { result.append(Chunks(begin: begin, end: end, origin: run.origin)) }
        }
        return result
    }

    private static func delta(
        _ left: [Chunks], _ right: [Chunks]
    ) -> [(kind: String, begin: Int64, end: Int64)] {
        let marks = Set((left + right).flatMap { [$0.begin, $0.end] }).sorted()
        var lines: [(kind: String, begin: Int64, end: Int64)] = []
        for (begin, end) in zip(marks, marks.dropFirst()) {
            let one = left.first { $0.begin <= begin && begin < $0.end }
            let other = right.first { $0.begin <= begin && begin < $0.end }
            let kind: String? =
                switch (one, other) {
                case (nil, nil): nil
                case (_?, nil): "left_only"
                case (nil, _?): "right_only"
                case (let one?, let other?): one.origin == other.origin ? "same" : "different"
                }
            guard let kind else { continue }
            if let last = lines.last, last.kind == kind, last.end == begin {
                lines[lines.count - 1].end = end
            } else {
                lines.append((kind, begin, end))
            }
        }
        return lines
    }

    /// `lvs` on the thin volumes of a group, as `ThinVolumeReport` asks.
    mutating func thinVolumes(_ arguments: [String]) -> FakeResponse {
        let group = arguments.last ?? ""
        precondition(
            arguments == ThinVolumeReport.command(group: group).arguments, "FakeLVM does not know: lvm \(arguments)")
        if self[group]?.isLocked == true { return .hangs }
        renumber(group)
        guard let found = self[group] else {
            return .output(CommandOutput(status: Self.refused, standardOutput: [], standardError: "not found"))
        }
        let rows = found.volumes.values.filter { $0.pool != nil }.sorted { $0.name < $1.name }.map { volume in
            let identity = thinIdentity(of: volume, in: group)
            let cells = [
                volume.uuid, volume.name, "\(volume.size.bytes)", "\(identity?.device ?? 0)",
                "\(identity?.transaction ?? 0)", volume.pool ?? "",
                volume.isReadOnly ? "read-only" : volume.active ? "writeable" : "unknown",
                volume.tags.sorted().joined(separator: ","),
            ]
            return "{" + zip(ThinVolumeReport.columns, cells).map { "\"\($0)\":\"\($1)\"" }.joined(separator: ", ")
                + "}"
        }
        let text = "{\"report\": [{\"lv\": [" + rows.joined(separator: ",") + "]}]}\n"
        return .output(CommandOutput(status: 0, standardOutput: Array(text.utf8)))
    }
}
