import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Documents that reach for what the host's administrator did not name.
@Suite struct ReachPlanTests {
    static let allow = Reach(
        secrets: ["/etc/tuff/secrets"], images: ["/srv/images"], directories: ["/srv/pools"], volumeGroups: ["vg0"])
    static let line = SourceLocation(file: "main.yaml", line: 9, column: 5)

    private func context(_ allow: Reach = Self.allow, _ consent: (inout Consent) -> Void = { _ in }) -> PlanContext {
        var context = Sample.context(Sample.context().seed, consent)
        context.config.allow = allow
        return context
    }

    private func change(_ plan: Plan, _ kind: Kind = .volume, _ name: String = "db") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    private func blocked(_ plan: Plan, _ kind: Kind, _ name: String) -> Bool {
        change(plan, kind, name)?.action == .blocked && change(plan, kind, name)?.reason == .notAllowed
    }

    // MARK: Images

    private func desired(from path: String) -> DesiredState {
        var desired = Sample.desired(attached: ["db"])
        desired.volumes["db"]!.spec.source = .image(ImageSource(path: path, format: .raw))
        desired.volumes["db"]!.fields["spec.source.image.path"] = Self.line
        return desired
    }

    /// The image is there and can be read, as far as the host is concerned.
    private func observed(_ path: String) -> ObservedState {
        var observed = Sample.observed()
        let image = ImageSource(path: path, format: .raw)
        observed.images = ObservationMap([image.key: .known(.usable(size: Sample.gibi(1)))])
        return observed
    }

    @Test(arguments: [
        "/etc/tuff/secrets/other", "/etc/shadow", "/srv/pools/a/v-other", "/srv/images-of-others/a.raw", "/srv/images2",
    ])
    func anImageLiesBeneathARootOfImages(_ path: String) throws {
        let plan = Planner.plan(desired: desired(from: path), observed: observed(path), context: context())
        #expect(plan.isEmpty)
        #expect(blocked(plan, .volume, "db"))
        let volume = try #require(change(plan))
        #expect(volume.summary.contains("image \(path) lies beneath none of allow.images (/srv/images)"))
        #expect(change(plan, .attachment, "db-on-web1")?.action == .blocked)
    }

    @Test func anImageThatIsAllowedIsCopied() {
        let path = "/srv/images/debian.raw"
        let plan = Planner.plan(desired: desired(from: path), observed: observed(path), context: context())
        #expect(change(plan)?.action == .create)
    }

