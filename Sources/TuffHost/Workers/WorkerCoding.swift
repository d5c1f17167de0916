import FoundationEssentials
import TuffModel

/// A form in which values are bytes: numbers little endian in eight bytes, texts with their length before them.
///
/// Requests and replies are written in it by hand. JSON through Codable cost more than most requests themselves: a
/// first request and its answer touched some 300 pages of the encoder's code and type metadata on either side.
protocol ByteForm {}

extension ByteForm {
    static func put(_ bytes: some Collection<UInt8>, _ result: inout [UInt8]) {
        put(Int64(bytes.count), &result)
        result.append(contentsOf: bytes)
    }

    static func put(_ number: Int64, _ result: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { result.append(contentsOf: $0) }
    }

    static func put(optional text: String?, _ result: inout [UInt8]) {
        result.append(text == nil ? 0 : 1)
        if let text { put(text.utf8, &result) }
    }

    static func number(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        guard rest.count >= 8 else { return nil }
        let value = rest.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        rest = rest.dropFirst(8)
        return Int64(bitPattern: UInt64(littleEndian: value))
    }

    static func block(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let count = number(&rest), count >= 0, count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(Int(count)) }
        return rest.prefix(Int(count))
    }

    static func text(_ rest: inout ArraySlice<UInt8>) -> String? {
        block(&rest).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Nil for bytes that `put(optional:)` does not make; nil inside where it was given nil.
    static func optionalText(_ rest: inout ArraySlice<UInt8>) -> String?? {
        switch rest.popFirst() {
        case 0: .some(nil)
        case 1: text(&rest).map { .some($0) }
        default: nil
        }
    }

    /// As many values as were counted before them; nil when one of them is none.
    static func list<Value>(
        _ rest: inout ArraySlice<UInt8>, _ read: (inout ArraySlice<UInt8>) -> Value?
    ) -> [Value]? {
        // Every value takes at least one byte, so no count can ask for more room than the message took.
        guard let count = number(&rest), count >= 0, count <= rest.count else { return nil }
        var values: [Value] = []
        values.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let value = read(&rest) else { return nil }
            values.append(value)
        }
        return values
    }

    static func path(_ rest: inout ArraySlice<UInt8>) -> HostPath? {
        guard let root = root(&rest), let relative = text(&rest) else { return nil }
        return HostPath(root, relative)
    }

    static func put(_ path: HostPath, _ result: inout [UInt8]) {
        put(path.root, &result)
        put(path.relative.utf8, &result)
    }

    static func root(_ rest: inout ArraySlice<UInt8>) -> HostPath.Root? {
        optionalText(&rest).map { directory in
            // No directory has an empty path.
            directory.map { $0.isEmpty ? .lvmProfiles : .directory($0) } ?? .targetConfiguration
        }
    }

    static func put(_ root: HostPath.Root, _ result: inout [UInt8]) {
        switch root {
        case .targetConfiguration: put(optional: nil, &result)
        case .lvmProfiles: put(optional: "", &result)
        case .directory(let path): put(optional: path, &result)
        }
    }
}

/// Requests as bytes: the roots, the kind of work, the work.
enum RequestCoding: ByteForm {
    private enum Kind: UInt8 { case perform, readTree, other, job }

    static func encode(_ request: WorkerRequest) throws -> [UInt8] {
        var result: [UInt8] = []
        put(request.roots.target.utf8, &result)
        for sort in Reach.Sort.allCases {
            put(Int64(request.roots[sort].count), &result)
            for path in request.roots[sort] { put(path.utf8, &result) }
        }
        put(Int64(request.roots.shares.count), &result)
        for (path, share) in request.roots.shares.sorted(by: { $0.key < $1.key }) {
            put(path.utf8, &result)
            put(try JSONEncoder().encode(share), &result)
        }
        put(optional: request.jobs, &result)
        switch request.work {
        case .perform(let sequences):
            result.append(Kind.perform.rawValue)
            put(Int64(sequences.count), &result)
            for actions in sequences {
                put(Int64(actions.count), &result)
                for action in actions { try ActionCoding.put(action, &result) }
            }
        case .readTree(let root, let queries, let key):
            result.append(Kind.readTree.rawValue)
            put(root, &result)
            put(key.bytes, &result)
            put(Int64(queries.count), &result)
            for query in queries {
                result.append(readings[query.reading]!)
                put(query.pattern.utf8, &result)
            }
        case .space, .fingerprint, .image, .look, .mount:
            result.append(Kind.other.rawValue)
            result += try JSONEncoder().encode(request.work)
        case .job(let job, let body):
            result.append(Kind.job.rawValue)
            for text in [job.id, job.kind, job.summary, job.recording.rawValue] { put(text.utf8, &result) }
            for texts in [job.keys, job.objects.map(\.description), job.servers] {
                put(Int64(texts.count), &result)
                for text in texts { put(text.utf8, &result) }
            }
            put(body, &result)
        }
        return result
    }

