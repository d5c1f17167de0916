import TuffModel

/// The controller's configuration as written; `ConfigLoader` fills in the host's name.
struct ControllerSpec: Sendable {
    static let kind = "Controller"

    var node: String?
    var config: ControllerConfig
}

extension Shape where Value == ControllerSpec {
    static let controller = object(
        optional("node", .name, doc: "This host's name in `Pool.spec.node`; its short host name without."),
        optional("portals", .portals(mayBeEmpty: true), doc: "Where targets listen unless a volume says otherwise."),
        defaulted(
            "iqnBase", .iqnBase, to: "iqn.2026-01.dev.tuff",
            doc: "IQNs of new volumes are this, a colon and the volume's name."),
        optional("allow", .reach, doc: "How far documents may reach. Roots of different sorts must not overlap."),
        defaulted("targetDriver", .word, to: "lio", doc: "`lio`: the kernel's target. `tgt`: the daemon tgtd."),
        defaulted("tgtControlPort", .integer(0...32767), to: "0", doc: "Control port of tgtd (`tgtadm -C`)."),
        optional("guard", .guardLimits, doc: "How much may be removed within 24 hours without `--allow-removals`.")
    ) { node, portals, iqnBase, allow, targetDriver, tgtControlPort, limits in
        var config = ControllerConfig(
            node: "", portals: portals ?? [], iqnBase: iqnBase, targetDriver: targetDriver,
            tgtControlPort: tgtControlPort)
        if let allow { config.allow = allow }
        if let limits { config.guardLimits = limits }
        return ControllerSpec(node: node, config: config)
    }
}

extension Shape where Value == Reach {
    static let reach = object(
        roots(.secrets, "Read as secrets only: never as an image, a pool, a repository or a document."),
        roots(.images, "Disk images that volumes are made from. None lies in a pool or repository."),
        roots(.directories, "Directory pools and backup repositories."),
        optional(
            "volumeGroups", .list(of: .volumeGroupGlob, mayBeEmpty: true),
            doc: "Names, in which `*` and `?` stand for any characters; all without."),
        optional(
            "nfs", .list(of: .nfsGlob, mayBeEmpty: true),
            doc:
                "`SERVER:/EXPORT` for pools and repositories on NFS. `*` stands for any characters within one label of "
                + "the server's name or one part of the path; `*:/…` is any server. None without."
        ),
        optional("unwiped", .truth, doc: "Whether pools may ask for `wipe: none`; false without."),
        optional(
            "series", .list(of: .seriesGlob, mayBeEmpty: true),
            doc:
                "`NODE/STACK` of whose restore points documents may make volumes (`source.backup`), besides those of "
                + "this host and their own stack. `*` stands for any characters of one of the two. None without.")
    ) { secrets, images, directories, volumeGroups, nfs, unwiped, series in
        var reach = Reach()
        if let secrets { reach.secrets = secrets }
        if let images { reach.images = images }
        if let directories { reach.directories = directories }
        if let volumeGroups { reach.volumeGroups = volumeGroups }
        if let nfs { reach.nfs = nfs }
        if let unwiped { reach.unwiped = unwiped }
        reach.series = series
        return reach
    }

    private static func roots(_ sort: Reach.Sort, _ doc: String) -> Field<[String]?> {
        let standard = Reach()[sort].map { "`\($0)`" }.joined(separator: " and ")
        return optional(sort.rawValue, .list(of: .path, mayBeEmpty: true), doc: "\(doc) \(standard) without.")
    }
}

extension Shape where Value == GuardLimits {
    static let guardLimits = object(
        defaulted(
            "volumes", .share, to: "20%", doc: "Share of a stack's volumes and snapshots, rounded up, at least one."),
        defaulted("mostVolumes", .integer(0...10000), to: "3", doc: "Most of them, whatever the share."),
        defaulted("attachments", .share, to: "50%", doc: "Share of a stack's attachments, rounded up."),
        defaulted("mostAttachments", .integer(0...10000), to: "5", doc: "Most of them, whatever the share.")
    ) { volumes, mostVolumes, attachments, mostAttachments in
        var limits = GuardLimits()
        limits.volumes = volumes
        limits.mostVolumes = mostVolumes
        limits.attachments = attachments
        limits.mostAttachments = mostAttachments
        return limits
    }
}

extension Shape where Value == Document<ControllerSpec> {
    /// The document of the controller's configuration. It names no resource, so its metadata may be left out.
    static let controllerDocument = object(
        attempted(required("apiVersion", Shape<String>.constant(APIVersion.current), doc: "Always `tuff.dev/v1`.")),
        attempted(required("kind", Shape<String>.constant(ControllerSpec.kind), doc: "Always `Controller`.")),
        attempted(optional("metadata", .metadata, doc: "Name, labels and annotations; for people.")),
        attempted(required("spec", .controller, doc: "The configuration."))
    ) { _, _, metadata, spec in
        Document(metadata: metadata ?? nil, spec: spec)
    }
}
