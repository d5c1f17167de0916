import TuffHost
package import TuffModel

/// A volume that somebody hands out who has never heard of Tuff.
extension FakeWorld {
    /// The objects that targetcli leaves in configfs.
    package struct Served: Sendable {
        package var path: String
        package var iqn: String
        package var serial: String
        package var initiator: String

        package init(path: String, iqn: String, serial: String, initiator: String) {
            self.path = path
            self.iqn = iqn
            self.serial = serial
            self.initiator = initiator
        }

        private static let object = "core/iblock_7/disk7"
        private var group: String { "iscsi/\(iqn)/tpgt_1" }

        fileprivate var making: [HostAction] {
            func make(_ paths: [String]) -> [HostAction] { paths.map { .makeDirectory(.target($0)) } }
            func write(_ value: String, _ path: String) -> HostAction {
                .writeAttribute(.target(path), value, verify: false)
            }
            return make(["core/iblock_7", Self.object]) + [
                write("udev_path=\(path)", "\(Self.object)/control"),
                write(serial, "\(Self.object)/wwn/vpd_unit_serial"), write("1", "\(Self.object)/enable"),
            ]
                + make([
                    "iscsi", "iscsi/\(iqn)", group, "\(group)/lun/lun_0", "\(group)/acls/\(initiator)",
                    "\(group)/acls/\(initiator)/lun_0", "\(group)/np/192.0.2.10:3260",
                ]) + [
                    .link(.target("\(group)/lun/lun_0/a1b2c3d4e5"), to: .target(Self.object)),
                    .link(.target("\(group)/acls/\(initiator)/lun_0/f6a7b8c9d0"), to: .target("\(group)/lun/lun_0")),
                    write("0", "\(group)/attrib/authentication"), write("1", "\(group)/enable"),
                ]
        }

        fileprivate var unmaking: [HostAction] {
            [
                .writeAttribute(.target("\(group)/enable"), "0", verify: false),
                .unlink(.target("\(group)/acls/\(initiator)/lun_0/f6a7b8c9d0")),
                .removeDirectory(.target("\(group)/acls/\(initiator)/lun_0")),
                .removeDirectory(.target("\(group)/acls/\(initiator)")),
                .unlink(.target("\(group)/lun/lun_0/a1b2c3d4e5")), .removeDirectory(.target("\(group)/lun/lun_0")),
                .removeDirectory(.target("\(group)/np/192.0.2.10:3260")), .removeDirectory(.target(group)),
                .removeDirectory(.target("iscsi/\(iqn)")), .removeDirectory(.target(Self.object)),
            ]
        }
    }

    package func serves(_ served: Served) -> Bool { targets.exists("core/iblock_7/disk7") }

    package mutating func serve(_ served: Served) throws(HostError) { try carryOut(served.making) }

    /// Its initiators log out, and the target and its backstore go.
    package mutating func unserve(_ served: Served) throws(HostError) {
        targets.logout(initiator: served.initiator, from: served.iqn)
        try carryOut(served.unmaking)
    }

    private mutating func carryOut(_ actions: [HostAction]) throws(HostError) {
        for action in actions {
            let world = self
            try targets.perform(
                action, secret: { _ in "somebody else's" },
                device: { world.deviceSize($0) == nil ? nil : world.minor($0) })
        }
    }
}
