import TuffModel
import TuffRepository

/// Restore points, oldest first.
struct PointsView: View {
    private let points: [RestorePoint]
    private let heading: String?
    private let none: String

    /// - Parameter none: what is said where there are none.
    init(_ points: [RestorePoint], heading: String? = nil, none: String = "There is no restore point.\n") {
        self.points = points
        self.heading = heading
        self.none = none
    }

    var kind: String { "RestorePoints" }

    func text(_ style: Style) -> String {
        guard !points.isEmpty else { return none }
        let rows = points.map { point in
            [
                String(point.id.description.prefix(8)), point.record.time, Layout.printable(point.record.series.name),
                Self.size(point.record.size), Self.size(point.record.counts.read),
                Self.size(point.record.counts.stored),
            ]
        }
        let table = Layout.table([["ID", "TIME", "NAME", "SIZE", "READ", "ADDED"]] + rows)
        return heading.map { "\($0):\n" + table } ?? table
    }

    var body: [String: Tree] {
        [
            "items": .list(
                points.map { point in
                    let record = point.record
                    return .object([
                        "id": .text(point.id), "time": .text(record.time), "finished": .text(record.finished),
                        "name": .text(record.series.name), "sizeBytes": .int(Int64(clamping: record.size)),
                        "root": .text(record.root), "parent": .text(record.parent),
                        "counts": .object([
                            "blocks": .int(Int64(clamping: record.counts.blocks)),
                            "zero": .int(Int64(clamping: record.counts.zero)),
                            "new": .int(Int64(clamping: record.counts.new)),
                            "readBytes": .int(Int64(clamping: record.counts.read)),
                            "storedBytes": .int(Int64(clamping: record.counts.stored)),
                        ]),
                    ])
                })
        ]
    }

    private static func size(_ bytes: UInt64) -> String { ByteCount(Int64(clamping: bytes)).description }
}

/// What a restore did: to a device or file, or to standard output.
struct RestoredView: View {
    private let point: RestorePoint
    private let target: String
    private let outcome: Restore.Outcome

    init(_ point: RestorePoint, to target: String, _ outcome: Restore.Outcome) {
        self.point = point
        self.target = target
        self.outcome = outcome
    }

    var kind: String { "Restored" }

    func text(_ style: Style) -> String {
        let size = ByteCount(Int64(clamping: point.record.size)), new = ByteCount(Int64(clamping: outcome.written))
        let name = "'\(Layout.printable(point.record.series.name))' of \(point.record.time)"
        guard outcome.lost.isEmpty else {
            let bytes = outcome.lost.reduce(0) { $0 + UInt64($1.count) }
            return "\(Layout.printable(target)) is NOT \(name): "
                + "\(ByteCount(Int64(clamping: bytes))) of \(size) are lost, and zeros in their place:\n"
                + outcome.lost.map { "  bytes \($0.lowerBound) to \($0.upperBound - 1)\n" }.joined()
                + "Another restore point may have them ('tuff backup ls', and 'tuff backup check --read-data').\n"
        }
        return
            "\(Layout.printable(target)) is \(name): \(size), of which \(new) were written; every block was checked.\n"
    }

    var body: [String: Tree] {
        [
            "id": .text(point.id), "to": .text(target), "sizeBytes": .int(Int64(clamping: point.record.size)),
            "writtenBytes": .int(Int64(clamping: outcome.written)), "root": .text(point.record.root),
            "lost": .list(
                outcome.lost.map {
                    .map([
                        "offsetBytes": .int(Int64(clamping: $0.lowerBound)),
                        "lengthBytes": .int(Int64(clamping: $0.count)),
                    ])
                }),
        ]
    }
}

extension [DamagedPoint] {
    /// Ends a command with what is wrong with restore points and what can be done; does nothing where nothing is.
    func report(_ global: GlobalOptions) throws(Failure) {
        guard !isEmpty else { return }
        for damage in self {
            let help =
                "put the file 'points/\(damage.id)' back from a copy of the repository; or delete it to give this one up: until "
                + "then nothing is pruned, since what it needs is not known"
            Console.talk(Failure(damage.error, help: help).text(global.errors))
        }
        throw Failure(nil)
    }
}
