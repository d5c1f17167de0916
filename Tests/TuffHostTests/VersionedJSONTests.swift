import FoundationEssentials
import Glibc
import Testing
import TuffTestSupport
import TuffModel
import TuffSystem

@testable import TuffHost

@Suite("Files of ours say their version, which is looked at before anything else")
struct VersionedJSONTests {
    private struct Note: Codable, Equatable {
        var version = 2
        var text: String
        /// Since version 2.
        var added: Int?
    }

    private let folder: Folder

    init() throws { folder = try Folder() }

    private func decode(_ text: String, _ format: VersionedJSON) -> Result<Note, VersionedJSON.Fault> {
        Result { () throws(VersionedJSON.Fault) in try format.decode(Note.self, from: Data(text.utf8)) }
    }

    @Test("An older version is read unless it is too old, a newer one is refused before its fields are looked at")
    func versions() {
        let every = VersionedJSON(current: 2), strict = VersionedJSON(current: 2, oldest: 2)
        let old = #"{"text":"a","version":1}"#, new = #"{"version":3,"words":["a"]}"#
        #expect(decode(old, every) == .success(Note(version: 1, text: "a")))
        #expect(decode(old, strict) == .failure(.older(1)))
        #expect(decode(new, every) == .failure(.newer(3)))
        #expect(decode(#"{"added":7,"text":"a","version":2}"#, strict) == .success(Note(text: "a", added: 7)))
    }

    @Test("What has no version, is no JSON or is of another kind is foreign")
    func foreign() {
        let format = VersionedJSON(current: 2)
        for text in ["", "{", "[]", #"{"text":"a"}"#, #"{"text":"a","version":"2"}"#, #"{"text":"a","version":1.5}"#] {
            #expect(decode(text, format) == .failure(.foreign), "\(text)")
        }
        let other = VersionedJSON(field: "format", kind: "Note", current: 1)
        #expect(decode(#"{"format":1,"kind":"Letter"}"#, other) == .failure(.foreign))
        #expect(decode(#"{"format":1,"kind":5}"#, other) == .failure(.foreign))
        #expect(decode(#"{"version":1,"kind":"Note"}"#, other) == .failure(.foreign))
        #expect(decode(#"{"format":9,"kind":"Note"}"#, other) == .failure(.newer(9)))
    }

    @Test("What its version should hold and it does not is named")
    func damaged() {
        let format = VersionedJSON(current: 2)
        #expect(decode(#"{"version":2}"#, format) == .failure(.damaged("text is missing")))
        guard case .failure(.damaged(let complaint)) = decode(#"{"text":5,"version":2}"#, format) else {
            Issue.record("a number is no text")
            return
        }
        #expect(complaint.hasPrefix("text: "))
    }

    @Test("A state file comes back as it was saved, as one line with sorted keys; what cannot be read says why")
    func stateFile() throws {
        let path = folder.at("state/note.json")
        let file = VersionedStateFile<Note>(path, version: 2, words: .init(what: "note", remedy: "write it anew"))
        #expect(try file.load() == nil)
        try file.save(Note(text: "a/b"))
        #expect(folder.read("state/note.json") == #"{"text":"a/b","version":2}"# + "\n")
        #expect(try file.load() == Note(text: "a/b"))
        for (text, words) in [
            (#"{"version":3}"#, "is of a newer version of tuff (3)"), (#"{"version":2}"#, "(text is missing)"),
            ("nothing", "is damaged: it is not what tuff writes; nothing was changed"),
        ] {
            try folder.write("state/note.json", text, mode: 0o600)
            let error = #expect(throws: HostError.self) { try file.load() }
            #expect(error?.code == .malformed && error?.sentence.contains(words) == true, "\(error as Any)")
            #expect(error?.sentence.hasPrefix("The note \(path) ") == true && error?.subject == path)
        }
    }
}
