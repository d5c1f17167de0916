import TuffHost
import TuffModel
package import TuffRepository

/// A restore point of a time that this clock has not come to: it would be the latest until then, whatever is backed up
/// meanwhile.
package struct FuturePoint: Error, Hashable, Sendable {
    package let point: RestorePoint
    /// The time by this host's clock; RFC 3339, UTC.
    package let now: String

    /// nil for a point of the past.
    package init?(_ point: RestorePoint, now: String = HostFacts.now().description) {
        self.point = point
        self.now = now
        guard point.record.time > now else { return nil }
    }

    private var sentence: String {
        "restore point \(point.id.description.prefix(8)) of '\(PrintedText.oneLine(point.record.series.name))' is from "
            + "\(point.record.time), later than this clock's \(now)"
    }

    /// The command that has the point be passed over, as it is typed.
    private func command(in place: RepositoryPlace) -> String {
        let words = ["backup", "prune"] + place.options + ["--set-aside", point.id.description]
        return Command("tuff", words, effect: .mutates).description
    }

    package func warning(in place: RepositoryPlace) -> String {
        "\(sentence), and counts as the latest until then. If the clock is right, "
            + "\(command(in: place)) has it be passed over"
    }

    func error(in place: RepositoryPlace) -> BackupError {
        BackupError(
            sentence,
            help: "nothing was taken away. If the clock is wrong, set it; if it is right, type: "
                + PrintedText.oneLine(command(in: place)))
    }
}
