import Glibc
import TuffConfig
import TuffHost
package import TuffModel

/// Loads the file of the controller's configuration.
package enum ControllerFile {
    package static let usualPath = "/etc/tuff/config.yaml"

    /// - Parameters:
    ///   - path: the file; nil: the usual one where it exists, else built-in defaults.
    ///   - toleratesFormer: accepts a configuration of an earlier version, as that version understood it, with a
    ///     warning.
    ///   - telling: told what there is to say about the file, before anything is thrown.
    /// - Throws: when it cannot be used, when others could change it, or roots overlap on this host.
    package static func load(
        _ path: String?, toleratesFormer: Bool = false, telling: ([Diagnostic]) -> Void
    ) throws(PassError) -> ControllerConfig {
        let node = HostFacts.shortHostName()
        let named = path ?? usualPath
        if path == nil, access(named, F_OK) != 0 { return ControllerConfig(node: node) }
        try refuseWritable(named)
        let unusable = PassError("the controller's configuration \(named) cannot be used")
        let (sources, earlier) = ConfigLoader.read(paths: [named])
        guard var source = sources.first, sources.count == 1 else {
            telling(earlier)
            throw unusable
        }
        // The administrator's own file, through a link or not: nobody else may be able to write it.
        source.isQuotable = true
        let result = ConfigLoader.loadController(source, defaultNode: node, toleratesFormer: toleratesFormer)
        let diagnostics = earlier + result.diagnostics
        telling(diagnostics)
        guard let config = result.config, !diagnostics.contains(where: { $0.severity == .error }) else {
            throw unusable
        }
        if !toleratesFormer { try refuseOverlap(in: config, of: named) }
        return config
    }

    private static func refuseOverlap(in config: ControllerConfig, of path: String) throws(PassError) {
        let overlap: Reach.Overlap?
        do throws(HostError) { overlap = try HostRoots.overlap(in: config.allow) } catch {
            throw PassError(error.sentence, help: error.cause)
        }
        guard let overlap else { return }
        let (first, second) = (overlap.first, overlap.second)
        throw PassError(
            "in \(path), \(first.path) of allow.\(first.sort.rawValue) and \(second.path) of "
                + "allow.\(second.sort.rawValue) overlap on this host, by way of links or mounts",
            help: "a root is of one sort: name others")
    }

    /// Refuses a file that others may write, since the configuration decides what root reads and makes. A file whose
    /// status cannot be read is left to the reader, which reports it.
    private static func refuseWritable(_ path: String) throws(PassError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw PassError(
                "the controller's configuration \(path) belongs to user \(status.st_uid), who could change what Tuff "
                    + "does",
                help: "chown root \(path)")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw PassError(
                "the controller's configuration \(path) may be written by others, who could change what Tuff does",
                help: "chmod go-w \(path)")
        }
    }
}
