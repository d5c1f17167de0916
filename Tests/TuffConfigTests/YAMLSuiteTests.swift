import FoundationEssentials
import Testing
import TuffModel

@testable import TuffConfig

/// Outside test data, which is no part of the repository.
enum Corpora {
    static let root = ProcessInfo.processInfo.environment["TUFF_CORPORA"]

    static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: "\(root ?? "")/\(path)")))
    }
}

/// https://github.com/yaml/yaml-test-suite: inputs with the JSON they mean, or the fact that they are wrong.
@Suite struct YAMLSuiteTests {
    /// Refused on purpose, whatever the suite says: the rules of Tuff's subset.
    private static let subset: Set<String> = ["alias", "tag", "directive", "key-not-text"]

    /// Valid YAML 1.2 that libyaml's grammar (YAML 1.1) or our stricter reading of it refuses, with the reason. None of
    /// it is written by people who declare storage; being refused with a place, it cannot be misunderstood.
    private static let refused: [String: [String]] = [
        "libyaml takes no other directives, and is stricter about their place": [
            "2LFX", "6LVF", "BEC7", "MUS6/05", "MUS6/06", "W4TN",
        ],
        "libyaml takes no empty key": [
            "2JQS", "6M2F", "CFD4", "FRK4", "M2N8/00", "NHX8", "NKF9", "S3PD", "SM9W/01", "UKK6/00",
        ],
        "libyaml wants a blank after ':' in flow collections, or takes a text there for a key": [
            "4ABK", "4MUZ/00", "4MUZ/01", "4MUZ/02", "58MP", "5MUD", "5T43", "652Z", "9SA2", "DBG4", "HM87/00",
            "HM87/01",
            "K3WX", "NJ66", "UT92", "VJP3/01",
        ],
        "libyaml takes no tab there": [
            "6BCT", "6CA3", "96NN/00", "96NN/01", "A2M4", "DK95/00", "DK95/03", "DK95/04", "Q5MG", "R4YG", "Y79Y/001",
            "Y79Y/010",
        ],
        "libyaml wants '---' after '...', or more before it": ["7Z25", "DK3J", "FP8R", "HWV9", "M7A3", "QT73"],
        "libyaml takes fewer characters in anchors": ["2SXE", "8XYN", "W5VH", "Y2GN"],
    ]

    private struct Case {
        var name: String
        var isWrong: Bool
        /// The values of its documents; nil where the suite gives none.
        var values: [JSONValue]?
        var input: [UInt8]
    }

    private static func cases() throws -> [Case] {
        let root = "\(Corpora.root ?? "")/yaml-test-suite"
        let inputs = try FileManager.default.subpathsOfDirectory(atPath: root).filter { $0.hasSuffix("/in.yaml") }
        return try inputs.sorted().map { input in
            let name = String(input.dropLast("/in.yaml".count))
            let json = try? Data(contentsOf: URL(filePath: "\(root)/\(name)/in.json"))
            return Case(
                name: name, isWrong: FileManager.default.fileExists(atPath: "\(root)/\(name)/error"),
                values: json.flatMap { JSONValue.stream(String(decoding: $0, as: UTF8.self)) },
                input: try Corpora.bytes("yaml-test-suite/\(input)"))
        }
    }

    @Test func everyInputIsReadAsTheSuiteSaysOrRefusedForAListedReason() throws {
        guard Corpora.root != nil else {
            print("TUFF_CORPORA absent: 2 suites not run (yaml-test-suite, naughty-strings)")
            return
        }
        let listed = Set(Self.refused.values.flatMap { $0 })
        var unused = listed
        var counts = (read: 0, refused: 0, wrong: 0)
        let cases = try Self.cases()
        for testCase in cases {
            let report = FileReport(SourceFile(ConfigSource(path: testCase.name, text: testCase.input)))
            var composer = Composer(report)
            var values: [JSONValue?] = []
            composer.forEachDocument { values.append(JSONValue($0)) }
            let diagnostics = report.finish()
            #expect(diagnostics.allSatisfy { $0.location.line >= 1 && $0.location.column >= 1 })
            if testCase.isWrong {
                counts.wrong += 1
                #expect(!diagnostics.isEmpty, "\(testCase.name) is wrong and was accepted")
            } else if let first = diagnostics.first {
                counts.refused += 1
                unused.remove(testCase.name)
                #expect(
                    listed.contains(testCase.name) || diagnostics.allSatisfy { Self.subset.contains($0.rule) },
                    "\(testCase.name) was refused: \(first.message) at \(first.location)")
            } else {
                counts.read += 1
                // Empty documents declare nothing and are left out.
                guard let wanted = testCase.values?.filter({ $0 != .null }) else { continue }
                #expect(values.compactMap { $0 } == wanted, "\(testCase.name) is read otherwise")
            }
        }
        print("yaml-test-suite: \(cases.count) inputs, \(counts)")
        #expect(cases.count >= 402)
        #expect(unused.isEmpty, "listed as refused, but read: \(unused.sorted())")
    }
}
