package import TuffHost
package import TuffModel
package import TuffPlanning

/// The findings of `tuff import`: documents, and a word on the rest.
package struct ImportView: View {
    private let survey: ImportSurvey
    private let config: ControllerConfig
    private let next: Command

    /// - Parameter next: what adopts them when they are in the file `FILE`.
    package init(
        _ survey: ImportSurvey, config: ControllerConfig,
        next: Command = Command("tuff", ["import", "--adopt", "-f", "FILE"], effect: .mutates)
    ) {
        self.survey = survey
        self.next = next
        self.config = config
    }

    package var kind: String { "Import" }

    package var body: [String: Tree] {
        [
            "documents": .list(documents.map(\.tree)),
            "notImported": .list(survey.refused.map { .object(["what": .text($0.what), "reason": .text($0.reason)]) }),
        ]
    }

    private struct Document {
        var comments: [String] = []
        var tree: Tree
    }

    private var documents: [Document] {
        let fresh = survey.volumes.filter { !$0.isDeclared }
        let pools = survey.pools.filter { pool in fresh.contains { $0.pool == pool.name } }
        var documents = pools.map { document($0) }
        for volume in fresh {
            documents.append(document(volume))
            documents += volume.attachments.map { document($0, of: volume) }
        }
        return documents
    }

    /// YAML; nothing of it is coloured, since it goes to a file.
    package func text(_ style: Style) -> String {
        var lines = [
            "# Logical volumes that are there already, as documents. Nothing was changed.",
            "# Keep them in a file, look them over, then: \(next)",
        ]
        if survey.volumes.contains(where: { $0.attachments.contains { $0.chapUser != nil } }) {
            lines.append("# CHAP secrets were not read: put each into the file that its document names, mode 0600.")
        }
        let known = survey.volumes.filter(\.isDeclared)
        if !known.isEmpty {
            lines.append("# Declared by the documents given: \(known.map(\.origin).joined(separator: ", "))")
        }
        if documents.isEmpty { lines.append("# There is nothing to import.") }
        if !survey.refused.isEmpty {
            lines.append("# Not imported:")
            lines += survey.refused.map { "#   \($0.what) \($0.reason)" }
        }
        var text = lines.map(Self.comment).joined()
        for document in documents {
            text += "---\n" + document.comments.map { Self.comment("# \($0)") }.joined() + document.tree.yaml
        }
        return text
    }

    private static func comment(_ line: String) -> String { PrintedText.oneLine(line) + "\n" }

    private func document(
        _ kind: Kind, name: String, annotations: [String: Tree] = [:], comments: [String] = [], spec: [String: Tree]
    ) -> Document {
        var metadata: [String: Tree] = ["name": .text(name)]
        if !annotations.isEmpty { metadata["annotations"] = .map(annotations) }
        return Document(
            comments: comments,
            tree: .map([
                "apiVersion": "tuff.dev/v1", "kind": .text(kind.rawValue), "metadata": .map(metadata),
                "spec": .object(spec),
            ]))
    }

    private func document(_ pool: ImportSurvey.Pool) -> Document {
        var spec: [String: Tree] = ["node": .text(pool.node)]
        switch pool.backend {
        case .thinPool(let group, let thin): spec["lvm"] = .map(["volumeGroup": .text(group), "thinPool": .text(thin)])
        case .thick(let group): spec["lvm"] = .map(["volumeGroup": .text(group)])
        case .directory(let path): spec["directory"] = .map(["path": .text(path)])
        }
        return document(.pool, name: pool.name, spec: spec)
    }

    private func document(_ volume: ImportSurvey.Volume) -> Document {
        var spec: [String: Tree] = ["size": .text(volume.size.quantity), "pool": .text(volume.pool)]
        let identity = Tree.object([
            "iqn": .text(volume.identity.iqn), "serial": .text(volume.identity.serial),
            "lun": volume.identity.lun.map { .int($0) } ?? .null,
        ])
        if identity != .map([:]) { spec["identity"] = identity }
        if volume.sharing != .none { spec["sharing"] = .text(volume.sharing.rawValue) }
        if let portals = volume.portals {
            spec["iscsi"] = .map(["portals": .list(portals.map { .text($0.description) })])
        }
        let state = volume.isAdopted ? "\(volume.origin), adopted" : volume.origin
        return document(
            .volume, name: volume.name, annotations: [Metadata.importedFromKey: .text(volume.origin)],
            comments: [state] + volume.notes, spec: spec)
    }

    private func document(_ attachment: ImportSurvey.Attachment, of volume: ImportSurvey.Volume) -> Document {
        var access: [String: Tree] = ["initiator": .text(attachment.initiator)]
        if let user = attachment.chapUser {
            var chap: [String: Tree] = ["user": .text(user), "passwordFrom": secret(attachment.name)]
            if let mutual = attachment.mutualUser {
                chap["mutual"] = .map(["user": .text(mutual), "passwordFrom": secret("\(attachment.name)-mutual")])
            }
            access["chap"] = .map(chap)
        }
        var spec: [String: Tree] = ["volume": .text(volume.name), "iscsi": .map(access)]
        if attachment.readOnly { spec["readOnly"] = .bool(true) }
        return document(.attachment, name: attachment.name, spec: spec)
    }

    /// A file that a person is to make, where documents may name secrets.
    private func secret(_ name: String) -> Tree {
        let root = config.allow.secrets.first ?? Reach().secrets[0]
        return .map(["file": .text("\(root)/\(name)")])
    }
}
