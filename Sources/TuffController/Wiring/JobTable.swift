package import TuffHost

extension JobHandlers {
    /// The handlers of this program: the same table in the controller, in the worker that it forks first, and in
    /// `tuff _worker`.
    package static let ours: JobHandlers = {
        var handlers = JobHandlers()
        RepositoryJobs.register(in: &handlers)
        UpkeepJobs.register(in: &handlers)
        Orders.register(in: &handlers)
        ShareMounting.register(in: &handlers)
        return handlers
    }()
}
