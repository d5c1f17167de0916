import TuffModel

/// The preconditions that only a tool can tell.
struct CommandConditions {
    let commands: CommandRunner

    func check(_ condition: Precondition) async throws(HostError) {
        switch condition {
        case .logicalVolume(let group, let name, let uuid, let uid, let size):
            let volume = try await logicalVolume("\(group)/\(name)", uuid, ["tuff:uid=\(uid)"], condition)
            if let size, volume.size != size { throw failed(condition, "it has \(volume.size.bytes) bytes") }
        case .expiredVolume(let group, let name, let uuid, let uid, let until):
            let volume = try await logicalVolume(
                "\(group)/\(name)", uuid, ["tuff:uid=\(uid)", "tuff:until=\(until)"], condition)
            // Protected since it was looked at, by whoever may tag volumes.
            guard !volume.tags.contains("tuff:protect") else { throw failed(condition, "it is protected") }
            // Empty, or "unknown" for what is inactive and therefore not open.
            guard ["", "unknown"].contains(volume.open) else { throw failed(condition, "it is open") }
            try await demandNoDependents(of: name, in: group, condition)
        case .unfinished(let group, let name, let uid, let operation):
            _ = try await logicalVolume(
                "\(group)/\(name)", nil, ["tuff:uid=\(uid)", "tuff:op=\(operation)"], condition)
        case .restorable(let group, let name, let uuid, let uid):
            let volume = try await logicalVolume("\(group)/\(name)", uuid, ["tuff:uid=\(uid)"], condition)
            let forbidding = ["tuff:protect", "tuff:op=", "tuff:until=", "tuff:released"]
            if let tag = volume.tags.first(where: { tag in forbidding.contains { tag.hasPrefix($0) } }) {
                throw failed(condition, "it is tagged \(tag)")
            }
            guard ["", "unknown"].contains(volume.open) else { throw failed(condition, "it is open") }
        case .unmarkedVolume(let group, let name, let uuid):
            let volume = try await logicalVolume("\(group)/\(name)", uuid, [], condition)
            guard Marks.read(volume.tags) == .foreign else {
                throw failed(condition, "its tags are '\(volume.tags.joined(separator: ","))'")
            }
        case .tgtIdle(let port, let tid, _, let initiator):
            let command = Command(
                "tgtadm", ["-C", "\(port)", "--lld", "iscsi", "--mode", "conn", "--op", "show", "--tid", "\(tid)"],
                effect: .reads, outputLimit: 1 << 20)
            let output = try await commands.run(command)
            guard output.status == 0 else {
                throw failed(condition, "tgtadm cannot tell (status \(output.status))", output.standardError)
            }
            guard !Self.isConnected(initiator, output.standardOutput) else {
                throw failed(condition, "there is a session")
            }
        case .volumeGroup(let name, let uuid, let tags):
            let group = try await volumeGroup(name, condition)
            guard uuid == nil || group.uuid == uuid else { throw failed(condition, "its uuid is \(group.uuid)") }
            guard tags.allSatisfy(group.tags.contains) else {
                throw failed(condition, "its tags are '\(group.tags.joined(separator: ","))'")
            }
        case .temporarySnapshot(let snapshot): try await temporary(snapshot, condition)
        case .wholeSnapshot(let group, let name, let uuid, let uid):
            try await whole("\(group)/\(name)", uuid, uid, condition)
        case .thinPool(let group, let name): try await thinPool("\(group)/\(name)", condition)
        case .device, .file, .unopened, .vacant, .text, .noSession, .blankDevice, .physicalVolume,
            .wipedExtents:
            throw HostError(.refused, "No command tells that \(condition.sentence)")
        }
    }

