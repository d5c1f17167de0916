/// A restore point that is to be restored to a scratch volume for practice, compared, and spoken of in a receipt.
package struct DrillTask: Hashable, Codable, Sendable {
    package var content: BackupContent
    package var node: String
    package var stack: String
    /// The policy that asks for it.
    package var policy: String
    /// The series of the restore point: name and uid of the volume.
    package var volume: String
    package var uid: UID
    /// Time of the restore point.
    package var time: Instant
    /// The time by the schedule for which it is done.
    package var due: Instant

    package init(
        of point: ObservedPoint, _ content: BackupContent, uid: UID, by node: String, of stack: String,
        for policy: String, due: Instant
    ) {
        self.content = content
        self.node = node
        self.stack = stack
        self.policy = policy
        volume = point.volume
        self.uid = uid
        time = point.time
        self.due = due
    }

    /// `restore point 1234abcd of 2026-11-22T02:30:00Z of Volume/db`
    package var subject: String { "restore point \(content.point.prefix(8)) of \(time) of Volume/\(volume)" }
}
