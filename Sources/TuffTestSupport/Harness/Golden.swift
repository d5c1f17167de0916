import FoundationEssentials
package import Testing

/// Compares `text` with the golden file at `path`, relative to the folder of the test's target.
///
/// With `TUFF_UPDATE=1` in the environment the file is rewritten where it differs, and the test then fails: a run that
/// changed its own expectations proves nothing. Read the difference, then run again without the switch.
package func expectGolden(
    _ text: String, _ path: String, file: String = #filePath,
    sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
    let url = URL(filePath: "\(testTarget(of: file))/\(path)")
    let wanted = (try? Data(contentsOf: url)).map { String(decoding: $0, as: UTF8.self) }
    guard wanted != text else { return }
    if ProcessInfo.processInfo.environment["TUFF_UPDATE"] == "1" {
        do {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url, options: .atomic)
            Issue.record("\(path) was rewritten; run again without TUFF_UPDATE", sourceLocation: sourceLocation)
        } catch {
            Issue.record("\(path) cannot be written: \(error)", sourceLocation: sourceLocation)
        }
        return
    }
    guard let wanted else {
        Issue.record("\(path) does not exist; TUFF_UPDATE=1 writes it", sourceLocation: sourceLocation)
        return
    }
    Issue.record("\(path) differs\n\(firstDifference(wanted: wanted, got: text))", sourceLocation: sourceLocation)
}

/// The first line that differs with the two before it, wanted (`-`) and got (`+`), and the whole text that was got.
private func firstDifference(wanted: String, got: String) -> String {
    let old = wanted.split(separator: "\n", omittingEmptySubsequences: false)
    let new = got.split(separator: "\n", omittingEmptySubsequences: false)
    let same = zip(old, new).prefix { $0 == $1 }.count
    let context = old[max(0, same - 2)..<same].map { "  \($0)" }
    let minus = old.dropFirst(same).prefix(1).map { "- \($0)" }
    let plus = new.dropFirst(same).prefix(1).map { "+ \($0)" }
    return (["line \(same + 1):"] + context + minus + plus + ["whole text:", got]).joined(separator: "\n")
}
