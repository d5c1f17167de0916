import TuffModel

extension Shape where Value == VolumeSpec {
    static let volume = object(
        required("size", .volumeSize, doc: "Grows only; a smaller value than exists is an error and changes nothing."),
        exactlyOne(
            choice("pool", .name, doc: "The pool it lives in.") { VolumeSpec.Placement.pool($0) },
            choice("poolSelector", .labelSelector, doc: "The best fitting of the pools with these labels.") {
                .selector($0)
            }
        ),
        optional(
            "source", .volumeSource, doc: "What it starts with; read only when the volume is created. Blank without."),
        defaulted(
            "sharing", .word, to: "none",
            doc:
                "How many initiators: `none` one, `handover` two for a live migration, `readers` one writer and "
                + "readers, `writers` several, for cluster file systems."),
        optional("iscsi", .volumeExport, doc: "How its target is reached."),
        optional("identity", .identity, doc: "Taken over from an existing disk; read only when the volume is created."),
        defaulted(
            "deletionPolicy", .word, to: "Trash",
            doc: "What removing the document does; `Retain` detaches and releases."),
        defaulted("trashFor", .duration, to: "7d", doc: "How long the trash keeps it."),
        defaulted(
            "priority", .integer(-1000...1000), to: "0",
            doc: "Where several volumes are restored, those with a higher one are first."),
        defaulted(
            "protect", .truth, to: "false",
            doc: "Stored on the volume: no plan trashes, purges, rolls back or deletes it."),
        reserved: [
            ReservedWord(
                name: "nvme", sentence: "'nvme' is reserved for NVMe over TCP, which this version does not serve",
                help: "volumes are attached with 'iscsi'"),
            ReservedWord(
                name: "nfs", sentence: "'nfs' is reserved for NFS exports, which this version does not serve",
                help: "volumes are attached with 'iscsi'"),
        ]
    ) { size, placement, source, sharing, portals, identity, deletionPolicy, trashFor, priority, protect in
        var spec = VolumeSpec(size: size, placement: placement)
        spec.source = source
        spec.sharing = sharing
        spec.portals = portals
        spec.identity = identity
        spec.deletionPolicy = deletionPolicy
        spec.trashFor = trashFor
        spec.priority = priority
        spec.protect = protect
        return spec
    }
}

extension Shape where Value == LabelSelector {
    static let labelSelector = object(
        required(
            "matchLabels", .map(keys: .labelKey, values: .labelValue, mayBeEmpty: false), doc: "All must be equal."),
        build: LabelSelector.init(matchLabels:))
}

extension Shape where Value == [Portal] {
    /// `VolumeSpec.portals`.
    static let volumeExport = object(
        required("portals", .portals(), doc: "Where its target listens; the controller's portals without.")
    ) { $0 }
}

extension Shape where Value == IdentityOverride {
    static let identity = object(
        optional("iqn", .iqn, doc: "Name of its target."),
        optional("serial", .serial, doc: "Unit serial number."),
        optional("lun", .integer(0...16383), doc: "LUN number; 0 without."),
        mayBeEmpty: false
    ) { iqn, serial, lun in
        var identity = IdentityOverride()
        identity.iqn = iqn
        identity.serial = serial
        identity.lun = lun
        return identity
    }
}

extension Shape where Value == VolumeSource {
    static let volumeSource = object(
        exactlyOne(
            choice("volume", .name, doc: "A clone of this volume.") { VolumeSource.volume($0) },
            choice("snapshot", .name, doc: "A copy of this snapshot.") { .snapshot($0) },
            choice("backup", .backupOfVolume, doc: "A restore point of a backup repository.") { .backup($0) },
            choice("cinderBackup", .cinderBackup, doc: "A backup that OpenStack Cinder made.") { $0 },
            choice("image", .image, doc: "A disk image on the host.") { .image($0) })
    ) { $0 }

    private static let cinderBackup = object(
        required("repository", .name, doc: "The BackupRepository that holds Cinder's containers."),
        required("backup", .uuid, doc: "Cinder's id of the backup.")
    ) { VolumeSource.cinderBackup(repository: $0, backup: $1) }
}

extension Shape where Value == ImageSource {
    static let image = object(
        required("path", .path, doc: "The file, beneath one of the controller's `allow.images`."),
        required("format", .word, doc: "Never probed; images with a backing file or external data are refused."),
        optional("sha256", .sha256, doc: "Digest that the file must have.")
    ) { path, format, sha256 in
        var source = ImageSource(path: path, format: format)
        source.sha256 = sha256
        return source
    }
}
