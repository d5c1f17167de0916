package import TuffHost

extension JobHandlers {
    /// What this program's workers can do: the same table in the controller, in the worker that it forks first, and in
    /// `tuff _worker`.
    package static let ours = JobHandlers()
}
