import TuffHost
import TuffModel
import TuffPlanning

/// The actions of each step on the tree. Every sequence may be cut anywhere and be run again.
enum LIOLowering {
    static func actions(_ step: ExportStep) -> [HostAction] {
        switch step {
        case .createBackstore(let spec): makeBackstore(spec)
        // What is begun is begun anew: nobody can tell what the kernel opened for it.
        case .repairBackstore(let spec, let enable):
            enable ? removeObject(LIOPath.backstore(spec)) + makeBackstore(spec) : [discard(spec)]
        case .resetBackstore(let spec, let setting):
            [write("\(LIOPath.backstore(spec))/attrib/\(setting.rawValue)", setting.isOn ? "1" : "0")]
        case .relabelBackstore(let spec): [write("\(LIOPath.backstore(spec))/udev_path", spec.location.path)]
        case .removeBackstore(let uid, let place): removeBackstore(uid, place)
        case .keepReservations(let spec, let restoring):
            [
                .keepReservations(
                    .target(LIOPath.backstore(spec)), serial: spec.identity.serial, restoring: restoring)
            ]
        case .createTarget(let target):
            // mkdir of `iscsi` loads the kernel module.
            ["iscsi", "iscsi/\(target.iqn)", LIOPath.group(target.iqn)].map { .makeDirectory(.target($0)) }
        case .set(let target, let setting, let on):
            [write("\(LIOPath.group(target.iqn))/attrib/\(setting.rawValue)", on ? "1" : "0")]
        case .addLUN(let target, let number, let spec): addLUN(target, number: number, spec: spec)
        case .removeLUN(let target, let number): removeLinked(LIOPath.lun(target.iqn, number))
        case .reactivateLUN(let target, let number, let spec): reactivate(LIOPath.lun(target.iqn, number), spec)
        // The kernel cuts the last character off, which it takes for a newline (iscsi_target_configfs.c).
        case .resetLoginMethods(let target, let demanding):
            [
                write(
                    "\(LIOPath.group(target.iqn))/\(LIOPath.loginMethods)", demanding ? "CHAP\n" : "CHAP,None\n",
                    verify: false)
            ]
        case .createACL(let target, let initiator): [.makeDirectory(.target(LIOPath.acl(target.iqn, initiator)))]
        case .setCHAP(let target, let initiator, let credentials):
            setCHAP(target, initiator: initiator, credentials: credentials)
        case .protectSecrets(let target, let initiator): protectSecrets(target, initiator)
        case .mapLUN(let target, let initiator, let number, let lun, let readOnly):
            mapLUN(
                target, mapped: LIOPath.mapped(target.iqn, initiator: initiator, number: number), lun: lun,
                readOnly: readOnly)
        case .unmapLUN(let target, let initiator, let number):
            [.require(.noSession(.target(LIOPath.acl(target.iqn, initiator))))]
                + removeLinked(LIOPath.mapped(target.iqn, initiator: initiator, number: number))
        case .setReadOnly(let target, let initiator, let number, let readOnly):
            [
                write(
                    "\(LIOPath.mapped(target.iqn, initiator: initiator, number: number))/write_protect",
                    readOnly ? "1" : "0")
            ]
        case .markACL(let target, let initiator, let mark):
            [write("\(LIOPath.acl(target.iqn, initiator))/tag", mark.text)]
        case .removeACL(let target, let initiator, let mapped, let disconnecting):
            removeACL(target, initiator: initiator, mapped: mapped, disconnecting: disconnecting)
        case .addPortal(let target, let portal):
            [.makeDirectory(.target("\(LIOPath.group(target.iqn))/np/\(portal)"))]
        case .removePortal(let target, let portal):
            [.removeDirectory(.target("\(LIOPath.group(target.iqn))/np/\(portal.objectName)"))]
        case .enable(let target): [write("\(LIOPath.group(target.iqn))/enable", "1")]
        case .disable(let target): [write("\(LIOPath.group(target.iqn))/enable", "0")]
        // rmdir takes what the kernel made (`acls`, `lun`, `np`, `statistics` …) along, and is refused as long as
        // anybody's LUN, ACL, portal or portal group is in it.
        case .removeTarget(let target):
            [LIOPath.group(target.iqn), "iscsi/\(target.iqn)"].map { .removeDirectory(.target($0)) }
        }
    }

    private static func write(_ path: String, _ value: String, verify: Bool = true) -> HostAction {
        .writeAttribute(.target(path), value, verify: verify)
    }

    /// A link under any name, and the directory it is in.
    private static func removeLinked(_ path: String) -> [HostAction] {
        [.unlink(.target("\(path)/*")), .removeDirectory(.target(path))]
    }

    /// The identity after `enable` and its proof, the serial number last: a backstore without one was never proven to
    /// hold the volume, whatever cut its making, and is made anew (`ExportDiff`). The kernel takes identities as long
    /// as nothing hands the backstore out. `emulate_tpu` after `enable` too, because Linux 6.1 dereferences a null
    /// pointer when it is set on a backstore without a device.
    private static func makeBackstore(_ spec: BackstoreSpec) -> [HostAction] {
        let object = LIOPath.backstore(spec)
        let condition: Precondition, opening: BytesPlace, control: String
        switch spec.location {
        case .logicalVolume(let group, let name):
            condition = .device(group: group, name: name, uid: spec.uid, uuid: spec.deviceUUID)
            opening = .device(DevicePlace(group: group, name: name, uid: spec.uid, uuid: spec.deviceUUID))
            control = "udev_path=\(spec.location.path)"
        case .file(let directory, let name):
            let path = HostPath(.directory(directory), name)
            // LIO makes a file that is missing; a volume whose file is gone must not come back blank.
            condition = .file(path, size: spec.size)
            opening = .file(path)
            // Without fd_buffered_io the file is opened O_DSYNC: what was acknowledged is on the disk.
            control = "fd_dev_name=\(spec.location.path),fd_dev_size=\(spec.size.bytes)"
        }
        let actions: [HostAction] = [
            .require(condition),
            .makeDirectory(.target("core/\(LIOPath.place(spec))")), .makeDirectory(.target(object)),
            // `control` cannot be read, and the serial reads back with words before it.
            write("\(object)/control", control, verify: false),
            .enableBackstore(.target(object), opening: opening),
            write("\(object)/wwn/vendor_id", spec.identity.vendor),
            write("\(object)/wwn/product_id", spec.identity.product),
            write("\(object)/wwn/vpd_unit_serial", spec.identity.serial, verify: false),
        ]
        return spec.discard ? actions + [discard(spec)] : actions
    }

