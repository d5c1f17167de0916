import FoundationEssentials
import Glibc
package import TuffModel
import TuffSystem

/// The record that is written of a restore before its first byte is, so that the same restore goes on where it was cut
/// off.
///
/// The target's first bytes read `nonce` (spelled out by whoever restores) for as long as it is not complete. Only both
/// together tell that what is there is a half of this restore: a record is of no use once somebody made something else
/// of the target, and bytes that look like a half of one are of no use without a record.
package struct RestoreRecord: Hashable, Codable, Sendable {
    package static let version = 1

    package var version = Self.version
    /// 32 digits of base 16, never used twice.
    package var nonce: String
    /// Id of the repository, and of the restore point in it; of Cinder's backups the volume's and the backup's.
    package var repository: String
    package var point: String
    /// Where it was written, for a person who looks.
    package var target: String

    package init(nonce: String, repository: String, point: String, target: String) {
        self.nonce = nonce
        self.repository = repository
        self.point = point
        self.target = target
    }
}

/// Where such records are: a file each, `restore-NONCE.json`, mode 0600.
package struct RestoreRecords: Sendable {
    private static let format = VersionedJSON(current: RestoreRecord.version, oldest: RestoreRecord.version)

    private let directory: String
    /// Folders above it that may have to be made.
    private let parents: [String]

    /// Of whoever runs the program. Root's are with the host's other state; another user's are where the XDG Base
    /// Directory Specification has what is to last: `$XDG_STATE_HOME/tuff`, else `~/.local/state/tuff`.
    /// - Parameter state: the host's directory of state, absolute; made 0700 at the first save.
    package init(ofHost state: String) {
        guard geteuid() != 0 else { (directory, parents) = (state, []); return }
        if let folder = getenv("XDG_STATE_HOME").map({ String(cString: $0) }), folder.hasPrefix("/") {
            (directory, parents) = ("\(folder)/tuff", [folder])
            return
        }
        // The user's entry rather than HOME, which sudo(8) may leave as another's.
        let home = getpwuid(geteuid()).flatMap(\.pointee.pw_dir).map { String(cString: $0) } ?? "/"
        (directory, parents) = ("\(home)/.local/state/tuff", ["\(home)/.local", "\(home)/.local/state"])
    }

    private func file(_ nonce: String) -> StateFile {
        StateFile("\(directory)/restore-\(nonce).json", what: "record of the restore")
    }

    /// The record of a nonce that was found on a target; nil where there is none, or none that can be understood.
    package func find(_ nonce: String) -> RestoreRecord? {
        guard nonce.utf8.count == 32,
            nonce.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
            let bytes = try? file(nonce).read(),
            let record = try? Self.format.decode(RestoreRecord.self, from: Data(bytes)), record.nonce == nonce
        else { return nil }
        return record
    }

    /// Durable when it returns.
    package func save(_ record: RestoreRecord) throws(HostError) {
        guard let line = VersionedJSON.line(record) else {
            throw HostError(.failed, "The record of the restore does not encode")
        }
        // One that cannot be made is told of by what follows.
        for parent in parents { mkdir(parent, 0o700) }
        try file(record.nonce).write(line)
    }

    /// Of a target that is complete. One that stays is of no use to anybody, since the target has its own first bytes
    /// again.
    package func remove(_ record: RestoreRecord) { unlink("\(directory)/restore-\(record.nonce).json") }
}