    /// Nil for bytes that `encode` does not make.
    static func decode(_ body: [UInt8]) -> WorkerRequest? {
        var rest = body[...]
        guard let target = text(&rest) else { return nil }
        var reach = Reach()
        for sort in Reach.Sort.allCases {
            guard let paths = list(&rest, { text(&$0) }) else { return nil }
            reach[sort] = paths
        }
        guard let shares = list(&rest, { share(&$0) }), let jobs = optionalText(&rest),
            let kind = rest.popFirst().flatMap(Kind.init),
            let work = work(kind, &rest)
        else { return nil }
        var roots = HostRoots(target: target, reach: reach)
        roots.shares = Dictionary(shares) { first, _ in first }
        return WorkerRequest(roots: roots, work: work, jobs: jobs)
    }

    private static func share(_ rest: inout ArraySlice<UInt8>) -> (String, NFSShare)? {
        guard let path = text(&rest), let body = block(&rest),
            let share = try? JSONDecoder().decode(NFSShare.self, from: Data(body))
        else { return nil }
        return (path, share)
    }

    private static func work(_ kind: Kind, _ rest: inout ArraySlice<UInt8>) -> WorkerRequest.Work? {
        switch kind {
        case .perform:
            return list(&rest, { list(&$0, { ActionCoding.action(&$0) }) }).map { .perform($0) }
        case .readTree:
            guard let root = root(&rest), let key = block(&rest), let queries = list(&rest, { query(&$0) }) else {
                return nil
            }
            return .readTree(root, queries, FingerprintKey(bytes: Array(key)))
        case .other:
            return try? JSONDecoder().decode(WorkerRequest.Work.self, from: Data(rest))
        case .job:
            guard let id = text(&rest), let kind = text(&rest), let summary = text(&rest),
                let recording = text(&rest).flatMap({ JobRecording(rawValue: $0) }),
                let keys = list(&rest, { text(&$0) }),
                let objects = list(&rest, { text(&$0).flatMap { UID($0) } }), let servers = list(&rest, { text(&$0) }),
                let body = block(&rest)
            else { return nil }
            var ticket = JobTicket(
                id: id, kind: kind, summary: summary, keys: keys, objects: objects, servers: servers)
            ticket.recording = recording
            return .job(ticket, Array(body))
        }
    }

    private static let readings: [TreeQuery.Reading: UInt8] = [
        .presence: 0, .text: 1, .fingerprint: 2, .status: 3,
    ]

    private static func query(_ rest: inout ArraySlice<UInt8>) -> TreeQuery? {
        guard let code = rest.popFirst(), let reading = readings.first(where: { $0.value == code })?.key,
            let pattern = text(&rest)
        else { return nil }
        return TreeQuery(pattern, reading)
    }
}

/// The form of messages on progress.
enum ProgressCoding: ByteForm {
    static func encode(_ progress: WorkerProgress) -> [UInt8] {
        var result: [UInt8] = []
        put(Int64(progress.sequences), &result)
        put(progress.job.done.bytes, &result)
        put(progress.job.total.bytes, &result)
        put(progress.job.phase.utf8, &result)
        return result
    }

