import Crypto
import FoundationEssentials
import TuffSystem

/// An opened repository.
package struct Repository: Sendable {
    package let store: any Store
    let sealing: Sealing
    package let description: Description

    /// The file `repository`.
    package struct Description: Hashable, Codable, Sendable {
        package enum Encryption: String, Codable, Sendable {
            case none
            case aes256GCM = "aes-256-gcm"
        }

        package var blockSize = Format.block
        package var created: String
        package var encryption: Encryption
        package var format = "tuff-repository"
        package var id: String
        package var version = Int(Format.version)
    }

    private static let file = "repository"

    /// Makes a repository in an empty place. Of two processes that try at once one succeeds.
    ///
    /// - Parameter secret: opens the first key slot of an encrypted repository; nil: it is not encrypted. That cannot
    ///   change later.
    package static func create(
        in store: any Store, secret: RepositorySecret? = nil, now: String
    ) throws(RepositoryError) -> Repository {
        do throws(RepositoryError) {
            _ = try store.open(Self.file)
            throw RepositoryError(.refused, "there is a repository here already")
        } catch  where error.code == .notFound {}
        guard try !isBeheaded(store) else { throw beheaded }
        let id = FileID()
        let description = Description(
            created: now, encryption: secret == nil ? .none : .aes256GCM, id: id.description)
        let file = ProvenLine.file(description)
        guard let secret else {
            try Reserve(of: store).fill()
            try store.place(file, at: Self.file)
            return Repository(store: store, sealing: Sealing(plain: id), description: description)
        }
        let key = SymmetricKey(size: .bits256)
        try Reserve(of: store).fill()
        // A repository without a slot could never be opened: the slot comes first.
        let slot = try KeySlot.add(
            key, under: secret, label: "first", now: now, description: ProvenLine.line(file, path: Self.file), in: store
        )
        do throws(RepositoryError) {
            try store.place(file, at: Self.file)
        } catch {
            try? KeySlot.remove(slot.id, in: store)
            throw error
        }
        return Repository(store: store, sealing: Sealing(id, key: key), description: description)
    }

    /// - Parameter secret: called for an encrypted repository only, after the file `repository` was read.
    package static func open(_ store: any Store, secret: RepositorySecret? = nil) throws(RepositoryError) -> Repository
    {
        let (description, line, id) = try describe(store)
        guard description.encryption == .aes256GCM else {
            // A person who can write to the medium could write 'none' there, and so get the next backup in clear.
            guard secret == nil else {
                throw RepositoryError(
                    .wrongKey,
                    "a key was given, and the repository says that it is not encrypted: leave the key out if it never "
                        + "was; otherwise somebody changed the file '\(file)'")
            }
            return Repository(store: store, sealing: Sealing(plain: id), description: description)
        }
        guard let secret else {
            throw RepositoryError(.wrongKey, "the repository is encrypted and no key was given")
        }
        var (slots, damaged) = try KeySlot.list(store)
        let tried = KeySlot.affordable(slots)
        for slot in tried {
            do throws(RepositoryError) {
                guard let key = try slot.open(secret, description: line), slot.wraps(key) else { continue }
                return Repository(store: store, sealing: Sealing(id, key: key), description: description)
            } catch { damaged.append(error) }
        }
        guard tried.count == slots.count else {
            throw RepositoryError(
                .wrongKey,
                "the key opens none of the \(tried.count) cheapest of \(slots.count) key slots, and no more are "
                    + "tried: somebody put "
                    + "others into the repository's directory 'keys'; remove all but your own from it, or put it back "
                    + "from a copy"
            )
        }
        guard slots.count + damaged.count > 0 else {
            throw RepositoryError(
                .wrongKey,
                "no key slot is left in the repository's directory 'keys': put one back from a copy, or nobody can "
                    + "open it"
            )
        }
        throw RepositoryError(
            .wrongKey,
            "the key opens none of the repository's key slots: it is another one, or they are another repository's"
                + (damaged.first.map { ", of which \(damaged.count) cannot be read: \($0)" } ?? ""))
    }

    /// Whether the place holds files of a repository, and the file `repository` is missing.
    private static func isBeheaded(_ store: any Store) throws(RepositoryError) -> Bool {
        for directory in ["points", "index"] {
            do throws(RepositoryError) {
                if try store.list(directory).contains(where: { FileID($0.name) != nil }) { return true }
            } catch  where error.isLoss {}  // No such directory: then it is none.
        }
        return false
    }

    private static var beheaded: RepositoryError {
        RepositoryError(
            .damaged,
            "here are restore points or an index without the file '\(file)', which belongs to them; put it back from "
                + "a copy. A new "
                + "repository is not made here, since nothing of this one could be read under another file")
    }

    /// Reads the file `repository`, before anything else is opened.
    private static func describe(
        _ store: any Store
    ) throws(RepositoryError) -> (Description, line: [UInt8], id: FileID) {
        let bytes: [UInt8]
        do throws(RepositoryError) {
            bytes = try store.contents(file, limit: 4_096)
        } catch {
            guard error.code == .notFound else { throw error }
            if try isBeheaded(store) { throw beheaded }
            throw RepositoryError(.notFound, "there is no repository here: \(error.sentence)")
        }
        let line = try ProvenLine.line(bytes, path: file)
        let version = Int(Format.version)
        var read: Description?
        do throws(VersionedJSON.Fault) {
            read = try VersionedJSON(current: version, oldest: version).decode(Description.self, from: Data(line))
        } catch {
            if case .newer(let version) = error {
                throw RepositoryError(.newer, "the repository has format \(version), written by a newer program")
            }
        }
        guard let description = read, description.format == "tuff-repository",
            description.blockSize == Format.block, let id = FileID(description.id)
        else { throw RepositoryError(.damaged, "the file \(file) describes no repository") }
        return (description, line, id)
    }

    /// The key slots of an encrypted repository, oldest first. Other files there open nothing, such as one that an
    /// interrupted `init` left.
    package func keySlots() throws(RepositoryError) -> [KeySlot] {
        guard let key = sealing.key else { return [] }
        return try KeySlot.list(store).slots.filter { $0.wraps(key) }
    }

    /// Lets another secret open the repository.
    package func addKey(_ secret: RepositorySecret, label: String, now: String) throws(RepositoryError) -> KeySlot {
        guard let key = sealing.key else { throw RepositoryError(.refused, "the repository is not encrypted") }
        guard try keySlots().count < KeySlot.most else {
            throw RepositoryError(
                .refused, "the repository has \(KeySlot.most) key slots, and more are not tried; take one away first")
        }
        return try KeySlot.add(
            key, under: secret, label: label, now: now, description: try Self.describe(store).line, in: store)
    }

    /// Takes a key slot away. To be called under an exclusive lease: two that each take the other's leave none.
    package func removeKey(_ id: FileID) throws(RepositoryError) {
        let slots = try keySlots()
        guard slots.contains(where: { $0.id == id }) else {
            throw RepositoryError(.notFound, "the repository has no key slot \(id)")
        }
        guard slots.count > 1 else {
            throw RepositoryError(.refused, "without its last key slot nobody could open the repository ever again")
        }
        try KeySlot.remove(id, in: store)
    }

    /// Every pack there is, in the order of their IDs.
    func packFiles() throws(RepositoryError) -> [PackFile] {
        var packs: [PackFile] = []
        for byte in UInt8.min...UInt8.max {
            let directory = "packs/\(hexadecimal([byte]))"
            packs += try store.list(directory).compactMap { file in
                // A pack in another directory than its own is never looked for.
                FileID(file.name).flatMap { id in
                    Pack.path(id) == "\(directory)/\(file.name)" ? PackFile(id: id, size: file.size) : nil
                }
            }
        }
        return packs.sorted { $0.id < $1.id }
    }

    func packs() throws(RepositoryError) -> [FileID] { try packFiles().map(\.id) }

    /// Regular files in the repository's directories whose names no file of a repository has there.
    func unknownFiles() throws(RepositoryError) -> [String] {
        var unknown: [String] = []
        for directory in ["index", "points", "marks", "leases", "keys", "hurt", "aside", "receipts"] {
            unknown += try store.list(directory).filter { FileID($0.name) == nil }.map { "\(directory)/\($0.name)" }
        }
        // A missing directory is reported elsewhere.
        let top = try store.has("packs") ? ["packs"] : []
        for directory in top + (UInt8.min...UInt8.max).map({ "packs/\(hexadecimal([$0]))" }) {
            unknown += try store.list(directory).map { "\(directory)/\($0.name)" }
                .filter { path in Pack.place(of: path) != path }
        }
        // The name that an NFS client gives to a file that is removed while somebody has it open. It goes when they
        // close it.
        return unknown.filter { !$0.contains("/.nfs") }.sorted()
    }

    /// Points that a check found to lack blocks. A backup that is compared with one would lack them, too.
    package func hurtPoints() throws(RepositoryError) -> Set<FileID> {
        Set(try store.list("hurt").compactMap { FileID($0.name) })
    }

    /// The files of all restore points, none of which is opened.
    package func pointFiles() throws(RepositoryError) -> [StoredFile] {
        try store.list("points").filter { FileID($0.name) != nil }
    }

    /// Every restore point, oldest first, and the errors of those that cannot be read.
    package func points() throws(RepositoryError) -> (points: [RestorePoint], damaged: [DamagedPoint]) {
        try points(in: try pointFiles())
    }

    /// The restore points in these files of `pointFiles`.
    package func points(
        in files: [StoredFile]
    ) throws(RepositoryError) -> (points: [RestorePoint], damaged: [DamagedPoint]) {
        var points: [RestorePoint] = []
        var damaged: [DamagedPoint] = []
        // All of them are held in memory, documents and labels too.
        guard files.reduce(0, { $0 + min($1.size, UInt64(RestorePoint.largest)) }) <= RestorePoint.mostBytes else {
            throw RepositoryError(
                .refused,
                "the restore points have more than \(RestorePoint.mostBytes >> 20) MiB, which is more than is read: "
                    + "'ls -lS' of the "
                    + "repository's directory 'points' shows the largest, and those that nobody made may be removed")
        }
        for file in files {
            guard let id = FileID(file.name) else { continue }
            do throws(RepositoryError) {
                points.append(try RestorePoint.read(id, store: store, sealing: sealing))
            } catch  where error.code == .notFound {
                continue  // Removed since it was listed.
            } catch  where error.isDamage {
                damaged.append(DamagedPoint(id: id, error: error))
            }
        }
        return (points.ordered(), damaged)
    }
}

/// Small files that people may want to read: a line of JSON, and a line that proves it.
enum ProvenLine {
    static func file(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let json = try? encoder.encode(value) else { preconditionFailure("what is encoded here is plain") }
        let proof = hexadecimal(SHA256.hash(data: json))
        return Array(json) + Array("\nsha256 \(proof)\n".utf8)
    }

    /// The first line, proven.
    static func line(_ bytes: [UInt8], path: String) throws(RepositoryError) -> [UInt8] {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.count == 3, lines[2].isEmpty,
            lines[1].elementsEqual("sha256 \(hexadecimal(SHA256.hash(data: Array(lines[0]))))".utf8)
        else { throw RepositoryError(.damaged, "the file \(path) does not prove itself") }
        return Array(lines[0])
    }
}
