import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Plans for volumes that are not well, or are not plain ones.
@Suite struct VolumeHealthPlanTests {
    private func plan(_ desired: DesiredState, _ observed: ObservedState, prune: Bool = false) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context { $0.prune = prune })
    }

    private func change(_ plan: Plan, _ kind: Kind = .volume, _ name: String = "db") -> PlannedChange? {
        plan.changes.first { $0.resource == ResourceID(kind, name) }
    }

    private func attachment(_ plan: Plan) -> PlannedChange? { change(plan, .attachment, "db-on-web1") }

    /// vg0 with thin volume `db`, changed.
    private func observed(
        _ targets: TargetInventory = TargetInventory(), changed change: (inout VolumeGroup) -> Void
    ) -> ObservedState {
        var group = Sample.group([Sample.volume(active: true)])
        change(&group)
        var observed = Sample.observed(targets: targets)
        observed.volumeGroups = ObservationMap(["vg0": .known(group)])
        return observed
    }

    static let breakages: [(Reason, @Sendable (inout VolumeGroup) -> Void)] = [
        (
            .devicesMissing,
            {
                ($0.missingDevices, $0.partial) = (1, true)
                $0.logicalVolumes[0].health = "partial"
                $0.logicalVolumes[1].health = "partial"
            }
        ),
        (.dataFull, { $0.logicalVolumes[0].health = "out_of_data" }),
        (.poolUnhealthy, { $0.logicalVolumes[0].health = "failed" }),
        (Reason(rawValue: "VolumeUnhealthy"), { $0.logicalVolumes[1].health = "failed" }),
    ]

    @Test(arguments: breakages.indices) func nobodyNewIsGivenWhatIsBrokenAndWhoHasItKeepsIt(_ index: Int) throws {
        let (reason, breakage) = Self.breakages[index]
        let desired = Sample.desired(attached: ["db"])
        let new = plan(desired, observed(changed: breakage))
        #expect(new.isEmpty)
        #expect(attachment(new)?.action == .blocked && attachment(new)?.reason == reason, "\(new.changes)")
        let kept = plan(desired, observed(Sample.export(), changed: breakage))
        #expect(kept.isEmpty && attachment(kept)?.action == .unchanged, "\(kept.changes)")
    }

    /// A thick volume on the missing device itself.
    @Test func aVolumeOnAMissingDeviceIsBlockedByItself() throws {
        var desired = Sample.desired(attached: ["db"])
        desired.pools["fast"] = Sample.declared("fast", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        var volume = Sample.volume(active: true)
        (volume.layout, volume.pool, volume.health) = (.linear, nil, "partial")
        for active in [true, false] {
            volume.active = active
            let plan = plan(
                desired,
                observed {
                    ($0.missingDevices, $0.partial) = (1, true)
                    $0.logicalVolumes[1] = volume
                })
            #expect(change(plan)?.action == .blocked && change(plan)?.reason == .devicesMissing)
            #expect(attachment(plan)?.reason == .devicesMissing && plan.isEmpty)
        }
    }

    /// Data and metadata of tp0 on RAID 1, of which a leg failed and came back.
    private func onRAID(_ group: inout VolumeGroup) {
        var hidden: [LogicalVolume] = []
        for part in ["tdata", "tmeta"] {
            hidden.append(
                LogicalVolume(
                    name: "tp0_\(part)", uuid: part, size: Sample.gibi(1), layout: .raid1, active: true,
                    health: "refresh needed"))
            hidden[hidden.count - 1].parent = "tp0"
            for leg in 0...1 {
                for kind in ["rimage", "rmeta"] {
                    var piece = LogicalVolume(
                        name: "tp0_\(part)_\(kind)_\(leg)", uuid: "\(part)\(kind)\(leg)", size: Sample.gibi(1),
                        layout: .linear, active: true, health: leg == 1 ? "refresh needed" : "")
                    piece.parent = "tp0_\(part)"
                    hidden.append(piece)
                }
            }
        }
        group.hiddenVolumes = hidden
    }

    @Test func nothingGrowsOnAPoolThatWaitsForARefreshAndWhatIsThereIsServed() throws {
        var desired = Sample.desired(attached: ["db"])
        let served = plan(
            desired,
            observed {
                onRAID(&$0)
                $0.logicalVolumes[1].active = false
            })
        let pool = try #require(change(served, .pool, "fast"))
        #expect(pool.action == .blocked && pool.reason == Reason(rawValue: "RefreshNeeded"))
        #expect(pool.summary.contains("'lvchange --refresh vg0/tp0'"))
        #expect(attachment(served)?.action == .create && !served.isEmpty)
        desired.volumes["db"]?.spec.size = Sample.gibi(20)
        desired.attachments = [:]
        let growth = plan(desired, observed(changed: onRAID))
        #expect(growth.isEmpty && change(growth)?.reason == Reason(rawValue: "RefreshNeeded"))
    }

    @Test(arguments: [false, true]) func aReadOnlyVolumeIsSaidToBeOneBeforeItIsTried(_ readOnly: Bool) throws {
        var desired = Sample.desired(attached: ["db"])
        desired.attachments["db-on-web1"]?.spec.readOnly = readOnly
        let plan = plan(desired, observed { $0.logicalVolumes[1].permission = .readOnly })
        #expect(plan.isEmpty && attachment(plan)?.reason == .readOnly)
        #expect(attachment(plan)?.summary.contains("'lvchange -prw vg0/v-db'") == true)
        #expect(change(plan)?.action == .unchanged && change(plan)?.notes.isEmpty == false)
    }

    @Test func nothingIsCopiedFromWhatIsBroken() throws {
        var desired = Sample.desired(volumes: ["copy", "db"])
        desired.volumes["copy"]?.spec.source = .volume("db")
        let plan = plan(desired, observed { $0.logicalVolumes[1].health = "failed" })
        #expect(plan.isEmpty && change(plan, .volume, "copy")?.reason == Reason(rawValue: "VolumeUnhealthy"))
    }

    // MARK: Not plain

    private func thick(_ layout: LogicalVolume.Layout) -> LogicalVolume {
        var volume = Sample.volume(active: true)
        (volume.layout, volume.pool) = (layout, nil)
        if layout == .cache || layout == .writecache { volume.parts = ["cv_cvol", "v-db_corig"] }
        return volume
    }

    private func thickDesired(attached: [String] = []) -> DesiredState {
        var desired = Sample.desired(attached: attached)
        desired.pools["fast"] = Sample.declared("fast", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))))
        return desired
    }

    static let layouts: [LogicalVolume.Layout] = [
        .cache, .writecache, .striped, .raid1, .raid5, .vdo, .integrity, .mirror,
    ]

    @Test(arguments: layouts) func aVolumeThatSomebodyConvertedStaysInItsPool(_ layout: LogicalVolume.Layout) throws {
        let targets = Sample.export { _, backstore in backstore.discard = false }
        let found = observed(targets) { $0.logicalVolumes[1] = thick(layout) }
        let same = plan(thickDesired(attached: ["db"]), found)
        #expect(same.isEmpty, "\(same.changes)")
        #expect(change(same)?.action == .unchanged && attachment(same)?.action == .unchanged)
        var larger = thickDesired()
        larger.volumes["db"]?.spec.size = Sample.gibi(12)
        let growth = plan(larger, observed { $0.logicalVolumes[1] = thick(layout) })
        #expect(growth.isEmpty && change(growth)?.reason == .notSupportedYet)
        #expect(change(growth)?.summary.contains("'lvextend -L SIZE vg0/v-db'") == true)
        var gone = thickDesired()
        gone.volumes = [:]
        let trash = plan(gone, observed { $0.logicalVolumes[1] = thick(layout) }, prune: true)
        #expect(change(trash)?.action == .trash && !trash.isEmpty, "\(trash.changes)")
    }

    /// With room enough, so that nothing but the layout and the wiping decide.
    private func growth(
        of layout: LogicalVolume.Layout, _ wipe: LVMPoolSpec.Wipe, from size: ByteCount = Sample.gibi(10),
        devices: Int = 3
    ) -> Plan {
        var lvm = LVMPoolSpec(volumeGroup: "vg0")
        lvm.wipe = wipe
        var larger = thickDesired()
        larger.pools["fast"] = Sample.declared("fast", PoolSpec(backend: .lvm(lvm)))
        larger.volumes["db"]?.spec.size = Sample.gibi(12)
        return plan(
            larger,
            observed {
                $0.free = Sample.gibi(80)
                $0.physicalVolumes = (0..<devices).map { "pv\($0)" }
                $0.logicalVolumes[1] = thick(layout)
                $0.logicalVolumes[1].size = size
            })
    }

    @Test(arguments: [LVMPoolSpec.Wipe.zero, .discard, .none])
    func aStripedVolumeGrowsWhereNothingIsWiped(_ wipe: LVMPoolSpec.Wipe) throws {
        let striped = growth(of: .striped, wipe)
        guard wipe == .none else {
            #expect(striped.isEmpty && change(striped)?.reason == .notSupportedYet)
            #expect(change(striped)?.summary.contains("grows linear volumes only") == true)
            return
        }
        let location = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")
        #expect(
            striped.steps.map(\.step) == [
                .volume(
                    .extend(
                        VolumeRef(location, uid: Sample.uid, uuid: Sample.volume().uuid), from: Sample.gibi(10),
                        to: Sample.gibi(12)))
            ])
        for layout in [LogicalVolume.Layout.raid1, .raid5, .cache, .mirror] {
            let other = growth(of: layout, .none)
            #expect(other.isEmpty && change(other)?.reason == .notSupportedYet, "\(layout)")
            #expect(change(other)?.summary.contains("grows linear and striped volumes only") == true)
        }
    }

    /// `lvextend` makes whole stripes of what it is asked for.
    @Test func aStripedVolumeMayBeLargerByLessThanAStripe() throws {
        let extent = 4 << 20 as Int64
        func reason(_ layout: LogicalVolume.Layout, extents: Int64) -> Reason? {
            let size = ByteCount(Sample.gibi(12).bytes + extents * extent)
            return change(growth(of: layout, .none, from: size))?.reason
        }
        #expect(reason(.striped, extents: 2) == nil)
        #expect(reason(.striped, extents: 3) == .wouldShrink)
        #expect(reason(.linear, extents: 1) == .wouldShrink)
    }

    /// As fast as there are volumes: what is known of their group is made out once and not for each.
    @Test func anImportOfALargeGroupLooksAtItOnce() {
        let volumes = (0..<4000).map { number in
            LogicalVolume(name: "data\(number)", uuid: "data\(number)", size: Sample.gibi(1), layout: .linear)
        }
        let observed = Sample.observed(volumes)
        let time = ContinuousClock().measure {
            let survey = ImportSurvey(
                ImportSelection(), observed: observed, desired: DesiredState(), context: Sample.context())
            #expect(survey.volumes.count == volumes.count)
        }
        #expect(time < .seconds(15), "\(time)")
    }

    @Test func theImportSaysWhatAVolumeIs() throws {
        func refusal(_ layout: LogicalVolume.Layout) -> String? {
            let volume = LogicalVolume(name: "data", uuid: "data", size: Sample.gibi(1), layout: layout)
            let survey = ImportSurvey(
                ImportSelection(), observed: Sample.observed([volume]), desired: DesiredState(),
                context: Sample.context())
            return survey.refused.first?.reason
        }
        #expect(refusal(.linear) == nil && refusal(.striped) == nil)
        #expect(refusal(.raid5)?.hasPrefix("is RAID 5,") == true)
        #expect(refusal(.cache)?.hasPrefix("is cached (dm-cache),") == true)
        #expect(refusal(.mirror)?.hasPrefix("is a mirror,") == true)
    }

    /// `lvconvert --cachevol` hides the volume and leaves it its tags.
    @Test func whatBecameAPartOfAnotherIsNotMadeAgainBlank() throws {
        let plan = plan(
            thickDesired(),
            observed {
                var part = thick(.cachePool)
                part.name = "v-db_cvol"
                $0.logicalVolumes[1] = LogicalVolume(
                    name: "theirs", uuid: "theirs", size: Sample.gibi(1), layout: .cache)
                $0.logicalVolumes[1].parts = ["v-db_cvol", "theirs_corig"]
                $0.hiddenVolumes = [part]
            })
        #expect(plan.isEmpty && change(plan)?.reason == .dataMissing)
        #expect(change(plan)?.summary.contains("somebody made it a part of vg0/theirs") == true)
    }

    /// Purging a pool would remove every volume in it.
    @Test func aPoolWithOurMarksIsNoVolume() throws {
        let plan = plan(
            DesiredState(),
            observed {
                $0.logicalVolumes[0].tags = Sample.marks().tags; $0.logicalVolumes.removeLast()
            },
            prune: true)
        #expect(plan.isEmpty && plan.changes.contains { $0.reason == .marksDamaged }, "\(plan.changes)")
    }
}
