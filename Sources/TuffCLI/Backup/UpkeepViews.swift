import TuffModel
import TuffRepository

/// The findings of a check of a repository.
struct CheckView: View {
    private let report: Check.Report
    private let isRepaired: Bool

    /// - Parameter isRepaired: the index has been made anew since; what is hurt is what still is.
    init(_ report: Check.Report, isRepaired: Bool = false) {
        self.report = report
        self.isRepaired = isRepaired
    }

    var kind: String { "RepositoryCheck" }

    func text(_ style: Style) -> String {
        var text = "\(PrintedText.count(report.points, "restore point")), \(PrintedText.count(report.packs, "pack")), "
        text += "\(PrintedText.count(Int(clamping: report.read), "record")) read.\n"
        for damage in report.damage { text += style.paint("damaged:", .red) + " \(damage)\n" }
        for hurt in report.hurt {
            let point = hurt.point
            text += "'\(PrintedText.oneLine(point.record.series.name))' of \(point.record.time) "
            text += "(\(point.id.description.prefix(8))) lost \(ByteCount(Int64(clamping: hurt.lost.bytes))):\n"
            text += LostView.lines(hurt.lost)
        }
        for name in report.unknown {
            let remedy = Pack.place(of: name).map { "move it to \($0)" } ?? "nothing reads it; remove it"
            text += "no file of a repository: \(PrintedText.oneLine(name)); \(remedy)\n"
        }
        if report.isIndexBroken {
            text +=
                "Without all of the index nobody knows what restore points lack: 'tuff backup check --repair' makes it anew.\n"
        }
        if isRepaired {
            text +=
                "The index is made anew. \(report.hurt.isEmpty ? "No restore point lacks anything." : "Now back up what is hurt.")\n"
        } else if !report.hurt.isEmpty {
            text +=
                "To heal what can be healed: 'tuff backup check --repair', then back up these volumes again.\n"
        }
        if !report.strays.isEmpty {
            let packs = PrintedText.count(report.strays.count, "pack")
            text += "Needed by nothing: \(packs); 'tuff backup prune' removes what no restore point needs.\n"
        }
        if report.isWhole { text += Self.praise(share: report.share) }
        return text
    }

    /// No more than was looked at.
    private static func praise(share: Int) -> String {
        switch share {
        case 100: "Everything that is listed can be restored.\n"
        case 0: "Everything is where it should be. Whether it is what it was, 'tuff backup check --read-data' tells.\n"
        default: "Everything is where it should be, and of the data the \(share)% that were read are sound.\n"
        }
    }

    var body: [String: Tree] {
        [
            "readPercent": .int(report.share), "points": .int(report.points), "packs": .int(report.packs),
            "readRecords": .int(Int64(clamping: report.read)),
            "whole": .bool(report.isWhole), "unknown": .list(report.unknown.map { .text($0) }),
            "damage": .list(report.damage.map { .text($0) }),
            "strays": .list(report.strays.map { .text($0) }),
            "hurt": .list(
                report.hurt.map { hurt in
                    .object([
                        "id": .text(hurt.point.id), "name": .text(hurt.point.record.series.name),
                        "time": .text(hurt.point.record.time),
                        "ranges": LostView.list(hurt.lost), "lostBytes": .int(Int64(clamping: hurt.lost.bytes)),
                    ])
                }),
        ]
    }
}

/// The result of pruning a repository.
struct PruneView: View {
    private let report: Prune.Report

    init(_ report: Prune.Report) { self.report = report }

    var kind: String { "RepositoryPrune" }

    func text(_ style: Style) -> String {
        var text = "\(PrintedText.count(report.removedPoints.count, "restore point")) taken away.\n"
        for id in report.setAside {
            text += "Restore point \(id.description.prefix(8)) is set aside: it stays, and only its ID restores it.\n"
        }
        if report.copied > 0 { text += "\(Self.size(report.copied)) copied out of packs that were mostly dead.\n" }
        if report.marked > 0 {
            text +=
                "\(PrintedText.count(report.marked, "pack")) marked (\(Self.size(report.markedBytes))): the first prune after a day destroys them, or --at-once.\n"
        }
        if report.destroyed > 0 {
            text += "\(PrintedText.count(report.destroyed, "pack")) destroyed (\(Self.size(report.destroyedBytes))).\n"
        }
        return text
    }

    var body: [String: Tree] {
        [
            "removed": .list(report.removedPoints.map { .text($0.id) }),
            "setAside": .list(report.setAside.map { .text($0) }), "marked": .int(report.marked),
            "markedBytes": .int(Int64(clamping: report.markedBytes)), "destroyed": .int(report.destroyed),
            "destroyedBytes": .int(Int64(clamping: report.destroyedBytes)),
            "copiedBytes": .int(Int64(clamping: report.copied)),
        ]
    }

    private static func size(_ bytes: UInt64) -> String { ByteCount(Int64(clamping: bytes)).description }
}
