import TuffConfig
import TuffModel

/// The documents of one command, read and linked.
struct Documents {
    var sources: [ConfigSource]
    var state: DesiredState
    /// Files read.
    var files: Int { sources.count }

    /// Reads `paths`; shows what is wrong with them on standard error, and ends the command if anything is.
    ///
    /// - Parameters:
    ///   - consequence: what follows from an error: `nothing was planned`.
    ///   - pruning: what no document declares is about to be removed.
    static func load(
        _ paths: [String], style: Style, consequence: String, pruning: Bool = false
    ) throws(Failure) -> Documents {
        let (sources, diagnostics) = ConfigLoader.read(paths: paths, pruning: pruning)
        return try link(sources, earlier: diagnostics, style: style, consequence: consequence)
    }

    static func link(
        _ sources: [ConfigSource], earlier: [Diagnostic] = [], style: Style, consequence: String
    ) throws(Failure) -> Documents {
        let result = ConfigLoader.load(sources, earlier: earlier)
        let all = earlier + result.diagnostics
        Console.talk(DiagnosticText.render(all, color: style.color))
        guard let state = result.state, !earlier.contains(where: { $0.severity == .error }) else {
            Console.talk("\(consequence)\n")
            throw Failure(nil)
        }
        return Documents(sources: sources, state: state)
    }
}
