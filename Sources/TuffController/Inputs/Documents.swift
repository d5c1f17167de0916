import Glibc
package import TuffConfig
package import TuffModel

/// The documents of one pass, read and linked.
package struct Documents: Sendable {
    package var sources: [ConfigSource]
    package var state: DesiredState

    /// Result of reading: the documents, unless they have errors, and the diagnostics.
    package struct Reading: Sendable {
        /// Nil: the diagnostics say why.
        package var documents: Documents?
        package var diagnostics: [Diagnostic]
    }

    /// - Parameters:
    ///   - config: the configuration whose roots of secrets must hold no documents; nil: none, as without a host.
    ///   - pruning: objects without a document are about to be removed.
    package static func read(
        _ paths: [String], under config: ControllerConfig?, pruning: Bool = false
    ) throws(PassError) -> Reading {
        if let config { try refuseSecrets(paths, config) }
        let (sources, diagnostics) = ConfigLoader.read(
            paths: paths, pruning: pruning, secrets: config?.allow.secrets ?? [])
        return link(sources, earlier: diagnostics)
    }

    /// Refuses a path beneath a root of secrets, since an excerpt beside an error would show them. The reader refuses
    /// roots of secrets that lie beneath a path.
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

    /// - Parameter earlier: diagnostics of reading the sources.
    package static func link(_ sources: [ConfigSource], earlier: [Diagnostic] = []) -> Reading {
        let result = ConfigLoader.load(sources, earlier: earlier)
        let diagnostics = earlier + result.diagnostics
        guard let state = result.state, !earlier.contains(where: { $0.severity == .error }) else {
            return Reading(documents: nil, diagnostics: diagnostics)
        }
        return Reading(documents: Documents(sources: sources, state: state), diagnostics: diagnostics)
    }
}
