/// Treatment of a volume or snapshot whose document is removed: `deletionPolicy` and `trashFor` of its spec. It is
/// stored on the object, so that the values last applied count when the document is gone.
package struct RemovalPolicy: Hashable, Codable, Sendable {
    package static let defaultKeeping = TimeSpan(seconds: 7 * 86400)

    package var deletion: VolumeSpec.DeletionPolicy
    /// Time for which the trash keeps it. It has no meaning with `retain` and is always the default there.
    package var keepFor: TimeSpan

    package init(_ deletion: VolumeSpec.DeletionPolicy = .trash, keepFor: TimeSpan = Self.defaultKeeping) {
        self.deletion = deletion
        self.keepFor = deletion == .retain ? Self.defaultKeeping : keepFor
    }

    /// Value of the tag `tuff:policy=`: `Retain`, or `Trash/` and seconds; nil for the default, which needs no tag.
    package var text: String? {
        switch deletion {
        case .retain: "Retain"
        case .trash: keepFor == Self.defaultKeeping ? nil : "Trash/\(keepFor.seconds)"
        }
    }

    package init?(text: String) {
        if text == "Retain" {
            self.init(.retain)
        } else if text.hasPrefix("Trash/"), let seconds = Int64(text.dropFirst(6)), seconds >= 0 {
            self.init(.trash, keepFor: TimeSpan(seconds: seconds))
        } else {
            return nil
        }
    }
}

/// Mark on an initiator's access (LIO: the attribute `tag` of an ACL). It says that Tuff granted the access, for which
/// attachment, and what withdrawing may do to a live session. An ACL without it is somebody else's.
package struct AccessMark: Hashable, Codable, Sendable {
    /// The kernel keeps 63 bytes (`MAX_ACL_TAG_SIZE` in include/target/target_core_base.h); five are the prefix.
    package static let nameLimit = 58

    /// Name of the attachment, cut at `nameLimit` characters.
    package var attachment: String
    package var onRemove: AttachmentSpec.OnRemove

    package init(attachment: String, onRemove: AttachmentSpec.OnRemove) {
        self.attachment = String(attachment.prefix(Self.nameLimit))
        self.onRemove = onRemove
    }

    /// `tuff:NAME`, or `tuff!NAME` where withdrawing disconnects.
    package var text: String { (onRemove == .disconnect ? "tuff!" : "tuff:") + attachment }

    /// Nil for a text that Tuff did not write.
    package init?(text: some StringProtocol) {
        let name = text.dropFirst(5)
        guard text.hasPrefix("tuff:") || text.hasPrefix("tuff!"), Self.isSound(name) else { return nil }
        self.init(attachment: String(name), onRemove: text.hasPrefix("tuff!") ? .disconnect : .waitForLogout)
    }

    /// A label, or the beginning of one, which may end in a hyphen.
    private static func isSound(_ name: some StringProtocol) -> Bool {
        !name.isEmpty && name.utf8.count <= nameLimit && (NameRule.isLabel(name) || NameRule.isLabel("\(name)0"))
    }

    /// Whether this is the access of the attachment of that name.
    package func isOf(_ name: String) -> Bool { attachment == name.prefix(Self.nameLimit) }
}

/// Number of objects that a plan may remove without a person giving a number. Counted over 24 hours.
package struct GuardLimits: Hashable, Codable, Sendable {
    /// Share of the stack's volumes and snapshots that may go to the trash, rounded up, but at least 1.
    package var volumes = Percentage(20)
    /// Most volumes and snapshots that may go, whatever the share.
    package var mostVolumes = 3
    /// Share of the stack's attachments that may be withdrawn, rounded up.
    package var attachments = Percentage(50)
    /// Most attachments that may be withdrawn, whatever the share.
    package var mostAttachments = 5

    package init() {}
}
