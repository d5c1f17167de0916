import FoundationEssentials
import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The contract of target stacks on the kernel's own LIO, seen by libiscsi's initiator.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct TargetLabTests {
    static let ours = "7rimx42aoq3ekfzp"
    static let theirs = "7rimx42aoq3ekfzq"
    static let size = ByteCount(64 << 20)
    static let folder = "/run/tuff-target"
    static let portal = Portal(address: "127.0.0.1", port: 3266)

    /// Runs a body on thin volumes, then on files.
    private func onBothKindsOfDevice(_ body: (ExportContract) async throws -> Void) async throws {
        let machine = Lab.machine(beneath: ["/run"])
        let disk = try #require(Lab.disks.dropFirst().first)
        try FileManager.default.createDirectory(atPath: Self.folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: Self.folder) }
        var secrets: [SecretReference: String] = [:]
        for name in ["one", "two"] {
            let path = "\(Self.folder)/\(name)"
            let text = String(UInt64.random(in: 1 << 62...UInt64.max), radix: 16)
            #expect(
                FileManager.default.createFile(
                    atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]))
            secrets[SecretReference(file: path)] = text
        }
        try await machine.perform(Self.prepare(disk))
        for isBlockDevice in [true, false] {
            try await body(Self.contract(machine, secrets, isBlockDevice: isBlockDevice))
        }
        try await machine.perform([
            .run(Lab.lvm(["vgremove", "-qq", "--yes", "targets"])), .run(Lab.lvm(["pvremove", "-qq", disk])),
        ])
    }

    private static func prepare(_ disk: String) -> [HostAction] {
        var actions: [HostAction] = [
            .run(Lab.lvm(["vgcreate", "-qq", "--yes", "targets", disk])),
            .run(
                Lab.lvm([
                    "lvcreate", "-qq", "--yes", "--type", "thin-pool", "--size", "1g", "--name", "pool", "targets",
                ])),
        ]
        for (name, uid) in [("v-ours", ours), ("v-theirs", theirs)] {
            actions += [
                .run(
                    Lab.lvm([
                        "lvcreate", "-qq", "--yes", "--type", "thin", "--virtualsize", "64m", "--thinpool", "pool",
                        "--name", name, "--addtag", "tuff:uid=\(uid)", "targets",
                    ])),
                .createFile(HostPath(.directory(folder), name), size: size),
            ]
        }
        return actions + [LogicalVolumeNames.identification(of: [UID(ours)!, UID(theirs)!], in: "targets")]
    }

    private static func contract(
        _ machine: LinuxMachine, _ secrets: [SecretReference: String], isBlockDevice: Bool
    ) -> ExportContract {
        func spec(_ name: String, _ uid: String) -> BackstoreSpec {
            let uid = UID(uid)!
            return BackstoreSpec(
                uid: uid,
                location: isBlockDevice
                    ? .logicalVolume(group: "targets", name: name) : .file(directory: folder, name: name),
                size: size, identity: DiskIdentity(serial: uid.serial), discard: true)
        }
        let files = secrets.keys.sorted()
        return ExportContract(
            machine: machine, driver: LIODriver(), kind: .lio,
            initiators: LibiscsiInitiators(machine: machine, portal: portal, kind: .lio, secrets: secrets),
            spec: spec("v-ours", ours), other: spec("v-theirs", theirs), portal: portal,
            secrets: (files[0], files[1]))
    }

    @Test func buildsAnExportThatOneInitiatorSees() async throws {
        try await onBothKindsOfDevice { try await $0.buildsAnExportThatOneInitiatorSees() }
    }

    @Test func keepsReadOnlyDisksFromBeingWritten() async throws {
        try await onBothKindsOfDevice { try await $0.keepsReadOnlyDisksFromBeingWritten() }
    }

    @Test func observesAndRepairsEachDifferenceAlone() async throws {
        try await onBothKindsOfDevice { try await $0.observesAndRepairsEachDifferenceAlone() }
    }

    @Test func demandsTheSecretsThatWereSet() async throws {
        try await onBothKindsOfDevice { try await $0.demandsTheSecretsThatWereSet() }
    }

    @Test func withdrawsOnlyWithoutASession() async throws {
        try await onBothKindsOfDevice { try await $0.withdrawsOnlyWithoutASession() }
    }

    @Test func handsOutNothingThatTheKernelOpenedElsewhere() async throws {
        try await onBothKindsOfDevice { try await $0.handsOutNothingThatTheKernelOpenedElsewhere() }
    }

    /// With the component itself exchanged for a link, as a person does who may write to the folder it is in.
    @Test func refusesAFileBehindALinkThatCameMeanwhile() async throws {
        try await onBothKindsOfDevice { contract in
            guard !contract.spec.location.isBlockDevice else { return }
            let pool = "/run/tuff-exchanged/pool", decoy = "/run/tuff-exchanged/decoy", files = FileManager.default
            for folder in [pool, decoy] {
                try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try await contract.machine.perform([
                    .createFile(HostPath(.directory(folder), "v-ours"), size: Self.size)
                ])
            }
            defer { try? files.removeItem(atPath: "/run/tuff-exchanged") }
            var contract = contract
            contract.spec.location = .file(directory: pool, name: "v-ours")
            // The kernel is told of a path whose folder is a link by now; what is expected is opened where it was.
            try files.createSymbolicLink(atPath: "/run/tuff-exchanged/link", withDestinationPath: decoy)
            let actions = contract.driver.lower([.createBackstore(contract.spec)]).flatMap(\.actions).map {
                action -> HostAction in
                guard case .writeAttribute(let path, let value, _) = action, path.relative.hasSuffix("/control") else {
                    return action
                }
                return .writeAttribute(
                    path, value.replacing(pool, with: "/run/tuff-exchanged/link"), verify: false)
            }
            let error = await #expect(throws: HostError.self) { try await contract.machine.perform(actions) }
            #expect(error?.sentence.contains("the kernel did not open that file") == true)
            #expect(try await contract.ours().backstore == nil)
            try await contract.perform([.createBackstore(contract.spec)])
            #expect(try await contract.ours().backstore?.identity?.serial == contract.spec.identity.serial)
            try await contract.takeAway()
        }
    }

    @Test func makesAnewWhatWasNeverProven() async throws {
        try await onBothKindsOfDevice { try await $0.makesAnewWhatWasNeverProven() }
    }

    @Test func withdrawsWhatSomebodyHungSomethingBeneath() async throws {
        try await onBothKindsOfDevice { try await $0.withdrawsWhatSomebodyHungSomethingBeneath() }
    }

    @Test func withdrawsInFull() async throws {
        try await onBothKindsOfDevice { try await $0.withdrawsInFull() }
    }

    @Test func finishesAWithdrawalThatWasCutAnywhere() async throws {
        try await onBothKindsOfDevice { try await $0.finishesAWithdrawalThatWasCutAnywhere() }
    }

    @Test func cutsASessionOnlyWhenTold() async throws {
        try await onBothKindsOfDevice { try await $0.cutsASessionOnlyWhenTold() }
    }

    @Test func keepsATargetThatIsNotEmpty() async throws {
        try await onBothKindsOfDevice { try await $0.keepsATargetThatIsNotEmpty() }
    }

    @Test func disablesAndEnables() async throws {
        try await onBothKindsOfDevice { try await $0.disablesAndEnables() }
    }

    @Test func keepsAnExportThroughARename() async throws {
        try await onBothKindsOfDevice { contract in
            guard contract.spec.location.isBlockDevice else { return }
            let rename = Lab.lvm(["lvrename", "-qq", "--", "targets", "v-ours", "v-renamed"])
            try await contract.keepsAnExportThroughARename(
                [.run(rename)], to: .logicalVolume(group: "targets", name: "v-renamed"))
        }
    }

    @Test func handsADiskOverUnderLiveSessions() async throws {
        try await onBothKindsOfDevice { try await $0.handsADiskOverUnderLiveSessions() }
    }

    @Test func keepsAReaderBesideAWriterFromWriting() async throws {
        try await onBothKindsOfDevice { try await $0.keepsAReaderBesideAWriterFromWriting() }
    }

    @Test func leavesOtherPeoplesTargetsAlone() async throws {
        try await onBothKindsOfDevice { try await $0.leavesOtherPeoplesTargetsAlone() }
    }

    /// Company 001405 (OpenFabrics, LIO's), then the serial's digits: all 80 bits of the uid reach the initiator.
    @Test func theUidIsInTheDesignatorThatInitiatorsRemember() async throws {
        try await onBothKindsOfDevice { contract in
            let initiators = try #require(contract.initiators as? LibiscsiInitiators)
            try await contract.perform(contract.building())
            let naa = try #require(try await initiators.naa(contract.iqn, as: contract.initiator))
            let wanted = "6001405" + contract.spec.uid.serial
            #expect(naa.count >= wanted.count && naa.hasPrefix(wanted))
            try await contract.takeAway()
        }
    }

    /// Understanding 100 targets costs at most half of what reading their files costs.
    @Test func understandingManyTargetsCostsLittleBesideReadingThem() async throws {
        try await onBothKindsOfDevice { contract in
            guard contract.spec.location.isBlockDevice else { return }
            let machine = contract.machine
            let targets = (0..<100).map { TargetRef(iqn: "iqn.2026-01.dev.tuff:many\($0)", place: "") }
            try await contract.perform([.createBackstore(contract.spec)])
            let clock = ContinuousClock()
            let built = try await clock.measure {
                for target in targets {
                    let steps: [ExportStep] = [
                        .createTarget(target), .addLUN(target, number: 0, contract.spec),
                        .createACL(target, initiator: contract.initiator),
                        .mapLUN(target, initiator: contract.initiator, number: 0, lun: 0, readOnly: false),
                        .addPortal(target, contract.portal), .enable(target),
                    ]
                    // All of a target in one request, as the executor does.
                    try await machine.perform(contract.driver.lower(steps).flatMap(\.actions))
                }
            }
            var best = (observe: Duration.seconds(60), bare: Duration.seconds(60))
            for _ in 0..<5 {
                best.observe = min(best.observe, try await clock.measure { _ = try await contract.inventory() })
                best.bare = min(
                    best.bare,
                    try await clock.measure {
                        _ = try await machine.readTree(
                            .targetConfiguration, LIODriver.queries, key: contract.key)
                    })
            }
            print("100 targets: built in \(built), observed in \(best.observe), their files read in \(best.bare)")
            #expect(best.observe < best.bare * 1.5)
            for target in targets {
                try await contract.perform([
                    .removeACL(target, initiator: contract.initiator, mapped: [0], disconnecting: false),
                    .removeLUN(target, number: 0),
                    .removePortal(target, contract.portal), .removeTarget(target),
                ])
            }
            try await contract.takeAway()
        }
    }
}
