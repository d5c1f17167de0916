/// A volume as the document that declares it.
///
/// Restore points carry it, so that a volume can be declared again where nothing but a repository is left. Decoding it
/// gives the same volume; fields that have their defaults are left out, and so are annotations of `tuff.dev/`, which
/// tell of one host's past.
extension Declared<VolumeSpec> {
    package var document: Tree {
        var metadata: [String: Tree] = ["name": .text(self.metadata.name)]
        let annotations = self.metadata.annotations.filter { !$0.key.hasPrefix("tuff.dev/") }
        for (key, texts) in [("labels", self.metadata.labels), ("annotations", annotations)] where !texts.isEmpty {
            metadata[key] = .map(texts.mapValues { .text($0) })
        }
        return .map([
            "apiVersion": "tuff.dev/v1", "kind": .text(Kind.volume.rawValue), "metadata": .map(metadata),
            "spec": spec.document,
        ])
    }
}

extension VolumeSpec {
    fileprivate var document: Tree {
        let usual = VolumeSpec(size: size, placement: placement)
        var fields: [String: Tree] = ["size": .text(size.quantity)]
        switch placement {
        case .pool(let name): fields["pool"] = .text(name)
        case .selector(let selector):
            fields["poolSelector"] = .map(["matchLabels": .map(selector.matchLabels.mapValues { .text($0) })])
        }
        if sharing != usual.sharing { fields["sharing"] = .text(sharing.rawValue) }
        if let source { fields["source"] = source.document }
        if let portals { fields["iscsi"] = .map(["portals": .list(portals.map { .text($0.description) })]) }
        if let identity, identity != IdentityOverride() { fields["identity"] = identity.document }
        if deletionPolicy != usual.deletionPolicy { fields["deletionPolicy"] = .text(deletionPolicy.rawValue) }
        if trashFor != usual.trashFor { fields["trashFor"] = .text(trashFor.description) }
        if priority != usual.priority { fields["priority"] = .int(priority) }
        if protect { fields["protect"] = .bool(true) }
        return .map(fields)
    }
}

extension IdentityOverride {
    fileprivate var document: Tree {
        .object(["iqn": .text(iqn), "serial": .text(serial), "lun": lun.map { .int($0) } ?? .null])
    }
}

extension VolumeSource {
    fileprivate var document: Tree {
        switch self {
        case .volume(let name): .map(["volume": .text(name)])
        case .snapshot(let name): .map(["snapshot": .text(name)])
        case .backup(let source): .map(["backup": source.document])
        case .cinderBackup(let repository, let backup):
            .map(["cinderBackup": .map(["repository": .text(repository), "backup": .text(backup)])])
        case .image(let image):
            .map([
                "image": .object([
                    "path": .text(image.path), "format": .text(image.format.rawValue), "sha256": .text(image.sha256),
                ])
            ])
        }
    }
}

extension BackupSource {
    fileprivate var document: Tree {
        .object([
            "repository": .text(repository), "volume": .text(volume),
            "at": at == .latest ? .null : .text(at.description),
            "identity": identity == .new ? .null : .text(identity.rawValue),
            "node": .text(node), "stack": .text(stack), "uid": .text(uid),
            "orBlank": orBlank ? .bool(true) : .null, "instant": instant ? .bool(true) : .null,
        ])
    }
}
