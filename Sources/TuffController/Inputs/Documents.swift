import Glibc
package import TuffConfig
package import TuffModel

/// The documents of one pass, read and linked.
package struct Documents: Sendable {
    package var sources: [ConfigSource]
    package var state: DesiredState

    /// What reading gave: documents where nothing is wrong with them, and what is to be said of them.
    package struct Reading: Sendable {
        /// Nil: the diagnostics say why.
        package var documents: Documents?
        package var diagnostics: [Diagnostic]
    }

    /// - Parameters:
    ///   - config: whose roots of secrets hold no documents; nil: no host's.
    ///   - pruning: what no document declares is about to be removed.
    package static func read(
        _ paths: [String], under config: ControllerConfig?, pruning: Bool = false
    ) throws(PassError) -> Reading {
        if let config { try refuseSecrets(paths, config) }
        let (sources, diagnostics) = ConfigLoader.read(
            paths: paths, pruning: pruning, secrets: config?.allow.secrets ?? [])
        return link(sources, earlier: diagnostics)
    }

    /// An excerpt beside an error would show them. Roots of secrets beneath a path the reader refuses as it meets them.
    private static func refuseSecrets(_ paths: [String], _ config: ControllerConfig) throws(PassError) {
        func real(_ path: String) -> String {
            guard let found = realpath(path, nil) else { return path }
            defer { free(found) }
            return String(cString: found)
        }
        for path in paths where path != "-" {
            let place = real(path)
            guard let root = config.allow.secrets.first(where: { Reach.holds(real($0), place) }) else { continue }
            throw PassError(
                "\(path) lies beneath \(root) of allow.secrets, where secrets are and no documents; it was not read",
                help: "keep documents elsewhere")
        }
    }

    /// - Parameter earlier: what reading the sources said.
    package static func link(_ sources: [ConfigSource], earlier: [Diagnostic] = []) -> Reading {
        let result = ConfigLoader.load(sources, earlier: earlier)
        let diagnostics = earlier + result.diagnostics
        guard let state = result.state, !earlier.contains(where: { $0.severity == .error }) else {
            return Reading(documents: nil, diagnostics: diagnostics)
        }
        return Reading(documents: Documents(sources: sources, state: state), diagnostics: diagnostics)
    }
}
