import TuffHost
import TuffModel

/// The preconditions that only LVM can tell.
struct LVMConditions {
    let commands: CommandRunner

    /// - Returns: the device mapper's uuid of the volume that was looked at, by the uid that it proved to have.
    func check(_ condition: Precondition) async throws(HostError) -> [UID: String] {
        switch condition {
        case .logicalVolume(let group, let name, let uuid, let uid, let size):
            let volume = try await logicalVolume(
                "\(group)/\(name)", uuid: uuid, tags: ["tuff:uid=\(uid)"], for: condition)
            if let size, volume.size != size { throw condition.failure("it has \(volume.size.bytes) bytes") }
            return [uid: volume.device]
        case .expiredVolume(let group, let name, let uuid, let uid, let until):
            let volume = try await logicalVolume(
                "\(group)/\(name)", uuid: uuid, tags: ["tuff:uid=\(uid)", "tuff:until=\(until)"], for: condition)
            // Protected since it was looked at, by whoever may tag volumes.
            guard !volume.tags.contains("tuff:protect") else { throw condition.failure("it is protected") }
            // Empty, or "unknown" for what is inactive and therefore not open.
            guard ["", "unknown"].contains(volume.open) else { throw condition.failure("it is open") }
            try await demandNoDependents(of: name, in: group, condition)
        case .unfinished(let group, let name, let uid, let operation):
            let volume = try await logicalVolume(
                "\(group)/\(name)", uuid: nil, tags: ["tuff:uid=\(uid)", "tuff:op=\(operation)"], for: condition)
            return [uid: volume.device]
        case .restorable(let group, let name, let uuid, let uid):
            let volume = try await logicalVolume(
                "\(group)/\(name)", uuid: uuid, tags: ["tuff:uid=\(uid)"], for: condition)
            let forbidding = ["tuff:protect", "tuff:op=", "tuff:until=", "tuff:released"]
            if let tag = volume.tags.first(where: { tag in forbidding.contains { tag.hasPrefix($0) } }) {
                throw condition.failure("it is tagged \(tag)")
            }
            guard ["", "unknown"].contains(volume.open) else { throw condition.failure("it is open") }
        case .unmarkedVolume(let group, let name, let uuid):
            let volume = try await logicalVolume("\(group)/\(name)", uuid: uuid, tags: [], for: condition)
            guard Marks.read(volume.tags) == .foreign else {
                throw condition.failure("its tags are '\(volume.tags.joined(separator: ","))'")
            }
        case .volumeGroup(let name, let uuid, let tags):
            let group = try await volumeGroup(name, condition)
            guard uuid == nil || group.uuid == uuid else { throw condition.failure("its uuid is \(group.uuid)") }
            guard tags.allSatisfy(group.tags.contains) else {
                throw condition.failure("its tags are '\(group.tags.joined(separator: ","))'")
            }
        case .temporarySnapshot(let snapshot): try await temporary(snapshot, condition)
        case .scratchVolume(let group, let name, let uuid, let tags):
            let volume = try await logicalVolume("\(group)/\(name)", uuid: uuid, tags: tags, for: condition)
            guard volume.tags.filter({ $0.hasPrefix(Marks.prefix) }).count == tags.count else {
                throw condition.failure("its tags are '\(volume.tags.joined(separator: ","))'")
            }
            guard ["", "unknown"].contains(volume.open) else { throw condition.failure("it is open") }
            try await demandNoDependents(of: name, in: group, condition)
        case .wholeSnapshot(let group, let name, let uuid, let uid):
            try await whole("\(group)/\(name)", uuid: uuid, uid: uid, for: condition)
        case .thinPool(let group, let name): try await thinPool("\(group)/\(name)", condition)
        case .device, .file, .unopened, .vacant, .text, .noSession, .blankDevice, .physicalVolume, .wipedExtents,
            .tgtIdle:
            throw HostError(.refused, "LVM does not tell that \(condition.sentence)")
        }
        return [:]
    }

