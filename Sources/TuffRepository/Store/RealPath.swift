import Glibc

/// Paths with every symbolic link followed.
package enum RealPath {
    /// Whether `path`, which need not be there, lies beneath a directory or is it.
    package static func lies(_ path: String, beneath directory: String) -> Bool {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        guard let root = of(directory), let place = of(path) ?? of(folder) else { return false }
        return place == root || place.hasPrefix(root == "/" ? root : root + "/")
    }

    private static func of(_ path: String) -> String? {
        guard let text = realpath(path, nil) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }
}
