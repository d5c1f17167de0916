import TuffModel

extension Linker {
    func checkVolumes() {
        var owners: [String: Declared<VolumeSpec>] = [:]
        var selections: [LabelSelector: [Declared<PoolSpec>]] = [:]
        for volume in volumes {
            let pools = checkPlacement(volume, &selections)
            checkNames("v-\(volume.metadata.name)", .volume, of: volume, in: pools)
            if let iqn = volume.spec.identity?.iqn {
                if let first = owners[iqn] {
                    error(
                        rule: "duplicate-iqn", .volume, volume, at: "spec.identity.iqn",
                        complaint: "has the IQN \(iqn), as Volume/\(first.metadata.name) has",
                        help: "that volume is declared at \(first.location)")
                } else {
                    owners[iqn] = volume
                }
            }
            if case .volume(let name)? = volume.spec.source, let source = state.volumes[name],
                volume.spec.size < source.spec.size
            {
                error(
                    rule: "smaller-than-source", .volume, volume, at: "spec.size",
                    complaint: "is smaller than Volume/\(name), which it is cloned from",
                    help: "write at least \(source.spec.size.quantity)")
            }
        }
    }

    /// The pools a volume may come to live in. Many volumes have few selectors, whose pools are looked for once.
    private func checkPlacement(
        _ volume: Declared<VolumeSpec>, _ selections: inout [LabelSelector: [Declared<PoolSpec>]]
    ) -> [Declared<PoolSpec>] {
        switch volume.spec.placement {
        case .pool: return possiblePools(volume.spec.placement)
        case .selector(let selector):
            let pools = selections[selector] ?? possiblePools(volume.spec.placement)
            selections[selector] = pools
            if pools.isEmpty {
                let mayBeElsewhere = documents.known.keys.contains { $0.kind == .pool && state.pools[$0.name] == nil }
                if !mayBeElsewhere, documents.unread.isEmpty {
                    error(
                        rule: "selector-matches-nothing", .volume, volume, at: "spec.poolSelector",
                        complaint: "selects no pool: none has the labels of spec.poolSelector",
                        help: "give a pool these labels, or name one with pool:")
                }
            }
            if let first = pools.first, let other = pools.first(where: { $0.spec.node != first.spec.node }) {
                error(
                    rule: "selector-spans-nodes", .volume, volume, at: "spec.poolSelector",
                    complaint: "selects pools of two nodes: Pool/\(first.metadata.name) on "
                        + "\(first.spec.node ?? "no node") and Pool/\(other.metadata.name) on "
                        + "\(other.spec.node ?? "no node")",
                    help: "add a label that only the pools of one node have")
            }
            return pools
        }
    }

    /// Checks that LVM and the kernel can take the logical volume `name` in the volume groups of `pools`.
    private func checkNames<Spec>(
        _ name: String, _ kind: Kind, of declared: Declared<Spec>, in pools: [Declared<PoolSpec>]
    ) {
        for pool in pools {
            guard case .lvm(let lvm) = pool.spec.backend else { continue }
            let length = LVMName.mappedLength(group: lvm.volumeGroup, volume: name)
            if length > LVMName.maximumMappedLength {
                error(
                    rule: "name-too-long", kind, declared, at: "metadata.name",
                    complaint:
                        "would be \(lvm.volumeGroup)/\(name), \(length) bytes with hyphens doubled, and the kernel "
                        + "takes "
                        + "\(LVMName.maximumMappedLength)", help: "choose a shorter name, or one with fewer hyphens")
            }
            if lvm.thinPool == name {
                error(
                    rule: "name-taken", kind, declared, at: "metadata.name",
                    complaint: "would be \(lvm.volumeGroup)/\(name), which is the thin pool of "
                        + "Pool/\(pool.metadata.name)", help: "rename one of them")
            }
        }
    }

    func checkSnapshots() {
        for snapshot in inOrder(.snapshot, state.snapshots) {
            guard let volume = state.volumes[snapshot.spec.volume] else { continue }
            let pools = possiblePools(volume.spec.placement)
            checkNames("s-\(snapshot.metadata.name)", .snapshot, of: snapshot, in: pools)
            guard snapshot.spec.reserve != nil, let pool = pools.first,
                !pools.contains(where: { if case .thick = $0.spec.storage { true } else { false } })
            else { continue }
            error(
                rule: "field-without-effect", .snapshot, snapshot, at: "spec.reserve",
                complaint: "has spec.reserve, which is for thick pools, and Pool/\(pool.metadata.name) is not thick",
                help: "remove it")
        }
    }

