import TuffModel

extension Linker {
    func checkAttachments() {
        let all = inOrder(.attachment, state.attachments)
        for attachment in all {
            guard let chap = attachment.spec.chap, let mutual = chap.mutual else { continue }
            if mutual.password == chap.initiator.password {
                // RFC 3720 section 8.2.1: a secret used in both directions can be reflected.
                error(
                    rule: "same-secret", .attachment, attachment, at: "spec.iscsi.chap.mutual.passwordFrom.file",
                    complaint: "lets the target prove itself with the initiator's own secret",
                    help: "name a file with another secret")
            }
        }
        // Most volumes have one attachment: arrays are made for those that have more.
        var first = [String: Int](minimumCapacity: all.count)
        var groups: [String: [Declared<AttachmentSpec>]] = [:]
        for (index, attachment) in all.enumerated() {
            let name = attachment.spec.volume
            guard let earlier = first[name] else {
                first[name] = index
                continue
            }
            groups[name, default: [all[earlier]]].append(attachment)
        }
        for (name, index) in first {
            // No rule is broken by one that writes alone.
            guard let attachments = groups[name] ?? (all[index].spec.readOnly ? [all[index]] : nil),
                let volume = state.volumes[name]
            else { continue }
            checkSharing(volume, attachments)
            checkHandover(volume, attachments)
            checkInitiators(attachments)
            checkAuthentication(attachments)
        }
    }

    private func checkSharing(_ volume: Declared<VolumeSpec>, _ attachments: [Declared<AttachmentSpec>]) {
        let name = volume.metadata.name
        let writers = attachments.filter { !$0.spec.readOnly }
        let (considered, limit, help): ([Declared<AttachmentSpec>], Int, String) =
            switch volume.spec.sharing {
            case .none:
                (
                    attachments, 1,
                    "two initiators that do not know of each other destroy a file system; see 'sharing' of the volume"
                )
            case .handover: (attachments, 2, "a live migration has two sides; remove the one that is done")
            case .readers: (writers, 1, "write readOnly: true in all but one")
            case .writers: (writers, .max, "")
            }
        for attachment in considered.dropFirst(limit) {
            error(
                rule: "shared-volume", .attachment, attachment, at: "spec.volume",
                complaint:
                    "is one too many for Volume/\(name) with sharing: \(volume.spec.sharing.rawValue), which has "
                    + considered.prefix(limit).map { "Attachment/\($0.metadata.name)" }.joined(separator: " and "),
                help: help)
        }
    }

    /// A live migration moves a disk from one that writes to another that will.
    private func checkHandover(_ volume: Declared<VolumeSpec>, _ attachments: [Declared<AttachmentSpec>]) {
        for attachment in attachments where attachment.spec.readOnly && volume.spec.sharing == .handover {
            error(
                rule: "shared-volume", .attachment, attachment, at: "spec.readOnly",
                complaint:
                    "is read-only, but Volume/\(volume.metadata.name) with sharing: handover is for two that write",
                help: "remove readOnly, or write sharing: readers")
        }
    }

    private func checkInitiators(_ attachments: [Declared<AttachmentSpec>]) {
        var seen: [String: Declared<AttachmentSpec>] = [:]
        for attachment in attachments {
            guard let first = seen.updateValue(attachment, forKey: attachment.spec.initiator) else { continue }
            seen[attachment.spec.initiator] = first
            error(
                rule: "duplicate-attachment", .attachment, attachment, at: "spec.iscsi.initiator",
                complaint:
                    "shows Volume/\(attachment.spec.volume) to an initiator that sees it through "
                    + "Attachment/\(first.metadata.name)",
                help: "remove one of the two")
        }
    }

    /// Each volume has its own target, and kernels without a per-ACL `authentication` attribute know it for a whole
    /// target.
    private func checkAuthentication(_ attachments: [Declared<AttachmentSpec>]) {
        guard let secured = attachments.first(where: { $0.spec.chap != nil }) else { return }
        for attachment in attachments where attachment.spec.chap == nil {
            error(
                rule: "mixed-chap", .attachment, attachment, at: "spec.iscsi",
                complaint: "has no CHAP, but Attachment/\(secured.metadata.name) of the same volume has",
                help: "write chap: in all attachments of a volume or in none")
        }
    }
}
