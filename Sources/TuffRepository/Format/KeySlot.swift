import CScrypt
import Crypto
import FoundationEssentials

/// The secret of a user: the content of a key file. Nothing prints it.
package struct RepositorySecret: Sendable {
    fileprivate let bytes: [UInt8]

    /// - Parameter content: content of a key file; a newline at its end does not belong to the secret.
    package init(_ content: [UInt8]) throws(RepositoryError) {
        bytes = content.last == UInt8(ascii: "\n") ? content.dropLast() : content
        guard (1...1_024).contains(bytes.count) else {
            throw RepositoryError(.refused, "a key file holds 1 to 1,024 bytes")
        }
    }

    /// Fewest bytes of a secret that a slot is made for. An existing slot opens with a shorter one, too.
    static let least = 8
    /// Bytes beneath which a person should be told that guessing is cheap.
    package static let advisable = 16

    /// Number of its bytes.
    package var length: Int { bytes.count }

    /// Throws `refused` for a secret that is quickly guessed: a person who can read the medium may try any number.
    package func demandLength() throws(RepositoryError) {
        guard bytes.count >= Self.least else {
            throw RepositoryError(
                .refused,
                "a key of \(bytes.count) bytes is guessed in no time: it needs at least \(Self.least), and should "
                    + "have 32 random ones: '(umask 077; head -c 32 /dev/urandom | base64 > FILE)' makes such a file")
        }
    }
}

/// One of several wrappings of the repository key (docs/repository-format.md, "Key slots").
package struct KeySlot: Codable, Sendable {
    package let id: FileID
    package let record: Record

    package struct Record: Hashable, Codable, Sendable {
        package var created: String
        var kdf = "scrypt"
        package var label: String
        var n = 32_768
        var p = 1
        /// A proof of the wrapped key, made with the repository key: a process that has opened the repository
        /// distinguishes its own slots from others by it.
        var proof: String
        var r = 8
        var salt: String
        var wrapped: String
    }

    private static let largest = 4_096
    private static let nonce = 12
    private static let keySize = 32

    private static func path(_ id: FileID) -> String { "keys/\(id)" }

    /// Every slot that can be read, and the errors of the others: one damaged slot does not close a repository that has
    /// another.
    static func list(
        _ store: any Store
    ) throws(RepositoryError) -> (slots: [KeySlot], damaged: [RepositoryError]) {
        var slots: [KeySlot] = []
        var damaged: [RepositoryError] = []
        for file in try store.list("keys") {
            guard let id = FileID(file.name) else { continue }
            do throws(RepositoryError) {
                slots.append(try read(id, store))
            } catch  where error.code == .damaged {
                damaged.append(error)
            } catch  where error.code == .notFound {
                continue  // Removed since it was listed.
            }
        }
        return (slots.sorted { ($0.record.created, $0.id) < ($1.record.created, $1.id) }, damaged)
    }

    /// The slots that are tried, cheapest first. Each costs a derivation of `n` rounds of scrypt, and a person who can
    /// write to the medium can write any number of slots. Together they cost no more than 64 slots of Tuff's own, some
    /// seconds.
    static func affordable(_ slots: [KeySlot]) -> [KeySlot] {
        var rounds = 0
        return slots.sorted { $0.record.n < $1.record.n }.prefix { slot in
            rounds += max(1, slot.hasProperCost ? slot.record.n : 1)
            return rounds <= mostRounds
        }
    }

    /// Slots of a repository.
    static let most = 64
    private static let mostRounds = most * 32_768

    private var hasProperCost: Bool { (1 << 14...Self.largestCost).contains(record.n) }

    /// 256 MiB of memory, a second of time.
    private static let largestCost = 1 << 18

    private static func read(_ id: FileID, _ store: any Store) throws(RepositoryError) -> KeySlot {
        let line = try ProvenLine.line(try store.contents(path(id), limit: largest), path: path(id))
        guard let record = try? JSONDecoder().decode(Record.self, from: Data(line)) else {
            throw RepositoryError(.damaged, "\(path(id)) describes no key slot")
        }
        return KeySlot(id: id, record: record)
    }

    /// Wraps the repository key under another secret, durably.
    static func add(
        _ key: SymmetricKey, under secret: RepositorySecret, label: String, now: String, description: [UInt8],
        in store: any Store
    ) throws(RepositoryError) -> KeySlot {
        try secret.demandLength()
        let id = FileID()
        let salt = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        var record = Record(created: now, label: label, proof: "", salt: hexadecimal(salt), wrapped: "")
        let slotKey = try derive(secret, record)
        guard
            let box = try? AES.GCM.seal(
                key.withUnsafeBytes { Array($0) }, using: slotKey, nonce: AES.GCM.Nonce(),
                authenticating: description + id.bytes),
            let combined = box.combined
        else { preconditionFailure("AES-GCM refused 32 bytes") }
        record.wrapped = hexadecimal(combined)
        record.proof = proof(key, id: id, record: record)
        try store.place(ProvenLine.file(record), at: path(id))
        return KeySlot(id: id, record: record)
    }

    /// Whether it wraps this repository key: a slot of another repository opens nothing.
    func wraps(_ key: SymmetricKey) -> Bool { record.proof == Self.proof(key, id: id, record: record) }

    private static func proof(_ key: SymmetricKey, id: FileID, record: Record) -> String {
        var code = HMAC<SHA256>(key: key)
        code.update(data: Array("tuff slot\0".utf8) + id.bytes + Array(record.wrapped.utf8))
        return hexadecimal(code.finalize())
    }

    /// The repository key; nil if the secret does not open this slot.
    func open(_ secret: RepositorySecret, description: [UInt8]) throws(RepositoryError) -> SymmetricKey? {
        guard let wrapped = hexadecimal(record.wrapped), wrapped.count == Self.nonce + Self.keySize + Format.proof,
            let box = try? AES.GCM.SealedBox(combined: wrapped)
        else { throw RepositoryError(.damaged, "\(Self.path(id)) holds no wrapped key") }
        let slotKey = try Self.derive(secret, record)
        guard let key = try? AES.GCM.open(box, using: slotKey, authenticating: description + id.bytes) else {
            return nil
        }
        return SymmetricKey(data: key)
    }

    static func remove(_ id: FileID, in store: any Store) throws(RepositoryError) {
        try store.remove(path(id))
        try store.sync(directory: "keys")
    }

    /// The bounds keep a slot that somebody else wrote from taking all memory or no time.
    private static func derive(_ secret: RepositorySecret, _ record: Record) throws(RepositoryError) -> SymmetricKey {
        guard record.kdf == "scrypt", record.r == 8, record.p == 1, (1 << 14...largestCost).contains(record.n),
            record.n.nonzeroBitCount == 1, let salt = hexadecimal(record.salt), salt.count == 32
        else { throw RepositoryError(.damaged, "a key slot asks for a derivation that this format does not have") }
        var key = [UInt8](repeating: 0, count: keySize)
        guard
            tuff_scrypt(
                secret.bytes, secret.bytes.count, salt, salt.count, UInt64(record.n), &key, key.count) == 1
        else {
            let size = record.n >> 10
            throw RepositoryError(.failed, "there is no memory of \(size) MiB, in which a key is derived from a secret")
        }
        return SymmetricKey(data: key)
    }
}