    /// Nil for bytes that `encode` does not make.
    static func decode(_ body: [UInt8]) -> WorkerProgress? {
        var rest = body[...]
        guard let sequences = number(&rest), let done = number(&rest), let total = number(&rest),
            let phase = text(&rest), rest.isEmpty, sequences >= 0, done >= 0, total >= 0, total == 0 || done <= total
        else { return nil }
        return WorkerProgress(sequences: Int(sequences), bytes: UInt64(done), of: UInt64(total), phase: phase)
    }
}

/// Actions as bytes: those that exporting consists of have a form of their own, the rare ones are JSON.
private enum ActionCoding: ByteForm {
    private enum Kind: UInt8 {
        case makeDirectory, removeDirectory, removeIfEmpty, removeDirectories, writeAttribute, verifyAttribute
        case setMode, link, unlink, device, enableDevice, enableFile, other
    }

    static func put(_ action: HostAction, _ result: inout [UInt8]) throws {
        func begin(_ kind: Kind, _ path: HostPath) {
            result.append(kind.rawValue)
            put(path, &result)
        }
        switch action {
        case .makeDirectory(let path): begin(.makeDirectory, path)
        case .removeDirectory(let path): begin(.removeDirectory, path)
        case .removeIfEmpty(let path): begin(.removeIfEmpty, path)
        case .removeDirectories(let path): begin(.removeDirectories, path)
        case .enableBackstore(let path, .device(let device)):
            begin(.enableDevice, path)
            for text in [device.group, device.name, device.uid.description] { put(text.utf8, &result) }
            put(optional: device.uuid, &result)
        case .enableBackstore(let path, .file(let file)):
            begin(.enableFile, path)
            put(file, &result)
        case .writeAttribute(let path, let value, let verify):
            begin(verify ? .verifyAttribute : .writeAttribute, path)
            put(value.utf8, &result)
        case .setMode(let path, let mode):
            begin(.setMode, path)
            put(Int64(mode), &result)
        case .link(let path, let target):
            begin(.link, path)
            put(target, &result)
        case .unlink(let path): begin(.unlink, path)
        case .require(.device(let group, let name, let uid, let uuid)):
            result.append(Kind.device.rawValue)
            for text in [group, name, uid.description] { put(text.utf8, &result) }
            put(optional: uuid, &result)
        default:
            result.append(Kind.other.rawValue)
            put(try JSONEncoder().encode(action), &result)
        }
    }

    static func action(_ rest: inout ArraySlice<UInt8>) -> HostAction? {
        guard let kind = rest.popFirst().flatMap(Kind.init) else { return nil }
        switch kind {
        case .device:
            return device(&rest).map {
                .require(.device(group: $0.group, name: $0.name, uid: $0.uid, uuid: $0.uuid))
            }
        case .other:
            return block(&rest).flatMap { try? JSONDecoder().decode(HostAction.self, from: Data($0)) }
        default: break
        }
        guard let place = path(&rest) else { return nil }
        switch kind {
        case .makeDirectory: return .makeDirectory(place)
        case .removeDirectory: return .removeDirectory(place)
        case .removeIfEmpty: return .removeIfEmpty(place)
        case .removeDirectories: return .removeDirectories(in: place)
        case .enableDevice: return device(&rest).map { .enableBackstore(place, opening: .device($0)) }
        case .enableFile: return path(&rest).map { .enableBackstore(place, opening: .file($0)) }
        case .writeAttribute: return text(&rest).map { .writeAttribute(place, $0, verify: false) }
        case .verifyAttribute: return text(&rest).map { .writeAttribute(place, $0, verify: true) }
        case .setMode: return number(&rest).flatMap { UInt16(exactly: $0) }.map { .setMode(place, $0) }
        case .link: return path(&rest).map { .link(place, to: $0) }
        case .unlink: return .unlink(place)
        case .device, .other: return nil
        }
    }

    private static func device(_ rest: inout ArraySlice<UInt8>) -> DevicePlace? {
        guard let group = text(&rest), let name = text(&rest), let uid = text(&rest).flatMap({ UID($0) }),
            let uuid = optionalText(&rest)
        else { return nil }
        return DevicePlace(group: group, name: name, uid: uid, uuid: uuid)
    }
}
