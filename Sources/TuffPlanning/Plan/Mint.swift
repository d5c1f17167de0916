import Crypto
package import TuffModel

extension PlanContext {
    /// The uid a resource gets if this plan creates it: a hash of the plan's seed, the stack and the resource, so
    /// that planning again under one context names the same objects, and a later plan never reuses an identity.
    package func mintUID(for resource: ResourceID) -> UID {
        Self.uid("tuff uid\0\(seed)\0\(stack)\0\(resource)")
    }

    /// The uid of a logical volume that is adopted. LVM's own uuids tell it, so that one that is let go and adopted
    /// again is the same disk.
    static func adoptedUID(group: String, volume: String) -> UID {
        uid("tuff adopted\0\(group)\0\(volume)")
    }

    /// Stands for a pool that is made on this node; the same in every plan.
    func poolMark(_ pool: String, group: String) -> UID {
        Self.uid("tuff pool\0\(config.node)\0\(stack)\0\(pool)\0\(group)")
    }

    /// Stands for a device that becomes part of a pool, and is never given out twice.
    func deviceUID(_ path: String) -> UID {
        Self.uid("tuff device\0\(seed)\0\(config.node)\0\(path)")
    }

    /// The first bytes of a text's hash. Over bytes where they are, since a plan of thousands of volumes asks for as
    /// many.
    private static func uid(_ text: String) -> UID {
        var text = text, hash = SHA256()
        text.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return hash.finalize().withUnsafeBytes { UID(raw: $0) }
    }

    /// Bytes of the key under which secrets are fingerprinted within this context.
    package var fingerprintKeyBytes: [UInt8] {
        Array(SHA256.hash(data: Array("tuff fingerprint\0\(seed)".utf8)))
    }
}
