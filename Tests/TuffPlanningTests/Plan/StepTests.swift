import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// The answers to questions about steps. That every case answers is the compiler's affair; these are the answers.
@Suite struct StepTests {
    static let device = VolumeRef(.logicalVolume(group: "vg0", name: "v-db"), uid: Sample.uid, uuid: "uuid-db")
    static let file = VolumeRef(.file(directory: "/srv/tuff", name: "v-db"), uid: Sample.uid)
    static let source = VolumeRef(.logicalVolume(group: "vg0", name: "s-before"), uid: Sample.uid(2))
    static let image = ImageSource(path: "/srv/images/disk.raw", format: .raw)

    /// Work of hours would otherwise hold up every other volume of its group.
    @Test func whatMovesDataHoldsUpNothingElseOfItsHome() {
        let moving: [Step] = [
            .volume(.fill(Self.device, source: Self.source, operation: Marks.copying)),
            .volume(.fillFromImage(Self.device, image: Self.image)), .lvm(.wipe(Self.device, wipe: .zero)),
            .lvm(.wipeExtents(holder: Self.device, wipe: .zero)),
        ]
        for step in moving {
            #expect(step.movesData && step.company == .none, "\(step)")
            #expect(key(step) == .data("/dev/vg0/v-db"), "\(step)")
        }
        let quick: [Step] = [
            .volume(.copy(source: Self.source, location: Self.device.location, marks: Sample.marks())),
            .volume(.extend(Self.device, from: .zero, to: Sample.gibi(1))), .volume(.confirmMade(Self.device)),
            .lvm(.takeExtents(Self.device, from: .zero, to: Sample.gibi(1))), .lvm(.confirmWhole(Self.device)),
            .lvm(.complete(Self.device, size: Sample.gibi(1), operation: Marks.wiping)),
            .lvm(.deactivate(Self.device)), .lvm(.dropGrowth(location: Self.device.location)),
        ]
        for step in quick {
            #expect(!step.movesData && step.company == .none, "\(step)")
            #expect(key(step) == .volumeGroup("vg0"), "\(step)")
        }
        #expect(key(.volume(.confirmMade(Self.file))) == .directory("/srv/tuff"))
        #expect(key(.volume(.fillFromImage(Self.file, image: Self.image))) == .data("/srv/tuff/v-db"))
    }

    /// A step that reads a source waits for those that write to it, and they for it: a rollback writes over it.
    @Test func whatIsReadIsTheSource() {
        let reading: [Step] = [
            .volume(.copy(source: Self.source, location: Self.device.location, marks: Sample.marks())),
            .volume(.fill(Self.device, source: Self.source, operation: Marks.copying)),
            .lvm(
                .snapshotThick(
                    source: Self.source, location: Self.device.location, reserve: Sample.gibi(1), marks: Sample.marks())
            ),
        ]
        for step in reading { #expect(step.reads == Sample.uid(2), "\(step)") }
        #expect(Step.volume(.fillFromImage(Self.device, image: Self.image)).reads == nil)
        #expect(Step.lvm(.wipe(Self.device, wipe: .zero)).reads == nil)
        #expect(reading.map(\.fills) == [nil, Sample.uid, nil])
        #expect(Step.lvm(.takeExtents(Self.device, from: .zero, to: .zero)).gathers == Sample.uid)
        #expect(Step.lvm(.joinExtents(Self.device, from: .zero, to: .zero)).gathers == nil)
    }

    @Test func creationsAndActivationsAndATargetsStepsGoTogether() {
        let creation = VolumeStep.create(
            backend: .thick(group: "vg0"), location: Self.device.location, size: Sample.gibi(1), marks: Sample.marks())
        #expect(Step.volume(creation).company == .creations)
        #expect(Step.lvm(.activate(Self.device)).company == .activations)
        #expect(Step.export(.enable(TargetRef(iqn: "iqn.2026-01.dev.tuff:db", place: ""))).company == .target)
        let pool = PoolStep.complete(
            group: "vg0", thinPool: "tp0", PoolMarks(pool: "fast", stack: "default", isBegun: true))
        #expect(Step.pool(pool).company == .none && pool.key == .volumeGroup("vg0"))
    }

    /// A boot brings back what was there and does nothing else.
    @Test func onlyADeviceOrMoreOfAnExportTakesNothingAway() {
        let target = TargetRef(iqn: "iqn.2026-01.dev.tuff:db", place: "")
        #expect(!Step.lvm(.activate(Self.device)).takesAway && Step.lvm(.activate(Self.device)).needsDevice)
        #expect(Step.lvm(.deactivate(Self.device)).takesAway && Step.volume(.confirmMade(Self.device)).takesAway)
        #expect(!Step.export(.enable(target)).takesAway && Step.export(.disable(target)).takesAway)
        #expect(Step.export(.createACL(target, initiator: Sample.initiator)).needsDevice)
        #expect(!Step.export(.enable(target)).needsDevice)
    }

    private func key(_ step: Step) -> ExclusiveKey? {
        switch step {
        case .volume(let step): step.key
        case .lvm(let step): step.key
        case .backup(let step): step.key
        case .mount(let step): step.key
        case .pool, .export: nil
        }
    }
}