    private static func discard(_ spec: BackstoreSpec) -> HostAction {
        write("\(LIOPath.backstore(spec))/attrib/emulate_tpu", spec.discard ? "1" : "0")
    }

    private static func removeBackstore(_ uid: UID, _ place: String) -> [HostAction] {
        let object = removeObject("core/\(place)/\(uid.backstoreName)")
        let ours = [true, false].map { LIOPath.adapter(uid, isBlockDevice: $0) }
        // An adapter under another number is somebody else's; one of ours may hold what somebody else put there, and
        // another volume whose uid has the same number.
        return ours.contains(place) ? object + [.removeIfEmpty(.target("core/\(place)"))] : object
    }

    /// With the groups of ports that somebody made beneath it: they are nothing without it, and hold up its rmdir.
    private static func removeObject(_ object: String) -> [HostAction] {
        [.removeDirectories(in: .target("\(object)/alua")), .removeDirectory(.target(object))]
    }

    private static func addLUN(_ target: TargetRef, number: Int, spec: BackstoreSpec) -> [HostAction] {
        let lun = LIOPath.lun(target.iqn, number)
        return [
            .makeDirectory(.target(lun)),
            .link(.target("\(lun)/backstore"), to: .target(LIOPath.backstore(spec))),
        ]
    }

    /// Into the group that the kernel made for the backstore, and that group active. Its state can be set only where it
    /// allows that, and both of these read back in other words.
    private static func reactivate(_ lun: String, _ spec: BackstoreSpec) -> [HostAction] {
        let group = "\(LIOPath.backstore(spec))/alua/\(ObservedPortAccess.standard)"
        return [
            write("\(group)/alua_access_type", "3", verify: false), write("\(group)/alua_access_state", "0"),
            write("\(lun)/\(LIOTree.portGroup)", ObservedPortAccess.standard, verify: false),
            write("\(lun)/alua_tg_pt_offline", "0"),
        ]
    }

    /// Modes before content, so that a secret is never readable by others, not even for a moment.
    private static func setCHAP(
        _ target: TargetRef, initiator: String, credentials: CHAPCredentials?
    ) -> [HostAction] {
        let acl = LIOPath.acl(target.iqn, initiator)
        // -1: whether CHAP is demanded is the portal group's to say.
        var actions = protectSecrets(target, initiator) + [write("\(acl)/attrib/authentication", "-1")]
        // NULL is the word that unsets a field (iscsi_target_configfs.c); it reads back as such.
        func set(_ suffix: String, user: String?, secret: SecretReference?) {
            actions.append(write("\(acl)/auth/userid\(suffix)", user ?? "NULL"))
            let password = HostPath.target("\(acl)/auth/password\(suffix)")
            actions.append(
                // Not read back: an error would quote what it read, and that may be a secret.
                secret.map { .writeSecret(password, $0) } ?? .writeAttribute(password, "NULL", verify: false))
        }
        set("", user: credentials?.user, secret: credentials?.password)
        set("_mutual", user: credentials?.mutualUser, secret: credentials?.mutualPassword)
        return actions
    }

    private static func protectSecrets(_ target: TargetRef, _ initiator: String) -> [HostAction] {
        LIOPath.credentialFiles.map {
            .setMode(.target("\(LIOPath.acl(target.iqn, initiator))/auth/\($0)"), 0o600)
        }
    }

    private static func mapLUN(
        _ target: TargetRef, mapped: String, lun: Int, readOnly: Bool
    ) -> [HostAction] {
        var actions: [HostAction] = [.makeDirectory(.target(mapped))]
        if readOnly {
            // A mapping begins writable, and `write_protect` written before the link is forgotten; with this it
            // begins read-only. It only matters at the moment of linking.
            actions.append(write("\(LIOPath.group(target.iqn))/attrib/prod_mode_write_protect", "1"))
        }
        // When a LUN loses its backstore its mappings die but their links stay, and must be made anew.
        return actions + [
            .unlink(.target("\(mapped)/*")),
            .link(.target("\(mapped)/lun"), to: .target(LIOPath.lun(target.iqn, lun))),
            write("\(mapped)/write_protect", readOnly ? "1" : "0"),
        ]
    }

    /// rmdir of an ACL ends its session at once, so the session is looked for first unless that is wanted,
    /// then mappings, then the ACL.
    private static func removeACL(
        _ target: TargetRef, initiator: String, mapped: [Int], disconnecting: Bool
    ) -> [HostAction] {
        let acl = LIOPath.acl(target.iqn, initiator)
        return (disconnecting ? [] : [.require(.noSession(.target(acl)))])
            + mapped.flatMap { removeLinked("\(acl)/lun_\($0)") }
            + [.removeDirectory(.target(acl))]
    }
}
