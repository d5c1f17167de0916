import FoundationEssentials
import Testing
import TuffConfig
import TuffModel
import TuffTestSupport

/// Exact texts that people see, one folder per case, and the corpus that the outside judge reads too.
@Suite struct GoldenTests {
    static let cases = try! FileManager.default.contentsOfDirectory(atPath: "\(packageRoot)/\(root)").sorted()
    static let root = "Tests/TuffConfigTests/Golden"

    @Test(arguments: cases)
    func diagnosticsReadAsWritten(_ name: String) throws {
        let bytes = Array(try Data(contentsOf: URL(filePath: "\(packageRoot)/\(Self.root)/\(name)/input.yaml")))
        let result = ConfigLoader.load([ConfigSource(path: "input.yaml", text: bytes)])
        #expect(result.state == nil)
        expectGolden(DiagnosticText.render(result.diagnostics, color: false), "Golden/\(name)/diagnostics.txt")
    }

    @Test(arguments: try yamlFiles(in: "Tests/Judge/wrong"))
    func aWrongDocumentIsRefusedForItsOwnReasonOnly(_ name: String) throws {
        let result = load(try text(of: "Tests/Judge/wrong/\(name)"), path: name)
        #expect(result.state == nil, "\(name) was accepted")
        #expect(
            result.diagnostics.filter { $0.severity == .error }.count <= 2,
            "\(name) is noisy: \(DiagnosticText.render(result.diagnostics, color: false))")
        #expect(result.diagnostics.allSatisfy { $0.location.line >= 1 && $0.location.column >= 1 && $0.length >= 1 })
    }
}
