import TuffController
import TuffModel
import TuffRepository

/// Restore points, oldest first.
struct PointsView: View {
    private let points: [RestorePoint]
    private let aside: Set<FileID>
    private let forecast: Prune.Report?
    private let heading: String?
    private let none: String

    /// - Parameters:
    ///   - aside: those that a person set aside.
    ///   - forecast: what taking them away would come to.
    ///   - none: what is said where there are none.
    init(
        _ points: [RestorePoint], aside: Set<FileID> = [], forecast: Prune.Report? = nil, heading: String? = nil,
        none: String = "There is no restore point.\n"
    ) {
        self.points = points
        self.aside = aside
        self.forecast = forecast
        self.heading = heading
        self.none = none
    }

    var kind: String { "RestorePoints" }

    func text(_ style: Style) -> String {
        let end = forecast.map(Self.text) ?? ""
        guard !points.isEmpty else { return none + end }
        let rows = points.map { point in
            [
                String(point.id.description.prefix(8)),
                point.record.time + (aside.contains(point.id) ? " (set aside)" : ""),
                PrintedText.oneLine(point.record.series.name),
                Self.size(point.record.size), Self.size(point.record.counts.read),
                Self.size(point.record.counts.stored), Self.maker(point.record),
            ]
        }
        let table = Layout.table([["ID", "TIME", "NAME", "SIZE", "READ", "ADDED", "MADE BY"]] + rows)
        return (heading.map { "\($0):\n" + table } ?? table) + end
    }

    /// The document for which it was made, and the host where that is; a hand has neither.
    private static func maker(_ record: RestorePoint.Record) -> String {
        let backup = record.labels?[ObservedPoint.backupKey].map { "Backup/\($0)" }
        guard let document = backup ?? record.policy.map({ "BackupPolicy/\($0)" }) else { return "hand" }
        // The medium's owner may have written names of any length.
        let short = [document, record.series.node].compactMap { $0.map { $0.prefix(253) } }
        return PrintedText.oneLine(short.joined(separator: " of "))
    }

    private static func text(_ forecast: Prune.Report) -> String {
        var text = ""
        if forecast.copied > 0 {
            text += "\(size(forecast.copied)) would be copied out of packs that are mostly dead.\n"
        }
        let marked = PrintedText.count(forecast.marked, "pack"),
            destroyed = PrintedText.count(forecast.destroyed, "pack")
        text +=
            "\(marked) would be marked (\(size(forecast.markedBytes))): the first prune after a day destroys what is marked, or --at-once.\n"
        return text + "\(destroyed) would be destroyed now (\(size(forecast.destroyedBytes))).\n"
    }

    var body: [String: Tree] {
        var body: [String: Tree] = ["items": .list(points.map(item))]
        if let forecast {
            body["marked"] = .int(forecast.marked)
            body["markedBytes"] = .int(Int64(clamping: forecast.markedBytes))
            body["destroyed"] = .int(forecast.destroyed)
            body["destroyedBytes"] = .int(Int64(clamping: forecast.destroyedBytes))
            body["copiedBytes"] = .int(Int64(clamping: forecast.copied))
        }
        return body
    }

    private func item(_ point: RestorePoint) -> Tree {
        let record = point.record
        return .object([
            "id": .text(point.id), "time": .text(record.time), "finished": .text(record.finished),
            "setAside": .bool(aside.contains(point.id)),
            "name": .text(record.series.name), "sizeBytes": .int(Int64(clamping: record.size)),
            "root": .text(record.root), "parent": .text(record.parent), "policy": .text(record.policy),
            "backup": .text(record.labels?[ObservedPoint.backupKey]), "node": .text(record.series.node),
            "stack": .text(record.series.stack), "uid": .text(record.series.uid),
            "counts": .object([
                "blocks": .int(Int64(clamping: record.counts.blocks)),
                "zero": .int(Int64(clamping: record.counts.zero)),
                "new": .int(Int64(clamping: record.counts.new)),
                "readBytes": .int(Int64(clamping: record.counts.read)),
                "storedBytes": .int(Int64(clamping: record.counts.stored)),
            ]),
        ])
    }

    private static func size(_ bytes: UInt64) -> String { ByteCount(Int64(clamping: bytes)).description }
}

/// The result of a restore: to a device or file, or to standard output.
struct RestoredView: View {
    private let point: RestorePoint
    private let target: String
    private let outcome: Restore.Outcome

    init(_ outcome: RestoreRun.Outcome, to target: String) {
        point = outcome.point
        self.target = target
        self.outcome = outcome.restored
    }

    var kind: String { "Restored" }

    func text(_ style: Style) -> String {
        let size = ByteCount(Int64(clamping: point.record.size)), new = ByteCount(Int64(clamping: outcome.written))
        let name = "'\(PrintedText.oneLine(point.record.series.name))' of \(point.record.time)"
        guard outcome.lost.isEmpty else {
            let bytes = outcome.losses.bytes
            return "\(PrintedText.oneLine(target)) is NOT \(name): "
                + "\(ByteCount(Int64(clamping: bytes))) of \(size) are lost, and zeros in their place:\n"
                + LostView.lines(outcome.losses)
                + "Another restore point may have them ('tuff backup ls', and 'tuff backup check --read-data').\n"
        }
        return
            "\(PrintedText.oneLine(target)) is \(name): \(size), of which \(new) were written; every block was checked.\n"
    }

    var body: [String: Tree] {
        [
            "id": .text(point.id), "to": .text(target), "sizeBytes": .int(Int64(clamping: point.record.size)),
            "writtenBytes": .int(Int64(clamping: outcome.written)), "root": .text(point.record.root),
            "lost": LostView.list(outcome.losses), "lostBytes": .int(Int64(clamping: outcome.losses.bytes)),
        ]
    }
}

/// Bytes of a volume that are lost.
enum LostView {
    /// A line for each stretch that is told, and one for the rest.
    static func lines(_ lost: LostRanges) -> String {
        let told = lost.ranges.reduce(0) { $0 + UInt64($1.count) }
        let rest = lost.bytes - min(lost.bytes, told)
        return lost.ranges.map { "  bytes \($0.lowerBound) to \($0.upperBound - 1)\n" }.joined()
            + (rest > 0 ? "  and \(ByteCount(Int64(clamping: rest))) more in other places\n" : "")
    }

    static func list(_ lost: LostRanges) -> Tree {
        .list(
            lost.ranges.map {
                .object([
                    "offsetBytes": .int(Int64(clamping: $0.lowerBound)),
                    "lengthBytes": .int(Int64(clamping: $0.count)),
                ])
            })
    }
}

extension [DamagedPoint] {
    /// Ends a command with what is wrong with restore points and what can be done; does nothing where nothing is.
    func report(in place: RepositoryPlace, _ global: GlobalOptions) throws(Failure) {
        guard !isEmpty else { return }
        for damage in self {
            let help =
                "until it is back from a copy of the repository (points/\(damage.id)) nothing is pruned, since what it "
                + "needs is not known; to give it up, type: \(PointRemoval.command(for: damage.id, in: place))"
            Console.talk(Failure(BackupError(damage.error, help: help)).text(global.errors))
        }
        throw Failure(nil)
    }
}
