/// Changes to one volume, each in its document or by an order, applied and settled one after the other. Faults come
/// while the last one is applied.
struct Story: ExpressibleByArrayLiteral, CustomStringConvertible, Sendable {
    var edits: [Edit]
    /// Made when the last one was disturbed and nothing is mended yet.
    var afterwards: [Edit] = []
    /// The volumes that are changed; of these `keep` and `stay` are in use from the beginning.
    var names = ["a"]

    init(arrayLiteral edits: Edit...) { self.edits = edits }

    init(_ edits: Edit..., afterwards: [Edit] = [], of names: [String] = ["a"]) {
        self.edits = edits
        self.afterwards = afterwards
        self.names = names
    }

    /// Reads `declare,write,place` or `declare,write,place of a,keep,stay`, as a story is told in the log.
    init?(text: String) {
        edits = []
        let parts = text.split(separator: " of ")
        if parts.count > 1 { names = parts[1].split(separator: ",").map(String.init) }
        for word in parts[0].split(separator: ",") {
            guard let edit = Edit(rawValue: String(word)) else { return nil }
            edits.append(edit)
        }
    }

    var description: String {
        let then = afterwards.isEmpty ? "" : " and at once " + afterwards.map(\.rawValue).joined(separator: ",")
        return edits.map(\.rawValue).joined(separator: ",") + then
            + (names == ["a"] ? "" : " of " + names.joined(separator: ","))
    }
}
