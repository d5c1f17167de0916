package import TuffModel

/// A volume's marks and name, before and after. The marks go first and the name follows, so that a crash between the
/// two leaves an object that says what it is and only has an old name, which the next pass mends.
package struct Relabelling: Hashable, Codable, Sendable {
    /// LVM's own uuid; nil for files.
    package var uuid: String?
    package var from: VolumeLocation
    /// In the same group or directory.
    package var to: VolumeLocation
    package var before: Marks
    package var after: Marks
    /// Its device is its origin's affair, and neither goes nor comes with it.
    package var isThickSnapshot: Bool

    package init(
        uuid: String?, from: VolumeLocation, to: VolumeLocation, before: Marks, after: Marks,
        isThickSnapshot: Bool = false
    ) {
        self.isThickSnapshot = isThickSnapshot
        self.uuid = uuid
        self.from = from
        self.to = to
        self.before = before
        self.after = after
    }

    package var uid: UID { before.uid }
    /// Its device goes away first, and does not come back by itself at boot.
    package var goesOutOfService: Bool { after.until != nil && !isThickSnapshot }
    /// Its device may appear at boot again.
    package var comesIntoService: Bool { before.until != nil && after.until == nil }
    package var addedTags: [String] { Set(after.tags).subtracting(before.tags).sorted() }
    package var removedTags: [String] { Set(before.tags).subtracting(after.tags).sorted() }
}
