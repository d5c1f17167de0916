import Testing
import TuffConfig
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

/// Documents for what is there already.
@Suite struct ImportViewTests {
    private static let cinder = "volume-0f2d8a0e-6a6c-4dfd-9a39-1b6c0d7a5d10"

    private func volume(_ name: String, gib: Int64, minor: Int, pool: String? = "tp0") -> LogicalVolume {
        LogicalVolume(
            name: name, uuid: "uuid-\(name)", size: ByteCount(gib << 30), layout: pool == nil ? .linear : .thin,
            active: true, open: true, pool: pool, device: DeviceNumber(major: 254, minor: minor))
    }

    /// A backstore, and a target with it as LUN 0 and one initiator with CHAP.
    private func export(_ iqn: String, _ store: String, minor: Int, serial: String, portal: String) -> TargetInventory {
        let acl = ObservedACL(
            initiator: Examples.host, mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: false)],
            chap: ObservedCHAP(
                user: "web1", password: World.print, mutualUser: "storage1", mutualPassword: World.print),
            sessions: [ObservedSession(state: "LOGGED_IN", addresses: ["192.0.2.21"])])
        return TargetInventory(
            backstores: [
                ObservedBackstore(
                    name: store, place: "iblock_\(minor)", path: nil, enabled: true,
                    identity: DiskIdentity(serial: serial, vendor: "", product: ""),
                    device: DeviceNumber(major: 254, minor: minor))
            ],
            targets: [
                ObservedTarget(
                    iqn: iqn, enabled: true, settings: [.authentication: true],
                    portals: [Portal(address: portal)], luns: [ObservedLUN(number: 0, backstore: store)], acls: [acl])
            ])
    }

    private func observed() -> ObservedState {
        let pool = LogicalVolume(
            name: "tp0", uuid: "uuid-tp0", size: ByteCount(380 << 30), layout: .thinPool, active: true)
        let group = VolumeGroup(
            name: "vg0", uuid: "uuid-vg0", size: ByteCount(500 << 30), free: ByteCount(100 << 30),
            logicalVolumes: [
                pool, volume("Data_1", gib: 20, minor: 3), volume(Self.cinder, gib: 10, minor: 4),
                volume("root", gib: 30, minor: 0, pool: nil),
                LogicalVolume(
                    name: "before", uuid: "uuid-before", size: ByteCount(20 << 30), pool: "tp0", origin: "Data_1"),
            ])
        var targets = export(
            "iqn.2003-01.org.linux-iscsi.storage1:data", "disk1", minor: 3,
            serial: "3f1b0c52-5a9e-4a0f-9c5e-2f7a6f1d0b11", portal: "192.0.2.77")
        let second = export(
            "iqn.2010-10.org.openstack:\(Self.cinder)", "iqn.2010-10.org.openstack:\(Self.cinder)", minor: 4,
            serial: "0b9d2f60-9d5e-4c0d-8e0e-6f4f0f6b1a22", portal: "0.0.0.0")
        targets.backstores += second.backstores
        targets.targets += second.targets
        return ObservedState(
            takenAt: Examples.context.now, volumeGroups: ObservationMap(["vg0": .known(group)]),
            targets: .known(targets))
    }

    private func view(_ observed: ObservedState, _ desired: DesiredState = DesiredState()) -> ImportView {
        ImportView(
            ImportSurvey(ImportSelection(), observed: observed, desired: desired, context: Examples.context),
            config: Examples.context.config)
    }

    private func load(_ texts: String...) -> (state: DesiredState?, diagnostics: [Diagnostic]) {
        let loaded = ConfigLoader.load(
            texts.enumerated().map { ConfigSource(path: "\($0.offset).yaml", text: Array($0.element.utf8)) })
        return (loaded.state, loaded.diagnostics)
    }

    @Test func whatIsThereBecomesDocumentsThatAreValid() throws {
        let text = view(observed()).text(Style())
        expectGolden(text, "Golden/import.yaml")
        let (state, diagnostics) = load(text)
        #expect(diagnostics.isEmpty, "\(diagnostics)")
        let volume = try #require(state?.volumes["data-1"])
        #expect(volume.metadata.importedFrom == "vg0/Data_1")
        #expect(volume.spec.identity?.serial == "3f1b0c52-5a9e-4a0f-9c5e-2f7a6f1d0b11")
        #expect(state?.attachments.count == 2 && state?.volumes.count == 2)
        expectGolden(view(observed()).document.json, "Golden/import.json")
    }

    /// Importing with these documents at hand has nothing more to say.
    @Test func whatIsDeclaredIsNotWrittenAgain() throws {
        let (state, _) = load(view(observed()).text(Style()))
        let again = view(observed(), try #require(state)).text(Style())
        #expect(!again.contains("---") && again.contains("Declared by the documents given: vg0/Data_1"), "\(again)")
    }

    @Test func aNameThatWantsToBeACommentStaysOne() {
        var observed = observed()
        observed.volumeGroups = ObservationMap([
            "vg0": .unknown(HostError(.failed, "broken\n---\nkind: Volume\u{1b}[31m"))
        ])
        let text = view(observed).text(Style())
        #expect(text.split(separator: "\n").allSatisfy { $0.hasPrefix("#") }, "\(text)")
        #expect(!text.contains("\u{1b}"))
    }

    /// Whatever other people called their things, the documents are valid: alone, and beside those there are already.
    @Test func documentsAreValidWhateverThingsAreCalled() throws {
        let seed = environment("TUFF_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let letters = Array("aZ09_+.-x")
        func name(_ longest: Int) -> String {
            let count = Int.random(in: 1...longest, using: &generator)
            let rest = (0..<count).map { _ in letters.randomElement(using: &generator) ?? "a" }
            return "q" + String(rest)
        }
        for _ in 0..<60 {
            let groupName = name(50)
            var volumes = [LogicalVolume(name: "tp0", uuid: "tp0", size: ByteCount(1 << 40), layout: .thinPool)]
            var inventory = TargetInventory()
            for minor in 1...12 {
                // LVM has each name once in a group.
                var name = name(70)
                if volumes.contains(where: { $0.name == name }) { name += "-\(minor)" }
                volumes.append(volume(name, gib: 1, minor: minor, pool: minor.isMultiple(of: 3) ? nil : "tp0"))
                let one = export(
                    "iqn.2003-01.org.linux:\(minor)", name, minor: minor,
                    serial: Bool.random(using: &generator) ? "1e5" : "0",
                    portal: "192.0.2.\(minor)")
                inventory.backstores += one.backstores
                inventory.targets += one.targets
            }
            let group = VolumeGroup(
                name: groupName, uuid: "uuid", size: ByteCount(1 << 40), free: .zero, logicalVolumes: volumes)
            let observed = ObservedState(
                takenAt: Examples.context.now, volumeGroups: ObservationMap([groupName: .known(group)]),
                targets: .known(inventory))
            let (alone, faults) = load(view(observed).text(Style()))
            #expect(faults.isEmpty && alone?.volumes.count == 12, "seed \(seed): \(faults)")
            var desired = DesiredState()
            desired.volumes["q"] = World.desired().volumes["archive"]
            #expect(load(view(observed, desired).text(Style())).diagnostics.isEmpty, "seed \(seed)")
        }
    }
}
