import FoundationEssentials
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffCLI

@Suite struct DocsTests {
    /// Every example in docs/cli.md that names a golden file is that file, so that the page shows what the program says.
    @Test func examplesInThePageAreTheGoldenFiles() throws {
        let tests = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let page = TestFolder.text("\(tests)/../../docs/cli.md")
        var result = ""
        var lines = page.split(separator: "\n", omittingEmptySubsequences: false)[...]
        var examples = 0
        while let line = lines.popFirst() {
            result += line + "\n"
            guard line.hasPrefix("<!-- golden: "), let fence = lines.popFirst() else { continue }
            let name = line.dropFirst("<!-- golden: ".count).dropLast(" -->".count)
            let golden = TestFolder.text("\(tests)/Golden/\(name)")
            #expect(!golden.isEmpty, "\(name) does not exist")
            result += fence + "\n" + golden
            lines = lines.drop { !$0.hasPrefix("```") }
            examples += 1
        }
        result.removeLast()
        #expect(examples >= 10)
        expectGolden(result, "../../docs/cli.md")
    }

    /// Whoever reads a reason at three in the morning finds it in docs/operations.md, and nothing that is never said.
    @Test func everyReasonIsInThePageOfOperations() throws {
        let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let sources = try FileManager.default.subpathsOfDirectory(atPath: "\(root)/Sources")
            .filter { $0.hasSuffix(".swift") }.map { TestFolder.text("\(root)/Sources/\($0)") }
        let said = try names(in: sources.joined(), after: "Reason(rawValue: \"", before: "\"")
            .union(names(in: sources.joined(), after: " reason: \"", before: "\""))
            .union(names(in: sources.joined(), after: "static let otherNode = \"", before: "\""))
            .union(VolumeFault.Reason.allCases.map(\.rawValue))
        let page = TestFolder.text("\(root)/docs/operations.md")
        let explained = try names(in: page, after: "\n| `", before: "`").union(["Exists"])
        #expect(said.count > 20)
        #expect(said.subtracting(explained).filter { !$0.contains(" ") }.sorted() == [])
        #expect(explained.filter { $0.first?.isUppercase == true && !said.contains($0) }.sorted() == [])
    }

    private func names(in text: String, after opening: String, before closing: String) throws -> Set<String> {
        var found: Set<String> = []
        var rest = text[...]
        while let start = rest.firstRange(of: opening) {
            rest = rest[start.upperBound...]
            let end = try #require(rest.firstRange(of: closing))
            found.insert(String(rest[..<end.lowerBound]))
        }
        return found
    }
}
