import Glibc
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
    ///   - config: whose roots of secrets hold no documents; nil: no host's.
    ///   - consequence: what follows from an error: `nothing was planned`.
    ///   - pruning: what no document declares is about to be removed.
    static func load(
        _ paths: [String], under config: ControllerConfig?, style: Style, consequence: String, pruning: Bool = false
    ) throws(Failure) -> Documents {
        if let config { try refuseSecrets(paths, config) }
        let (sources, diagnostics) = ConfigLoader.read(
            paths: paths, pruning: pruning, secrets: config?.allow.secrets ?? [])
        return try link(sources, earlier: diagnostics, style: style, consequence: consequence)
    }

    /// An excerpt beside an error would show them. Roots of secrets beneath a path the reader refuses as it meets them.
    private static func refuseSecrets(_ paths: [String], _ config: ControllerConfig) throws(Failure) {
        func real(_ path: String) -> String {
            guard let found = realpath(path, nil) else { return path }
            defer { free(found) }
            return String(cString: found)
        }
        for path in paths where path != "-" {
            let place = real(path)
            guard let root = config.allow.secrets.first(where: { Reach.holds(real($0), place) }) else { continue }
            throw Failure(
                "\(path) lies beneath \(root) of allow.secrets, where secrets are and no documents; it was not read",
                help: "keep documents elsewhere")
        }
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
