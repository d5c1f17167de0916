import TuffModel

extension Shape where Value == AttachmentSpec {
    static let attachment = object(
        required("volume", .name, doc: "The volume that is attached."),
        defaulted("readOnly", .truth, to: "false", doc: "Writes of this initiator are refused."),
        defaulted("onRemove", .word, to: "WaitForLogout", doc: "What withdrawing does to a live session."),
        required("iscsi", .iscsiAccess, doc: "Who may log in, and how they prove it."),
        reserved: [
            ReservedWord(
                name: "nvme",
                sentence: "'nvme' attachments are reserved for NVMe over TCP, which this version does not serve",
                help: "attach it with 'iscsi'"),
            ReservedWord(
                name: "nfs",
                sentence: "'nfs' attachments are reserved for NFS exports, which this version does not serve",
                help: "attach it with 'iscsi'"),
        ]
    ) { volume, readOnly, onRemove, access in
        var spec = AttachmentSpec(volume: volume, initiator: access.initiator)
        spec.readOnly = readOnly
        spec.onRemove = onRemove
        spec.chap = access.chap
        return spec
    }
}

/// `Attachment.spec.iscsi`, which the spec structure holds flat.
struct ISCSIAccess: Sendable {
    var initiator: String
    var chap: CHAPSpec?
}

extension Shape where Value == ISCSIAccess {
    static let iscsiAccess = object(
        required(
            "initiator", .initiator,
            doc: "iSCSI name of the initiator (`/etc/iscsi/initiatorname.iscsi` on it): `iqn.…`, `eui.…` or `naa.…`."),
        optional("chap", .chap, doc: "All attachments of a volume have it, or none."),
        build: ISCSIAccess.init(initiator:chap:))
}

extension Shape where Value == CHAPSpec {
    static let chap = object(
        required("user", .chapUser, doc: "What the initiator calls itself."),
        required("passwordFrom", .secretReference, doc: "Where the initiator's secret is read."),
        optional("mutual", .chapCredential, doc: "What the target proves to the initiator, with a different secret."),
        reserved: ReservedWord.inlineSecrets
    ) { user, password, mutual in
        CHAPSpec(initiator: CHAPCredential(user: user, password: password), mutual: mutual)
    }
}

extension Shape where Value == CHAPCredential {
    static let chapCredential = object(
        required("user", .chapUser, doc: "What the target calls itself."),
        required("passwordFrom", .secretReference, doc: "Where the target's secret is read."),
        reserved: ReservedWord.inlineSecrets, build: CHAPCredential.init(user:password:))
}

extension Shape where Value == SecretReference {
    private static let plainReference = object(
        required("file", .path, doc: "A file beneath one of the controller's `allow.secrets`, readable by root only."),
        reserved: ReservedWord.inlineSecrets, build: SecretReference.init(file:))

    /// A reference to a secret. Anything but a map here may be the secret itself, so no message repeats it.
    static let secretReference = Self(form: plainReference.form) { node, decoding in
        if case .mapping = node.content { return plainReference.decode(node, decoding) }
        decoding.report.conceal(node.position)
        decoding.refuse(
            node, rule: "inline-secret",
            complaint: "must be a map with the field 'file': secrets do not stand in documents",
            help: "put the secret into a file that only root can read, and name the file")
        return nil
    }
}

extension ReservedWord {
    static let inlineSecrets = ["password", "secret", "key", "value", "literal", "text"].map { name in
        ReservedWord(
            name: name, sentence: "secrets do not stand in documents ('\(name)')",
            help: "write passwordFrom: {file: …} and put the secret into a file that only root can read", isSecret: true
        )
    }
}
