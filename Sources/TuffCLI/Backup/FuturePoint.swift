import TuffHost
import TuffModel
import TuffRepository

/// A restore point of a time that this clock has not come to: it would be the latest until then, whatever is backed up
/// meanwhile.
struct FuturePoint {
    let point: RestorePoint
    /// The time by this host's clock.
    private let now = currentTime()

    /// nil for a point of the past.
    init?(_ point: RestorePoint) {
        self.point = point
        guard point.record.time > now else { return nil }
    }

    private var sentence: String {
        "restore point \(point.id.description.prefix(8)) of '\(PrintedText.oneLine(point.record.series.name))' is from "
            + "\(point.record.time), later than this clock's \(now)"
    }

    /// The command that has the point be passed over, as it is typed.
    private func command(_ repository: String, _ keyFile: String?) -> String {
        let key = keyFile.map { ["--key-file", $0] } ?? []
        let words = ["backup", "prune", "--repository", repository] + key + ["--set-aside", point.id.description]
        return Command("tuff", words, effect: .mutates).description
    }

    func warn(_ repository: String, keyFile: String?) {
        Console.talk(
            "warning: \(sentence), and counts as the latest until then. If the clock is right, "
                + "\(PrintedText.oneLine(command(repository, keyFile))) has it be passed over\n")
    }

    func failure(_ repository: String, keyFile: String?) -> Failure {
        Failure(
            sentence,
            help: "nothing was taken away. If the clock is wrong, set it; if it is right, type: "
                + PrintedText.oneLine(command(repository, keyFile)))
    }
}
