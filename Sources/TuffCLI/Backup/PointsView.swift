import TuffModel
import TuffRepository

/// Restore points, oldest first.
struct PointsView: View {
    private let points: [RestorePoint]
    private let heading: String?

    init(_ points: [RestorePoint], heading: String? = nil) {
        self.points = points
        self.heading = heading
    }

    var kind: String { "RestorePoints" }

    func text(_ style: Style) -> String {
        guard !points.isEmpty else { return "There is no restore point.\n" }
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
                        "name": .text(record.series.name), "size": .int(Int64(clamping: record.size)),
                        "root": .text(record.root), "parent": .text(record.parent),
                        "counts": .object([
                            "blocks": .int(Int64(clamping: record.counts.blocks)),
                            "zero": .int(Int64(clamping: record.counts.zero)),
                            "new": .int(Int64(clamping: record.counts.new)),
                            "read": .int(Int64(clamping: record.counts.read)),
                            "stored": .int(Int64(clamping: record.counts.stored)),
                        ]),
                    ])
                })
        ]
    }

    private static func size(_ bytes: UInt64) -> String { ByteCount(Int64(clamping: bytes)).description }
}

/// What a restore did.
struct RestoredView: View {
    private let point: RestorePoint
    private let target: String
    private let written: UInt64

    init(_ point: RestorePoint, to target: String, written: UInt64) {
        self.point = point
        self.target = target
        self.written = written
    }

    var kind: String { "Restored" }

    func text(_ style: Style) -> String {
        let size = ByteCount(Int64(clamping: point.record.size)), new = ByteCount(Int64(clamping: written))
        return
            "\(Layout.printable(target)) is '\(Layout.printable(point.record.series.name))' of \(point.record.time): "
            + "\(size), of which \(new) were written; every block was checked.\n"
    }

    var body: [String: Tree] {
        [
            "id": .text(point.id), "to": .text(target), "size": .int(Int64(clamping: point.record.size)),
            "written": .int(Int64(clamping: written)), "root": .text(point.record.root),
        ]
    }
}
