/// What `tuff version` says, and what plan files and JSON views carry.
package enum TuffVersion {
    package static let current = "0.1.0"
}
