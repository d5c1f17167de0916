import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Directory pools on NFS: mounted before anything is known of them, and never touched where something else is there.
@Suite struct MountPlanTests {
    static let path = "/srv/pools/nas"
    static let share = NFSShare(server: "nas.example.com", export: "/tuff")

    private func context(nfs: [String] = ["nas.example.com:/tuff"], prune: Bool = false) -> PlanContext {
        var context = Sample.context { $0.prune = prune }
        context.config.allow.nfs = nfs
        return context
    }

    private func desired() -> DesiredState {
        var directory = DirectoryPoolSpec(path: Self.path)
        directory.nfs = Self.share
        var state = DesiredState()
        state.pools["nas"] = Sample.declared("nas", PoolSpec(backend: .directory(directory)))
        state.volumes["db"] = Sample.declared("db", VolumeSpec(size: Sample.gibi(1), placement: .pool("nas")))
        return state
    }

    private func observed(_ state: ObservedMount.State, files: [DirectoryFile] = []) -> ObservedState {
        var observed = ObservedState(takenAt: Sample.context().now)
        let mount = ObservedMount(share: Self.share, state: state)
        observed.mounts = ObservationMap([Self.path: .known(mount)])
        observed.directories.entries[Self.path] =
            mount.fault(at: Self.path).map { .unknown(HostError(.unreachable, $0)) }
            ?? .known(
                DirectoryPool(path: Self.path, size: Sample.gibi(100), free: Sample.gibi(90), files: files))
        return observed
    }

    private func plan(_ observed: ObservedState, _ context: PlanContext? = nil) -> Plan {
        Planner.plan(desired: desired(), observed: observed, context: context ?? self.context())
    }

    private func change(_ plan: Plan, of kind: Kind, named name: String) throws -> PlannedChange {
        try #require(plan.changes.first { $0.resource == ResourceID(kind, name) })
    }

    private func remembered(_ observed: ObservedState) -> Ledger {
        var ledger = Ledger().after(observed, desired: desired(), context: context())
        ledger.record(
            Ledger.Entry(
                stack: "default", resource: ResourceID(.volume, "db"), uid: Sample.uid, place: "\(Self.path)/v-db",
                seen: context().now, size: Sample.gibi(1)))
        return ledger
    }

    @Test(arguments: [ObservedMount.Beneath.missing, .empty])
    func aShareThatIsNotThereIsMountedAndNothingElseIsPlannedInIt(_ beneath: ObservedMount.Beneath) throws {
        let plan = plan(observed(.absent(beneath)))
        #expect(plan.steps.map(\.step) == [.mount(.mount(Self.share, at: Self.path, anew: false))])
        #expect(plan.steps[0].keys == [.directory(Self.path)])
        #expect(try change(plan, of: .pool, named: "nas").action == .create)
        let volume = try change(plan, of: .volume, named: "db")
        #expect(volume.action == .blocked && volume.reason == .notMounted)
    }

    @Test func mountedItIsAPoolLikeAnyOther() throws {
        let plan = plan(observed(.mounted))
        #expect(try change(plan, of: .pool, named: "nas").action == .unchanged)
        #expect(try change(plan, of: .volume, named: "db").action == .create)
    }

    @Test func whatIsRememberedInItIsNotLostWhileItIsAway() throws {
        for state in [ObservedMount.State.absent(.empty), .foreign("has other:/x mounted on it"), .hidden] {
            var observed = observed(state)
            observed.ledger = remembered(self.observed(.mounted))
            #expect(observed.ledger.entry(ResourceID(.pool, "nas"), stack: "default")?.share == Self.share)
            let plan = plan(observed)
            #expect(plan.changes.allSatisfy { $0.reason != .lost }, "\(state)")
            #expect(plan.steps.allSatisfy { if case .mount = $0.step { true } else { false } }, "\(state)")
            let after = observed.ledger.after(observed, desired: desired(), context: context())
            #expect(after.entries.count == 2 && after.entries.contains { $0.resource.kind == .volume })
        }
    }

    @Test func anythingElseThereIsLeftAlone() throws {
        for state in [ObservedMount.State.foreign("has /dev/sda1 (ext4) mounted on it"), .absent(.filled)] {
            let plan = plan(observed(state))
            #expect(plan.isEmpty)
            let pool = try change(plan, of: .pool, named: "nas")
            #expect(pool.action == .blocked && pool.reason == .wrongMount && pool.summary.contains(Self.path))
        }
    }

