/// The marks of a backup base: a thin snapshot of the moment of a restore point, kept so that the next backup reads
/// only what changed since. It is a cache and belongs to nobody but the backup of its volume to its repository.
///
/// Tags, some 200 bytes. Those that say what it is for are set by the command that makes it; those that say what came
/// of it are added by one `lvchange`, which takes the mark of unfinished work off.
package struct BackupBase: Hashable, Codable, Sendable {
    package var uid: UID
    package var stack: String
    /// The volume that it is a snapshot of.
    package var volume: UID
    /// ID of the repository, 32 hexadecimal digits.
    package var repository: String
    /// Nil until the backup is complete.
    package var completion: Completion?

    /// Facts that are known when the restore point is listed.
    package struct Completion: Hashable, Codable, Sendable {
        /// ID of the restore point, 32 hexadecimal digits.
        package var point: String
        /// First 16 digits of the name of the point's tree, which is a hash of all of its content.
        package var digest: String
        /// As LVM said when the mark was written. The uuid is its first 12 letters and digits.
        package var device: UInt32
        package var transaction: UInt64
        package var uuid: String

        /// - Parameters:
        ///   - root: name of the point's tree, 64 digits.
        ///   - identity: of the base.
        package init(point: String, root: String, identity: ThinIdentity) {
            self.point = point
            digest = Self.digest(of: root)
            device = identity.device
            transaction = identity.transaction
            uuid = Self.short(identity.uuid)
        }

        /// True where the base is the volume of which this was written.
        package func isOf(_ identity: ThinIdentity) -> Bool {
            device == identity.device && transaction == identity.transaction && uuid == Self.short(identity.uuid)
        }

        package static func digest(of root: String) -> String { String(root.prefix(16)) }

        fileprivate static func short(_ uuid: String) -> String { String(uuid.filter { $0 != "-" }.prefix(12)) }

        fileprivate var tags: [String] {
            ["\(Key.point)\(point)/\(digest)", "\(Key.thin)\(device)/\(transaction)/\(uuid)"]
        }

        /// Nil for values that Tuff never writes.
        fileprivate init?(point: String, thin: String) {
            let place = point.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let parts = thin.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard place.count == 2, BackupBase.isHexadecimal(place[0], 32), BackupBase.isHexadecimal(place[1], 16),
                parts.count == 3, let device = UInt32(parts[0]), "\(device)" == parts[0],
                let transaction = UInt64(parts[1]), "\(transaction)" == parts[1], parts[2].utf8.count == 12,
                parts[2].utf8.allSatisfy({ NameRule.isAlphanumeric($0) || (0x41...0x5a).contains($0) })
            else { return nil }
            (self.point, digest) = (place[0], place[1])
            (self.device, self.transaction, uuid) = (device, transaction, parts[2])
        }
    }

    package init(uid: UID, stack: String, volume: UID, repository: String, completion: Completion? = nil) {
        self.uid = uid
        self.stack = stack
        self.volume = volume
        self.repository = repository
        self.completion = completion
    }

    package static let operation = "backup"

    /// Beginnings of tags.
    private enum Key {
        static let uid = "tuff:uid=", stack = "tuff:stack=", base = "tuff:base=", repository = "tuff:repo="
        static let point = "tuff:point=", thin = "tuff:thin=", operation = "tuff:op="
        static let all = [uid, stack, base, repository, point, thin, operation]
    }

    /// Name of its logical volume.
    package var objectName: String { "b-\(uid)" }

    /// The tags that say this, sorted.
    package var tags: [String] {
        let own = [
            "\(Key.uid)\(uid)", "\(Key.stack)\(stack)", "\(Key.base)\(volume)", "\(Key.repository)\(repository)",
        ]
        return (own + (completion?.tags ?? [Self.unfinished])).sorted()
    }

    /// Tags as long as any that completion adds.
    package static let longestCompletion = [
        Key.point + String(repeating: "0", count: 49), Key.thin + String(repeating: "0", count: 8 + 1 + 20 + 1 + 12),
    ]

    private static let unfinished = "\(Key.operation)\(operation)"

    /// The change of tags, one command's, with which a base becomes of use.
    package func completing(with completion: Completion) -> (added: [String], removed: [String]) {
        (completion.tags, [Self.unfinished])
    }

    /// Result of reading tags.
    package enum Reading: Hashable, Sendable {
        /// They do not say that it is a base. `Marks` may read them.
        case other
        case base(BackupBase)
        /// They contradict each other or are not all there: reported, never touched.
        case damaged(String)
    }

    package static func read(_ tags: [String]) -> Reading {
        guard tags.contains(where: { $0.hasPrefix(Key.base) }) else { return .other }
        var values: [String: String] = [:]
        for tag in tags where tag.hasPrefix(Marks.prefix) {
            guard let key = Key.all.first(where: tag.hasPrefix) else {
                return .damaged("a base has the tag '\(tag)', which Tuff never writes")
            }
            guard values.updateValue(String(tag.dropFirst(key.count)), forKey: key) == nil else {
                return .damaged("two tags of a base say \(key)")
            }
        }
        guard let uid = values[Key.uid].flatMap({ UID($0) }), let volume = values[Key.base].flatMap({ UID($0) }),
            let stack = values[Key.stack], NameRule.isLabel(stack), let repository = values[Key.repository],
            isHexadecimal(repository, 32)
        else { return .damaged("the tags of a base do not say whose it is") }
        var base = BackupBase(uid: uid, stack: stack, volume: volume, repository: repository)
        switch (values[Key.point], values[Key.thin], values[Key.operation]) {
        case (nil, nil, operation): return .base(base)
        case (let point?, let thin?, nil):
            guard let completion = Completion(point: point, thin: thin) else {
                return .damaged("the tags of a base name no restore point")
            }
            base.completion = completion
            return .base(base)
        default: return .damaged("the tags of a base say that it is complete, and that it is not")
        }
    }

    /// True for an ID of a repository, as a tag can say it.
    package static func isRepository(_ id: String) -> Bool { isHexadecimal(id, 32) }

    package var purpose: KeptBase.Purpose { KeptBase.Purpose(volume: volume, repository: repository) }

    fileprivate static func isHexadecimal(_ text: String, _ count: Int) -> Bool {
        text.utf8.count == count
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}

/// A base as it is seen.
package struct KeptBase: Hashable, Codable, Sendable {
    package var marks: BackupBase
    package var location: VolumeLocation
    /// The group and the thin pool that it is in.
    package var pool: StorageBackend
    package var identity: ThinIdentity
    package var size: ByteCount
    /// Somebody may have written to it. Bases are made without that permission.
    package var isWritable: Bool
    /// It is held open: read by a backup, or by somebody.
    package var isOpen = false
    /// Bytes that it has blocks for, which it may share with others; nil while it is inactive.
    package var mapped: ByteCount?

    /// - Parameter location: nil: under the name that it was made with.
    package init(
        _ marks: BackupBase, pool: StorageBackend, identity: ThinIdentity, size: ByteCount, isWritable: Bool = false,
        at location: VolumeLocation? = nil
    ) {
        self.marks = marks
        self.location =
            location ?? .logicalVolume(group: pool.group ?? "", name: marks.objectName)
        self.pool = pool
        self.identity = identity
        self.size = size
        self.isWritable = isWritable
    }

    /// The purpose that it is kept for.
    package var purpose: Purpose { marks.purpose }

    package struct Purpose: Hashable, Sendable {
        package var volume: UID
        /// ID of the repository.
        package var repository: String

        package init(volume: UID, repository: String) {
            self.volume = volume
            self.repository = repository
        }
    }
}
