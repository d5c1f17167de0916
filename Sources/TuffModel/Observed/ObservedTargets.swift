/// All objects of the target stack (LIO or tgt), ours and other people's.
package struct TargetInventory: Equatable, Codable, Sendable {
    package var backstores: [ObservedBackstore]
    package var targets: [ObservedTarget]
    /// Objects that are there and could not be observed; nil: everything was seen.
    package var unseen: UnseenTargets?

    package init(
        backstores: [ObservedBackstore] = [], targets: [ObservedTarget] = [], unseen: UnseenTargets? = nil
    ) {
        self.backstores = backstores
        self.targets = targets
        self.unseen = unseen
    }

    /// The reason why a target of this name is unknown; nil: its state, or its absence, is known.
    package func fault(target iqn: String) -> HostError? { unseen?.targets[iqn] }

    /// The reason why a backstore of this name is unknown; nil: it is known.
    package func fault(backstore name: String) -> HostError? {
        guard let unseen else { return nil }
        if let error = unseen.backstores[name] { return error }
        return backstores.contains { $0.name == name } ? nil : unseen.unlisted
    }
}

/// Objects of a target stack that could not be observed, each with the reason: one that hangs or that nobody can make
/// sense of does not blind the rest.
package struct UnseenTargets: Equatable, Codable, Sendable {
    /// Reasons by the IQN of the target.
    package var targets: [String: HostError]
    /// Reasons by the name of the backstore.
    package var backstores: [String: HostError]
    /// Set when not even the names of all backstores are known: one that is not listed may be there.
    package var unlisted: HostError?

    package init(
        targets: [String: HostError] = [:], backstores: [String: HostError] = [:], unlisted: HostError? = nil
    ) {
        self.targets = targets
        self.backstores = backstores
        self.unlisted = unlisted
    }

    package var isEmpty: Bool { targets.isEmpty && backstores.isEmpty && unlisted == nil }
}

/// Answers of an exported disk to SCSI INQUIRY. They are fixed for the disk's life.
package struct DiskIdentity: Hashable, Codable, Sendable {
    /// Vital product data page 0x80; LIO derives the NAA designator from it.
    package var serial: String
    /// At most 8 characters (SPC-4 6.6.2 T10 VENDOR IDENTIFICATION).
    package var vendor: String
    /// At most 16 characters.
    package var product: String

    package init(serial: String, vendor: String = "TUFF", product: String = "VOLUME") {
        self.serial = serial
        self.vendor = vendor
        self.product = product
    }
}

/// One device a target can hand out. In LIO an object of its own, in tgt a LUN's backing store.
package struct ObservedBackstore: Equatable, Codable, Sendable {
    /// Name within the stack; ours are `tuff-<uid>`.
    package var name: String
    /// Its place in the stack (LIO: `iblock_7`; tgt: `tid 3 lun 1`), for messages and lowering.
    package var place: String
    /// Path of the device or file behind it; nil while it is not configured.
    package var path: String?
    package var enabled: Bool
    package var identity: DiskIdentity?
    /// Size handed to initiators; nil where the stack does not say.
    package var size: ByteCount?
    /// The stack told `size` in whole decimal megabytes, and nothing else tells it exactly; nil: it is exact.
    package var sizeIsRounded: Bool?
    /// Discard (UNMAP) is passed through.
    package var discard: Bool?
    /// The block device it holds; nil for files and where the stack does not say.
    package var device: DeviceNumber?
    /// Settings that are not at the value Tuff holds them at; nil: none, and where the stack has no such settings.
    package var altered: [BackstoreSetting]?
    /// Writes are acknowledged before they are on the disk (LIO's `fd_buffered_io`); nil: they are not.
    package var isBuffered: Bool?

    package init(
        name: String, place: String, path: String?, enabled: Bool, identity: DiskIdentity?, size: ByteCount? = nil,
        sizeIsRounded: Bool? = nil, discard: Bool? = nil, device: DeviceNumber? = nil,
        altered: [BackstoreSetting]? = nil, isBuffered: Bool? = nil
    ) {
        self.altered = altered
        self.isBuffered = isBuffered
        self.name = name
        self.place = place
        self.path = path
        self.enabled = enabled
        self.identity = identity
        self.size = size
        self.sizeIsRounded = sizeIsRounded
        self.discard = discard
        self.device = device
    }
}

