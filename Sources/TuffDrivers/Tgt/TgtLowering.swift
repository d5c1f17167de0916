import TuffHost
import TuffModel
import TuffPlanning

/// The `tgtadm` commands of each step.
///
/// tgtadm ends with status 22 whatever it refuses. Where a repetition after a crash is refused because the thing is
/// there already, 22 is let pass; the observation that ends every pass tells whether it is what was wanted.
struct TgtLowering {
    let driver: TgtDriver

    private static let done: [Int32] = [0]
    private static let doneBefore: [Int32] = [0, 22]

    func actions(_ step: ExportStep) -> [HostAction] {
        switch step {
        // A backstore is nothing apart from its LUN here.
        case .createBackstore, .relabelBackstore, .removeBackstore: []
        // tgtd has none of these; the observer tells of none.
        case .resetBackstore, .reactivateLUN, .resetLoginMethods: []
        // tgtd keeps reservations in its memory (keepsReservations).
        case .keepReservations: []
        case .repairBackstore(let spec, let enable): repairBackstore(spec, enable: enable)
        case .createTarget(let target):
            // Must be new: a number or a name that is taken is somebody else's.
            [run(["--op", "new", "--mode", "target", "--tid", tid(target), "--targetname", target.iqn])]
        case .set(let target, let setting, let on):
            setting == .authentication && !on ? unbindAccounts(target) : []
        case .addLUN(let target, let number, let spec): addLUN(target, number: number, spec: spec)
        case .removeLUN(let target, let number):
            [idle(target), unit(target, number: number, operation: "delete", rest: [])]
        // An initiator is let in where the LUN is made read-only or writable, not before: a rule takes effect at once.
        case .createACL: []
        case .mapLUN(let target, let initiator, let number, _, let readOnly):
            [
                readOnly
                    ? readOnlyUnit(target, number: number, readOnly: true)
                    : readOnlyUnit(target, number: number, readOnly: false)
            ]
                + [rule("bind", target: target, initiator: initiator, statuses: Self.doneBefore)]
        // The LUN itself goes with removeLUN; there is no mapping apart from it.
        case .unmapLUN: []
        case .setReadOnly(let target, _, let number, let readOnly):
            [readOnlyUnit(target, number: number, readOnly: readOnly)]
        case .removeACL(let target, let initiator, _, let disconnecting):
            // A session goes on without its rule. A rule for an address lets in whoever comes from there.
            (disconnecting ? [] : [idle(target, Self.isName(initiator) ? initiator : nil)])
                + [rule("unbind", target: target, initiator: initiator, statuses: Self.doneBefore)]
        case .enable(let target): [setState(target, "ready")]
        case .disable(let target): [setState(target, "offline")]
        // tgtd deletes a target with its LUNs, and refuses one with a session.
        case .removeTarget(let target):
            [idle(target), run(["--op", "delete", "--mode", "target", "--tid", tid(target)])]
        // No secret enters argv (ExportCapabilities.chap), and portals are the whole daemon's (portalsPerTarget).
        // A rule has no room for a mark (marksAccess).
        case .setCHAP, .protectSecrets, .addPortal, .removePortal, .markACL: []
        }
    }

    private func run(_ arguments: [String], _ statuses: [Int32] = done) -> HostAction {
        .run(Command("tgtadm", driver.base + arguments, effect: .mutates, successStatuses: statuses))
    }

    private func setState(_ target: TargetRef, _ state: String) -> HostAction {
        run(["--op", "update", "--mode", "target", "--tid", tid(target), "--name", "state", "--value", state])
    }

    private func tid(_ target: TargetRef) -> String { String(TgtNames.tid(of: target)) }

    private func unit(
        _ target: TargetRef, number: Int, operation: String, rest: [String]
    ) -> HostAction {
        run(
            ["--op", operation, "--mode", "logicalunit", "--tid", tid(target), "--lun", String(number + 1)] + rest)
    }

    private func readOnlyUnit(_ target: TargetRef, number: Int, readOnly: Bool) -> HostAction {
        unit(target, number: number, operation: "update", rest: ["--params", "readonly=\(readOnly ? 1 : 0)"])
    }

    /// tgtadm takes no parameters with `new`, so a crash may leave a LUN without its name. It is told from others' by
    /// the number of its target (`TgtDecoder`), and named here. A LUN that is there though none was seen is somebody
    /// else's: `new` then fails, and the next observation tells whose it is. Read-only until
    /// it is mapped, because a rule of before may already let an initiator in.
    private func addLUN(_ target: TargetRef, number: Int, spec: BackstoreSpec) -> [HostAction] {
        let parameters = [
            "scsi_id=\(spec.name)", "scsi_sn=\(spec.identity.serial)", "vendor_id=\(spec.identity.vendor)",
            "product_id=\(spec.identity.product)", "thin_provisioning=\(spec.discard ? 1 : 0)", "readonly=1",
        ]
        // tgtd opens the path with `new`; until the LUN is named and mapped it is read-only and no initiator's.
        var device: [HostAction] = []
        if case .logicalVolume(let group, let name) = spec.location {
            device = [.require(.device(group: group, name: name, uid: spec.uid, uuid: spec.deviceUUID))]
        }
        let new = unit(
            target, number: number, operation: "new",
            rest:  // O_SYNC: what was acknowledged is on the disk, as with LIO's files.
            ["--backing-store", spec.location.path, "--bsoflags", "sync"])
        return device + (spec.isBegun ? [] : [new]) + [
            unit(target, number: number, operation: "update", rest: ["--params", parameters.joined(separator: ",")])
        ]
    }

    private func repairBackstore(_ spec: BackstoreSpec, enable: Bool) -> [HostAction] {
        guard let (tid, lun) = TgtNames.address(spec.place) else { return [] }
        let parameters = (enable ? ["online=1"] : []) + ["thin_provisioning=\(spec.discard ? 1 : 0)"]
        return [
            run([
                "--op", "update", "--mode", "logicalunit", "--tid", String(tid), "--lun", String(lun), "--params",
                parameters.joined(separator: ","),
            ])
        ]
    }

    private func unbindAccounts(_ target: TargetRef) -> [HostAction] {
        TgtNames.accounts(of: target).map { user in
            run(["--op", "unbind", "--mode", "account", "--tid", tid(target), "--user", user])
        }
    }

    /// Rules name initiators or addresses; Tuff makes the former, and removes either.
    private func rule(
        _ operation: String, target: TargetRef, initiator: String, statuses: [Int32]
    ) -> HostAction {
        run(
            [
                "--op", operation, "--mode", "target", "--tid", tid(target),
                Self.isName(initiator) ? "--initiator-name" : "--initiator-address", initiator,
            ], statuses)
    }

    private static func isName(_ initiator: String) -> Bool {
        ["iqn.", "eui.", "naa."].contains { initiator.hasPrefix($0) }
    }

    /// - Parameter initiator: nil: nobody at all may be logged in.
    private func idle(_ target: TargetRef, _ initiator: String? = nil) -> HostAction {
        .require(
            .tgtIdle(
                controlPort: driver.controlPort, tid: TgtNames.tid(of: target), iqn: target.iqn, initiator: initiator))
    }
}
