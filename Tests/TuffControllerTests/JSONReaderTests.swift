import FoundationEssentials
import Testing
import TuffController
import TuffModel
import TuffSystem
import TuffTestSupport

@Suite("The reader of our own JSON decodes what Foundation's decodes, or nothing")
struct JSONReaderTests {
    private struct Part: Codable, Equatable {
        enum Word: String, Codable { case one, two }

        var name: String
        var count: Int?
        var share: Double?
        var flag: Bool?
        var words: [Word]?
        var parts: [Part]?
        var table: [String: Int64]?
        var bytes: [UInt8]?
    }

    private func read<Value: Decodable>(_ text: String, as type: Value.Type) -> Value? {
        var text = text
        return text.withUTF8 { JSONReader.decode(type, from: $0) }
    }

    private func expected<Value: Decodable>(_ text: String, as type: Value.Type) -> Value? {
        try? JSONDecoder().decode(type, from: Data(text.utf8))
    }

    @Test(arguments: [
        #"{"name":"a"}"#, #" { "count" : -7 , "name" : "" } "#,
        #"{"name":"x","parts":[{"name":"y","count":1},{"count":2,"name":"z"}],"flag":true,"share":1.5e3}"#,
        #"{"words":["one","two"],"table":{"b":1,"a":-9223372036854775808},"name":"n","bytes":[0,255]}"#,
        #"{"name":"\u00e4\ud83d\ude00\n\t\"\\\/\b\f\r","count":null,"share":0}"#,
        #"{"na\u006de":"key with an escape","parts":[],"table":{}}"#, #"{"name":"ü€😀"}"#,
        #"{"unknown":{"deep":[1,{"x":[]}]},"name":"a","share":-0.25}"#,
    ])
    func itReadsWhatIsWellFormed(text: String) {
        let found = read(text, as: Part.self)
        #expect(found != nil && found == expected(text, as: Part.self))
    }

    @Test(arguments: [
        "", "{", "[]", "nul", #"{"name":1}"#, #"{"count":1}"#, #"{"name":"a"} x"#, #"{"name":"a"}}"#,
        #"{"name":"a","count":1.5}"#, #"{"name":"a","count":9223372036854775808}"#, #"{"name":"a","bytes":[256]}"#,
        #"{"name":"\ud800"}"#, #"{"name":"\x"}"#, #"{"name":"\u12"}"#, "{\"name\":\"\u{1}\"}", #"{"name":"a\"}"#,
        #"{"name":"a","words":["three"]}"#, #"{"name":"a","count":01}"#, #"{"name":"a","count":-}"#, #"{"name" "a"}"#,
        #"{"name":"a","flag":"true"}"#, #"{"name":"a","parts":[1 2]}"#, #"{name:"a"}"#,
    ])
    func itRefusesWhatIsNot(text: String) {
        #expect(read(text, as: Part.self) == nil)
        #expect(expected(text, as: Part.self) == nil)
    }

    /// Foundation's decoder takes it; RFC 8259 does not have it.
    @Test func aCommaWithNothingBehindItIsRefused() { #expect(read(#"{"name":"a",}"#, as: Part.self) == nil) }

    @Test func bytesThatAreNoUTF8AreRefused() {
        let bytes: [UInt8] = Array(#"{"name":""#.utf8) + [0xc3, 0x28] + Array(#""}"#.utf8)
        #expect(bytes.withUnsafeBufferPointer { JSONReader.decode(Part.self, from: $0) } == nil)
    }

    @Test func depthIsBounded() {
        let text = String(repeating: "[", count: 100_000)
        #expect(read(text, as: [Int].self) == nil)
    }

    /// Any text cut short is refused, and no text makes it read beyond its end.
    @Test func cutTextsAreRefused() {
        let text = #"{"name":"\u00e4b","count":-12,"share":1.25e2,"words":["one"],"flag":false,"table":{"a":1}}"#
        for count in 0..<text.utf8.count {
            #expect(read(String(text.utf8.prefix(count))!, as: Part.self) == nil, "the first \(count) bytes")
        }
    }

    @Test func anInventoryIsReadAsFoundationReadsIt() throws {
        let group = VolumeGroup(
            name: "vg0", uuid: "u", size: ByteCount(1 << 40), free: ByteCount(1 << 30), extentSize: ByteCount(4 << 20))
        var observed = ObservedState(takenAt: Instant(secondsSince1970: 1_795_339_800))
        observed.volumeGroups.entries["vg0"] = .known(group)
        observed.volumeGroups.entries["vg1"] = .unknown(HostError(.notFound, "no \"such\" group\u{1b}"))
        let file = InventoryFile(config: ControllerConfig(node: "n", portals: []), observed: observed)
        let text = try file.text
        #expect(read(text, as: InventoryFile.self) == file)
        #expect(expected(text, as: InventoryFile.self) == file)
    }
}
