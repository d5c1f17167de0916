package import TuffModel
import TuffPlanning
import TuffReconcile

/// Orders to forget a lost object, so that it may be made again.
extension Pass {
    /// Makes the ledger forget a lost object.
    /// - Returns: a sentence that names the object.
    /// - Throws: where there is nothing to forget, or nothing was lost.
    package func forget(_ resource: ResourceID, of stack: String) async throws(PassError) -> String {
        let context = view.newContext(stack: stack)
        let observed = try await view.observe(DesiredState(), context: context)
        var ledger = observed.ledger
        if let known = ledger.memory(of: resource, stack: stack) {
            ledger.forget(resource, stack: stack)
            try save(ledger)
            return "forgotten: \(known)"
        }
        guard let entry = ledger.entry(resource, stack: stack) else {
            guard ledger.waits?.contains(where: { $0.stack == stack && $0.resource == resource }) == true else {
                throw PassError(
                    "the ledger knows no \(resource) of stack '\(stack)'", help: "there is nothing to forget")
            }
            ledger.forget(resource, stack: stack)
            try save(ledger)
            return "forgotten: what \(resource) of stack '\(stack)' waited for"
        }
        if let uid = entry.uid, let stored = StorageIndex(observed).bearer(of: uid) {
            guard ledger.acceptSize(of: stored) else {
                throw PassError(
                    "\(resource) is not lost: it is \(stored.location); nothing was changed",
                    help: "'tuff release \(resource)' lets go of what is there")
            }
            try save(ledger)
            return "forgotten: that \(stored.location) was larger; \(resource) has "
                + "\(stored.size.map { "\($0)" } ?? "nothing")"
        }
        if let source = observed.unseen.first?.source {
            throw PassError(
                "\(source) could not be observed and may hold \(resource); nothing was changed",
                help: "mend that first")
        }
        ledger.forget(resource, stack: stack)
        try save(ledger)
        return "forgotten: \(resource), last seen at \(entry.seen) as \(entry.place)"
    }

    /// Makes the ledger forget that the clock was ahead, once it is right.
    /// - Returns: a sentence on the clock readings that were forgotten.
    package func forgetClock(of stack: String) async throws(PassError) -> String {
        let context = view.newContext(stack: stack)
        var ledger = try await view.observe(DesiredState(), context: context).ledger
        ledger.forgetTimes(after: context.now)
        try save(ledger)
        return "forgotten: what passes after \(context.now) saw of the clock"
    }

    private func save(_ ledger: Ledger) throws(PassError) {
        try passing { () throws(HostError) in try view.reconciler.ledger.save(ledger) }
    }
}
