import FoundationEssentials
package import TuffModel

/// Restore points as bytes: between a worker and its controller 10,000 of them cost as much in JSON as reading them
/// from the repository. Here each text that many points share is written, read and held once.
package enum PointCoding: ByteForm {
    package static func encode(_ points: [ObservedPoint]) -> [UInt8] {
        var texts: [String] = [], numbers: [String: Int64] = [:]
        var records: [UInt8] = []
        records.reserveCapacity(points.count * 256)
        func share(_ text: String?) {
            guard let text else { return put(-1, &records) }
            if let number = numbers[text] { return put(number, &records) }
            numbers[text] = Int64(texts.count)
            put(Int64(texts.count), &records)
            texts.append(text)
        }
        func measure(_ count: ByteCount?) {
            records.append(count == nil ? 0 : 1)
            if let count { put(count.bytes, &records) }
        }
        for point in points {
            put(point.id.utf8, &records)
            for text in [point.volume, point.stack, point.node, point.uid?.description, point.policy, point.backup] {
                share(text)
            }
            put(point.time.secondsSince1970, &records)
            put(point.size.bytes, &records)
            put(point.content.bytes, &records)
            measure(point.added)
            measure(point.read)
            put(optional: point.root, &records)
            records.append((point.isSetAside ? 1 : 0) | (point.isHurt.map { $0 ? 2 : 4 } ?? 0))
            records.append((point.cinder == nil ? 0 : 1) | (point.fullRead == nil ? 0 : 2))
            if let cinder = point.cinder {
                for text in [cinder.volume, cinder.volumeName, cinder.name] { share(text) }
            }
            if let full = point.fullRead {
                share(full.reason.rawValue)
                share(full.sentence)
            }
        }
        var result: [UInt8] = []
        result.reserveCapacity(records.count + texts.count * 32)
        put(Int64(texts.count), &result)
        for text in texts { put(text.utf8, &result) }
        put(Int64(points.count), &result)
        return result + records
    }

    /// Nil for bytes that `encode` does not make.
    package static func decode(_ rest: inout ArraySlice<UInt8>) -> [ObservedPoint]? {
        guard let texts = list(&rest, { text(&$0) }) else { return nil }
        // Thousands of points have the same few uids, which are looked at once.
        let uids = texts.map { UID($0) }
        return list(&rest) { point(&$0, texts: texts, uids: uids) }
    }

    private static func point(
        _ rest: inout ArraySlice<UInt8>, texts: [String], uids: [UID?]
    ) -> ObservedPoint? {
        func place() -> Int? {
            guard let number = number(&rest), number >= -1, number < texts.count else { return nil }
            return Int(number)
        }
        func shared() -> String?? { place().map { $0 < 0 ? nil : texts[$0] } }
        func count() -> ByteCount?? {
            switch rest.popFirst() {
            case 0: .some(nil)
            case 1: number(&rest).map { ByteCount($0) }
            default: nil
            }
        }
        guard let id = text(&rest), case .some(.some(let volume)) = shared(), let stack = shared(), let node = shared(),
            let owner = place(), owner < 0 || uids[owner] != nil, let policy = shared(), let backup = shared(),
            let time = number(&rest), let size = number(&rest), let content = number(&rest), let added = count(),
            let read = count(), let root = optionalText(&rest), let flags = rest.popFirst(),
            let parts = rest.popFirst()
        else { return nil }
        var point = ObservedPoint(
            id: id, volume: volume, stack: stack, node: node, uid: owner < 0 ? nil : uids[owner],
            time: Instant(secondsSince1970: time), size: ByteCount(size), content: ByteCount(content), policy: policy,
            backup: backup, isSetAside: flags & 1 != 0)
        point.isHurt = flags & 2 != 0 ? true : flags & 4 != 0 ? false : nil
        (point.added, point.read, point.root) = (added, read, root)
        if parts & 1 != 0 {
            guard case .some(.some(let volume)) = shared(), let volumeName = shared(), let name = shared() else {
                return nil
            }
            point.cinder = CinderNames(volume: volume, volumeName: volumeName, name: name)
        }
        if parts & 2 != 0 {
            guard case .some(.some(let word)) = shared(), let reason = FullRead.Reason(rawValue: word),
                case .some(.some(let sentence)) = shared()
            else { return nil }
            point.fullRead = FullRead(reason, sentence)
        }
        return point
    }
}

extension RepositoryListing {
    package static func bytes(of outcome: ObservedRepository?) -> [UInt8]? {
        guard let outcome else { return [] }
        var rest = outcome
        rest.points = []
        guard let json = try? JSONEncoder().encode(rest) else { return nil }
        var result: [UInt8] = []
        PointCoding.put(json, &result)
        return result + PointCoding.encode(outcome.points)
    }

    package static func outcome(_ bytes: [UInt8]) -> ObservedRepository?? {
        guard !bytes.isEmpty else { return .some(nil) }
        var rest = bytes[...]
        guard let json = PointCoding.block(&rest),
            var found = try? JSONDecoder().decode(ObservedRepository.self, from: Data(json)),
            let points = PointCoding.decode(&rest), rest.isEmpty
        else { return nil }
        found.points = points
        return found
    }
}
