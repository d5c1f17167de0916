/// A fault of a logical volume, or of a volume or device that it stands on.
package struct VolumeFault: Hashable, Sendable {
    package enum Gravity: Int, Comparable, Sendable {
        /// Its state cannot be told before somebody activates it.
        case untold
        /// It serves, and may fail before long.
        case impaired
        /// Some of it cannot be read or written, or it cannot be activated.
        case broken

        package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    /// The fault in one word, for plans and conditions.
    package enum Reason: String, CaseIterable, Sendable {
        case needsCheck = "NeedsCheck"
        case dataFull = "DataFull"
        case metadataFull = "MetadataFull"
        case poolUnhealthy = "PoolUnhealthy"
        case volumeUnhealthy = "VolumeUnhealthy"
        case devicesMissing = "DevicesMissing"
        case redundancyLost = "RedundancyLost"
        case refreshNeeded = "RefreshNeeded"
        case readOnly = "ReadOnly"
        case inactive = "Inactive"
        case activationFailed = "ActivationFailed"
    }

    /// The thing at fault: the volume, or something that it shares with others and that has a line of its own.
    package enum Cause: Hashable, Sendable, CustomStringConvertible {
        case itself
        case pool(StorageBackend)
        case group(String)

        package var description: String {
            switch self {
            case .itself: "the volume itself"
            case .pool(let backend): "thin pool \(backend)"
            case .group(let name): "volume group \(name)"
            }
        }
    }

    package var gravity: Gravity
    package var reason: Reason
    /// A sentence: the fault, its place, and the command that mends it.
    package var sentence: String
    package var cause: Cause

    package init(_ gravity: Gravity, _ reason: Reason, sentence: String, cause: Cause = .itself) {
        self.gravity = gravity
        self.reason = reason
        self.sentence = sentence
        self.cause = cause
    }

    /// The volume is handed out to nobody new while it has this fault.
    package var forbidsHandingOut: Bool { gravity == .broken || reason == .readOnly }
}

extension [VolumeFault] {
    /// The worst of them, the first among equals.
    package var worst: VolumeFault? { self.max { $0.gravity < $1.gravity } }

    /// Why nobody new is given the volume.
    package var refusal: VolumeFault? { filter(\.forbidsHandingOut).worst }
}