    @Test func aServerThatTheAdministratorDoesNotNameIsNotMounted() throws {
        let plan = plan(observed(.absent(.empty)), context(nfs: ["nas.example.com:/other"]))
        #expect(plan.isEmpty)
        #expect(try change(plan, of: .pool, named: "nas").reason == .notAllowed)
    }

    @Test func anotherInventoryThanOfThisShareTellsNothing() throws {
        var observed = observed(.mounted)
        var other = Self.share
        other.export = "/former"
        observed.mounts = ObservationMap([Self.path: .known(ObservedMount(share: other, state: .mounted))])
        #expect(plan(observed).isEmpty)
        #expect(try change(plan(observed), of: .pool, named: "nas").reason == .unknown)
        observed.mounts = nil
        #expect(try change(plan(observed), of: .pool, named: "nas").reason == .unknown)
    }

    @Test func mountedInAnotherWayItIsMountedAgainUnlessItIsServed() throws {
        let marks = Sample.marks()
        let file = DirectoryFile(name: "v-db", tags: marks.tags, size: Sample.gibi(1))
        let how = "has nas.example.com:/tuff mounted on it in another way: soft"
        var observed = observed(.differing(how), files: [file])
        let plan = plan(observed)
        #expect(plan.steps.map(\.step) == [.mount(.mount(Self.share, at: Self.path, anew: true))])
        let backstore = ObservedBackstore(
            name: marks.uid.backstoreName, place: "fileio_0", path: "\(Self.path)/v-db", enabled: true, identity: nil)
        observed.targets = .known(TargetInventory(backstores: [backstore]))
        let served = self.plan(observed)
        #expect(served.isEmpty)
        #expect(try change(served, of: .pool, named: "nas").notes.contains { $0.contains("soft") })
    }

    @Test func withoutItsDocumentItStaysMountedUntilThereIsConsentAndNothingOfOursInIt() throws {
        var observed = observed(.mounted)
        observed.ledger = observed.ledger.after(observed, desired: desired(), context: context())
        var none = desired()
        none.pools = [:]
        none.volumes = [:]
        none.pools["fast"] = Sample.desired().pools["fast"]
        let kept = Planner.plan(desired: none, observed: observed, context: context())
        #expect(kept.isEmpty)
        #expect(try change(kept, of: .pool, named: "nas").action == .orphan)
        let gone = Planner.plan(desired: none, observed: observed, context: context(prune: true))
        #expect(gone.steps.map(\.step) == [.mount(.unmount(Self.share, at: Self.path))])
        let other = Sample.marks("theirs", stack: "other")
        observed.directories.entries[Self.path] = .known(
            DirectoryPool(
                path: Self.path, size: Sample.gibi(100), free: Sample.gibi(90),
                files: [DirectoryFile(name: "v-theirs", tags: other.tags, size: Sample.gibi(1))]))
        let used = Planner.plan(desired: none, observed: observed, context: context(prune: true))
        #expect(used.isEmpty)
    }

    // MARK: Boot

    @Test func aBootMountsItFirstAndWaitsForWhatIsThere() throws {
        var state = desired()
        state.attachments["db-web"] = Sample.declared(
            "db-web", AttachmentSpec(volume: "db", initiator: Sample.initiator))
        let accepted = AcceptedExports(state, context: context())
        #expect(accepted.pools.map(\.share) == [Self.share])
        #expect(accepted.sources.pools["nas"]?.spec.share == Self.share)
        let plan = try Planner.plan(
            .restoreExports(accepted), observed: observed(.absent(.empty)), context: context())
        #expect(plan.steps.map(\.step) == [.mount(.mount(Self.share, at: Self.path, anew: false))])
        let access = try change(plan, of: .attachment, named: "db-web")
        #expect(access.action == .blocked && access.reason?.mayPass == true)
        let forbidden = try Planner.plan(
            .restoreExports(accepted), observed: observed(.absent(.empty)), context: context(nfs: []))
        #expect(forbidden.isEmpty, "not even for what was accepted")
    }
}
