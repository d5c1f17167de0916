package import TuffModel

/// One resource's lines in a plan or a report: a mark, its name, a text that wraps, where it is declared, and lines
/// beneath.
package struct ResourceRow {
    package var mark: String
    package var ink: Style.Ink?
    package var resource: ResourceID
    package var text: String
    package var location: SourceLocation?
    package var details: [String]

    package init(
        mark: String, ink: Style.Ink?, resource: ResourceID, text: String, location: SourceLocation?,
        details: [String] = []
    ) {
        self.mark = mark
        self.ink = ink
        self.resource = resource
        self.text = text
        self.location = location
        self.details = details
    }

    /// Narrowest column of texts; where long paths leave less, each place goes on a line of its own.
    private static let narrowest = 38

    /// Where the row is declared. File names are as anybody made them who may write into the directory.
    private static func place(_ row: ResourceRow) -> String? {
        row.location.map { PrintedText.oneLine($0.description) }
    }

    package static func render(_ rows: [ResourceRow], _ style: Style) -> String {
        let markWidth = rows.map(\.mark.count).max() ?? 0
        let nameWidth = min(rows.map(\.resource.description.count).max() ?? 0, 40)
        let placeWidth = rows.compactMap { place($0)?.count }.max() ?? 0
        let left = 2 + markWidth + (markWidth > 1 ? 2 : 1) + nameWidth + 2
        let room = Style.width - left - placeWidth - 2
        let beside = room >= narrowest
        let textWidth = beside ? room : max(narrowest, Style.width - left)
        let widest =
            rows.flatMap { Layout.wrap(PrintedText.oneLine($0.text), width: textWidth) }.map(\.count).max() ?? 0
        let margin = String(repeating: " ", count: left)
        return rows.map { row in
            let lines = Layout.wrap(PrintedText.oneLine(row.text), width: textWidth)
            let name = Layout.pad(row.resource.description, to: nameWidth)
            var first = "  " + style.paint(Layout.pad(row.mark, to: markWidth), row.ink)
            first += (markWidth > 1 ? "  " : " ") + name + "  "
            let place = place(row)
            if let place, beside {
                first += Layout.pad(lines[0], to: widest) + "  " + style.paint(place, .dim)
            } else {
                first += lines[0]
            }
            var text = first + "\n"
            for line in lines.dropFirst() { text += margin + line + "\n" }
            if let place, !beside {
                text += margin + style.paint("--> \(place)", .dim) + "\n"
            }
            for detail in row.details {
                let wrapped = Layout.wrap(PrintedText.oneLine(detail), width: Style.width - left - 2)
                for line in wrapped { text += margin + "  " + line + "\n" }
            }
            return text
        }.joined()
    }
}
