import Crypto
import FoundationEssentials

/// An opened repository.
package struct Repository: Sendable {
    package let store: any Store
    let custody: Custody
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

    /// Makes a repository in an empty place. Two that try at once: one succeeds.
    package static func create(in store: any Store, now: String) throws(RepositoryError) -> Repository {
        let id = FileID()
        let description = Description(created: now, encryption: .none, id: id.description)
        try store.place(ProvenLine.file(description), at: file)
        return Repository(store: store, custody: Custody(plain: id), description: description)
    }

    package static func open(_ store: any Store) throws(RepositoryError) -> Repository {
        let bytes: [UInt8]
        do throws(RepositoryError) {
            bytes = try store.contents(file, limit: 4_096)
        } catch {
            guard error.code == .notFound else { throw error }
            throw RepositoryError(.notFound, "there is no repository here: \(error.sentence)")
        }
        // A newer program may have other fields: its version is looked at before anything else.
        struct Version: Codable { var version: Int }
        let line = try ProvenLine.line(bytes, path: file)
        if let version = try? JSONDecoder().decode(Version.self, from: Data(line)),
            version.version > Int(Format.version)
        {
            throw RepositoryError(.newer, "the repository has format \(version.version), written by a newer program")
        }
        guard let description = try? JSONDecoder().decode(Description.self, from: Data(line)),
            description.format == "tuff-repository", description.version == Int(Format.version),
            description.blockSize == Format.block, let id = FileID(description.id)
        else { throw RepositoryError(.damaged, "the file \(file) describes no repository") }
        guard description.encryption == .none else {
            throw RepositoryError(.wrongKey, "the repository is encrypted, which this version cannot read")
        }
        return Repository(store: store, custody: Custody(plain: id), description: description)
    }

    /// Every pack there is, in the order of their IDs.
    func packs() throws(RepositoryError) -> [FileID] {
        var packs: [FileID] = []
        for byte in UInt8.min...UInt8.max {
            packs += try store.list("packs/\(hexadecimal([byte]))").compactMap { FileID($0.name) }
        }
        return packs.sorted()
    }

    /// Points that a check found to lack something. What is compared with them would lack it too.
    package func hurtPoints() throws(RepositoryError) -> Set<FileID> {
        Set(try store.list("hurt").compactMap { FileID($0.name) })
    }

    /// Every restore point, oldest first, and what is wrong with those that cannot be read.
    package func points() throws(RepositoryError) -> (points: [RestorePoint], damaged: [RepositoryError]) {
        var points: [RestorePoint] = []
        var damaged: [RepositoryError] = []
        for file in try store.list("points") {
            guard let id = FileID(file.name) else { continue }
            do throws(RepositoryError) {
                points.append(try RestorePoint.read(id, store: store, custody: custody))
            } catch  where error.code == .notFound {
                continue  // Removed since it was listed.
            } catch  where error.code == .damaged {
                damaged.append(error)
            }
        }
        points.sort { ($0.record.time, $0.id) < ($1.record.time, $1.id) }
        return (points, damaged)
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
