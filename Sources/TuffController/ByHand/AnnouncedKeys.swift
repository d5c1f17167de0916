import Glibc
import TuffModel
import TuffSystem

/// The keys that work ordered by hand announces to plans, written as plans write them. A plan has the paths of
/// documents; a person types any that lead there, so a key is written for the path as it was typed and for the path
/// without links.
enum AnnouncedKeys {
    /// Of a device or file that is read or written.
    static func data(_ path: String) -> [String] { paths(path).map { "data:\($0)" } }

    /// Of a repository that nobody else may work in.
    static func repository(_ place: RepositoryPlace) -> [String] {
        if let declared = place.declared { return ["repository:\(declared.access.site)"] }
        return paths(place.path ?? "").map { "repository:\($0)" }
    }

    private static func paths(_ path: String) -> [String] {
        var found = [String]()
        if path.hasPrefix("/") { found.append(path) }
        // A mount whose server is dead answers nobody, and a command that waited for it could not be told to end.
        let real = OwnedThread.value(within: 5) {
            realpath(path, nil).map { real in
                defer { free(real) }
                return String(cString: real)
            }
        }
        if case let real?? = real, real != path { found.append(real) }
        return found
    }
}
