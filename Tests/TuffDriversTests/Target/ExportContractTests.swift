import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The contract of target stacks on the fake ones, whose rules were measured on the real ones.
@Suite struct ExportContractTests {
    enum Stack: String, CaseIterable { case lioDevice, lioFile, tgtFile }

    private func contract(_ stack: Stack) -> ExportContract {
        let size = ByteCount(64 << 20)
        var world = FakeWorld()
        world.files.addDirectory("/srv/pool")
        for name in ["v-ours", "v-theirs"] {
            world.files.addFile(name, in: "/srv/pool", size: size, isForeign: false)
            world.otherDevices["/dev/vg1/\(name)"] = size
            world.otherDeviceUUIDs["/dev/vg1/\(name)"] = "LVM-\(name)"
        }
        world.secrets = ["/etc/tuff/one": "first secret", "/etc/tuff/two": "second secret"]
        let portal = Portal(address: "127.0.0.1", port: 3260)
        world.tgt = FakeTgt(controlPort: 3, portals: [portal])
        let machine = FakeMachine(world)
        let kind: TargetDriver = stack == .tgtFile ? .tgt : .lio
        func spec(_ name: String, _ uid: String) -> BackstoreSpec {
            let uid = UID(uid)!
            let location: VolumeLocation =
                stack == .lioDevice
                ? .logicalVolume(group: "vg1", name: name) : .file(directory: "/srv/pool", name: name)
            return BackstoreSpec(
                uid: uid, location: location, deviceUUID: "LVM-\(name)", size: size,
                identity: DiskIdentity(serial: uid.serial), discard: true)
        }
        return ExportContract(
            machine: machine, driver: kind == .tgt ? TgtDriver(controlPort: 3) : LIODriver(), kind: kind,
            initiators: FakeInitiators(machine: machine, kind: kind), spec: spec("v-ours", "aaaabbbbccccdddd"),
            other: spec("v-theirs", "aaaabbbbccccddde"), portal: portal,
            secrets: (SecretReference(file: "/etc/tuff/one"), SecretReference(file: "/etc/tuff/two")))
    }

    @Test(arguments: Stack.allCases) func buildsAnExportThatOneInitiatorSees(_ stack: Stack) async throws {
        try await contract(stack).buildsAnExportThatOneInitiatorSees()
    }

    @Test(arguments: Stack.allCases) func keepsReadOnlyDisksFromBeingWritten(_ stack: Stack) async throws {
        try await contract(stack).keepsReadOnlyDisksFromBeingWritten()
    }

    @Test(arguments: Stack.allCases) func observesAndRepairsEachDifferenceAlone(_ stack: Stack) async throws {
        try await contract(stack).observesAndRepairsEachDifferenceAlone()
    }

    @Test(arguments: Stack.allCases) func demandsTheSecretsThatWereSet(_ stack: Stack) async throws {
        try await contract(stack).demandsTheSecretsThatWereSet()
    }

    @Test(arguments: Stack.allCases) func withdrawsOnlyWithoutASession(_ stack: Stack) async throws {
        try await contract(stack).withdrawsOnlyWithoutASession()
    }

    @Test(arguments: Stack.allCases) func handsADiskOverUnderLiveSessions(_ stack: Stack) async throws {
        try await contract(stack).handsADiskOverUnderLiveSessions()
    }

    @Test(arguments: Stack.allCases) func keepsAReaderBesideAWriterFromWriting(_ stack: Stack) async throws {
        try await contract(stack).keepsAReaderBesideAWriterFromWriting()
    }

    @Test(arguments: Stack.allCases) func leavesOtherPeoplesTargetsAlone(_ stack: Stack) async throws {
        try await contract(stack).leavesOtherPeoplesTargetsAlone()
    }

    @Test(arguments: Stack.allCases) func handsOutNothingThatTheKernelOpenedElsewhere(_ stack: Stack) async throws {
        try await contract(stack).handsOutNothingThatTheKernelOpenedElsewhere()
    }

    @Test(arguments: Stack.allCases) func makesAnewWhatWasNeverProven(_ stack: Stack) async throws {
        try await contract(stack).makesAnewWhatWasNeverProven()
    }

    @Test(arguments: Stack.allCases) func withdrawsWhatSomebodyHungSomethingBeneath(_ stack: Stack) async throws {
        try await contract(stack).withdrawsWhatSomebodyHungSomethingBeneath()
    }

    @Test(arguments: Stack.allCases) func withdrawsInFull(_ stack: Stack) async throws {
        try await contract(stack).withdrawsInFull()
    }

    @Test(arguments: Stack.allCases) func finishesAWithdrawalThatWasCutAnywhere(_ stack: Stack) async throws {
        try await contract(stack).finishesAWithdrawalThatWasCutAnywhere()
    }

    @Test(arguments: Stack.allCases) func cutsASessionOnlyWhenTold(_ stack: Stack) async throws {
        try await contract(stack).cutsASessionOnlyWhenTold()
    }

    @Test(arguments: Stack.allCases) func keepsATargetThatIsNotEmpty(_ stack: Stack) async throws {
        try await contract(stack).keepsATargetThatIsNotEmpty()
    }

    @Test(arguments: Stack.allCases) func disablesAndEnables(_ stack: Stack) async throws {
        try await contract(stack).disablesAndEnables()
    }

    @Test func keepsAnExportThroughARename() async throws {
        var contract = contract(.lioDevice)
        let machine = try #require(contract.machine as? FakeMachine)
        let location = VolumeLocation.logicalVolume(group: "vg0", name: "v-old")
        contract.spec.location = location
        machine.meddle { try? $0.lvm.create("v-old", in: "vg0", pool: "tp0", size: contract.spec.size) }
        contract.spec.deviceUUID = machine.world.deviceUUID(location.path)
        try await contract.keepsAnExportThroughARename(
            [.run(Command("lvm", ["lvrename", "-qq", "--", "vg0", "v-old", "v-new"], effect: .mutates))],
            to: .logicalVolume(group: "vg0", name: "v-new"))
    }

    @Test func nothingThatHoldsASecretIsReadBack() {
        let step = ExportStep.setCHAP(
            TargetRef(iqn: "\(Sample.iqnBase):db", place: ""), initiator: Sample.initiator, nil)
        var cleared: [String] = []
        for case .writeAttribute(let path, "NULL", let verify) in LIODriver().lower([step]).flatMap(\.actions)
        where path.relative.contains("/password") {
            #expect(!verify, "\(path)")
            cleared.append(path.relative)
        }
        #expect(cleared.count == 2)
    }
}
