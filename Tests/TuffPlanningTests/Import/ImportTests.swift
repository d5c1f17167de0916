import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Documents for objects that are there and were not made by Tuff.
@Suite struct ImportTests {
    static let serial = "3f1b0c52-5a9e-4a0f-9c5e-2f7a6f1d0b11"
    static let theirs = "iqn.2003-01.org.linux-iscsi.storage1:data"

    static func volume(
        _ name: String, minor: Int = 0, _ change: (inout LogicalVolume) -> Void = { _ in }
    ) -> LogicalVolume {
        var volume = LogicalVolume(
            name: name, uuid: "uuid-\(name)", size: Sample.gibi(10), active: true, pool: "tp0")
        if minor > 0 { volume.device = DeviceNumber(major: 254, minor: minor) }
        change(&volume)
        return volume
    }

    /// LV `data` behind a backstore and a target as targetcli makes them.
    static func targets(
        _ change: (inout ObservedTarget, inout ObservedBackstore) -> Void = { _, _ in }
    ) -> TargetInventory {
        var backstore = ObservedBackstore(
            name: "disk1", place: "iblock_0", path: "/dev/vg0/data", enabled: true,
            identity: DiskIdentity(serial: serial, vendor: "", product: ""),
            device: DeviceNumber(major: 254, minor: 7))
        var target = ObservedTarget(
            iqn: theirs, enabled: true, settings: [.authentication: true, .generateNodeACLs: false],
            portals: [Portal(address: "192.0.2.77")], luns: [ObservedLUN(number: 0, backstore: "disk1")],
            acls: [
                ObservedACL(
                    initiator: Sample.initiator, mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: false)],
                    chap: ObservedCHAP(user: "web1", password: SecretFingerprint(text: "0123456789abcdef")),
                    sessions: [ObservedSession(state: "LOGGED_IN")])
            ])
        change(&target, &backstore)
        return TargetInventory(backstores: [backstore], targets: [target])
    }

    static let exported = volume("data", minor: 7) { $0.open = true }

    func survey(
        _ volumes: [LogicalVolume], _ targets: TargetInventory = TargetInventory(),
        _ selection: ImportSelection = ImportSelection(), _ desired: DesiredState = DesiredState()
    ) -> ImportSurvey {
        ImportSurvey(
            selection, observed: Sample.observed(volumes, targets: targets), desired: desired,
            context: Sample.context())
    }

    // MARK: What is found

    /// An object that a document says was imported has the name that the document gives it.
    @Test func aSnapshotThatADocumentNamesIsTaken() throws {
        let volumes = [Self.volume("data"), Self.volume("before") { $0.origin = "data" }]
        #expect(survey(volumes).refused.first?.what == "vg0/before")
        var desired = Sample.desired(volumes: ["before"])
        desired.volumes["before"]!.metadata.annotations[Metadata.importedFromKey] = "vg0/before"
        let found = survey(volumes, TargetInventory(), ImportSelection(), desired)
        #expect(found.volumes.map(\.origin).contains("vg0/before") && found.unmet.isEmpty)
        // One that is not there is told, and one of another node is not asked for here.
        desired.volumes["before"]!.metadata.annotations[Metadata.importedFromKey] = "vg0/gone"
        #expect(survey(volumes, TargetInventory(), ImportSelection(), desired).unmet == ["vg0/gone"])
        desired.pools["fast"]!.spec.node = "storage2"
        #expect(survey(volumes, TargetInventory(), ImportSelection(), desired).unmet.isEmpty)
    }

    @Test func aTargetInAnotherPortalGroupKeepsItsNameAndWhatChangesIsSaid() throws {
        let targets = Self.targets { target, _ in
            var group = target
            target.luns = []
            target.acls = []
            target.extraPortalGroups = ["tpgt_2"]
            group.extraPortalGroups = []
            target.otherGroups = ["tpgt_2": group]
        }
        let volume = try #require(survey([Self.exported], targets).volumes.first)
        #expect(volume.identity.iqn == Self.theirs && volume.identity.serial == Self.serial)
        #expect(volume.attachments.map(\.initiator) == [Sample.initiator])
        #expect(volume.notes.contains { $0.contains("\(Self.theirs) tpgt_2 LUN 0") })
        #expect(volume.notes.contains { $0.contains("portal group 1 alone") })
        let unread = Self.targets { target, _ in
            target.luns = []
            target.extraPortalGroups = ["tpgt_2"]
        }
        let blind = try #require(survey([Self.exported], unread).volumes.first)
        #expect(blind.notes.contains { $0.contains("could not be read") && $0.contains("tpgt_2") })
    }

    @Test func anInitiatorNamedByANumberKeepsItsAccess() throws {
        let targets = Self.targets { target, _ in target.acls[0].initiator = "eui.02004567a425678d" }
        let volume = try #require(survey([Self.exported], targets).volumes.first)
        #expect(volume.attachments.map(\.initiator) == ["eui.02004567a425678d"])
        let capitals = Self.targets { target, _ in target.acls[0].initiator = "naa.52004567BA64678D" }
        let other = try #require(survey([Self.exported], capitals).volumes.first)
        #expect(other.attachments.map(\.initiator) == ["naa.52004567ba64678d"])
        #expect(other.notes.contains { $0.contains("lets nobody in") })
    }

    @Test func aVolumeBehindATargetKeepsWhatInitiatorsKnow() throws {
        let found = survey([Self.exported], Self.targets())
        let volume = try #require(found.volumes.first)
        #expect(volume.name == "data" && volume.size == Sample.gibi(10))
        #expect(volume.identity.iqn == Self.theirs && volume.identity.serial == Self.serial)
        #expect(volume.identity.lun == nil)
        #expect(volume.portals == [Portal(address: "192.0.2.77")])
        #expect(volume.attachments.map(\.initiator) == [Sample.initiator])
        #expect(volume.attachments.first?.chapUser == "web1")
        #expect(found.pools.map(\.backend) == [.thinPool(group: "vg0", pool: "tp0")])
        #expect(found.refused.isEmpty)
    }

    @Test func theLUNIsTheOneThatTheInitiatorSees() throws {
        let targets = Self.targets { target, _ in
            target.luns[0].number = 5
            target.acls[0].mappedLUNs = [ObservedMappedLUN(number: 3, lun: 5, readOnly: true)]
        }
        let volume = try #require(survey([Self.exported], targets).volumes.first)
        #expect(volume.identity.lun == 3)
        #expect(volume.attachments.first?.readOnly == true)
    }

    @Test func aTargetWithSeveralLUNsCannotBeTakenOverAsOneVolumes() throws {
        let targets = Self.targets { target, _ in target.luns.append(ObservedLUN(number: 1, backstore: "other")) }
        let volume = try #require(survey([Self.exported], targets).volumes.first)
        #expect(volume.identity.iqn == nil && volume.identity.serial == Self.serial)
        #expect(volume.notes.contains { $0.contains("has 2 LUNs") })
    }

    @Test func aNameThatCannotBeKeptIsSaid() throws {
        let targets = Self.targets { target, backstore in
            target.iqn = "iqn.2003-01.org.Linux-iSCSI:data"
            backstore.identity?.serial = "has space"
        }
        let volume = try #require(survey([Self.exported], targets).volumes.first)
        #expect(volume.identity == IdentityOverride())
        #expect(volume.notes.contains { $0.contains("no name Tuff can give") })
        #expect(volume.notes.contains { $0.contains("'has space' cannot be kept") })
    }

    /// An access that now demands CHAP never becomes one without.
    @Test func anAccessWithCHAPIsNeverWrittenWithoutIt() throws {
        let targets = Self.targets { target, _ in target.acls[0].chap = ObservedCHAP() }
        let volume = try #require(survey([Self.exported], targets).volumes.first)
        #expect(volume.attachments.isEmpty)
        #expect(volume.notes.contains { $0.contains("logs in with CHAP and has no user of its own") })
    }

    @Test func pathsTellTheVolumeWhereTheStackTellsNoDevice() throws {
        for path in ["/dev/vg0/my-data", "/dev/mapper/vg0-my--data"] {
            let targets = Self.targets { _, backstore in
                backstore.device = nil
                backstore.path = path
            }
            let volume = Self.volume("my-data", minor: 7) { $0.open = true }
            #expect(survey([volume], targets).volumes.first?.identity.iqn == Self.theirs, "\(path)")
        }
    }

    @Test func aDeviceOfAnotherVolumeIsNotMistakenForThisOne() {
        let targets = Self.targets { _, backstore in backstore.device = DeviceNumber(major: 254, minor: 8) }
        let found = survey([Self.exported], targets)
        #expect(found.volumes.isEmpty)
        #expect(found.refused.first?.reason.contains("in use on this host itself") == true)
    }

    @Test func targetsInFrontOfSomethingElseAreNotPassedOver() {
        let targets = Self.targets { _, backstore in
            (backstore.path, backstore.device) = ("/srv/images/old.img", nil)
        }
        let all = survey([Self.volume("idle")], targets)
        #expect(all.refused.map(\.what) == ["\(Self.theirs) LUN 0"])
        #expect(all.refused.first?.reason.contains("hands out /srv/images/old.img, which is no logical volume") == true)
        #expect(survey([Self.volume("idle")], targets, ImportSelection(names: ["idle"])).refused.isEmpty)
    }

    @Test func whatCannotBeImportedIsSaidWithItsReason() {
        let volumes = [
            Self.volume("root") { $0.open = true },
            Self.volume("cow") { $0.layout = .mirror },
            Self.volume("snap") { $0.origin = "data" },
            Self.volume("thicksnap") {
                $0.layout = .linear
                $0.pool = nil
                $0.origin = "data"
            },
            Self.volume("ill") {
                ($0.layout, $0.pool, $0.health) = (.linear, nil, "partial")
            },
            Self.volume("still") { $0.suspended = true },
            Self.volume("torn") { $0.tags = ["tuff:uid=?"] },
            Sample.volume("mine"), Sample.volume("other", uid: Sample.uid(3), stack: "blue"),
        ]
        let found = survey(volumes)
        #expect(found.volumes.isEmpty && found.pools.isEmpty)
        let reasons = Dictionary(uniqueKeysWithValues: found.refused.map { ($0.what, $0.reason) })
        for (what, word) in [
            ("vg0/root", "mounted, swap"), ("vg0/cow", "is a mirror,"), ("vg0/snap", "thin snapshot of vg0/data"),
            ("vg0/thicksnap", "is a snapshot of vg0/data"),
            ("vg0/ill", "is not well: vg0/ill lies, in part at least, on a device"), ("vg0/still", "suspended"),
            ("vg0/torn", "cannot be read"),
            ("vg0/v-other", "stack blue"),
        ] {
            #expect(reasons[what]?.contains(word) == true, "\(what): \(reasons[what] ?? "nothing")")
        }
        #expect(reasons["vg0/v-mine"] == nil && reasons["vg0/tp0"] == nil)
    }

    @Test func whatIsInUseIsNotImportedWhileTargetsCannotBeSeen() {
        var observed = Sample.observed([Self.exported, Self.volume("idle")])
        observed.targets = .unknown(HostError(.timeout, "configfs did not answer"))
        let found = ImportSurvey(
            ImportSelection(), observed: observed, desired: DesiredState(), context: Sample.context())
        #expect(found.volumes.map(\.name) == ["idle"])
        #expect(found.refused.first?.reason.contains("perhaps behind a target") == true)
    }

    @Test func aGroupThatMustNotBeChangedIsNotImported() {
        var observed = Sample.observed([Self.volume("data")])
        var group = Sample.group([Self.volume("data")])
        group.missingDevices = 1
        observed.volumeGroups = ObservationMap(["vg0": .known(group)])
        let found = ImportSurvey(
            ImportSelection(), observed: observed, desired: DesiredState(), context: Sample.context())
        #expect(found.volumes.isEmpty)
        #expect(found.refused.first?.reason.contains("misses 1") == true)
    }

    @Test func aSnapshotThatIsNamedBecomesAVolumeOfItsOwn() {
        let snapshot = Self.volume("snap") { $0.origin = "data" }
        let found = survey([snapshot], TargetInventory(), ImportSelection(names: ["vg0/snap"]))
        #expect(found.volumes.map(\.name) == ["snap"])
        // Cinder makes clones as snapshots, and they are volumes to it.
        let clone = Self.volume("volume-1b4d") { $0.origin = "volume-77aa" }
        #expect(survey([clone]).volumes.map(\.name) == ["volume-1b4d"])
    }

    @Test func aSelectionIsAllThatIsLookedAt() {
        let volumes = [Self.volume("a"), Self.volume("b"), Self.volume("thick") { $0.pool = nil }]
        #expect(survey(volumes, TargetInventory(), ImportSelection(names: ["b"])).volumes.map(\.name) == ["b"])
        #expect(survey(volumes, TargetInventory(), ImportSelection(pool: "vg0/tp0")).volumes.map(\.name) == ["a", "b"])
        #expect(survey(volumes, TargetInventory(), ImportSelection(group: "vg1")).volumes.isEmpty)
        #expect(survey(volumes, TargetInventory(), ImportSelection(names: ["vg1/a"])).missing == ["vg1/a"])
    }

    // MARK: Names

    @Test func namesAreLabelsAndEachIsGivenOnce() {
        let uuid = "volume-0f2d8a0e-6a6c-4dfd-9a39-1b6c0d7a5d10"
        let names = ["Data_1", "data-1", "data.1", "_", uuid, String(repeating: "x", count: 100)]
        let found = survey(names.map { Self.volume($0) })
        #expect(
            found.volumes.map(\.name).sorted()
                == ["data-1", "data-1-2", "data-1-3", uuid, "volume", String(repeating: "x", count: 63)].sorted())
    }

    @Test func namesThatAreTakenStayWhoseTheyAre() {
        let desired = Sample.desired(volumes: ["data"])
        #expect(
            survey([Self.volume("data")], TargetInventory(), ImportSelection(), desired).volumes[0].name == "data-2")
        #expect(survey([Self.volume("db"), Sample.volume("db")]).volumes[0].name == "db-2")
        #expect(survey([Self.volume("data")], TargetInventory(), ImportSelection(), desired).volumes[0].pool == "fast")
    }

    @Test func aNodeIsNamedWhereTheOtherPoolsNameOne() {
        #expect(survey([Self.volume("a")]).pools[0].node == "storage1")
        var desired = DesiredState()
        desired.pools["other"] = Sample.declared("other", PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg9"))))
        #expect(survey([Self.volume("a")], TargetInventory(), ImportSelection(), desired).pools[0].node == nil)
    }

    @Test func severalInitiatorsAreToldApartAndShare() throws {
        let targets = Self.targets { target, _ in
            target.settings[.authentication] = false
            var second = target.acls[0]
            second.initiator = "iqn.2004-10.net.example:web1"
            second.sessions = []
            target.acls.append(second)
        }
        let volume = try #require(survey([Self.exported], targets).volumes.first)
        #expect(volume.attachments.map(\.name) == ["data-on-web1", "data-on-web1-2"])
        #expect(volume.attachments.allSatisfy { $0.chapUser == nil })
        #expect(volume.sharing == .writers)
    }
}
