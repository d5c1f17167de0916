/// The ledger's memory of work that is behind: since when. Due work is computed without it.
extension Ledger {
    package struct Arrear: Hashable, Codable, Sendable {
        package enum Sort: String, Codable, Sendable {
            /// The policy has no restore point of the volume yet.
            case unprotected
            /// The work failed when it was last tried.
            case failing
            /// The drill that a policy asks for failed when it was last tried, and left no receipt.
            case undrilled
        }

        /// The work that is behind; the ledger has one arrear of each.
        package struct Work: Hashable, Codable, Sendable {
            package var sort: Sort
            /// The policy, or the repository that was to be pruned.
            package var resource: ResourceID
            package var stack: String
            /// The volume; nil: all of it.
            package var uid: UID?

            package init(_ sort: Sort, of resource: ResourceID, in stack: String, uid: UID? = nil) {
                self.sort = sort
                self.resource = resource
                self.stack = stack
                self.uid = uid
            }

            fileprivate var order: (String, ResourceID, String, String) {
                (stack, resource, sort.rawValue, uid?.description ?? "")
            }
        }

        package var work: Work
        package var since: Instant
        /// The error, one line.
        package var error: String?

        package init(_ work: Work, since: Instant, error: String? = nil) {
            self.work = work
            self.since = since
            self.error = error
        }
    }

    package func arrear(of work: Arrear.Work) -> Arrear? { arrears?.first { $0.work == work } }

    /// Work that failed when it was last tried, of one resource.
    package func failures(of resource: ResourceID, in stack: String) -> [Arrear] {
        (arrears ?? []).filter {
            [.failing, .undrilled].contains($0.work.sort) && $0.work.resource == resource && $0.work.stack == stack
        }
    }

    /// Remembers it, with the time at which it began.
    package mutating func note(_ arrear: Arrear) {
        var arrear = arrear
        // A clock that went back makes nothing younger.
        if let known = self.arrear(of: arrear.work) { arrear.since = min(known.since, arrear.since) }
        // Texts of tools may be long, and the first line names the error.
        arrear.error = arrear.error.map { String($0.prefix(400)) }
        settle(arrear.work)
        arrears = ((arrears ?? []) + [arrear]).sorted { $0.work.order < $1.work.order }
    }

    /// Forgets it: the work was done.
    package mutating func settle(_ work: Arrear.Work) { keepArrears { $0.work != work } }

    /// Forgets those that do not hold any more.
    package mutating func keepArrears(where holds: (Arrear) -> Bool) {
        let left = (arrears ?? []).filter(holds)
        arrears = left.isEmpty ? nil : left
    }
}