    /// A pool may lie beneath a root of images since before that was one.
    @Test(arguments: ["pool", "another stack's pool", "repository"])
    func anImageLiesInNoPoolOrRepository(_ store: String) {
        let path = "/srv/images/store/v-secret"
        var desired = desired(from: path), observed = observed(path)
        switch store {
        case "pool":
            desired.pools["dir"] = Sample.declared(
                "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/images/store"))))
        case "repository":
            desired.backupRepositories["nas"] = Sample.declared(
                "nas", BackupRepositorySpec(site: .directory("/srv/images/store")))
        default:
            observed.ledger.entries = [
                Ledger.Entry(
                    stack: "theirs", resource: ResourceID(.pool, "dir"), place: "/srv/images/store",
                    seen: Sample.context().now)
            ]
        }
        let plan = Planner.plan(desired: desired, observed: observed, context: context())
        #expect(plan.isEmpty)
        #expect(blocked(plan, .volume, "db"), "\(plan.changes)")
        #expect(change(plan)?.summary.contains("/srv/images/store, where volumes or backups are") == true)
    }

    // MARK: Secrets

    @Test func aSecretLiesBeneathARootOfSecretsAndAnExportStaysAsItIs() {
        var desired = Sample.desired(attached: ["db"])
        let credential = CHAPCredential(user: "web1", password: SecretReference(file: "/srv/images/line"))
        desired.attachments["db-on-web1"]!.spec.chap = CHAPSpec(initiator: credential)
        var observed = Sample.observed([Sample.volume(active: true)], targets: Sample.export())
        observed.secrets = ObservationMap(["/srv/images/line": .known(SecretFingerprint(text: "0123456789abcdef"))])
        let plan = Planner.plan(desired: desired, observed: observed, context: context { $0.prune = true })
        #expect(plan.isEmpty)
        #expect(blocked(plan, .attachment, "db-on-web1"))
        #expect(
            change(plan, .attachment, "db-on-web1")?.summary
                .contains("secret file /srv/images/line lies beneath none of allow.secrets") == true)
    }

    // MARK: Pools

    private func directory(_ path: String) -> DesiredState {
        var desired = DesiredState()
        desired.pools["dir"] = Sample.declared(
            "dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: path))),
            fields: ["spec.directory.path": Self.line])
        desired.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(1), placement: .pool("dir")))
        return desired
    }

    /// The answer of a machine that opens nothing there.
    @Test(arguments: ["/etc/tuff/secrets", "/etc/tuff/secrets/pool", "/srv", "/srv/images/pool", "/srv/poolsofothers"])
    func aDirectoryLiesBeneathARootOfDirectories(_ path: String) {
        var observed = Sample.observed()
        observed.directories = ObservationMap([path: .unknown(HostError(.refused, "not opened"))])
        let plan = Planner.plan(desired: directory(path), observed: observed, context: context { $0.prune = true })
        #expect(plan.isEmpty)
        #expect(blocked(plan, .pool, "dir") && change(plan, .pool, "dir")?.location == Self.line)
        #expect(blocked(plan, .volume, "db"))
        #expect(plan.changes.allSatisfy { $0.action == .blocked })
    }

    @Test func aVolumeOfADirectoryOutOfReachIsNotLost() {
        var observed = Sample.observed(), desired = directory("/srv/old")
        observed.directories = ObservationMap(["/srv/old": .unknown(HostError(.refused, "not opened"))])
        observed.ledger.entries = [
            Ledger.Entry(
                stack: "default", resource: ResourceID(.pool, "dir"), place: "/srv/old", seen: Sample.context().now),
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db"), uid: Sample.uid, place: "/srv/old/v-db",
                seen: Sample.context().now),
        ]
        #expect(blocked(Planner.plan(desired: desired, observed: observed, context: context()), .volume, "db"))
        // Nor is it made anew where its document now says.
        desired.volumes["db"]!.spec.placement = .pool("fast")
        desired.pools["fast"] = Sample.desired().pools["fast"]
        desired.pools["dir"] = nil
        let plan = Planner.plan(desired: desired, observed: observed, context: context { $0.prune = true })
        #expect(plan.isEmpty)
        #expect(blocked(plan, .volume, "db"), "\(plan.changes)")
    }

    // MARK: Volume groups

    private static let narrowed = Reach(volumeGroups: ["other-*"])
    private var exported: ObservedState {
        Sample.observed([Sample.volume(active: true)], targets: Sample.export())
    }

    @Test func whatIsDeclaredInAGroupOutOfReachStaysAsItIs() {
        var desired = Sample.desired(volumes: ["db", "new"], attached: ["db"])
        desired.volumes["db"]!.spec.size = Sample.gibi(20)
        desired.attachments["db-on-web1"]!.spec.readOnly = true
        let plan = Planner.plan(
            desired: desired, observed: exported, context: context(Self.narrowed) { $0.prune = true })
        #expect(plan.isEmpty)
        #expect(blocked(plan, .pool, "fast") && blocked(plan, .volume, "db") && blocked(plan, .volume, "new"))
        #expect(
            change(plan, .pool, "fast")?.summary.contains("volume group vg0 is none of allow.volumeGroups (other-*)")
                == true)
        #expect(change(plan, .attachment, "db-on-web1")?.action == .blocked)
        #expect(!plan.changes.contains { $0.action == .orphan || $0.action.removes })
        // The same set where the group is allowed has work to do.
        #expect(!Planner.plan(desired: desired, observed: exported, context: context()).isEmpty)
    }

    @Test(arguments: [false, true])
    func whatIsDeclaredNoMoreIsNoOrphanAndKeepsItsExport(_ withPool: Bool) {
        var desired = withPool ? Sample.desired(volumes: []) : DesiredState()
        desired.pools["dir"] = directory("/srv/pools/a").pools["dir"]
        for prune in [false, true] {
            let plan = Planner.plan(
                desired: desired, observed: exported, context: context(Self.narrowed) { $0.prune = prune })
            #expect(plan.isEmpty, "\(plan.changes)")
            #expect(!plan.changes.contains { $0.action == .orphan || $0.action.removes })
            #expect(plan.refusal == nil)
        }
        let plan = Planner.plan(
            desired: Sample.desired(volumes: []), observed: exported, context: context { $0.prune = true })
        #expect(plan.counts.remove == 2, "where the group is allowed, volume and access go")
    }

    /// Snapshots, schedules, rolling back, interrupted work, what is left over: whatever a plan does in a group.
    @Test func noPlanTouchesAGroupOutOfReach() {
        func stored(_ name: String, _ number: UInt8, _ role: Marks.Role, _ change: (inout Marks) -> Void = { _ in })
            -> LogicalVolume
        {
            var marks = Marks(
                uid: Sample.uid(number), role: role, stack: "default", iqn: "\(Sample.iqnBase):\(number)",
                origin: Sample.uid)
            change(&marks)
            return LogicalVolume(
                name: name, uuid: "uuid-\(number)", size: Sample.gibi(10), tags: marks.tags, layout: .thin, pool: "tp0")
        }
        let taken = Instant(secondsSince1970: Sample.context().now.secondsSince1970 - 90_000)
        let volumes = [
            Sample.volume(), stored("s-before", 2, .snapshot("before")),
            stored("p-hourly-db-1", 3, .snapshot("hourly-db-1")) {
                $0.occasion = Marks.Occasion(policy: "hourly", time: taken)
            },
            stored("v-begun", 4, .volume("begun")) {
                $0.origin = nil
                $0.operation = Marks.creating
            },
            stored("v-half", 5, .volume("half")) { $0.operation = Marks.copying },
            stored("v-gone", 6, .volume("gone")) { $0.until = taken },
            stored("v-old", 7, .volume("old")),
        ]
        var desired = Sample.desired(volumes: ["db", "begun", "half", "new"], attached: ["db", "begun"])
        desired.volumes["half"]!.spec.source = .volume("db")
        desired.volumes["renamed"] = desired.volumes["new"]
        desired.volumes["renamed"]!.metadata = Metadata(name: "renamed", annotations: ["tuff.dev/renamed-from": "old"])
        for name in ["before", "fresh"] {
            desired.snapshots[name] = Sample.declared(name, SnapshotSpec(volume: "db"))
        }
        desired.restores["undo"] = Sample.declared(
            "undo", RestoreSpec(volume: "db", volumeUID: Sample.uid, from: .snapshot("before")))
        var policy = SnapshotPolicySpec(volumes: .names(["db"]), schedule: Schedule(cron: "0 * * * *"))
        policy.keep = KeepRule()
        policy.keep?.last = 1
        desired.snapshotPolicies["hourly"] = Sample.declared("hourly", policy)
        func plan(_ allow: Reach) -> Plan {
            Planner.plan(
                desired: desired, observed: Sample.observed(volumes),
                context: context(allow) {
                    $0.prune = true
                    $0.runDue = true
                    $0.recreate = [ResourceID(.volume, "new")]
                })
        }
        #expect(plan(Self.allow).steps.count > 6, "\(plan(Self.allow).changes)")
        let narrowed = plan(Self.narrowed)
        #expect(narrowed.steps.isEmpty, "\(narrowed.changes.filter(\.action.acts))")
        #expect(!narrowed.changes.contains { $0.action == .orphan || $0.action.removes || $0.reason == .lost })
    }

    @Test func theTrashOfAGroupOutOfReachIsNotEmptied() {
        let over = Sample.volume { $0.until = Sample.context().now.advanced(by: TimeSpan(seconds: -5)) }
        let observed = Sample.observed([over])
        let plan = Planner.plan(
            desired: Sample.desired(volumes: []), observed: observed,
            context: context(Self.narrowed) { $0.prune = true })
        #expect(plan.isEmpty)
        #expect(blocked(plan, .volume, "db"))
        let purging = Planner.plan(
            desired: Sample.desired(volumes: []), observed: observed, context: context { $0.prune = true })
        #expect(change(purging)?.action == .purge)
    }

    // MARK: Wiping

    private func thick(_ wipe: LVMPoolSpec.Wipe) -> (DesiredState, ObservedState) {
        var desired = Sample.desired(volumes: ["db", "new"], attached: ["db"])
        var lvm = LVMPoolSpec(volumeGroup: "vg0")
        lvm.wipe = wipe
        desired.pools["fast"] = Sample.declared(
            "fast", PoolSpec(backend: .lvm(lvm)), fields: ["spec.lvm.wipe": Self.line])
        for name in ["db", "new"] { desired.volumes[name]!.spec.size = Sample.gibi(1) }
        var there = Sample.volume(size: Sample.gibi(1), active: true)
        there.layout = .linear
        there.pool = nil
        var observed = Sample.observed([there], targets: Sample.export { $1.discard = false })
        observed.volumeGroups.entries["vg0"] = observed.volumeGroups.entries["vg0"]!.map { group in
            var group = group
            group.free = Sample.gibi(50)
            return group
        }
        return (desired, observed)
    }

    @Test func showingWhatEarlierVolumesLeftIsTheAdministratorsToAllow() {
        let (desired, observed) = thick(.none)
        let plan = Planner.plan(desired: desired, observed: observed, context: context())
        #expect(plan.isEmpty, "\(plan.changes)")
        #expect(blocked(plan, .pool, "fast") && change(plan, .pool, "fast")?.location == Self.line)
        #expect(blocked(plan, .volume, "new"))
        // What was made when that was allowed stays in use.
        #expect(change(plan)?.action == .unchanged && change(plan, .attachment, "db-on-web1")?.action == .unchanged)
        var allow = Self.allow
        allow.unwiped = true
        let allowed = Planner.plan(desired: desired, observed: observed, context: context(allow))
        #expect(change(allowed, .volume, "new")?.action == .create)
        #expect(
            change(Planner.plan(desired: thick(.zero).0, observed: observed, context: context()), .volume, "new")?
                .action == .create)
    }

    @Test func aVolumeThatIsNotWipedDoesNotGrowEither() {
        var (desired, observed) = thick(.none)
        desired.volumes["db"]!.spec.size = Sample.gibi(2)
        let plan = Planner.plan(desired: desired, observed: observed, context: context())
        #expect(plan.isEmpty)
        #expect(blocked(plan, .volume, "db"))
    }

    // MARK: Repositories

    @Test(
        arguments: [
            (BackupRepositorySpec.Site.directory("/etc/tuff/secrets/backups"), "allow.directories"),
            (.nfs(NFSShare(server: "evil.example.com", export: "/backups")), "allow.nfs (none)"),
        ] as [(BackupRepositorySpec.Site, String)])
    func aRepositoryLiesWhereTheAdministratorSays(_ location: BackupRepositorySpec.Site, _ sentence: String) {
        var desired = Sample.desired()
        desired.backupRepositories["nas"] = Sample.declared("nas", BackupRepositorySpec(site: location))
        let plan = Planner.plan(desired: desired, observed: Sample.observed(), context: context())
        #expect(blocked(plan, .backupRepository, "nas"))
        #expect(change(plan, .backupRepository, "nas")?.summary.contains(sentence) == true)
        // A host that was made anew may have been given too small a reach, and its volumes' backups may be there.
        #expect(change(plan)?.reason == .notAllowed && plan.isEmpty)
        var known = Sample.observed()
        known.ledger.entries = [
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "other"), standing: .purged, uid: Sample.uid(9),
                uuid: nil, place: "vg0/v-other", seen: context().now, sharedSince: nil)
        ]
        let settled = Planner.plan(desired: desired, observed: known, context: context())
        #expect(change(settled)?.action == .create, "and holds up nothing else")
    }

    // MARK: Boot

    @Test func whatIsOutOfReachIsGrantedAsItWasAndNotAnew() {
        let allowed = Sample.desired(attached: ["db"])
        let former = AcceptedExports(allowed, context: context())
        var pushed = Sample.desired(volumes: ["db", "web"], attached: ["db", "web"])
        pushed.attachments["db-on-web1"]!.spec.readOnly = true
        let narrowed = AcceptedExports(pushed, context: context(Self.narrowed), former: former)
        #expect(narrowed.access == former.access && narrowed.pools == former.pools)
        let never = AcceptedExports(pushed, context: context(Self.narrowed))
        #expect(never.access.isEmpty && never.pools.isEmpty)
    }

    /// Its document does not say where the volume is.
    @Test func aVolumeThatLivesOutOfReachIsGrantedToNobodyNew() {
        var pushed = Sample.desired(attached: ["db"])
        pushed.pools["dir"] = directory("/srv/pools/a").pools["dir"]
        pushed.volumes["db"]!.spec.placement = .pool("dir")
        let narrowed = context(Reach(directories: ["/srv/pools"], volumeGroups: ["other-*"]))
        #expect(AcceptedExports(pushed, context: narrowed).access.isEmpty, "where it lives is not known yet")
        #expect(AcceptedExports(pushed, context: narrowed, observed: exported).access.isEmpty)
        #expect(AcceptedExports(pushed, context: narrowed, observed: Sample.observed()).access.count == 1)
        pushed.pools["fast"] = nil
        #expect(AcceptedExports(pushed, context: narrowed).access.count == 1)
    }

    @Test func aSecretOutOfReachIsNotAccepted() {
        var desired = Sample.desired(attached: ["db"])
        let credential = CHAPCredential(user: "web1", password: SecretReference(file: "/etc/machine-id"))
        desired.attachments["db-on-web1"]!.spec.chap = CHAPSpec(initiator: credential)
        #expect(AcceptedExports(desired, context: context()).access.isEmpty)
    }

    @Test func aBootServesWhatWasAcceptedThoughTheReachIsNarrower() {
        let accepted = AcceptedExports(Sample.desired(attached: ["db"]), context: context())
        var serving = context(Self.narrowed)
        serving.config.allow = serving.config.allow.and(serving.config.allow.lacking(for: accepted))
        let plan = try? Planner.plan(
            .restoreExports(accepted), observed: Sample.observed([Sample.volume()]), context: serving)
        #expect(
            change(plan ?? Plan(context: serving, changes: [], steps: []), .attachment, "db-on-web1")?.action == .create
        )
    }

    // MARK: Exposure

    private static let alice = HostError(
        .exposed, "/srv/alice belongs to user 1000 (mode 0755), who decides what is at /srv/alice/pool",
        cause: "type: chown root /srv/alice")

    @Test func aDirectoryBelowSomebodyElsesIsExposed() {
        var observed = Sample.observed()
        observed.directories = ObservationMap(["/srv/pools/p": .unknown(Self.alice)])
        let plan = Planner.plan(
            desired: directory("/srv/pools/p"), observed: observed, context: context { $0.prune = true })
        #expect(plan.isEmpty)
        #expect(change(plan, .pool, "dir")?.reason == .exposed && change(plan)?.reason == .exposed)
        #expect(change(plan, .pool, "dir")?.summary.contains("user 1000 (mode 0755)") == true)
    }

    @Test func imagesAndSecretsBelowSomebodyElsesAreExposed() {
        let path = "/srv/images/debian.raw"
        var observed = observed(path)
        observed.images = ObservationMap([ImageSource(path: path, format: .raw).key: .unknown(Self.alice)])
        #expect(
            change(Planner.plan(desired: desired(from: path), observed: observed, context: context()))?.reason
                == .exposed)
        var desired = Sample.desired(attached: ["db"])
        let file = "/etc/tuff/secrets/web1"
        desired.attachments["db-on-web1"]!.spec.chap = CHAPSpec(
            initiator: CHAPCredential(user: "web1", password: SecretReference(file: file)))
        observed = Sample.observed([Sample.volume()])
        observed.secrets = ObservationMap([file: .unknown(Self.alice)])
        let plan = Planner.plan(desired: desired, observed: observed, context: context())
        #expect(change(plan, .attachment, "db-on-web1")?.reason == .exposed)
        #expect(!Reason.exposed.mayPass, "a boot does not wait for it")
    }
}
