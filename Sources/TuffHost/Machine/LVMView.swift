/// The devices on which a command of LVM looks for volume groups.
package enum LVMView: String, Codable, Sendable {
    /// Those on which the group is that the command names. No logical volume is looked into, unless the machine's
    /// settings have LVM do so (`devices/scan_lvs`) and the group is on none of the other devices.
    case own
    /// Logical volumes too, except those that somebody exports or holds open, and those that bear a mark of Tuff's:
    /// what is in them was written by an initiator.
    case volumes
    /// Every device there is, whatever filters and the devices file say, except the volumes that bear a mark of
    /// Tuff's. To tell what is hidden from what is not there, and for nothing else.
    case everything
}

/// Where the machine's own settings have LVM look for volume groups.
package struct LVMOutlook: Equatable, Sendable {
    /// `devices/scan_lvs`: into logical volumes as well.
    package var looksIntoVolumes = false
    /// `devices/use_devicesfile`: on the devices that a file lists; filters count for nothing then (measured with
    /// 2.03.16).
    package var hasDevicesFile = false

    package init(looksIntoVolumes: Bool = false, hasDevicesFile: Bool = false) {
        self.looksIntoVolumes = looksIntoVolumes
        self.hasDevicesFile = hasDevicesFile
    }
}
