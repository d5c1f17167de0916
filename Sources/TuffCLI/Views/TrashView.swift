package import TuffModel
import TuffPlanning

/// The content of the trash, the first to go first.
package struct TrashView: View {
    private let volumes: [StoredVolume]
    private let now: Instant

    package init(_ observed: ObservedState, stack: String, now: Instant) {
        volumes = StorageIndex(observed).volumes
            .filter { $0.marks.stack == stack && $0.standing == .trashed }
            .sorted { ($0.marks.until ?? now, $0.uid) < ($1.marks.until ?? now, $1.uid) }
        self.now = now
    }

    package var kind: String { "Trash" }

    package func text(_ style: Style) -> String {
        guard !volumes.isEmpty else { return "The trash is empty.\n" }
        let rows = volumes.map { volume in
            [
                volume.marks.name, volume.marks.kind.rawValue, volume.uid.description,
                volume.size?.description ?? "(no data)",
                volume.location.description, volume.marks.until?.description ?? "", left(volume),
            ]
        }
        return Layout.table([["NAME", "KIND", "UID", "SIZE", "WHERE", "UNTIL", "LEFT"]] + rows)
    }

    private func left(_ volume: StoredVolume) -> String {
        if volume.marks.protect { return "protected" }
        guard let until = volume.marks.until, until > now else { return "over: --prune destroys it" }
        let seconds = until.secondsSince1970 - now.secondsSince1970
        // Rounded down to what a person plans by.
        let unit: Int64 = seconds >= 2 * 86400 ? 86400 : seconds >= 7200 ? 3600 : 60
        return seconds < 60 ? "\(seconds)s" : TimeSpan(seconds: seconds / unit * unit).description
    }

    package var body: [String: Tree] {
        [
            "items": .list(
                volumes.map { volume in
                    .object([
                        "kind": .text(volume.marks.kind.rawValue), "name": .text(volume.marks.name),
                        "uid": .text(volume.uid),
                        "size": volume.size.map { .int($0.bytes) } ?? .null,
                        "location": .text(volume.location), "until": .text(volume.marks.until),
                        "protected": .bool(volume.marks.protect),
                    ])
                })
        ]
    }
}
