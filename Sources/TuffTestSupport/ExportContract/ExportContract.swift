import Testing
package import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// The contract of every target stack, fake or real, as far as its capabilities go. A suite calls the functions one by
/// one on a machine of its own; each builds what it needs and takes it away again.
package struct ExportContract: Sendable {
    package var machine: any Machine
    package var driver: any ExportDriver
    package var kind: TargetDriver
    package var initiators: any ContractInitiators
    /// A device that exists, and another for somebody else's target.
    package var spec: BackstoreSpec
    package var other: BackstoreSpec
    package var portal: Portal
    /// Two secret files the machine may read, with different content.
    package var secrets: (SecretReference, SecretReference)
    package var key = FingerprintKey(bytes: Array("export contract".utf8))

    package let iqn = "iqn.2026-01.dev.tuff:contract"
    package let initiator = "iqn.2004-10.com.example:web1"
    package let stranger = "iqn.2004-10.com.example:stranger"
    /// The mark on the initiator's access, where there is room for one.
    package let mark = AccessMark(attachment: "db-on-web1", onRemove: .waitForLogout)

    package var capabilities: ExportCapabilities { .of(kind) }
    package var target: TargetRef { TargetRef(iqn: iqn, place: "") }

    package init(
        machine: any Machine, driver: any ExportDriver, kind: TargetDriver, initiators: any ContractInitiators,
        spec: BackstoreSpec, other: BackstoreSpec, portal: Portal, secrets: (SecretReference, SecretReference)
    ) {
        self.machine = machine
        self.driver = driver
        self.kind = kind
        self.initiators = initiators
        self.spec = spec
        self.other = other
        self.portal = portal
        self.secrets = secrets
    }

    // MARK: Building

    /// All steps of a new export, in the planner's order.
    package func building(readOnly: Bool = false, chap: CHAPCredentials? = nil) -> [ExportStep] {
        let values: [TargetSetting: Bool] = [
            .authentication: chap != nil, .generateNodeACLs: false, .cacheDynamicACLs: false,
            .demoModeWriteProtect: true, .demoModeDiscovery: false,
        ]
        var steps: [ExportStep] = [.createBackstore(spec), .createTarget(target)]
        steps += TargetSetting.allCases.filter(capabilities.settings.contains)
            .map { .set(target, $0, values[$0]!) }
        steps += [.addLUN(target, number: 0, spec), .createACL(target, initiator: initiator)]
        if capabilities.marksAccess { steps.append(.markACL(target, initiator: initiator, mark)) }
        if let chap { steps.append(.setCHAP(target, initiator: initiator, chap)) }
        steps.append(.mapLUN(target, initiator: initiator, number: 0, lun: 0, readOnly: readOnly))
        if capabilities.portalsPerTarget { steps.append(.addPortal(target, portal)) }
        return steps + [.enable(target)]
    }

    package func perform(_ steps: [ExportStep]) async throws {
        for batch in driver.lower(steps) { try await machine.perform(batch.actions) }
    }

    package func inventory() async throws -> TargetInventory {
        switch await driver.observe(machine, key: key) {
        case .known(let inventory): return inventory
        case .unknown(let error): throw error
        }
    }

    /// Our target and our backstore as they are now.
    package func ours() async throws -> ExportPair {
        let inventory = try await inventory()
        return ExportPair(
            target: inventory.targets.first { $0.iqn == iqn },
            backstore: inventory.backstores.first { $0.name == spec.name })
    }

    /// The inventory that must be observed after `building`.
    package func expected(readOnly: Bool = false, chap: ObservedCHAP = ObservedCHAP(), demanded: Bool = false)
        -> ExportPair
    {
        var settings: [TargetSetting: Bool] = [:]
        for setting in capabilities.settings { settings[setting] = setting == .demoModeWriteProtect }
        settings[.authentication] = demanded
        return ExportPair(
            target: ObservedTarget(
                iqn: iqn, enabled: true, settings: settings, portals: [portal],
                luns: [ObservedLUN(number: 0, backstore: spec.name)],
                acls: [
                    ObservedACL(
                        initiator: initiator,
                        mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: readOnly)], chap: chap,
                        mark: capabilities.marksAccess ? mark : nil)
                ]),
            backstore: ObservedBackstore(
                name: spec.name, place: "", path: spec.location.path, enabled: true, identity: spec.identity,
                size: capabilities.growsDevices && spec.location.isBlockDevice ? nil : spec.size,
                discard: spec.discard))
    }

    /// The steps that take away what is there of our export, in the planner's order.
    package func withdrawal(disconnecting: Bool = false) async throws -> [ExportStep] {
        let found = try await ours()
        var steps: [ExportStep] = []
        if let left = found.target {
            let target = TargetRef(iqn: iqn, place: left.place)
            steps += left.acls.map {
                .removeACL(
                    target, initiator: $0.initiator, mapped: $0.mappedLUNs.map(\.number), disconnecting: disconnecting)
            }
            if left.enabled { steps.append(.disable(target)) }
            steps += left.luns.map { .removeLUN(target, number: $0.number) }
            if capabilities.portalsPerTarget { steps += left.portals.map { .removePortal(target, $0) } }
            steps.append(.removeTarget(target))
        }
        if let backstore = found.backstore {
            steps.append(.removeBackstore(uid: spec.uid, place: backstore.place))
        }
        return steps
    }

    /// Takes our export away, whatever of it there is and whoever is logged in: an initiator that has just ended may be
    /// in the kernel's list a moment longer.
    package func takeAway() async throws {
        try await perform(withdrawal(disconnecting: true))
        let left = try await ours()
        #expect(left.target == nil && left.backstore == nil)
    }
}

/// A target and a backstore, either of which may be missing.
package struct ExportPair: Equatable, Sendable {
    package var target: ObservedTarget?
    package var backstore: ObservedBackstore?

    /// Without what only the machine chooses: places and device numbers.
    package var withoutPlaces: ExportPair {
        var copy = self
        copy.target?.place = ""
        copy.backstore?.place = ""
        copy.backstore?.device = nil
        return copy
    }

    package init(target: ObservedTarget?, backstore: ObservedBackstore?) {
        self.target = target
        self.backstore = backstore
    }
}

/// The view and the acts of initiators, by a fake stack's rules or with libiscsi's tools.
package protocol ContractInitiators: Sendable {
    func discovers(_ iqn: String, as initiator: String) async throws -> Bool
    /// Unit serial number of the LUN, nil where the initiator is not let in. `secret` is the CHAP secret's file.
    func serial(_ iqn: String, as initiator: String, chap: CHAPCredentials?) async throws -> String?
    func isWritable(_ iqn: String, as initiator: String) async throws -> Bool
    /// Runs `body` while the initiator is logged in, and ends the session afterwards.
    func holdingSession(_ iqn: String, as initiator: String, _ body: () async throws -> Void) async throws
}
