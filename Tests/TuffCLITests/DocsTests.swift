import FoundationEssentials
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffCLI

@Suite struct DocsTests {
    /// Every example in docs/cli.md that names a golden file is that file, so that the page shows what the program
    /// says.
    @Test func examplesInThePageAreTheGoldenFiles() throws {
        let page = TestFolder.text("\(packageRoot)/docs/cli.md")
        var result = ""
        var lines = page.split(separator: "\n", omittingEmptySubsequences: false)[...]
        var examples = 0
        while let line = lines.popFirst() {
            result += line + "\n"
            guard line.hasPrefix("<!-- golden: "), let fence = lines.popFirst() else { continue }
            let name = line.dropFirst("<!-- golden: ".count).dropLast(" -->".count)
            let golden = TestFolder.text("\(testTarget(of: #filePath))/Golden/\(name)")
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
        let sources = try FileManager.default.subpathsOfDirectory(atPath: "\(packageRoot)/Sources")
            .filter { $0.hasSuffix(".swift") }.map { TestFolder.text("\(packageRoot)/Sources/\($0)") }
        let said = try names(in: sources.joined(), after: "Reason(rawValue: \"", before: "\"")
            .union(names(in: sources.joined(), after: " reason: \"", before: "\""))
            .union(names(in: sources.joined(), after: "static let otherNode = \"", before: "\""))
            .union(VolumeFault.Reason.allCases.map(\.rawValue)).union(FullRead.Reason.allCases.map(\.rawValue))
        let page = TestFolder.text("\(packageRoot)/docs/operations.md")
        let explained = try names(in: page, after: "\n| `", before: "`").union(["Exists"])
        #expect(said.count > 20)
        #expect(said.subtracting(explained).filter { !$0.contains(" ") }.sorted() == [])
        #expect(explained.filter { $0.first?.isUppercase == true && !said.contains($0) }.sorted() == [])
    }

    /// A page that names a file of this repository, or links to one, names a file that is there.
    @Test func pagesNameFilesThatExist() throws {
        let pages =
            ["README.md", "CONTRIBUTING.md"]
            + (try FileManager.default.subpathsOfDirectory(atPath: "\(packageRoot)/docs"))
            .filter { $0.hasSuffix(".md") }.map { "docs/\($0)" }
        #expect(pages.contains("docs/architecture.md"))
        var named = 0
        for page in pages {
            let text = TestFolder.text("\(packageRoot)/\(page)")
            let folder = page.split(separator: "/").dropLast().map { "\($0)/" }.joined()
            let linked = try names(in: text, after: "](", before: ")")
                .compactMap { $0.split(separator: "#", omittingEmptySubsequences: false).first }
                .filter { !$0.isEmpty && !$0.contains(":") }.map { folder + $0 }
            let written = try ["Sources/", "Tests/", ".ci/", "bench/"].flatMap { top in
                try names(in: text, after: "`\(top)", before: "`").map { top + $0 }
            }
            for path in linked + written where !path.contains(where: { " *<…".contains($0) }) {
                #expect(FileManager.default.fileExists(atPath: "\(packageRoot)/\(path)"), "\(page) names \(path)")
                named += 1
            }
        }
        #expect(named > 50)
    }

    /// Each module has a row in docs/architecture.md, and each of its rooms is in it.
    @Test func everyRoomIsInThePageOfArchitecture() throws {
        let rows = TestFolder.text("\(packageRoot)/docs/architecture.md").split(separator: "\n")
            .filter { $0.hasPrefix("| `") }
        let folders = try FileManager.default.subpathsOfDirectory(atPath: "\(packageRoot)/Sources")
            .filter { $0.hasSuffix(".swift") }
            .map { $0.split(separator: "/").dropLast().prefix(2).map(String.init) }
        for folder in Set(folders) {
            let row = rows.first { $0.split(separator: "|")[0].contains("`\(folder[0])`") }
            #expect(row != nil, "\(folder[0]) has no row")
            if folder.count > 1 { #expect(row?.contains("`\(folder[1])`") == true, "\(folder.joined(separator: "/"))") }
        }
    }

    /// A reader takes in a folder at a glance. Data of tests is not read that way and may be many files.
    @Test func noFolderHoldsMoreThanSixteenSourceFiles() throws {
        var files: [String: Int] = [:]
        for top in ["Sources", "Tests"] {
            let paths = try FileManager.default.subpathsOfDirectory(atPath: "\(packageRoot)/\(top)")
            for path in paths where path.hasSuffix(".swift") {
                files["\(top)/" + path.split(separator: "/").dropLast().joined(separator: "/"), default: 0] += 1
            }
        }
        #expect(files.count > 50)
        #expect(files.filter { $0.value > 16 }.keys.sorted() == [])
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
