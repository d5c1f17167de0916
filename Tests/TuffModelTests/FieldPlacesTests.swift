import Testing
import TuffModel

@Suite struct FieldPlacesTests {
    private static func places() -> FieldPlaces {
        var places = FieldPlaces(file: "main.yaml")
        let metadata = places.add("metadata", within: -1, line: 2, column: 1)
        let labels = places.add("labels", within: metadata, line: 3, column: 3)
        _ = places.add("example.com/tier", within: labels, line: 4, column: 25)
        _ = places.add("size", within: places.add("spec", within: -1, line: 5, column: 1), line: 6, column: 9)
        return places
    }

    private static func place(_ line: Int, _ column: Int) -> TuffModel.SourceLocation {
        TuffModel.SourceLocation(file: "main.yaml", line: line, column: column)
    }

    @Test func aFieldIsFoundByItsWholePathOnly() {
        let places = Self.places()
        #expect(places["metadata"] == Self.place(2, 1))
        #expect(places["metadata.labels.example.com/tier"] == Self.place(4, 25))
        #expect(places["spec.size"] == Self.place(6, 9))
        for path in [
            "", "size", "spec.", ".size", "spec.siz", "xspec.size", "spec.size.x", "spec..size", "metadata.size",
        ] {
            #expect(places[path] == nil, "\(path)")
        }
    }

    @Test func pathsAreThoseOfTheFieldsAround() {
        let places = Self.places()
        #expect(
            (-1..<5).map(places.path(of:)) == [
                "", "metadata", "metadata.labels", "metadata.labels.example.com/tier", "spec", "spec.size",
            ])
    }

    @Test func theLastOfTwoFieldsOfOnePathCounts() {
        var places = Self.places()
        let spec = places.add("spec", within: -1, line: 7, column: 1)
        _ = places.add("size", within: spec, line: 8, column: 9)
        #expect(places["spec.size"] == Self.place(8, 9))
    }

    @Test func aPlaceCanBeSetAndTakenAway() {
        var places = Self.places()
        places["spec.protect"] = Self.place(9, 3)
        #expect(places["spec.protect"] == Self.place(9, 3))
        #expect(places["spec.size"] == Self.place(6, 9))
        places["spec.size"] = nil
        #expect(places["spec.size"] == nil)
        #expect(places["metadata.labels.example.com/tier"] == Self.place(4, 25))
        #expect(FieldPlaces(dictionaryLiteral: ("spec.pool", Self.place(3, 4)))["spec.pool"] == Self.place(3, 4))
    }
}
