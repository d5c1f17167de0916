import Testing
import TuffConfig
import TuffModel

/// Advice on common slips.
@Suite struct AdviceTests {
    private func help(_ text: String) -> [String] { load(text).diagnostics.compactMap(\.help) }

    @Test(arguments: ["20", "\"20\""]) func aSizeWithoutAUnitGetsOne(_ size: String) {
        let text = """
            apiVersion: tuff.dev/v1
            kind: Volume
            metadata: {name: a}
            spec: {size: \(size), pool: p}
            """
        #expect(help(text).contains("a number without a unit is bytes, and these are too few; 20Gi are as many GiB"))
    }

    @Test func aForgottenDividerIsNamed() {
        let text = """
            apiVersion: tuff.dev/v1
            kind: Volume
            apiVersion: tuff.dev/v1
            kind: Volume
            """
        #expect(help(text).count { $0.contains("between two documents stands a line ---") } == 2)
    }

    @Test(arguments: ["", "# later\n"]) func aFileWithoutDocumentsIsWarnedOf(_ text: String) {
        let result = load(text)
        #expect(result.state != nil)
        #expect(result.diagnostics.map(\.rule) == ["no-document"])
        #expect(result.diagnostics.allSatisfy { $0.severity == .warning })
    }
}
