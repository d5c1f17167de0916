import FoundationEssentials
import Testing
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
}
