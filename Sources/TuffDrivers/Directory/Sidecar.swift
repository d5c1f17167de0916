import FoundationEssentials
package import TuffModel
import TuffSystem

/// The text of `<pool>/.tuff/<uid>.json`, which makes a file of a directory pool one of ours.
///
/// Version 1: `{"file": name of the data file, "tags": the marks as LVM tags, "version": 1}`. It lies apart from the
/// data because a raw image has no room for it and extended attributes get lost in copies.
package struct Sidecar: Hashable, Codable, Sendable {
    package static let version = 1
    /// Folder of the sidecars in a pool's directory, mode 0700.
    package static let folder = ".tuff"

    package var version: Int
    package var file: String
    package var tags: [String]

    package init(file: String, tags: [String]) {
        version = Self.version
        self.file = file
        self.tags = tags
    }

    /// Path of the sidecar of `uid`, relative to the pool's directory.
    package static func path(of uid: UID) -> String { "\(folder)/\(uid).json" }

    /// The uid a path names; nil for anything else, temporary files included.
    package static func uid(ofPath path: String) -> UID? {
        guard path.hasPrefix("\(folder)/"), path.hasSuffix(".json") else { return nil }
        return UID(path.dropFirst(folder.count + 1).dropLast(".json".count))
    }

    /// Nil when the text is none, is of a newer version, or names a file that Tuff would not: `[A-Za-z0-9+_.-]`, no
    /// dot or hyphen first. Target stacks take a file's path in a list of options that commas divide.
    package init?(text: String) {
        guard let sidecar = try? JSONDecoder().decode(Sidecar.self, from: Data(text.utf8)),
            sidecar.version == Self.version, let first = sidecar.file.first, first != ".", first != "-",
            sidecar.file.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "+_.-".contains($0)) })
        else { return nil }
        self = sidecar
    }

    /// Why a text is no sidecar.
    static func fault(in text: String) -> String {
        let format = VersionedJSON(current: version, oldest: version)
        var fault: VersionedJSON.Fault?
        do throws(VersionedJSON.Fault) { _ = try format.decode(Sidecar.self, from: Data(text.utf8)) } catch {
            fault = error
        }
        switch fault {
        case .foreign: return "it is not valid JSON of Tuff's"
        case .newer(let other), .older(let other):
            return "it is of version \(other), and this tuff knows version \(version)"
        // Its file may be one that Tuff would not name.
        case .damaged, nil: return "it does not say which file and which marks, as Tuff writes it"
        }
    }

    /// The beginning of a text for this file, whatever its marks.
    static func beginning(of file: String) -> String { "{\"file\":\"\(file)\"," }

    /// The end of the text: the marks, whatever the file is called. Keys are sorted, and neither names nor tags have
    /// characters that JSON would escape.
    var ending: String { String(text.dropFirst(Self.beginning(of: file).count).dropLast()) }

    package var text: String {
        // Strings and one number always encode.
        guard let line = VersionedJSON.line(self) else { preconditionFailure("a sidecar does not encode") }
        return String(decoding: line, as: UTF8.self)
    }
}
