import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

struct VolumeLoweringTests {
    private func location(_ name: String, in group: String = "vg0") -> VolumeLocation {
        .logicalVolume(group: group, name: name)
    }

    private func commands(_ steps: [Step]) -> [String] {
        LVMDriver().lower(steps).flatMap(\.actions).map(\.description)
    }

    @Test func creationIsOneCommandWithAllMarks() {
        let step = Step.volume(
            .create(
                backend: .thinPool(group: "vg0", pool: "tp0"), location: location("v-db"), size: ByteCount(10 << 30),
                marks: Sample.marks()))
        #expect(
            commands([step]) == [
                "lvm lvcreate -qq --yes --thin --virtualsize 10737418240b --name v-db --activate n "
                    + "--setactivationskip n --wipesignatures n --addtag tuff:iqn=iqn.2026-01.dev.tuff:db "
                    + "--addtag tuff:stack=default --addtag tuff:uid=aaaabbbbccccdddd --addtag tuff:vol=db -- vg0/tp0"
            ])
    }

    @Test func aScratchVolumeIsRemovedByAllOfItsMarksAndNoNameAlone() {
        let marks = Marks.scratch(Sample.uid, of: "nightly", stack: "default"), name = "d-\(Sample.uid)"
        func drop(_ uuid: String?) -> Step {
            .volume(.dropScratch(VolumeRef(location(name), uid: Sample.uid, uuid: uuid), marks, isMade: true))
        }
        #expect(
            LVMDriver().lower([drop("u")]).flatMap(\.actions).first
                == .require(.scratchVolume(group: "vg0", name: name, uuid: "u", tags: marks.tags)))
        let tags =
            #"lv_tags={"tuff:drill=nightly" && "tuff:op=drill" && "tuff:stack=default" && "tuff:uid=aaaabbbbccccdddd"}"#
        #expect(
            commands([drop("u")]).last
                == "lvm lvremove -qq --yes -S 'lv_uuid=\"u\" && \(tags)' -- vg0/\(name)")
        #expect(commands([drop(nil)]).last == "lvm lvremove -qq --yes -S '\(tags)' -- vg0/\(name)")
        // Of a file the sidecar is compared letter by letter, and goes last.
        let file = VolumeRef(.file(directory: "/srv/a", name: name), uid: Sample.uid)
        func lowered(isMade: Bool) -> [String] {
            DirectoryPoolDriver().lower([.dropScratch(file, marks, isMade: isMade)]).flatMap(\.actions).map(
                \.description)
        }
        let whole = lowered(isMade: true)
        #expect(whole.count == 5 && whole[1].contains(Sidecar(file: name, tags: marks.tags).text.dropLast()))
        #expect(whole[2] == "# only if nobody has /srv/a/\(name) open")
        #expect(whole[3] == "rm /srv/a/\(name)" && whole[4] == "rm /srv/a/.tuff/\(Sample.uid).json")
        #expect(lowered(isMade: false).count == 3)
    }

    @Test func growthIsGuardedByUUIDUidAndSize() {
        let step = Step.volume(
            .extend(
                VolumeRef(location("v-db"), uid: Sample.uid, uuid: "the-uuid"), from: ByteCount(1 << 30),
                to: ByteCount(2 << 30)))
        #expect(
            LVMDriver().lower([step]).flatMap(\.actions).first
                == .require(
                    .logicalVolume(
                        group: "vg0", name: "v-db", uuid: "the-uuid", uid: Sample.uid, size: ByteCount(1 << 30))))
        #expect(commands([step]).last == "lvm lvextend -qq --size 2147483648b -- vg0/v-db")
    }

    @Test func sizesAreWholeSectors() {
        let step = Step.volume(
            .extend(
                VolumeRef(location("v-db"), uid: Sample.uid, uuid: "u"), from: ByteCount(512), to: ByteCount(1_000_001))
        )
        #expect(commands([step]).last == "lvm lvextend -qq --size 1000448b -- vg0/v-db")
    }

    @Test func activationsShareACommandPerGroupAndOthersStandAlone() {
        let steps: [LVMStep] =
            ["v-a", "v-b"].map { .activate(VolumeRef(location($0), uid: Sample.uid, uuid: "u")) }
            + [
                .deactivate(VolumeRef(location("v-c"), uid: Sample.uid, uuid: "u")),
                .activate(VolumeRef(location("v-d", in: "vg1"), uid: Sample.uid, uuid: "u")),
            ]
        let batches = LVMDriver().lower(steps)
        #expect(batches.map(\.steps) == [[2], [0, 1], [3]])
        let own = #"lv_tags={"tuff:uid=aaaabbbbccccdddd"}"#
        #expect(
            batches[1].actions.map(\.description) == [
                "lvm lvchange -qq --activate y -K -S '\(own) || \(own)' -- vg0/v-a vg0/v-b"
            ])
    }

    private func relabelling(to name: String, _ change: (inout Marks) -> Void, from: String = "v-db") -> Relabelling {
        var after = Sample.marks()
        change(&after)
        return Relabelling(
            uuid: "u-u", from: location(from), to: location(name), before: Sample.marks(), after: after)
    }

    private static let only = #"-S 'lv_uuid="u-u" && lv_tags={"tuff:uid=aaaabbbbccccdddd"}'"#
    private static let still = "# only if vg0/v-db still has LVM uuid u-u, our uid aaaabbbbccccdddd"

    @Test func theTrashIsReachedByDeviceThenMarksThenName() {
        let until = Instant(secondsSince1970: 1_800_000_000)
        let change = relabelling(to: "t-aaaabbbbccccdddd", { $0.until = until })
        #expect(
            commands([.volume(.relabel(change))]) == [
                Self.still, "lvm lvchange -qq --activate n \(Self.only) -- vg0/v-db",
                "lvm lvchange -qq --addtag tuff:until=2027-01-15T08:00:00Z --setactivationskip y \(Self.only) "
                    + "-- vg0/v-db",
                Self.still, "lvm lvrename -qq -- vg0 v-db t-aaaabbbbccccdddd",
            ])
        var back = change
        (back.before, back.after) = (change.after, change.before)
        #expect(
            commands([.volume(.relabel(back))])[1]
                == "lvm lvchange -qq --deltag tuff:until=2027-01-15T08:00:00Z --setactivationskip n \(Self.only) "
                + "-- vg0/v-db")
    }

    @Test func marksAloneAreOneCommandAndAMissingNameAnother() {
        let marks = relabelling(to: "v-db", { $0.protect = true })
        #expect(
            commands([.volume(.relabel(marks))]) == [
                Self.still, "lvm lvchange -qq --addtag tuff:protect \(Self.only) -- vg0/v-db",
            ])
        let name = relabelling(to: "v-new", { _ in })
        #expect(commands([.volume(.relabel(name))]) == [Self.still, "lvm lvrename -qq -- vg0 v-db v-new"])
    }

    @Test func aPurgeIsNeverForcedAndLetsLVMSelect() {
        let step = Step.volume(
            .purge(
                VolumeRef(location("t-x"), uid: Sample.uid, uuid: "u-u"),
                until: Instant(secondsSince1970: 1_800_000_000)))
        #expect(
            commands([step]) == [
                "# only if vg0/t-x still has LVM uuid u-u, our uid aaaabbbbccccdddd and the deadline "
                    + "2027-01-15T08:00:00Z, and nobody uses it",
                #"lvm lvremove -qq --yes -S 'lv_uuid="u-u" && lv_tags={"tuff:uid=aaaabbbbccccdddd" && "#
                    + #""tuff:until=2027-01-15T08:00:00Z"}' -- vg0/t-x"#,
            ])
    }

    @Test func manyActivationsAreSeveralCommands() {
        let steps = (0..<600).map {
            Step.lvm(.activate(VolumeRef(location("v-\($0)"), uid: Sample.uid, uuid: "u")))
        }
        let batches = LVMDriver().lower(steps)
        #expect(batches.map(\.steps.count) == [256, 256, 88])
        #expect(batches.flatMap(\.steps) == Array(0..<600))
    }

    /// Names and tags are checked long before; even so none can become an option.
    @Test(arguments: ["-f", "--config=x", "a b", "--", "vg1/x", "../x", "$(reboot)", "a\nb"])
    func aHostileNameIsAnOperandOrAnOptionsValue(_ name: String) throws {
        let create = Step.volume(
            .create(
                backend: .thinPool(group: name, pool: name), location: location(name, in: name), size: ByteCount(512),
                marks: Sample.marks()))
        guard case .makeVolume(let command, _, _)? = LVMDriver().lower([create]).first?.actions.last else {
            Issue.record("no command")
            return
        }
        let arguments = command.arguments
        #expect(try #require(arguments.firstIndex(of: "--name")) + 1 == arguments.firstIndex(of: name))
        #expect(arguments.suffix(2) == ["--", "\(name)/\(name)"])
    }

    @Test func mutatingCommandsGetTenMinutes() {
        let steps: [Step] = [
            .volume(
                .extend(VolumeRef(location("a"), uid: Sample.uid, uuid: "u"), from: ByteCount(512), to: ByteCount(1024))
            ),
            .lvm(.activate(VolumeRef(location("b"), uid: Sample.uid, uuid: "u"))),
        ]
        for command in LVMDriver().lower(steps).flatMap(\.actions).compactMap(\.command) {
            #expect(command.effect == .mutates && command.deadline == 600)
        }
    }

    @Test func aFileIsMadeInTheOrderThatSurvivesCrashes() {
        let step = VolumeStep.create(
            backend: .directory(path: "/srv/tuff"), location: .file(directory: "/srv/tuff", name: "v-db"),
            size: ByteCount(1 << 30), marks: Sample.marks())
        let root = HostPath.Root.directory("/srv/tuff")
        let sidecar = HostPath(root, ".tuff/aaaabbbbccccdddd.json")
        let head = #"{"file":"v-db","tags":["tuff:iqn=iqn.2026-01.dev.tuff:db","#
        let tail = #""tuff:stack=default","tuff:uid=aaaabbbbccccdddd","tuff:vol=db"],"version":1}"# + "\n"
        #expect(
            DirectoryPoolDriver().lower([step]).flatMap(\.actions) == [
                .makeDirectory(HostPath(root, ".tuff")),
                .setMode(HostPath(root, ".tuff"), 0o700),
                .require(.vacant(HostPath(root, "v-db"))),
                .replaceFile(sidecar, head + #""tuff:op=create","# + tail),
                .createFile(HostPath(root, "v-db"), size: ByteCount(1 << 30)),
                .replaceFile(sidecar, head + tail),
            ])
    }
}
