import TuffModel

extension Shape where Value == PoolSpec {
    static let pool = object(
        optional("node", .name, "The host that owns the pool; other hosts ignore it. One pool has it: all need it."),
        exactlyOne(
            choice("lvm", .lvmPool, "Volumes are logical volumes.") { PoolSpec.Backend.lvm($0) },
            choice("directory", .directoryPool, "Volumes are sparse files.") { .directory($0) }),
        defaulted(
            "overprovision", .number(atLeast: 1, atMost: 1000), "1.0",
            "Thin and directory pools: the sum of virtual sizes may reach this many times the physical size."),
        defaulted(
            "reserve", .share, "10%",
            "Left free by placement, snapshots and restores: of data and of metadata (thin), extents (thick), bytes."),
        optional("autoExtend", .autoExtend, "Thin pools grow from the volume group's free space, by LVM's monitoring.")
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
        required("volumeGroup", .volumeGroup, "The volume group."),
        optional("thinPool", .logicalVolume, "Present: thin volumes in this thin pool. Absent: thick volumes."),
        defaulted(
            "wipe", .word, "zero",
            "Thick pools: what old data is overwritten with. `discard` only where it is verified to read back zero."),
        optional(
            "tempSnapshotReserve", .positiveShare,
            "Thick pools: copy-on-write space of the temporary snapshot of a clone or backup, of the volume's size."),
        optional("create", .poolCreation, "Make the volume group and thin pool when absent, from blank devices only.")
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
        required("devices", .list(of: .devicePath), "Blank block devices, best named by `/dev/disk/by-id/…`."),
        defaulted("thinPoolSize", .positiveShare, "90%", "Of the volume group; metadata is sized by Tuff."),
        defaulted(
            "chunkSize", .chunkSize, "64Ki",
            "Of the thin pool, fixed for ever. LVM's own default grows to megabytes with the pool."),
        defaulted("whenFull", .word, "error", "Whether writes to a full thin pool fail or wait.")
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
        required("path", .poolDirectory, "The directory, beneath one of the controller's `allow.directories`."),
        optional("nfs", .nfs, "Mounted there (hard) by Tuff.")
    ) { path, nfs in
        var spec = DirectoryPoolSpec(path: path)
        spec.nfs = nfs
        return spec
    }
}

extension Shape where Value == NFSSource {
    static let nfs = object(
        required("server", .host, "Name or address of the server."),
        required("export", .path, "Path that the server exports."),
        defaultedList("options", .mountOption, "Mount options, such as `vers=4.2`.")
    ) { server, export, options in
        var source = NFSSource(server: server, export: export)
        source.options = options
        return source
    }
}

extension Shape where Value == AutoExtendSpec {
    static let autoExtend = object(
        required("threshold", .positiveShare, "Share of data or metadata in use at which the pool grows."),
        required("by", .positiveShare, "Of its size, each time."),
        build: AutoExtendSpec.init(threshold:by:)
    )
}

/// A list that is empty when left out.
func defaultedList<Element: Hashable & Sendable>(
    _ name: String, _ element: Shape<Element>, _ doc: String
) -> Field<[Element]> {
    let field = optional(name, Shape<[Element]>.list(of: element, mayBeEmpty: true), doc)
    return Field(entries: field.entries) { entries, decoding in field.read(entries, decoding).map { $0 ?? [] } }
}