    /// A nexus is listed as `Session: N`, and beneath it a `Connection: N` with `Initiator: NAME`, each on a line of its
    /// own; without one nothing is printed. A session that does not say whose it is counts as anybody's.
    private static func isConnected(_ initiator: String?, _ output: [UInt8]) -> Bool {
        let lines = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline).map {
            $0.split(separator: " ").joined(separator: " ")
        }.filter { !$0.isEmpty }
        guard let initiator, !lines.isEmpty else { return !lines.isEmpty }
        let sessions = lines.split(omittingEmptySubsequences: false) { $0.hasPrefix("Session: ") }
        return sessions.first?.isEmpty == false
            || sessions.dropFirst().contains { session in
                let names = session.filter { $0.hasPrefix("Initiator: ") }.map { $0.dropFirst("Initiator: ".count) }
                return names.isEmpty || names.contains { $0 == initiator }
            }
    }

    private struct Volume {
        var uuid: String
        var size: ByteCount
        var tags: [String]
        var open: String
    }

    private struct VolumeRow: Decodable {
        var uuid: String
        var size: String
        var tags: String
        var open: String

        enum CodingKeys: String, CodingKey {
            case uuid = "lv_uuid"
            case size = "lv_size"
            case tags = "lv_tags"
            case open = "lv_device_open"
        }
    }

    /// The volume of this name, which must have this uuid and carry these tags.
    private func logicalVolume(
        _ path: String, _ uuid: String?, _ tags: [String], _ condition: Precondition
    ) async throws(HostError) -> Volume {
        let command = Command(
            "lvm",
            [
                "lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o",
                "lv_uuid,lv_size,lv_tags,lv_device_open",
                "--", path,
            ], effect: .reads, outputLimit: 1 << 20)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw failed(condition, "lvm lvs ended with status \(output.status)", output.standardError)
        }
        guard let rows = LVMReport<VolumeRow>.rows(output.standardOutput), rows.count == 1, let row = rows.first,
            let size = Int64(row.size)
        else {
            throw HostError(
                .malformed, "Nothing was done: lvm lvs did not print one logical volume for \(path)",
                subject: command.description)
        }
        let volume = Volume(
            uuid: row.uuid, size: ByteCount(size), tags: row.tags.split(separator: ",").map(String.init),
            open: row.open)
        guard uuid == nil || volume.uuid == uuid else { throw failed(condition, "its LVM uuid is \(volume.uuid)") }
        guard tags.allSatisfy(volume.tags.contains) else {
            throw failed(condition, "its tags are '\(volume.tags.joined(separator: ","))'")
        }
        return volume
    }

    private struct LayoutRow: Decodable {
        var name: String
        var segtype: String
        var origin: String

        enum CodingKeys: String, CodingKey {
            case name = "lv_name"
            case segtype, origin
        }
    }

    /// What LVM would remove along with a volume, since `--yes` answers that question too.
    private func demandNoDependents(
        of name: String, in group: String, _ condition: Precondition
    ) async throws(HostError) {
        let rows = try await layout(["-S", "lv_name=\"\(name)\" || origin=\"\(name)\"", "--", group], condition)
        guard let own = rows.first(where: { $0.name == name }) else { throw failed(condition, "it is gone") }
        let dependent = rows.first { $0.origin == name && !(own.segtype == "thin" && $0.segtype == "thin") }
        if let dependent {
            throw failed(condition, "\(group)/\(dependent.name) is a snapshot of it and would go with it")
        }
    }

    private func layout(
        _ selection: [String], _ condition: Precondition
    ) async throws(HostError) -> [LayoutRow] {
        let command = Command(
            "lvm", ["lvs", "--reportformat", "json", "-o", "lv_name,segtype,origin"] + selection, effect: .reads,
            outputLimit: 1 << 20)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw failed(condition, "lvm lvs ended with status \(output.status)", output.standardError)
        }
        guard let rows = LVMReport<LayoutRow>.rows(output.standardOutput) else {
            throw HostError(
                .malformed, "Nothing was done: lvm lvs printed no segment types", subject: command.description)
        }
        return rows
    }

    private func thinPool(_ path: String, _ condition: Precondition) async throws(HostError) {
        let types = try await layout(["--", path], condition).map(\.segtype)
        guard types == ["thin-pool"] else { throw failed(condition, "it is \(types.joined(separator: ", "))") }
    }

    func failed(_ condition: Precondition, _ found: String, _ cause: String = "") -> HostError {
        var error = FileConditions.failed(condition, found)
        error.cause = cause.isEmpty ? nil : cause
        return error
    }
}

extension CommandConditions {
    private struct GroupRow: Decodable {
        var uuid: String
        var tags: String

        enum CodingKeys: String, CodingKey {
            case uuid = "vg_uuid"
            case tags = "vg_tags"
        }
    }

    private func volumeGroup(
        _ name: String, _ condition: Precondition
    ) async throws(HostError) -> (uuid: String, tags: [String]) {
        let command = Command(
            "lvm", ["vgs", "--reportformat", "json", "-o", "vg_uuid,vg_tags", "--", name], effect: .reads,
            outputLimit: 1 << 20)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw failed(condition, "lvm vgs ended with status \(output.status)", output.standardError)
        }
        guard let rows = LVMReport<GroupRow>.rows(output.standardOutput), rows.count == 1, let row = rows.first
        else {
            throw HostError(
                .malformed, "Nothing was done: lvm vgs did not print one volume group for \(name)",
                subject: command.description)
        }
        return (row.uuid, row.tags.split(separator: ",").map(String.init))
    }
}
