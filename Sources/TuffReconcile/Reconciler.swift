package import TuffHost
package import TuffModel
package import TuffPlanning

/// One host's drivers and its door: observes, carries out, observes again.
package struct Reconciler: Sendable {
    package var machine: any Machine
    package var config: ControllerConfig
    package var volumeGroups: any VolumeGroupDriver
    package var directories: any DirectoryDriver
    package var exports: any ExportDriver
    package var ledger: any LedgerStore

    package init(
        machine: any Machine, config: ControllerConfig, volumeGroups: any VolumeGroupDriver,
        directories: any DirectoryDriver, exports: any ExportDriver, ledger: any LedgerStore = MemoryLedger()
    ) {
        self.machine = machine
        self.config = config
        self.volumeGroups = volumeGroups
        self.directories = directories
        self.exports = exports
        self.ledger = ledger
    }

    /// Looks at every source the desired state may concern, all at once. What could not be seen is unknown in the
    /// result; only a ledger that cannot be read ends the pass, because nothing may be made or removed without it.
    package func observe(
        _ desired: DesiredState, context: PlanContext
    ) async throws(HostError) -> ObservedState {
        await observe(desired, context: context, ledger: try ledger.load())
    }

    /// The same with a ledger that was read already, or none for those who only look.
    /// - Parameter sectors: also where nothing is to be copied.
    package func observe(
        _ desired: DesiredState, context: PlanContext, ledger known: Ledger, sectors: Bool = false
    ) async -> ObservedState {
        // Before their objects: what ends in between is seen complete, and is left alone by this pass at most.
        let jobs = machine.jobs()
        let key = FingerprintKey(bytes: context.fingerprintKeyBytes)
        // A directory pool whose document is gone may still hold volumes of ours.
        let former = known.entries.filter { $0.resource.kind == .pool && $0.place.hasPrefix("/") }.map(\.place)
        let paths = Set(desired.pools.values.compactMap(ownDirectory) + former).sorted()
        let references = Set(desired.attachments.values.flatMap(\.secrets)).sorted()
        async let groups = volumeGroups.observe(machine)
        let shares = shares(of: desired, known)
        machine.expect(shares)
        async let folders = folders(at: paths, with: shares, key: key)
        async let targets = exports.observe(machine, key: key)
        async let secrets = fingerprints(of: references, key: key)
        async let repositories = repositories(of: desired)
        let grows = desired.pools.values.contains {
            $0.spec.autoExtend != nil && $0.spec.node ?? config.node == config.node
        }
        let profiles = grows ? await volumeGroups.observeProfiles(machine, key: key) : ObservationMap()
        var seen = await groups
        let expected = desired.pools.values.compactMap(ownGroup) + known.entries.compactMap(\.volumeGroup)
        let absent = Set(expected).filter { seen[$0] == .known(nil) }
        if !absent.isEmpty {
            for (name, error) in await volumeGroups.find(absent, on: machine) { seen.entries[name] = .unknown(error) }
        }
        let devices = await candidates(for: desired.pools.values.compactMap { missing($0, in: seen) })
        let (found, mounts) = await folders
        var observed = ObservedState(
            takenAt: machine.now(), clock: machine.clock(), volumeGroups: seen, directories: found, mounts: mounts,
            targets: await targets, secrets: await secrets, devices: devices, profiles: profiles, ledger: known,
            jobs: jobs.entries.isEmpty && jobs.unlisted == nil ? nil : jobs)
        if sectors || copies(desired, observed: observed, context: context) {
            await measureSectors(in: &observed.volumeGroups)
        }
        observed.repositories = await repositories
        observed.images = await images(neededBy: desired, observed, context)
        observed.timeZones = timeZones(neededBy: desired)
        return observed
    }

    /// True if a volume that is not there yet is to be made from something.
    private func copies(_ desired: DesiredState, observed: ObservedState, context: PlanContext) -> Bool {
        let made = desired.volumes.values.filter { $0.spec.source != nil }
        guard !made.isEmpty else { return false }
        let index = StorageIndex(observed)
        return made.contains { index.live(.volume($0.metadata.name), context.stack).isEmpty }
    }

    private func measureSectors(in groups: inout ObservationMap<VolumeGroup>) async {
        let sizes = await volumeGroups.sectorSizes(of: groups.entries.values.compactMap(\.value), on: machine)
        for (name, size) in sizes {
            guard case .known(var group)? = groups.entries[name] else { continue }
            group.sectorSize = size
            groups.entries[name] = .known(group)
        }
    }

    /// Looks at the images of volumes that are not there yet, or not complete: a source is read only then.
    private func images(
        neededBy desired: DesiredState, _ observed: ObservedState, _ context: PlanContext
    ) async -> ObservationMap<ObservedImage> {
        let declared = desired.volumes.values.compactMap { volume in
            if case .image(let source)? = volume.spec.source { (volume.metadata.name, source) } else { nil }
        }
        guard !declared.isEmpty else { return ObservationMap() }
        let index = StorageIndex(observed)
        let needed = declared.filter { name, _ in
            !index.live(.volume(name), context.stack).contains { $0.marks.operation == nil }
        }
        var entries: [String: Observation<ObservedImage>] = [:]
        for source in Set(needed.map(\.1)).sorted(by: { $0.key < $1.key }) where entries[source.key] == nil {
            do {
                entries[source.key] = .known(try await machine.image(source))
            } catch {
                if error.code != .notFound { entries[source.key] = .unknown(error) }
            }
        }
        return ObservationMap(entries)
    }

    /// Repositories that are asked at once.
    private static let listings = 8

    /// Asks each declared repository within reach what it holds. A server that is out of reach gets no packet.
    private func repositories(of desired: DesiredState) async -> ObservationMap<ObservedRepository>? {
        guard !desired.backupRepositories.isEmpty else { return nil }
        let machine = machine, reach = config.allow
        return await withTaskGroup(of: (String, Observation<ObservedRepository>?).self) { tasks in
            var asked = 0
            var entries: [String: Observation<ObservedRepository>] = [:]
            for (name, declared) in desired.backupRepositories
            where reach.permits(declared.spec.site) {
                // Each has a worker of its own, of which there are so many at most.
                if asked >= Self.listings, let (name, seen) = await tasks.next() { entries[name] = seen }
                asked += 1
                let listing = RepositoryListing(of: name, declared.spec.access)
                tasks.addTask {
                    do throws(HostError) {
                        let found = try await machine.run(listing, telling: { _ in }, until: { false })
                        return (name, found.map { .known($0) })
                    } catch {
                        return (name, .unknown(error))
                    }
                }
            }
            for await (name, seen) in tasks { entries[name] = seen }
            return ObservationMap(entries)
        }
    }

    private func timeZones(neededBy desired: DesiredState) -> ObservationMap<ZoneFile> {
        var entries: [String: Observation<ZoneFile>] = [:]
        let schedules =
            desired.snapshotPolicies.values.map(\.spec.schedule) + desired.backupPolicies.values.map(\.spec.schedule)
            + desired.backupRepositories.values.map(\.spec.prune)
        for name in Set(schedules.compactMap(\.timeZone)) {
            do throws(HostError) {
                entries[name] = .known(try ZoneReader.read(name))
            } catch {
                if error.code != .notFound { entries[name] = .unknown(error) }
            }
        }
        return ObservationMap(entries)
    }

    /// The state that `observe` sees, and the content of other people's backstores.
    package func observeInDetail(_ desired: DesiredState, context: PlanContext, ledger known: Ledger) async
        -> ObservedState
    {
        var observed = await observe(desired, context: context, ledger: known)
        if case .known(let inventory) = observed.targets {
            observed.targets = .known(await exports.detailed(inventory, on: machine))
        }
        return observed
    }

    /// The NFS shares that belong at directories of pools, by path: those that documents declare, and at other paths
    /// those that the ledger remembers.
    private func shares(of desired: DesiredState, _ known: Ledger) -> [String: NFSShare] {
        var shares: [String: NFSShare] = [:]
        for entry in known.entries where entry.resource.kind == .pool { shares[entry.place] = entry.share }
        for pool in desired.pools.values { if let path = ownDirectory(pool) { shares[path] = pool.spec.share } }
        return shares
    }

    /// Directory pools, with what is mounted at those on NFS. Nothing is looked at that is not on its share, and no
    /// server that `allow.nfs` does not name is asked.
    private func folders(
        at paths: [String], with shares: [String: NFSShare], key: FingerprintKey
    ) async -> (ObservationMap<DirectoryPool>, ObservationMap<ObservedMount>?) {
        var mounts = ObservationMap<ObservedMount>(), faults: [String: HostError] = [:]
        for (path, share) in shares.sorted(by: { $0.key < $1.key }) {
            guard config.allow.permits(nfs: share) else {
                faults[path] = HostError(
                    .refused, "\(share.source) is none of allow.nfs, and nothing is asked of it", subject: path)
                continue
            }
            do throws(HostError) {
                let mount = try await machine.mount(of: share, at: path)
                mounts.entries[path] = .known(mount)
                faults[path] = mount.fault(at: path).map { HostError(.unreachable, $0, subject: path) }
            } catch {
                mounts.entries[path] = .unknown(error)
                faults[path] = error
            }
        }
        var found = await directories.observe(paths.filter { faults[$0] == nil }, on: machine, key: key)
        for (path, share) in shares {
            if let fault = faults[path] {
                found.entries[path] = .unknown(fault)
            } else if found[path] == .known(nil) {
                found.entries[path] = .unknown(HostError(.unreachable, "\(share.source) went away while it was read"))
            }
        }
        return (found, shares.isEmpty ? nil : mounts)
    }

    private func ownGroup(_ pool: Declared<PoolSpec>) -> String? {
        guard case .lvm(let lvm) = pool.spec.backend, pool.spec.node ?? config.node == config.node else { return nil }
        return lvm.volumeGroup
    }

    private func ownDirectory(_ pool: Declared<PoolSpec>) -> String? {
        guard case .directory(let directory) = pool.spec.backend, pool.spec.node ?? config.node == config.node else {
            return nil
        }
        return directory.path
    }

    private func fingerprints(
        of references: [SecretReference], key: FingerprintKey
    ) async -> ObservationMap<SecretFingerprint> {
        var entries: [String: Observation<SecretFingerprint>] = [:]
        for reference in references {
            do {
                entries[reference.file] = .known(try await machine.fingerprint(reference, key: key))
            } catch {
                // A missing file is known to be absent, which is an answer of its own.
                if error.code != .notFound { entries[reference.file] = .unknown(error) }
            }
        }
        return ObservationMap(entries)
    }

    /// Carries out `plan`, observes again, and judges every change by planning again under the same context.
    /// - Parameters:
    ///   - observed: what the plan was made from.
    ///   - order: what the plan was made for, where that was no set of documents.
    ///   - interrupted: asked some times a second, and before each step is started; true ends the pass after the
    ///     running steps, of which those that move data end at once.
    ///   - events: told from whatever task runs a step.
    ///   - tenure: the right to change the host, given up while nothing but work of hours goes on; nil: never.
    ///   - settled: told what the last look saw, where the pass still speaks for the accepted set.
    /// - Throws: when the ledger cannot be written before anything is done, which then is not done, or after it.
    package func apply(
        _ plan: Plan, desired: DesiredState = DesiredState(), order: Order? = nil, observed: ObservedState,
        interrupted: @escaping @Sendable () -> Bool = { false },
        events: @escaping @Sendable (ExecutionEvent) -> Void = { _ in }, tenure: (any Tenure)? = nil,
        settled: (ObservedState) throws(HostError) -> Void = { _ in }
    ) async throws(HostError) -> ApplyReport {
        if let refusal = plan.refusal { throw HostError(.refused, refusal.sentence, cause: refusal.help) }
        let expected = observed.ledger.after(observed, desired: desired, context: plan.context).before(plan)
        try ledger.save(expected)
        let clock = ContinuousClock()
        let begin = clock.now
        let result = await Executor(
            plan: plan, reconciler: self, interrupted: interrupted, events: events, tenure: tenure,
            replan: {
                guard let now = try? await observe(desired, context: plan.context) else { return nil }
                return replan(order, desired: desired, observed: now, context: plan.context)
            }
        ).run()
        let start = clock.now
        let now = try await observe(desired, context: plan.context)
        let remaining = replan(order, desired: desired, observed: now, context: plan.context)
        // A pass that lost the host writes nothing: the next one observes what is missing here.
        if !result.hasLostHost {
            // Others remember by documents of their own, and the next pass goes on from there.
            var seen =
                result.wasDisturbed ? now.ledger : now.ledger.after(now, desired: desired, context: plan.context)
            result.failedActivations(in: plan, seen: now).forEach { seen.note(activationFault: $1.description, of: $0) }
            let upkeep = result.upkeep(of: plan)
            seen.note(failures: upkeep.failures, done: upkeep.done, of: plan, at: now.takenAt)
            try ledger.save(seen)
            if !result.wasDisturbed { try settled(now) }
        }
        var times = result.times
        times.execute = Executor.seconds(begin.duration(to: start))
        times.verify = Executor.seconds(start.duration(to: clock.now))
        var report = ApplyReport(
            plan: plan,
            changes: Judgement(
                plan: plan, outcomes: result.outcomes, remaining: remaining, observed: now,
                wasInterrupted: result.sawInterrupt
            ).reports(),
            remaining: remaining, interrupted: result.sawInterrupt, times: times)
        report.isOthers = result.wasDisturbed || result.hasLostHost
        return report
    }

    /// An order that names nothing any more has nothing left to do.
    private func replan(
        _ order: Order?, desired: DesiredState, observed: ObservedState, context: PlanContext
    ) -> Plan {
        guard let order else { return Planner.plan(desired: desired, observed: observed, context: context) }
        let plan = try? Planner.plan(order, observed: observed, context: context)
        return plan ?? Plan(context: context, changes: [], steps: [])
    }

    /// Writes down what was seen by a pass that has nothing to do.
    package func remember(_ observed: ObservedState, desired: DesiredState, context: PlanContext) throws(HostError) {
        try ledger.save(observed.ledger.after(observed, desired: desired, context: context))
    }

    /// The actions that carrying out `plan` would perform, step by step, without a machine (`--show-commands`).
    package func lowered(_ plan: Plan) -> [(change: Int, actions: [HostAction])] {
        plan.steps.map { planned in
            (planned.change, lower([planned.step]).flatMap(\.actions))
        }
    }

    /// A mount has no driver either.
    private func lower(_ step: MountStep) -> HostAction {
        switch step {
        case .mount(let share, let path, let anew): .mountShare(share, at: path, anew: anew)
        case .unmount(let share, let path): .unmountShare(share, at: path)
        }
    }

    /// A repository has no driver: the worker that does its I/O is asked.
    private func lower(_ step: BackupStep, _ findings: Findings) -> [HostAction] {
        switch step {
        // Carried out by the executor.
        case .compare: return []
        case .completeBase(let base, let location):
            // Where LVM did not tell the base's numbers it stays unfinished, and a later pass drops it.
            return findings.answer(of: base.uid)?.identity.map {
                volumeGroups.complete(base, at: location, identity: $0)
            } ?? []
        case .makeRepository(let name, let access): return [.makeRepository(name, access)]
        case .prune(let task): return [.prune(task)]
        case .verify(let task): return [.verify(task)]
        case .backUp(let source, var task):
            task.reading = findings.answer(of: source.uid)?.reading
            let reading =
                switch source.location {
                case .logicalVolume: volumeGroups.reading(source)
                case .file: directories.reading(source)
                }
            return reading.conditions + [.backUp(from: reading.place, task)]
        }
    }

    /// Hands steps to the driver they are for: those that go together (`Step.company`), or one.
    func lower(_ steps: [Step], knowing findings: Findings = Findings()) -> [LoweredBatch] {
        guard let first = steps.first else { return [] }
        switch first {
        case .volume(let step):
            let all = steps.compactMap { if case .volume(let step) = $0 { step } else { nil } }
            return switch step.location {
            case .logicalVolume: volumeGroups.lower(all)
            case .file: directories.lower(all)
            }
        case .lvm:
            return volumeGroups.lower(steps.compactMap { if case .lvm(let step) = $0 { step } else { nil } })
        case .pool:
            return volumeGroups.lower(steps.compactMap { if case .pool(let step) = $0 { step } else { nil } })
        case .mount(let step): return [LoweredBatch(steps: [0], actions: [lower(step)])]
        case .backup(let step): return [LoweredBatch(steps: [0], actions: lower(step, findings))]
        case .export:
            return exports.lower(steps.compactMap { if case .export(let step) = $0 { step } else { nil } })
        }
    }
}

extension Declared<AttachmentSpec> {
    /// Every secret file the attachment names.
    package var secrets: [SecretReference] {
        [spec.chap?.initiator.password, spec.chap?.mutual?.password].compactMap { $0 }
    }
}
