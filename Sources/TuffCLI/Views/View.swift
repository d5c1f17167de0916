package import TuffModel
import TuffController

/// Something a command shows: for people, and for programs.
///
/// `body` is a written contract (docs/json.md), not a dump of whatever a type holds; `document` adds what every
/// JSON output starts with.
package protocol View {
    /// `Plan`, `Apply`, `Status`: what the JSON says it is.
    var kind: String { get }
    var body: [String: Tree] { get }
    func text(_ style: Style) -> String
}

package enum ViewFormat {
    /// Raised when a reader of an older version would misunderstand. New keys do not raise it.
    package static let version = 1
}

extension View {
    package var document: Tree {
        .object(
            body.merging([
                "format": .int(ViewFormat.version), "kind": .text(kind), "tuff": .text(TuffVersion.current),
            ]) { own, _ in own })
    }
}
