/// How volumes of one kind of storage are kept. Whoever plans asks what the storage does, and never whose it is:
/// another kind is another row here.
package struct StorageTraits: Hashable, Sendable {
    /// A volume's device is there once it is activated. Otherwise the volume is there as soon as it is made.
    package var activates: Bool
    /// Whether somebody has a volume open is seen with it. Otherwise those who are logged in to its target are asked
    /// for.
    package var showsUsers: Bool
    /// A volume and its marks are one object, made and removed in one act. Otherwise what was cut short may have one
    /// without the other.
    package var isOneObject: Bool
    /// The mark of unfinished work is set and taken off by itself, of whatever still bears the rest. Otherwise all
    /// marks are written anew.
    package var changesSingleMarks: Bool
    /// Commands make volumes, and one that says it is done may have done nothing.
    package var isMadeByCommands: Bool
    /// A volume's own marks say how large it is; a person who gives the end of a shorter one up makes it as long by
    /// hand.
    package var recordsSize: Bool
    /// What marks are kept in, for people.
    package var marks: String

    package static let lvm = StorageTraits(
        activates: true, showsUsers: true, isOneObject: true, changesSingleMarks: true, isMadeByCommands: true,
        recordsSize: false, marks: "tags")
    package static let directory = StorageTraits(
        activates: false, showsUsers: false, isOneObject: false, changesSingleMarks: false, isMadeByCommands: false,
        recordsSize: true, marks: "sidecar")
}

extension VolumeLocation {
    package var traits: StorageTraits {
        switch self {
        case .logicalVolume: .lvm
        case .file: .directory
        }
    }
}

extension StorageBackend {
    package var traits: StorageTraits {
        switch self {
        case .thinPool, .thick: .lvm
        case .directory: .directory
        }
    }
}
