import Crypto
package import TuffModel

extension PlanContext {
    /// The uid a resource gets if this plan creates it: a hash of the plan's seed, the stack and the resource, so
    /// that planning again under one context names the same objects, and a later plan never reuses an identity.
    package func mintUID(for resource: ResourceID) -> UID {
        UID(bytes: SHA256.hash(data: Array("tuff uid\0\(seed)\0\(stack)\0\(resource)".utf8)))
    }

    /// The uid of a logical volume that is adopted. LVM's own uuids tell it, so that one that is let go and adopted again is
    /// the same disk.
    static func adoptedUID(group: String, volume: String) -> UID {
        UID(bytes: SHA256.hash(data: Array("tuff adopted\0\(group)\0\(volume)".utf8)))
    }

    /// Bytes of the key under which secrets are fingerprinted within this context.
    package var fingerprintKeyBytes: [UInt8] {
        Array(SHA256.hash(data: Array("tuff fingerprint\0\(seed)".utf8)))
    }
}
