import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

@Suite struct SecretPlanTests {
    let file = "/etc/tuff/secrets/web1"

    func desired() -> DesiredState {
        var desired = Sample.desired(attached: ["db"])
        desired.attachments["db-on-web1"]!.spec.chap = CHAPSpec(
            initiator: CHAPCredential(user: "web1", password: SecretReference(file: file)))
        return desired
    }

    func plan(
        _ secrets: ObservationMap<SecretFingerprint>, driver: TargetDriver = .lio,
        _ edit: (inout ObservedTarget, inout ObservedBackstore) -> Void = { _, _ in }
    ) -> Plan {
        var observed = Sample.observed([Sample.volume(active: true)], targets: Sample.export(edit))
        observed.secrets = secrets
        var context = Sample.context()
        context.config.targetDriver = driver
        return Planner.plan(desired: desired(), observed: observed, context: context)
    }

    let known = ObservationMap(["/etc/tuff/secrets/web1": .known(SecretFingerprint(text: "0123456789abcdef"))])

    @Test func equalSecretsNeedNothing() {
        let plan = plan(known) { target, _ in
            target.settings[.authentication] = true
            target.acls[0].chap = ObservedCHAP(user: "web1", password: SecretFingerprint(text: "0123456789abcdef"))
        }
        #expect(plan.isEmpty)
    }

    @Test func aChangedSecretIsWrittenAndShownAsSensitive() {
        let plan = plan(known) { target, _ in
            target.settings[.authentication] = true
            target.acls[0].chap = ObservedCHAP(user: "web1", password: SecretFingerprint(text: "ffffffffffffffff"))
        }
        let change = plan.changes.first { $0.resource.kind == .attachment }
        #expect(change?.differences == [FieldDifference("chap.password", from: "(sensitive)", to: "(sensitive)")])
        #expect(plan.steps.count == 1)
    }

    @Test func authenticationIsDemandedBeforeCredentialsAreSet() {
        let plan = plan(known)
        let names = plan.steps.map { "\($0.step)" }
        #expect(names.count == 2)
        #expect(names[0].contains("authentication"))
        #expect(names[1].contains("setCHAP"))
    }

    @Test func aMissingOrRefusedSecretStallsItsAttachmentOnly() {
        let refused = HostError(.refused, "secret file /etc/tuff/secrets/web1 may be read by others; chmod 0600 it")
        for secrets in [ObservationMap<SecretFingerprint>(), ObservationMap([file: .unknown(refused)])] {
            let plan = plan(secrets)
            #expect(plan.isEmpty)
            #expect(plan.changes.first { $0.resource.kind == .attachment }?.reason == .secretUnavailable)
        }
    }

    @Test func aDriverThatWouldShowTheSecretIsRefused() {
        let plan = plan(known, driver: .tgt)
        #expect(plan.isEmpty)
        #expect(plan.changes.first { $0.resource.kind == .attachment }?.reason == .driverCannot)
    }

    // MARK: Secrets that do not do what they are for

    private static let mutualFile = "/etc/tuff/secrets/storage"

    private func mutual(_ password: SecretFingerprint, _ mutual: SecretFingerprint) -> PlannedChange? {
        var desired = desired()
        desired.attachments["db-on-web1"]!.spec.chap?.mutual = CHAPCredential(
            user: "storage1", password: SecretReference(file: Self.mutualFile))
        var observed = Sample.observed([Sample.volume(active: true)], targets: TargetInventory())
        observed.secrets = ObservationMap([file: .known(password), Self.mutualFile: .known(mutual)])
        return Planner.plan(desired: desired, observed: observed, context: Sample.context()).changes.first {
            $0.resource.kind == .attachment
        }
    }

    private func secret(_ text: String) -> SecretFingerprint {
        FakeFingerprint.of(text, key: FingerprintKey(bytes: [1]))
    }

    /// open-iscsi does not log in then (RFC 7143 section 9.2.1).
    @Test func oneSecretForBothDirectionsIsRefused() throws {
        let same = try #require(mutual(secret("a secret of both"), secret("a secret of both")))
        #expect(same.action == .blocked && same.reason == .secretUnusable)
        #expect(same.summary.contains(file) && same.summary.contains(Self.mutualFile))
        #expect(mutual(secret("the initiator's own"), secret("the target's own one"))?.action == .create)
    }

    @Test func aSecretOfAnotherAttachmentsTargetIsRefusedToo() throws {
        var desired = Sample.desired(volumes: ["db", "logs"], attached: ["db", "logs"])
        for (name, files) in [
            ("db-on-web1", ["/etc/tuff/secrets/a", "/etc/tuff/secrets/b"]),
            ("logs-on-web1", ["/etc/tuff/secrets/c", "/etc/tuff/secrets/d"]),
        ] {
            desired.attachments[name]!.spec.chap = CHAPSpec(
                initiator: CHAPCredential(user: "web1", password: SecretReference(file: files[0])),
                mutual: CHAPCredential(user: "storage1", password: SecretReference(file: files[1])))
        }
        var observed = Sample.observed([
            Sample.volume(active: true), Sample.volume("logs", uid: Sample.uid(2), active: true),
        ])
        observed.secrets = ObservationMap([
            "/etc/tuff/secrets/a": .known(secret("one, in two files")),
            "/etc/tuff/secrets/b": .known(secret("two, in one file")),
            "/etc/tuff/secrets/c": .known(secret("three, in one file")),
            "/etc/tuff/secrets/d": .known(secret("one, in two files")),
        ])
        let plan = Planner.plan(desired: desired, observed: observed, context: Sample.context())
        let changes = plan.changes.filter { $0.resource.kind == .attachment }
        #expect(changes.map(\.reason) == [.secretUnusable, .secretUnusable])
        #expect(changes.allSatisfy { $0.summary.contains("-on-web1'") })
    }

    @Test func lengthAndBlanksAreSaid() throws {
        func planned(_ text: String) -> PlannedChange? { mutual(secret(text), secret("the target's own one")) }
        let long = try #require(planned(String(repeating: "x", count: 256)))
        #expect(long.action == .blocked && long.reason == .secretUnusable && long.summary.contains("255 bytes"))
        #expect(planned(String(repeating: "x", count: 255))?.notes.isEmpty == true)
        #expect(planned("eleven byte")?.notes.contains { $0.contains("less than 12 bytes") } == true)
        #expect(planned("twelve bytes")?.notes.isEmpty == true)
        #expect(planned("ends with a blank ")?.notes.contains { $0.contains("ends with a blank") } == true)
    }
}
