package import TuffModel

/// A condition read again immediately before the actions that rely on it.
package enum Precondition: Hashable, Codable, Sendable {
    /// The logical volume still has this uuid, carries our uid in its tags, and has this size where one is given. A
    /// volume made in the same plan has a uuid that nobody could know (nil) and is told by our uid alone. Where it
    /// holds, the device of the volume is known to what follows, as after `HostAction.identify`.
    case logicalVolume(group: String, name: String, uuid: String?, uid: UID, size: ByteCount?)
    /// The block device of this logical volume is the one that the device mapper calls `uuid`: `/dev/GROUP/NAME` is a
    /// name, and names are changed by whoever may. Nil: as `HostAction.identify` or a condition found the volume with
    /// our uid.
    case device(group: String, name: String, uid: UID, uuid: String?)
    /// The file exists, is a regular file owned by us, and has this size where one is given.
    case file(HostPath, size: ByteCount?)
    /// Nothing is at this path, or a blank file of ours: plain, owned by us, not one block allocated.
    case vacant(HostPath)
    /// The file is a plain one of ours, and nobody else has it open: what may be written over.
    case unopened(HostPath)
    /// The volume still has this uuid, carries our uid and this deadline in its tags, and nobody holds it open: what
    /// may be destroyed. Nor does any other volume come from it that would go with it: a copy-on-write snapshot, or a
    /// thin one of a thick origin.
    case expiredVolume(group: String, name: String, uuid: String, uid: UID, until: Instant)
    /// The volume carries our uid and the mark of this unfinished work in its tags: it was never shown to anybody.
    /// Where it holds, its device is known to what follows.
    case unfinished(group: String, name: String, uid: UID, operation: String)
    /// The volume still has this uuid, carries our uid, no protection and no other work's mark in its tags, is in use
    /// and not in the trash, and nobody holds it open: what may be written over.
    case restorable(group: String, name: String, uuid: String, uid: UID)
    /// The logical volume still has this uuid and not one tag under our prefix: what may be adopted.
    case unmarkedVolume(group: String, name: String, uuid: String)
    /// The logical volume is this temporary snapshot of this origin by uuids and tags, a copy-on-write snapshot of
    /// LVM's, and nobody holds it open.
    case temporarySnapshot(TemporarySnapshot)
    /// The logical volume has this uuid, where one is known, and of the tags under our prefix these and no others, and
    /// nobody holds it open: the scratch volume of a drill, which may be removed. Nor would any other volume go with
    /// it.
    case scratchVolume(group: String, name: String, uuid: String?, tags: [String])
    /// The logical volume has this uuid, where one is known, and our uid, and is an active copy-on-write snapshot whose
    /// room was never full, so that every byte read from it was its origin's.
    case wholeSnapshot(group: String, name: String, uuid: String?, uid: UID)
    /// The volume that holds the extents for a growth is the one that was wiped in this process, with the same extents.
    /// Its place names the uid of the volume that grows.
    case wipedExtents(holder: DevicePlace)
    /// The device is the one of this number and size, nobody else has it open, and nothing is on it.
    case blankDevice(BlankDevice)
    /// The device is the physical volume of this uuid and nothing else, and nobody else has it open.
    case physicalVolume(path: String, uuid: String)
    /// The group has this uuid, where one is known, and these tags.
    case volumeGroup(String, uuid: String?, tags: [String])
    /// The group has a thin pool of this name: `lvcreate` that said it made one is not believed.
    case thinPool(group: String, name: String)
    /// The file or attribute is there and all of these texts occur in what it holds.
    case text(HostPath, containing: [String])
    /// The ACL at this path (`…/acls/<initiator>`) has no session, by its `info` attribute.
    case noSession(HostPath)
    /// `tgtadm` shows no connection to this target, or none of this initiator's.
    case tgtIdle(controlPort: Int, tid: Int, iqn: String, initiator: String? = nil)
}