/// An attribute that decides the answers of a disk to commands that initiators rely on. Each is compared and repaired
/// on its own. Raw values are the attributes' names in `attrib` of a backstore of LIO's; all can be changed while a
/// disk is in use. The others there cannot (`emulate_tas`, `block_size`, `force_pr_aptpl` and so on are refused while
/// anything hands the backstore out), or decide how fast a disk is and not what it does. Values as Linux 6.1 has them
/// in a new backstore.
package enum BackstoreSetting: String, CaseIterable, Codable, Hashable, Sendable {
    /// PERSISTENT RESERVE, by which clusters fence a node (SPC-4 5.13).
    case persistentReservations = "emulate_pr"
    /// A registration belongs to one session of an initiator and not to all of its (SPC-4 5.13.5).
    case sessionReservations = "enforce_pr_isids"
    /// COMPARE AND WRITE, by which VMware and sanlock lock.
    case compareAndWrite = "emulate_caw"
    /// EXTENDED COPY.
    case thirdPartyCopy = "emulate_3pc"
    /// WRITE SAME with the UNMAP bit; Tuff offers discard as UNMAP only.
    case writeSameUnmap = "emulate_tpws"
    /// Writes that are on the disk before they are acknowledged; an initiator that was told of them gets errors
    /// without.
    case forceUnitAccess = "emulate_fua_write"

    /// The value that Tuff holds it at.
    package var isOn: Bool { self != .writeSameUnmap }
}

/// Settings of a target that Tuff holds at one value, each compared and repaired on its own.
/// Raw values are the attributes' names in LIO's `tpgt_1/attrib`. They are set in this order: the kernel quietly keeps
/// `cache_dynamic_acls` on as long as `generate_node_acls` is (drivers/target/iscsi/iscsi_target_tpg.c).
package enum TargetSetting: String, CaseIterable, Codable, CodingKeyRepresentable, Sendable {
    /// CHAP is demanded at login.
    case authentication
    /// Initiators without an ACL get one made up: demo mode, always off.
    case generateNodeACLs = "generate_node_acls"
    /// ACLs made up for unknown initiators are kept: always off.
    case cacheDynamicACLs = "cache_dynamic_acls"
    /// Initiators in demo mode cannot write: always on, a second fence.
    case demoModeWriteProtect = "demo_mode_write_protect"
    /// Discovery shows the target to initiators without an ACL: always off.
    case demoModeDiscovery = "demo_mode_discovery"

    /// By number: otherwise by the text, like every enumeration that has texts, five times for each target.
    package func hash(into hasher: inout Hasher) {
        let number =
            switch self {
            case .authentication: 0
            case .generateNodeACLs: 1
            case .cacheDynamicACLs: 2
            case .demoModeWriteProtect: 3
            case .demoModeDiscovery: 4
            }
        hasher.combine(number)
    }
}

package struct ObservedTarget: Equatable, Codable, Sendable {
    package var iqn: String
    /// Its place in the stack (tgt: the tid); empty for LIO.
    package var place: String
    package var enabled: Bool
    /// Settings the stack has; one that it lacks has no entry.
    package var settings: [TargetSetting: Bool]
    package var portals: [Portal]
    package var luns: [ObservedLUN]
    package var acls: [ObservedACL]
    /// Initiators logged in without an ACL of their own.
    package var dynamicSessions: [String]
    /// Portal groups beside the first, which Tuff never makes. Non-empty means the target is not as we left it.
    package var extraPortalGroups: [String]
    /// The contents of those portal groups, as if each were a target, by name; only where somebody asked for details.
    package var otherGroups: [String: ObservedTarget]?
    /// Ways to log in that the target offers (LIO's `param/AuthMethod`), where they do not follow `authentication`.
    package var loginMethods: String?

    package init(
        iqn: String, place: String = "", enabled: Bool = false, settings: [TargetSetting: Bool] = [:],
        portals: [Portal] = [], luns: [ObservedLUN] = [], acls: [ObservedACL] = [], dynamicSessions: [String] = [],
        extraPortalGroups: [String] = [], loginMethods: String? = nil
    ) {
        self.loginMethods = loginMethods
        self.iqn = iqn
        self.place = place
        self.enabled = enabled
        self.settings = settings
        self.portals = portals
        self.luns = luns
        self.acls = acls
        self.dynamicSessions = dynamicSessions
        self.extraPortalGroups = extraPortalGroups
    }
}

