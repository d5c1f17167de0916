import TuffModel
import TuffPlanning
import TuffTestSupport

/// The intent of people, in the oracle's own words.
extension Simulation {
    /// A share's place is the server's, wherever it is mounted.
    static func home(_ path: String, _ share: NFSShare?) -> String { share.map { "/net/\($0.source)" } ?? path }

    func intent(_ consent: Consent, _ order: Order?, _ context: PlanContext) -> Oracle.Intent {
        var intent = Oracle.Intent()
        intent.now = context.now.secondsSince1970
        intent.homes = homes()
        intent.prune = consent.prune
        intent.destroy = consent.allowDestroy
        intent.runDue = consent.runDue
        intent.policies = policyIntents()
        intent.drills = Set(desired.backupPolicies.filter { $0.value.spec.drill != nil }.keys)
        intent.pools = desired.pools.values.map { pool in
            let labels = pool.metadata.labels
            return switch pool.spec.storage {
            case .thinPool(let group, let pool): Oracle.Intent.Pool(home: group, thinPool: pool, labels: labels)
            case .thick(let group): Oracle.Intent.Pool(home: group, labels: labels)
            case .directory(let path): Oracle.Intent.Pool(home: Self.home(path, pool.spec.share), labels: labels)
            }
        }
        intent.removals = consent.allowRemovals
        intent.unwiped = Set(
            desired.pools.values.compactMap { pool in
                guard case .lvm(let lvm) = pool.spec.backend, lvm.wipe == .none else { return nil }
                return lvm.volumeGroup
            })
        if consent.allowPoolCreate { intent.newGroups = offers() }
        intent.recreate = Set(consent.recreate.map(\.name))
        intent.stack = context.stack
        if context.stack == "default" {
            intent.elsewhere = Set(other.waits.filter { $0.value > intent.now - 25 * 86400 }.keys)
        }
        intent.blank = Set(consent.allowBlank.map(\.name))
        for (name, volume) in desired.volumes {
            var labels: [String: String]?
            if case .selector(let selector) = volume.spec.placement { labels = selector.matchLabels }
            let isFile = if case .pool("dir") = volume.spec.placement { true } else { false }
            let home = isFile ? Self.home(Self.directory, desired.pools["dir"]?.spec.share) : "vg0"
            intent.volumes[name] = Oracle.Intent.Volume(
                home: home, poolLabels: labels, formerName: volume.metadata.annotations["tuff.dev/renamed-from"],
                endsProtection: volume.fields["spec.protect"] != nil && !volume.spec.protect,
                limit: Self.limit(volume.spec.sharing),
                image: volume.spec.image.map { Oracle.Intent.Image(path: $0.path, digest: $0.sha256) })
            intent.volumes[name]?.iqn = volume.spec.identity?.iqn ?? "\(Sample.iqnBase):\(name)"
            intent.volumes[name]?.size = volume.spec.size.bytes
            if case .pool(let pool) = volume.spec.placement, case .lvm(let lvm)? = desired.pools[pool]?.spec.backend {
                intent.volumes[name]?.thinPool = lvm.thinPool
            }
        }
        for (name, snapshot) in desired.snapshots {
            intent.volumes[name] = Oracle.Intent.Volume(home: intent.volumes[snapshot.spec.volume]?.home ?? "vg0")
        }
        intent.restores = desired.restores.values.map { rollBack($0) }
        for (name, attachment) in desired.attachments {
            intent.attachments[name] = Oracle.Intent.Attachment(
                volume: attachment.spec.volume, initiator: attachment.spec.initiator,
                demandsCHAP: attachment.spec.chap != nil, isReadOnly: attachment.spec.readOnly)
        }
        let objects = OracleView(machine.world).objects
        func uids(_ name: String) -> Set<String> {
            Set(objects.filter { $0.uid == name || $0.label == name }.compactMap(\.uid))
        }
        switch order {
        case .restore(let name)?, .purge(let name)?, .unprotect(let name)?, .release(let name)?:
            intent.ordered = uids(name)
        case .detach(let name, let force)?:
            intent.detached = [name]
            if force { intent.forced = [name] }
        case .adopt(let adoptions)?:
            for adoption in adoptions { intent.adopted[adoption.uuid] = Self.identity(of: adoption) }
        case .restoreExports?, .withdrawExports?, nil: break
        }
        return intent
    }

    private func rollBack(_ restore: Declared<RestoreSpec>) -> Oracle.Intent.Restore {
        let uid = restore.spec.volumeUID.description
        var intent = Oracle.Intent.Restore(
            name: restore.metadata.name, volume: restore.spec.volume, uid: uid, snapshot: "")
        switch restore.spec.from {
        case .snapshot(let snapshot): intent.snapshot = snapshot
        case .backup: intent.stamps = stamps(ofPointsOf: uid)
        }
        return intent
    }

    private static func limit(_ sharing: VolumeSpec.Sharing) -> Oracle.Intent.Limit {
        switch sharing {
        case .none: Oracle.Intent.Limit(initiators: 1, writers: 1)
        case .handover: Oracle.Intent.Limit(initiators: 2, writers: 2)
        case .readers: Oracle.Intent.Limit(initiators: .max, writers: 1)
        case .writers: Oracle.Intent.Limit(initiators: .max, writers: .max)
        }
    }
}