extension Precondition {
    /// The tool that tells it; nil: files or devices do.
    package var tool: ToolName? {
        switch self {
        case .logicalVolume, .expiredVolume, .unfinished, .restorable, .unmarkedVolume, .volumeGroup, .thinPool,
            .temporarySnapshot, .scratchVolume, .wholeSnapshot, .wipedExtents:
            .lvm
        case .tgtIdle: .tgtadm
        case .device, .file, .unopened, .vacant, .text, .noSession, .blankDevice, .physicalVolume: nil
        }
    }

    /// A command tells it, which no worker runs.
    package var needsCommand: Bool { tool != nil || concernsDevice }

    /// The error for a condition that does not hold.
    /// - Parameters:
    ///   - found: what is so instead, as the end of a sentence.
    ///   - cause: what a tool said; empty: nothing.
    package func failure(_ found: String, cause: String = "") -> HostError {
        HostError(
            .preconditionFailed, "Nothing was done: expected that \(sentence), but \(found)",
            cause: cause.isEmpty ? nil : cause)
    }

    /// The condition as a sentence for people.
    package var sentence: String {
        switch self {
        case .logicalVolume(let group, let name, let uuid, let uid, let size):
            "\(group)/\(name) still has \(uuid.map { "LVM uuid \($0), " } ?? "")our uid \(uid)"
                + (size.map { " and \($0.bytes) bytes" } ?? "")
        case .expiredVolume(let group, let name, let uuid, let uid, let until):
            "\(group)/\(name) still has LVM uuid \(uuid), our uid \(uid) and the deadline \(until), and nobody uses it"
        case .unfinished(let group, let name, let uid, let operation):
            "\(group)/\(name) still has our uid \(uid) and the mark tuff:op=\(operation)"
        case .restorable(let group, let name, let uuid, let uid):
            "\(group)/\(name) still has LVM uuid \(uuid) and our uid \(uid), is not protected, and nobody uses it"
        case .temporarySnapshot(let snapshot):
            "\(snapshot.location) is still the temporary snapshot \(snapshot.uid) of \(snapshot.group)/\(snapshot.origin), "
                + "and nobody uses it"
        case .scratchVolume(let group, let name, let uuid, let tags):
            "\(group)/\(name) still has \(uuid.map { "LVM uuid \($0) and " } ?? "")of Tuff's tags just "
                + "\(tags.joined(separator: ", ")), and nobody uses it"
        case .wholeSnapshot(let group, let name, let uuid, let uid):
            "\(group)/\(name) still has \(uuid.map { "LVM uuid \($0), " } ?? "")our uid \(uid), and has not overflowed"
        case .wipedExtents(let holder): "\(holder.group)/\(holder.name) still has the extents that were wiped"
        case .unmarkedVolume(let group, let name, let uuid):
            "\(group)/\(name) still has LVM uuid \(uuid) and no tag of Tuff's"
        case .device(let group, let name, let uid, let uuid):
            "/dev/\(group)/\(name) is the device of our uid \(uid)" + (uuid.map { ", \($0)" } ?? "")
        case .file(let path, let size):
            "\(path.quoted) is a plain file" + (size.map { " of \($0.bytes) bytes" } ?? "")
        case .unopened(let path): "nobody has \(path.quoted) open"
        case .vacant(let path): "\(path.quoted) does not exist or is an unwritten file of ours"
        case .blankDevice(let device): "\(device.path) is still device \(device.number) of \(device.size) and blank"
        case .physicalVolume(let path, let uuid): "\(path) is still physical volume \(uuid) and in no use"
        case .volumeGroup(let name, let uuid, let tags):
            "volume group \(name) still has " + (uuid.map { "uuid \($0)" } ?? "its name")
                + (tags.isEmpty ? "" : " and the tags \(tags.joined(separator: ", "))")
        case .thinPool(let group, let name): "\(group)/\(name) is a thin pool"
        case .text(let path, let texts):
            "\(path.quoted) still says \(texts.map(Command.quoted).joined(separator: " and "))"
        case .noSession(let path): "nobody is logged in through \(path.quoted)"
        case .tgtIdle(_, let tid, let iqn, let initiator):
            "\(initiator ?? "nobody") is \(initiator == nil ? "" : "not ")logged in to target \(tid) (\(iqn))"
        }
    }
}