    /// The pools that a volume placed so may come to live in.
    func possiblePools(_ placement: VolumeSpec.Placement) -> [Declared<PoolSpec>] {
        switch placement {
        case .pool(let name): state.pools[name].map { [$0] } ?? []
        case .selector(let selector): pools.filter { selector.matches($0.metadata.labels) }
        }
    }

    /// A policy that concerns no volume is legal, and nearly always a mistake that is found out too late.
    func checkPolicies() {
        // A volume with errors of its own may have the labels.
        guard documents.unread.isEmpty, documents.order[.volume, default: []].count == state.volumes.count else {
            return
        }
        guard !state.snapshotPolicies.isEmpty || !state.backupPolicies.isEmpty else { return }
        let labels = state.volumes.values.map(\.metadata.labels)
        func check<Spec>(_ kind: Kind, _ policies: [String: Declared<Spec>], selection: (Spec) -> VolumeSelection) {
            for policy in inOrder(kind, policies) {
                guard case .labels(let selector) = selection(policy.spec), !labels.contains(where: selector.matches)
                else { continue }
                warning(
                    rule: "selector-matches-nothing", kind, policy, at: "spec.volumes",
                    complaint: "selects no volume: none has the labels of spec.volumes",
                    help: "give a volume these labels, or list volumes with names:")
            }
        }
        check(.snapshotPolicy, state.snapshotPolicies, selection: \.volumes)
        check(.backupPolicy, state.backupPolicies, selection: \.volumes)
    }

    func checkRestores() {
        for restore in inOrder(.restore, state.restores) {
            guard case .snapshot(let name) = restore.spec.from, let snapshot = state.snapshots[name],
                snapshot.spec.volume != restore.spec.volume
            else { continue }
            error(
                rule: "foreign-snapshot", .restore, restore, at: "spec.from.snapshot",
                complaint:
                    "rolls Volume/\(restore.spec.volume) back to Snapshot/\(name), which is of "
                    + "Volume/\(snapshot.spec.volume)",
                help: "a volume is rolled back to its own snapshots; another volume can have this one as its source")
        }
    }

    func checkAnnotations() {
        func check<Spec>(_ kind: Kind, _ resources: [String: Declared<Spec>]) {
            let renamed = resources.filter { $0.value.metadata.renamedFrom != nil }
            checkRenamings(
                inOrder(kind, renamed).map { resource in
                    Renaming(
                        resource: ResourceID(kind, resource.metadata.name), former: resource.metadata.renamedFrom ?? "",
                        location: resource.location,
                        place: resource.location(of: "metadata.annotations.\(Metadata.renamedFromKey)"))
                })
        }
        check(.pool, state.pools)
        check(.volume, state.volumes)
        check(.attachment, state.attachments)
        check(.snapshot, state.snapshots)
        check(.snapshotPolicy, state.snapshotPolicies)
        check(.backupRepository, state.backupRepositories)
        check(.backupPolicy, state.backupPolicies)
        check(.backup, state.backups)
        check(.restore, state.restores)
    }

    /// A document that says what its resource was called before.
    private struct Renaming {
        var resource: ResourceID
        var former: String
        var location: SourceLocation
        /// Place of the annotation.
        var place: SourceLocation
    }

    /// - Parameter renamings: of one kind.
    private func checkRenamings(_ renamings: [Renaming]) {
        var heirs: [String: Renaming] = [:]
        for renaming in renamings {
            let resource = renaming.resource, former = renaming.former
            if !NameRule.isLabel(former) {
                error(
                    rule: "name-not-dns-label", resource, at: renaming.place,
                    complaint: "is renamed from \(quoted(former)), which is no name",
                    help: "write the name that the resource had before")
            } else if documents.known[ResourceID(resource.kind, former)] != nil {
                error(
                    rule: "renamed-from-existing", resource, at: renaming.place,
                    complaint: "is renamed from '\(former)', but \(resource.kind.rawValue)/\(former) is declared too",
                    help: "remove the annotation, or the old document")
            } else if let heir = heirs[former] {
                error(
                    rule: "renamed-from-twice", resource, at: renaming.place,
                    complaint: "is renamed from '\(former)', and so is \(heir.resource)",
                    help: "one resource can take the place of another; \(heir.resource.name) is declared at "
                        + "\(heir.location)")
            } else {
                heirs[former] = renaming
            }
        }
    }
}