package struct ObservedLUN: Equatable, Codable, Sendable {
    package var number: Int
    /// Name of the backstore behind it; nil for a half-built LUN.
    package var backstore: String?
    /// Path that a LUN without a named backstore hands out all the same, where the stack tells (tgt). Only the path
    /// distinguishes a LUN that we were stopped in making from one that somebody added.
    package var path: String?
    /// Nil: initiators reach it as they should.
    package var portAccess: ObservedPortAccess?

    package init(number: Int, backstore: String?, path: String? = nil, portAccess: ObservedPortAccess? = nil) {
        self.portAccess = portAccess
        self.number = number
        self.backstore = backstore
        self.path = path
    }
}

/// Access of initiators to a LUN that is not active and optimised in the group of ports that the kernel made for it
/// (asymmetric logical unit access, SPC-4 5.16). On standby or offline every command for its blocks fails.
package struct ObservedPortAccess: Equatable, Codable, Sendable, CustomStringConvertible {
    /// Name of the group, one of the backstore's; `standard` is the group that it always has.
    package var group: String
    /// LIO's word, such as `Standby`.
    package var state: String
    /// Whether this LUN alone was taken offline.
    package var isOffline: Bool

    package static let standard = "default_tg_pt_gp"
    package static let active = "Active/Optimized"

    package init(group: String, state: String, isOffline: Bool) {
        self.group = group
        self.state = state
        self.isOffline = isOffline
    }

    package var isNormal: Bool { group == Self.standard && state == Self.active && !isOffline }

    package var description: String {
        (isOffline ? "Offline" : state) + (group == Self.standard ? "" : " (group \(group))")
    }
}

package struct ObservedACL: Equatable, Codable, Sendable {
    package var initiator: String
    package var mappedLUNs: [ObservedMappedLUN]
    package var chap: ObservedCHAP
    package var sessions: [ObservedSession]
    /// Nil: an ACL that Tuff did not make, or of a stack that has no room for the mark.
    package var mark: AccessMark?

    package init(
        initiator: String, mappedLUNs: [ObservedMappedLUN] = [], chap: ObservedCHAP = ObservedCHAP(),
        sessions: [ObservedSession] = [], mark: AccessMark? = nil
    ) {
        self.initiator = initiator
        self.mappedLUNs = mappedLUNs
        self.chap = chap
        self.sessions = sessions
        self.mark = mark
    }
}

package struct ObservedMappedLUN: Equatable, Codable, Sendable {
    /// Number the initiator sees.
    package var number: Int
    /// LUN of the target it leads to; nil for a half-built mapping.
    package var lun: Int?
    package var readOnly: Bool

    package init(number: Int, lun: Int?, readOnly: Bool) {
        self.number = number
        self.lun = lun
        self.readOnly = readOnly
    }
}

/// CHAP settings of one ACL. Passwords only as keyed fingerprints.
package struct ObservedCHAP: Equatable, Codable, Sendable {
    package var user: String?
    package var password: SecretFingerprint?
    package var mutualUser: String?
    package var mutualPassword: SecretFingerprint?
    /// Files of this ACL that hold a secret and that others than root may read, by attribute name.
    package var exposed: [String]
    /// Whether CHAP is demanded is left to the target. LIO has an attribute `authentication` per ACL too, and 0 there
    /// lets this initiator in without any.
    package var followsTarget: Bool

    package init(
        user: String? = nil, password: SecretFingerprint? = nil, mutualUser: String? = nil,
        mutualPassword: SecretFingerprint? = nil, exposed: [String] = [], followsTarget: Bool = true
    ) {
        self.user = user
        self.password = password
        self.mutualUser = mutualUser
        self.mutualPassword = mutualPassword
        self.exposed = exposed
        self.followsTarget = followsTarget
    }
}

package struct ObservedSession: Equatable, Codable, Sendable {
    /// LIO's word for the state, e.g. `LOGGED_IN`.
    package var state: String
    /// Addresses the initiator's connections come from.
    package var addresses: [String]

    package init(state: String, addresses: [String] = []) {
        self.state = state
        self.addresses = addresses
    }
}
