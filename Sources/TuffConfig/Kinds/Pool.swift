import TuffModel

extension Shape where Value == PoolSpec {
    static let pool = object(
        optional(
            "node", .name, doc: "The host that owns the pool; other hosts ignore it. One pool has it: all need it."),
        exactlyOne(
            choice("lvm", .lvmPool, doc: "Volumes are logical volumes.") { PoolSpec.Backend.lvm($0) },
            choice("directory", .directoryPool, doc: "Volumes are sparse files.") { .directory($0) }),
        defaulted(
            "overprovision", .number(atLeast: 1, atMost: 1000), to: "1.0",
            doc: "Thin and directory pools: the sum of virtual sizes may reach this many times the physical size."),
        defaulted(
            "reserve", .share, to: "10%",
            doc:
                "Left free by placement, snapshots and restores: of data and of metadata (thin), extents (thick), "
                + "bytes."
        ),
        optional(
            "autoExtend", .autoExtend, doc: "Thin pools grow from the volume group's free space, by LVM's monitoring.")
    ) { node, backend, overprovision, reserve, autoExtend in
        var spec = PoolSpec(backend: backend)
        spec.node = node
        spec.overprovision = overprovision
        spec.reserve = reserve
        spec.autoExtend = autoExtend
        return spec
    }
}

extension Shape where Value == LVMPoolSpec {
    static let lvmPool = object(
        required("volumeGroup", .volumeGroup, doc: "The volume group."),
        optional("thinPool", .logicalVolume, doc: "Present: thin volumes in this thin pool. Absent: thick volumes."),
        defaulted(
            "wipe", .word, to: "zero",
            doc:
                "Thick pools: what old data is overwritten with. `discard` only where it is verified to read back zero."
        ),
        optional(
            "tempSnapshotReserve", .positiveShare,
            doc:
                "Thick pools: copy-on-write space of the temporary snapshot of a clone or backup, of the volume's size."
        ),
        optional(
            "create", .poolCreation, doc: "Make the volume group and thin pool when absent, from blank devices only.")
    ) { volumeGroup, thinPool, wipe, tempSnapshotReserve, create in
        var spec = LVMPoolSpec(volumeGroup: volumeGroup, thinPool: thinPool)
        spec.wipe = wipe
        spec.tempSnapshotReserve = tempSnapshotReserve
        spec.create = create
        return spec
    }
}

extension Shape where Value == PoolCreation {
    static let poolCreation = object(
        required("devices", .list(of: .devicePath), doc: "Blank block devices, best named by `/dev/disk/by-id/…`."),
        defaulted("thinPoolSize", .positiveShare, to: "90%", doc: "Of the volume group; metadata is sized by Tuff."),
        defaulted(
            "chunkSize", .chunkSize, to: "64Ki",
            doc: "Of the thin pool, fixed for ever. LVM's own default grows to megabytes with the pool."),
        defaulted("whenFull", .word, to: "error", doc: "Whether writes to a full thin pool fail or wait.")
    ) { devices, thinPoolSize, chunkSize, whenFull in
        var creation = PoolCreation(devices: devices)
        creation.thinPoolSize = thinPoolSize
        creation.chunkSize = chunkSize
        creation.whenFull = whenFull
        return creation
    }
}

extension Shape where Value == DirectoryPoolSpec {
    static let directoryPool = object(
        required("path", .poolDirectory, doc: "The directory, beneath one of the controller's `allow.directories`."),
        optional("nfs", .nfsExport, doc: "Mounted there (hard) by Tuff.")
    ) { path, nfs in
        var spec = DirectoryPoolSpec(path: path)
        spec.nfs = nfs
        return spec
    }
}

extension Shape where Value == AutoExtendSpec {
    static let autoExtend = object(
        required("threshold", .positiveShare, doc: "Share of data or metadata in use at which the pool grows."),
        required("by", .positiveShare, doc: "Of its size, each time."),
        build: AutoExtendSpec.init(threshold:by:)
    )
}
