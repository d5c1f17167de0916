import TuffModel
import TuffPlanning
import TuffTestSupport

/// Volumes that were there before Tuff: one that nobody uses, and one behind somebody's target.
extension Simulation {
    static let served = FakeWorld.Served(
        path: "/dev/vg0/served", iqn: "iqn.2003-01.org.linux-iscsi.storage1:served",
        serial: "0123456789abcdef0123456789abcdef", initiator: Sample.initiator)

    /// The volumes that are to be adopted on a fresh host.
    private static let adoptions: (plain: Adoption, served: Adoption) = {
        let world = Simulation(seed: 0).machine.world
        var identity = IdentityOverride()
        identity.iqn = served.iqn
        identity.serial = served.serial
        func adoption(_ volume: String, _ name: String, _ identity: IdentityOverride) -> Adoption {
            Adoption(
                group: "vg0", volume: volume, uuid: world.lvm["vg0", volume]?.uuid ?? "", name: name,
                identity: identity)
        }
        return (adoption("foreign", "adopted", IdentityOverride()), adoption("served", "taken", identity))
    }()
    static var adoption: Adoption { adoptions.plain }
    static var servedAdoption: Adoption { adoptions.served }

    static func addServed(_ world: inout FakeWorld) {
        // The world is empty, so this has room.
        try? world.lvm.create("served", in: "vg0", pool: "tp0", size: Sample.gibi(1), tags: ["theirs"])
        try? world.serve(served)
    }

    /// With the document that speaks of it, so that the next pass does not remove what was just adopted.
    mutating func adopt(_ adoption: Adoption, isGoing: Bool) -> Bool {
        let access = "\(adoption.name)-on-web"
        guard (desired.volumes[adoption.name] != nil) == isGoing else { return false }
        guard !isGoing else {
            desired.volumes[adoption.name] = nil
            desired.attachments[access] = nil
            return true
        }
        var declared = Sample.declared(adoption.name, VolumeSpec(size: Sample.gibi(1), placement: .pool("fast")))
        declared.metadata.annotations[Metadata.importedFromKey] = "\(adoption.group)/\(adoption.volume)"
        if adoption.identity.iqn != nil {
            declared.spec.identity = adoption.identity
            let spec = AttachmentSpec(volume: adoption.name, initiator: Self.served.initiator)
            desired.attachments[access] = Sample.declared(access, spec)
        }
        desired.volumes[adoption.name] = declared
        return true
    }

    /// Somebody takes the former target down, as the plan says, or has it again after all.
    mutating func serveByHand() -> Bool {
        let isServed = machine.world.serves(Self.served)
        // Where Tuff has a target under that name by now, nobody makes a second one.
        guard isServed || !machine.world.targets.exists("iscsi/\(Self.served.iqn)"),
            machine.world.deviceSize(Self.served.path) != nil
        else { return false }
        meddle { world in
            if isServed { try? world.unserve(Self.served) } else { try? world.serve(Self.served) }
        }
        return true
    }

    /// The identity that an adoption gives, as the oracle reads it from tags.
    static func identity(of adoption: Adoption) -> [String] {
        [
            adoption.identity.iqn ?? "\(Sample.iqnBase):\(adoption.name)", adoption.identity.serial ?? "",
            adoption.identity.lun.map { "\($0)" } ?? "",
        ]
    }
}
