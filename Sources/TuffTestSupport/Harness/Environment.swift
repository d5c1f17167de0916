import Glibc

/// A variable of the environment, which tests use for seeds, outside data and switches. Nil when unset or empty.
package func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}
