/// The version that `tuff version` prints, and that plan files and JSON views carry.
package enum TuffVersion {
    package static let current = "0.1.0"
}
