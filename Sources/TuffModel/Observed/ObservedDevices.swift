/// A block device that a pool is to be made of, looked at without changing a byte.
package struct CandidateDevice: Hashable, Codable, Sendable {
    /// The path in the document, which every command uses.
    package var path: String
    /// The kernel's name at present, such as `/dev/sda`, where the path is a link.
    package var node: String
    package var number: DeviceNumber
    package var size: ByteCount
    package var isReadOnly: Bool
    /// Something holds it, or a part of it: a mount, swap, another mapping, a target (open(2), `O_EXCL`).
    package var isInUse: Bool
    /// Everything that libblkid knows to tell on it: file systems, partition tables, members of RAID or LVM.
    package var signatures: [DeviceSignature]
    /// Offset of the first byte that is not zero, among the places that are read (`DeviceLook`); nil: none.
    package var firstData: Int64?

    package init(
        path: String, node: String, number: DeviceNumber, size: ByteCount, isReadOnly: Bool = false,
        isInUse: Bool = false, signatures: [DeviceSignature] = [], firstData: Int64? = nil
    ) {
        self.path = path
        self.node = node
        self.number = number
        self.size = size
        self.isReadOnly = isReadOnly
        self.isInUse = isInUse
        self.signatures = signatures
        self.firstData = firstData
    }

    /// The uuid of the physical volume of LVM that it is, where it is that and nothing else.
    package var physicalVolume: String? {
        signatures.count == 1 && signatures[0].type == DeviceSignature.physicalVolume ? signatures[0].uuid : nil
    }

    /// Nothing is on it and nobody uses it, as far as reading can tell.
    package var isBlank: Bool { !isReadOnly && !isInUse && signatures.isEmpty && firstData == nil }
}

/// A signature that libblkid found at one place of a device.
package struct DeviceSignature: Hashable, Codable, Sendable, CustomStringConvertible {
    /// libblkid's name of a physical volume of LVM.
    package static let physicalVolume = "LVM2_member"

    /// libblkid's name of it: `ext4`, `gpt`, `crypto_LUKS`.
    package var type: String
    package var offset: Int64
    /// The uuid or serial number in the signature, where it has one.
    package var uuid: String?

    package init(type: String, offset: Int64, uuid: String? = nil) {
        self.type = type
        self.offset = offset
        self.uuid = uuid
    }

    package var description: String { "\(type) at byte \(offset)" }
}

/// Facts about a device that are read again right before it is written to for the first time.
package struct BlankDevice: Hashable, Codable, Sendable {
    package var path: String
    /// Number of the device that the plan was made for: another disk may have the name by now.
    package var number: DeviceNumber
    package var size: ByteCount

    package init(_ device: CandidateDevice) {
        path = device.path
        number = device.number
        size = device.size
    }
}
