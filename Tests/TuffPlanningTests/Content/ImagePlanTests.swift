import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct ImagePlanTests {
    static let image = ImageSource(path: "/srv/images/debian.qcow2", format: .qcow2)
    static let digest = String(repeating: "ab", count: 32)

    func plan(_ desired: DesiredState, _ observed: ObservedState) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context())
    }

    func change(_ plan: Plan) -> PlannedChange? { plan.changes.first { $0.resource == ResourceID(.volume, "db") } }

    func steps(_ plan: Plan) -> [Step] { plan.storageSteps }

    func desired(_ change: (inout ImageSource) -> Void = { _ in }) -> DesiredState {
        var desired = Sample.desired(), image = Self.image
        change(&image)
        desired.volumes["db"]!.spec.source = .image(image)
        desired.volumes["db"]!.fields["spec.source.image"] = SourceLocation(file: "main.yaml", line: 9, column: 5)
        return desired
    }

    func observed(
        _ volumes: [LogicalVolume] = [], _ image: Observation<ObservedImage>? = .known(.usable(size: Sample.gibi(2)))
    ) -> ObservedState {
        var observed = Sample.observed(volumes)
        observed.images = ObservationMap(image.map { [Self.image.key: $0] } ?? [:])
        return observed
    }

    func unfilled(_ change: (inout Marks) -> Void = { _ in }) -> LogicalVolume {
        Sample.volume { marks in
            marks.operation = Marks.copying
            change(&marks)
        }
    }

    @Test func anInterruptedFillingGrowsBeforeItIsGoneOnWith() throws {
        var desired = desired()
        desired.volumes["db"]!.spec.size = Sample.gibi(12)
        let plan = plan(desired, observed([unfilled()], .known(.usable(size: Sample.gibi(11)))))
        let place = VolumeLocation.logicalVolume(group: "vg0", name: "v-db")
        #expect(
            steps(plan).first
                == .volume(
                    .extend(
                        VolumeRef(place, uid: Sample.uid, uuid: "uuid-db"), from: Sample.gibi(10), to: Sample.gibi(12)))
        )
        #expect(
            steps(plan).last
                == .lvm(
                    .complete(
                        VolumeRef(place, uid: Sample.uid, uuid: "uuid-db"), size: Sample.gibi(12),
                        operation: Marks.copying)))
    }

    @Test func aVolumeIsMadeUnfinishedThenFilledThenComplete() throws {
        let plan = plan(desired(), observed())
        guard case .volume(.create(_, let location, Sample.gibi(10), let marks))? = steps(plan).first else {
            Issue.record("\(steps(plan))")
            return
        }
        #expect(marks.operation == Marks.copying && marks.origin == nil)
        #expect(
            Array(steps(plan).dropFirst()) == [
                .lvm(.activate(VolumeRef(location, uid: marks.uid))),
                .volume(.fillFromImage(VolumeRef(location, uid: marks.uid), image: Self.image)),
                .lvm(.complete(VolumeRef(location, uid: marks.uid), size: Sample.gibi(10), operation: Marks.copying)),
            ])
        #expect(plan.steps.map(\.after) == [[], [0], [1], [2]])
        // Filling takes hours and holds up nothing else of the group.
        #expect(plan.steps[2].keys == [.data("/dev/vg0/v-db")])
        #expect(change(plan)?.summary.contains("image /srv/images/debian.qcow2 (qcow2, 2 GiB)") == true)
    }

    @Test func anAttachmentWaitsForTheFilling() throws {
        var desired = desired()
        desired.attachments["web"] = Sample.declared(
            "web", AttachmentSpec(volume: "db", initiator: Sample.initiator))
        let plan = plan(desired, observed())
        let complete = try #require(
            plan.steps.first { if case .lvm(.complete) = $0.step { true } else { false } })
        let backstore = try #require(
            plan.steps.first { if case .export(.createBackstore) = $0.step { true } else { false } })
        #expect(backstore.id > complete.id)
    }

    @Test func theDeclaredDigestStandsInThePlan() {
        let plan = plan(desired { $0.sha256 = Self.digest }, observed())
        #expect(change(plan)?.notes.contains { $0.contains(Self.digest) } == true)
        #expect(
            steps(plan).contains {
                if case .volume(.fillFromImage(_, let image)) = $0 { image.sha256 == Self.digest } else { false }
            })
    }

    @Test(
        arguments: [
            (nil, "there is no image"), (.known(.unusable("has a backing file")), "debian.qcow2 has a backing file"),
            (.unknown(HostError(.refused, "it lies beneath none of the allowed roots")), "allowed roots"),
        ] as [(Observation<ObservedImage>?, String)])
    func whatCannotBeReadIsBlockedWhereItIsNamed(_ image: Observation<ObservedImage>?, _ sentence: String) {
        let plan = plan(desired(), observed([], image))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .imageUnusable)
        #expect(change(plan)?.summary.contains(sentence) == true)
        #expect(change(plan)?.location?.line == 9)
    }

    @Test func aVolumeIsNeverSmallerThanItsImage() {
        let plan = plan(desired(), observed([], .known(.usable(size: Sample.gibi(11)))))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .wouldShrink)
        #expect(change(plan)?.summary.contains("11Gi") == true)
        let odd = ByteCount(10 * ByteCount.gibi + 100)
        #expect(self.plan(desired(), observed([], .known(.usable(size: odd)))).isEmpty)
    }

    @Test func theImageIsReadOnlyWhenTheVolumeIsCreated() {
        #expect(plan(desired(), observed([Sample.volume()], nil)).isEmpty)
    }

    @Test func aFillingThatWasInterruptedIsDoneAgain() {
        let plan = plan(desired(), observed([unfilled()]))
        #expect(
            steps(plan).map { step in
                switch step {
                case .lvm(.activate): "activate"
                case .volume(.fillFromImage(Sample.uid, Self.image)): "fill"
                case .lvm(.complete): "complete"
                default: "\(step)"
                }
            } == ["activate", "fill", "complete"])
    }

    @Test func whatIsNotFilledWaitsForItsImage() {
        for image in [nil, .known(.usable(size: Sample.gibi(20)))] as [Observation<ObservedImage>?] {
            let plan = plan(desired(), observed([unfilled()], image))
            #expect(plan.isEmpty)
            #expect(change(plan)?.action == .blocked)
        }
    }

    @Test func aCloneThatWasInterruptedIsNotGivenAnImage() {
        let plan = plan(desired(), observed([unfilled { $0.origin = Sample.uid(7) }]))
        #expect(plan.isEmpty)
        #expect(change(plan)?.reason == .unfinished)
        // Nor does what was to be filled become blank.
        let blank = self.plan(Sample.desired(), observed([unfilled()]))
        #expect(blank.isEmpty)
        #expect(change(blank)?.reason == .unfinished)
    }

    // MARK: Directories

    private func inDirectory(_ desired: DesiredState) -> DesiredState {
        var desired = desired
        desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(DirectoryPoolSpec(path: "/srv/p"))))
        desired.volumes["db"]!.spec.placement = .pool("dir")
        return desired
    }

    private func observed(size: ByteCount?, _ operation: String?) -> ObservedState {
        var marks = Sample.marks()
        marks.operation = operation
        var observed = observed()
        let file = DirectoryFile(name: "v-db", tags: marks.tags, size: size)
        observed.directories = ObservationMap([
            "/srv/p": .known(
                DirectoryPool(path: "/srv/p", size: Sample.gibi(100), free: Sample.gibi(90), files: [file]))
        ])
        return observed
    }

    /// A file may not be made yet, not be sized yet, be made blank, or be filled in part.
    @Test(
        arguments: [
            (nil, Marks.copying, true), (ByteCount.zero, Marks.copying, true), (Sample.gibi(10), Marks.copying, false),
            (Sample.gibi(10), Marks.creating, true),
        ] as [(ByteCount?, String, Bool)])
    func aFileIsTakenUpWhereverItsMakingStopped(_ size: ByteCount?, _ operation: String, isMade: Bool) {
        let steps = steps(plan(inDirectory(desired()), observed(size: size, operation)))
        #expect(steps.count == (isMade ? 3 : 2))
        if isMade {
            guard case .volume(.create(_, _, Sample.gibi(10), let marks))? = steps.first else {
                Issue.record("\(steps)")
                return
            }
            #expect(marks.operation == Marks.copying && marks.uid == Sample.uid)
        }
        guard case .volume(.relabel(let last))? = steps.last else {
            Issue.record("\(steps)")
            return
        }
        #expect(last.before.operation == Marks.copying && last.after.operation == nil && last.from == last.to)
    }

    @Test func aFileThatIsNotFilledStaysSoUnderAnotherName() throws {
        var undeclared = inDirectory(desired())
        undeclared.volumes = [:]
        let context = Sample.context { $0.prune = true }
        let trashed = Planner.plan(
            desired: undeclared, observed: observed(size: Sample.gibi(10), Marks.movingUnfilled), context: context)
        guard case .volume(.relabel(let change))? = steps(trashed).first else {
            Issue.record("\(trashed.changes)")
            return
        }
        #expect(change.after.operation == Marks.copying && change.after.until != nil)
        let renamed = plan(inDirectory(desired()), observed(size: Sample.gibi(10), Marks.movingUnfilled))
        guard case .volume(.relabel(let back))? = steps(renamed).first else {
            Issue.record("\(renamed.changes)")
            return
        }
        #expect(back.after.operation == Marks.copying)
    }
}
