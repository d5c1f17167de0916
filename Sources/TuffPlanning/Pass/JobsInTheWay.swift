import TuffModel

extension Plan {
    /// The plan without what running jobs are at work on: their objects are neither gone on with nor changed, and what
    /// needs one of their keys waits, with all that comes after it.
    ///
    /// A mark of unfinished work without such a job is of work that died, and is finished or cleared away as ever.
    /// - Returns: the plan, and the steps that it was to have and that wait for a job on the same object.
    func besides(
        _ jobs: ObservationMap<RunningJob>?
    ) -> (plan: Plan, left: [(step: Step, resource: ResourceID)]) {
        guard let jobs else { return (self, []) }
        let running = jobs.entries.inKeyOrder.compactMap(\.value.value)
        var keys: [String: RunningJob] = [:], objects: [UID: RunningJob] = [:]
        for job in running {
            for key in job.keys where keys[key] == nil { keys[key] = job }
            for uid in job.objects where objects[uid] == nil { objects[uid] = job }
        }
        var waiting: [Int: Obstacle] = [:], causes: [Int: RunningJob] = [:]
        var left: [(step: Step, resource: ResourceID)] = []
        for planned in steps {
            let change = changes[planned.change]
            // Who may log in to it is no matter of its bytes: what must not be shown yet comes after what completes it.
            let isStorage = planned.keys.contains(where: \.isOfStorage)
            // Of a file whose name is changed or that goes, a job knows the path alone.
            let place = planned.step.place.flatMap { keys["data:\($0.path)"] }
            let owner = isStorage ? change.uid.flatMap { objects[$0] } ?? place : nil
            // Work in a repository by hand knows its place alone.
            let repository = planned.step.repository.flatMap { keys["repository:\($0)"] }
            if let job = owner ?? planned.keys.lazy.compactMap({ keys[$0.description] }).first ?? repository {
                if owner != nil { left.append((planned.step, change.resource)) }
                waiting[planned.change] = Obstacle(.jobRunning, "it waits for \(job.sentence)")
                causes[planned.change] = job
            } else if isStorage, let unseen = jobs.obstacle {
                waiting[planned.change] = waiting[planned.change] ?? unseen
            }
        }
        // Nor is work unfinished that goes on, or lost what it makes.
        for (index, change) in changes.enumerated() where [.unfinished, .lost].contains(change.reason) {
            guard change.action == .blocked, let job = change.uid.flatMap({ objects[$0] }) else { continue }
            waiting[index] = Obstacle(.jobRunning, "it waits for \(job.sentence)")
            causes[index] = job
        }
        var plan = postponing(waiting, sparing: [])
        for (index, job) in causes { plan.changes[index].progress = job.progress }
        return (plan, left)
    }
}

extension ObservationMap<RunningJob> {
    /// Why it is not known what running jobs work on; nil: it is.
    fileprivate var obstacle: Obstacle? {
        if let unlisted {
            return Obstacle(.unknown, "whether a job has it cannot be told: \(unlisted.description)")
        }
        let faults = entries.inKeyOrder.compactMap { entry -> HostError? in
            if case .unknown(let error) = entry.value { error } else { nil }
        }
        return faults.first.map { Obstacle(.unknown, "a job runs that may have it: \($0.description)") }
    }
}

extension Step {
    /// The storage that the step works on; nil for what works on a pool or a target.
    fileprivate var place: VolumeLocation? {
        switch self {
        case .volume(let step): step.location
        case .lvm(let step): step.location
        case .backup(let step): step.location
        case .pool, .mount, .export: nil
        }
    }

    /// The place of the repository that the step writes to; nil for all other steps.
    fileprivate var repository: BackupRepositorySpec.Site? {
        switch self {
        case .backup(let step): step.repository
        case .volume, .lvm, .pool, .mount, .export: nil
        }
    }
}

extension BackupStep {
    fileprivate var repository: BackupRepositorySpec.Site? {
        switch self {
        case .makeRepository(_, let access): access.site
        case .backUp(_, let task): task.access.site
        case .prune(let task): task.access.site
        case .verify(let task): task.access.site
        case .compare, .completeBase: nil
        }
    }
}

extension ExclusiveKey {
    /// Jobs work on storage, and never on what targets are set to.
    fileprivate var isOfStorage: Bool {
        switch self {
        case .volumeGroup, .directory, .data: true
        case .target, .repository: false
        }
    }
}
