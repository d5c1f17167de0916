/// The identity of a thin volume among all that its pool ever had.
///
/// LVM's uuid is the volume's own. The device number is the kernel's, which gives numbers again; the transaction at
/// which it was made it gives to nothing else (measured: `lvs -o thin_id,transaction_id` and `thin_ls` agree on both).
package struct ThinIdentity: Hashable, Codable, Sendable {
    package var uuid: String
    package var device: UInt32
    package var transaction: UInt64

    package init(uuid: String, device: UInt32, transaction: UInt64) {
        self.uuid = uuid
        self.device = device
        self.transaction = transaction
    }
}

/// A backup that reads more than what changed, and why.
package struct FullRead: Hashable, Codable, Sendable {
    package enum Reason: String, CaseIterable, Codable, Sendable {
        /// No snapshot of an earlier restore point is kept.
        case noBase = "NoBase"
        /// A backup that was cut off left it.
        case baseUnfinished = "BaseUnfinished"
        /// It is not the volume that was marked, or somebody made it writable.
        case baseExchanged = "BaseExchanged"
        /// Its restore point is not in the repository, or is another one.
        case pointGone = "PointGone"
        /// The volume has another size than the restore point.
        case sizeChanged = "SizeChanged"
        /// Somebody else has reserved the pool's metadata snapshot.
        case metadataSnapshotHeld = "MetadataSnapshotHeld"
        /// The pool or its tools do not tell what changed.
        case deltaUnknown = "DeltaUnknown"
        /// A sample had another hash where nothing should have changed.
        case sampleDiffers = "SampleDiffers"
    }

    package var reason: Reason
    /// One sentence for people.
    package var sentence: String

    package init(_ reason: Reason, _ sentence: String) {
        self.reason = reason
        self.sentence = sentence
    }
}
