import Testing
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
}