    private struct Volume {
        var uuid: String
        var size: ByteCount
        var tags: [String]
        var open: String
        /// The device mapper's uuid.
        var device: String
    }

    /// The volume of this name, which must have this uuid and carry these tags.
    private func logicalVolume(
        _ path: String, uuid: String?, tags: [String], for condition: Precondition
    ) async throws(HostError) -> Volume {
        let query = LVMQuery(
            .lvs, [.groupUUID, .volumeUUID, .volumeSize, .volumeTags, .volumeOpen],
            options: ["--units", "b", "--nosuffix"], of: ["--", path])
        let missing = "did not print one logical volume for \(path)"
        let row = try await row(query, condition, or: missing)
        guard let size = Int64(row[.volumeSize]) else { throw malformed(query, missing) }
        let volume = Volume(
            uuid: row[.volumeUUID], size: ByteCount(size), tags: row.tags(), open: row[.volumeOpen],
            device: DeviceMapper.uuid(group: row[.groupUUID], volume: row[.volumeUUID]))
        guard uuid == nil || volume.uuid == uuid else { throw condition.failure("its LVM uuid is \(volume.uuid)") }
        guard tags.allSatisfy(volume.tags.contains) else {
            throw condition.failure("its tags are '\(volume.tags.joined(separator: ","))'")
        }
        return volume
    }

    /// Refuses a volume along with which LVM would remove another, since `--yes` answers that question too.
    private func demandNoDependents(
        of name: String, in group: String, _ condition: Precondition
    ) async throws(HostError) {
        let rows = try await layout(["-S", "lv_name=\"\(name)\" || origin=\"\(name)\"", "--", group], condition)
        guard let own = rows.first(where: { $0[.volumeName] == name }) else { throw condition.failure("it is gone") }
        let dependent = rows.first {
            $0[.origin] == name && !(own[.segmentType] == "thin" && $0[.segmentType] == "thin")
        }
        if let dependent {
            throw condition.failure("\(group)/\(dependent[.volumeName]) is a snapshot of it and would go with it")
        }
    }

    private func layout(_ selection: [String], _ condition: Precondition) async throws(HostError) -> [LVMRow] {
        let query = LVMQuery(.lvs, [.volumeName, .segmentType, .origin], of: selection)
        return try await rows(query, condition, or: "printed no segment types")
    }

    private func thinPool(_ path: String, _ condition: Precondition) async throws(HostError) {
        let types = try await layout(["--", path], condition).map { $0[.segmentType] }
        guard types == ["thin-pool"] else { throw condition.failure("it is \(types.joined(separator: ", "))") }
    }

    private func volumeGroup(
        _ name: String, _ condition: Precondition
    ) async throws(HostError) -> (uuid: String, tags: [String]) {
        let query = LVMQuery(.vgs, [.groupUUID, .groupTags], of: ["--", name])
        let row = try await row(query, condition, or: "did not print one volume group for \(name)")
        return (row[.groupUUID], row.tags(.groupTags))
    }

    // MARK: Reports

    /// The only row of a report. One that LVM did not end well with is no evidence, whatever it shows.
    /// - Parameter missing: what to say of a report that is none, or has another number of rows.
    func row(_ query: LVMQuery, _ condition: Precondition, or missing: String) async throws(HostError) -> LVMRow {
        let rows = try await rows(query, condition, or: missing)
        guard rows.count == 1 else { throw malformed(query, missing) }
        return rows[0]
    }

    private func rows(
        _ query: LVMQuery, _ condition: Precondition, or missing: String
    ) async throws(HostError) -> [LVMRow] {
        let output = try await commands.run(query.command)
        guard output.status == 0 else {
            throw condition.failure(output.ending(of: query.name), cause: output.standardError)
        }
        guard let rows = query.rows(in: output) else { throw malformed(query, missing) }
        return rows
    }

    private func malformed(_ query: LVMQuery, _ found: String) -> HostError {
        HostError(.malformed, "Nothing was done: \(query.name) \(found)", subject: query.command.description)
    }
}
