import TuffModel

extension Linker {
    /// A host must be able to tell its pools from another's: either no pool names a node, or all do.
    func checkNodes() {
        guard let named = pools.first(where: { $0.spec.node != nil }) else { return }
        for pool in pools where pool.spec.node == nil {
            error(
                rule: "missing-node", .pool, pool, at: "metadata.name",
                complaint: "has no node, but Pool/\(named.metadata.name) has one",
                help: "write node: in every pool of the set")
        }
    }

    func checkPools() {
        var homes: [Home: Declared<PoolSpec>] = [:]
        for pool in pools {
            let home = Home(pool.spec)
            if let first = homes[home] {
                error(
                    rule: "duplicate-backend", .pool, pool, at: home.path,
                    complaint: "lives in \(home.description), as Pool/\(first.metadata.name) does",
                    help: "that pool is declared at \(first.location)")
            } else {
                homes[home] = pool
            }
            checkBackend(pool)
            if let autoExtend = pool.spec.autoExtend, autoExtend.threshold < Percentage(50) {
                // lvm.conf(5), thin_pool_autoextend_threshold: the smallest value is 50.
                error(
                    rule: "out-of-range", .pool, pool, at: "spec.autoExtend.threshold",
                    complaint: "has a spec.autoExtend.threshold of \(autoExtend.threshold), less than 50%",
                    help: "LVM extends pools from 50% on")
            }
            if let autoExtend = pool.spec.autoExtend, autoExtend.threshold > Percentage(99) {
                // The same: "Setting this to 100 disables automatic extension."
                error(
                    rule: "out-of-range", .pool, pool, at: "spec.autoExtend.threshold",
                    complaint: "has a spec.autoExtend.threshold of 100%, which LVM takes for never",
                    help: "write 99% at most, or remove autoExtend")
            }
        }
    }

    private func checkBackend(_ pool: Declared<PoolSpec>) {
        guard case .lvm(let lvm) = pool.spec.backend else {
            return refuse(pool, ["spec.autoExtend"], types: "thin", help: "remove it: a directory has no thin pool")
        }
        if lvm.thinPool != nil {
            refuse(
                pool, ["spec.lvm.wipe", "spec.lvm.tempSnapshotReserve"], types: "thick",
                help: "remove it, or thinPool: thin volumes read back zero and need no reserve")
        } else {
            refuse(
                pool,
                [
                    "spec.lvm.create.thinPoolSize", "spec.lvm.create.chunkSize", "spec.lvm.create.whenFull",
                    "spec.autoExtend",
                ],
                types: "thin", help: "remove it, or name a thinPool")
            if pool.spec.overprovision > 1 {
                refuse(
                    pool, ["spec.overprovision"], types: "thin and directory",
                    help: "remove it: thick volumes take all their space at once")
            }
        }
    }

    private func refuse(_ pool: Declared<PoolSpec>, _ paths: [String], types: String, help: String) {
        for path in paths where pool.fields[path] != nil {
            error(
                rule: "field-without-effect", .pool, pool, at: path,
                complaint: "has \(path), which is for \(types) pools", help: help)
        }
    }
}

/// Storage that two pools cannot share.
private struct Home: Hashable {
    var node: String?
    var backend: StorageBackend

    init(_ spec: PoolSpec) {
        node = spec.node
        backend = spec.storage
    }

    var path: String {
        switch backend {
        case .thinPool: "spec.lvm.thinPool"
        case .thick: "spec.lvm.volumeGroup"
        case .directory: "spec.directory.path"
        }
    }

    var description: String {
        switch backend {
        case .thinPool: "the thin pool \(backend)"
        case .thick: "the volume group \(backend)"
        case .directory: "the directory \(backend)"
        }
    }
}
