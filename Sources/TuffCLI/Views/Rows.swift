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
        let places = rows.map { place($0) }
        let names = rows.map(\.resource.description)
        let markWidth = rows.map { Layout.columns($0.mark) }.max() ?? 0
        let nameWidth = min(names.map(Layout.columns).max() ?? 0, 40)
        let placeWidth = places.compactMap { $0.map(Layout.columns) }.max() ?? 0
        let left = 2 + markWidth + (markWidth > 1 ? 2 : 1) + nameWidth + 2
        let room = Style.width - left - placeWidth - 2
        let beside = room >= narrowest
        let textWidth = beside ? room : max(narrowest, Style.width - left)
        let texts = rows.map { Layout.wrap(PrintedText.oneLine($0.text), width: textWidth) }
        let widest = texts.map { $0.map(Layout.columns).max() ?? 0 }.max() ?? 0
        let margin = String(repeating: " ", count: left)
        var text = ""
        for (index, row) in rows.enumerated() {
            let lines = texts[index]
            text += "  " + style.paint(Layout.pad(row.mark, to: markWidth), row.ink)
            text += markWidth > 1 ? "  " : " "
            text += Layout.pad(names[index], to: nameWidth) + "  "
            if let place = places[index], beside {
                text += Layout.pad(lines[0], to: widest) + "  " + style.paint(place, .dim)
            } else {
                text += lines[0]
            }
            text += "\n"
            for line in lines.dropFirst() { text += margin + line + "\n" }
            if let place = places[index], !beside {
                text += margin + style.paint("--> \(place)", .dim) + "\n"
            }
            for detail in row.details {
                let wrapped = Layout.wrap(PrintedText.oneLine(detail), width: Style.width - left - 2)
                for line in wrapped { text += margin + "  " + line + "\n" }
            }
        }
        return text
    }
}
