package import TuffController
import TuffHost
package import TuffModel
package import TuffPlanning

/// Everything about one resource.
package struct DescribeView: View {
    package var record: ResourceRecord
    /// The way a volume got its pool; nil: it is no volume with a `poolSelector`.
    package var placement: Placement?

    package init(_ record: ResourceRecord, placement: Placement? = nil) {
        self.record = record
        self.placement = placement
    }

    package var kind: String { "Description" }

    package var body: [String: Tree] {
        var body = ["resource": RecordTree.tree(record)]
        if case .attachment(let facts) = record.facts {
            body["initiatorCommands"] = .list(InitiatorCommands(facts).lines.map { .text($0) })
        }
        if let placement { body["placement"] = PlacementTable(placement: placement).tree }
        return body
    }

    package func text(_ style: Style) -> String {
        let ready = record.ready
        let sentence = Layout.wrap(Self.sentence(ready), width: Style.width - 15)
        var facts = sentence.enumerated().map { [$0 == 0 ? "Ready" : "", $1] }
        if let degraded = record.degraded {
            facts += Layout.wrap("\(degraded.reason): \(degraded.message)", width: Style.width - 15).enumerated().map {
                [$0 == 0 ? "Degraded" : "", $1]
            }
        }
        for arrear in record.arrears {
            facts += Layout.wrap(arrear.message, width: Style.width - 15).enumerated().map {
                [$0 == 0 ? arrear.reason : "", $1]
            }
        }
        facts.append(["Declared at", record.location?.description ?? "nowhere in the documents given"])
        for note in record.notes {
            facts += Layout.wrap(note, width: Style.width - 15).enumerated().map { [$0 == 0 ? "Note" : "", $1] }
        }
        if !record.labels.isEmpty { facts.append(["Labels", LabelText.text(record.labels)]) }
        var text = style.paint(PrintedText.oneLine("\(record.id)"), .bold) + "\n\n"
        switch record.facts {
        case .pool(let pool): text += Layout.table(facts + Self.rows(pool), indent: "  ")
        case .volume(let volume):
            text += Layout.table(facts, indent: "  ") + Self.text(volume) + BackupRows.text(volume.backups)
            if let placement { text += "\n" + PlacementTable(placement: placement).text }
        case .attachment(let attachment):
            text += Layout.table(facts + Self.rows(attachment), indent: "  ")
            text += InitiatorCommands(attachment).text
        case .snapshot(let snapshot): text += Layout.table(facts + Self.rows(snapshot), indent: "  ")
        case .repository(let repository): text += BackupRows.text(repository, facts)
        case .backupPolicy(let policy): text += BackupRows.text(policy, facts)
        case .backup(let backup): text += BackupRows.text(backup, facts)
        case .other:
            if ready.status == .yes {
                facts += Layout.wrap(ready.message, width: Style.width - 15).enumerated().map {
                    [$0 == 0 ? "State" : "", $1]
                }
            }
            text += Layout.table(facts, indent: "  ")
        }
        return text
    }

    private static func sentence(_ ready: Condition) -> String {
        switch ready.status {
        case .yes: ready.reason == "NotDeclared" ? "yes, but no document declares it" : "yes"
        case .no: "no, \(ready.reason): \(ready.message)"
        case .unknown: ready.isElsewhere ? "not here, \(ready.message)" : "unknown: \(ready.message)"
        }
    }

    private static func rows(_ pool: PoolFacts) -> [[String]] {
        var rows = [
            ["Backend", pool.backend.description],
            ["Size", GetView.text(pool.size)],
            ["Free", GetView.text(pool.free)],
        ]
        if case .thinPool = pool.backend {
            rows.append(["Data used", GetView.percent(pool.dataPercent)])
            rows.append(["Metadata used", GetView.percent(pool.metadataPercent)])
        }
        if let size = pool.sectorSize { rows.append(["Sectors", "\(size) bytes"]) }
        if let spec = pool.declared?.spec {
            rows.append(["Overprovision", "\(spec.overprovision)"])
            rows.append(["Reserve", "\(spec.reserve)"])
        }
        return rows + [["Volumes", "\(pool.volumes), \(pool.provisioned) provisioned"]]
    }

    // MARK: Volume

    private static func text(_ volume: VolumeFacts) -> String {
        var text = "\n" + Layout.table(comparison(volume), indent: "  ")
        guard let stored = volume.stored else { return text }
        var export = [["UID", stored.uid.description], ["Stack", stored.marks.stack]]
        export.append(["Target", volume.iqn ?? "-"])
        let portals = volume.target?.portals.sorted().map(\.description) ?? []
        export.append(["Portals", portals.isEmpty ? "-" : portals.joined(separator: ", ")])
        export.append(["LUN", "\(volume.lun ?? 0)"])
        export.append(["Serial", volume.serial ?? "-"])
        text += "\n" + Layout.table(export, indent: "  ")
        guard !volume.access.isEmpty else { return text + "\n  No initiator may log in.\n" }
        let rows = volume.access.sorted { $0.initiator < $1.initiator }.map { access in
            [access.initiator, Self.mode(access.readOnly), access.chapUser ?? "-", sessions(access.sessions)]
        }
        return text + "\n" + Layout.table([["INITIATOR", "ACCESS", "CHAP USER", "SESSIONS"]] + rows, indent: "  ")
    }

    /// Declared beside observed; what differs is marked in words.
    private static func comparison(_ volume: VolumeFacts) -> [[String]] {
        let spec = volume.declared?.spec
        let stored = volume.stored
        var size = ["Size", GetView.text(spec?.size), GetView.text(stored?.size)]
        if let spec, let seen = stored?.size, seen != spec.size { size.append(seen < spec.size ? "to grow" : "larger") }
        func word(_ value: Bool?) -> String { value.map { $0 ? "yes" : "no" } ?? "-" }
        return [
            ["", "DECLARED", "OBSERVED"], size,
            ["Pool", volume.declaredPool ?? "-", GetView.text(stored?.backend)],
            ["Location", "-", GetView.text(stored?.location)],
            ["Active", "-", word(stored?.active)],
            ["Sharing", spec?.sharing.rawValue ?? "-", "-"],
        ]
    }

    // MARK: Attachment

    private static func rows(_ facts: SnapshotFacts) -> [[String]] {
        var rows = [["Volume", facts.volumeName ?? "-"]]
        guard let stored = facts.stored else { return rows }
        rows += [
            ["Size", GetView.text(stored.size)], ["Device", stored.location.path],
            ["Active", stored.active ? "yes" : "no"],
            ["Uid", stored.uid.description], ["Stack", stored.marks.stack],
        ]
        if let origin = stored.marks.origin { rows.append(["Taken of", "uid \(origin)"]) }
        if let run = stored.marks.occasion {
            rows.append(["Taken by", "SnapshotPolicy/\(run.policy) for \(run.time)" + (run.isKept ? ", kept" : "")])
        }
        return rows
    }

    private static func rows(_ facts: AttachmentFacts) -> [[String]] {
        var rows = [["Volume", facts.volumeName], ["Initiator", facts.initiator]]
        rows.append(["Access", mode(facts.access?.readOnly ?? facts.declared?.spec.readOnly)])
        let chap = facts.declared?.spec.chap
        let user = chap?.initiator.user ?? facts.access?.chapUser
        let mutual = chap?.mutual?.user ?? facts.access?.mutualUser
        rows.append(["CHAP", user.map { "user \($0)" + (mutual.map { ", mutual user \($0)" } ?? "") } ?? "none"])
        rows.append(["Target", facts.volume?.iqn ?? "-"])
        rows.append(["Portals", facts.portals.isEmpty ? "-" : facts.portals.map(\.description).joined(separator: ", ")])
        rows.append(["LUN", facts.volume?.lun.map { "\($0)" } ?? "-"])
        rows.append(["Sessions", sessions(facts.access?.sessions ?? [])])
        return rows
    }

    private static func mode(_ readOnly: Bool?) -> String { readOnly.map { $0 ? "read-only" : "read-write" } ?? "-" }

    private static func sessions(_ sessions: [ObservedSession]) -> String {
        guard !sessions.isEmpty else { return "none" }
        let addresses = sessions.flatMap(\.addresses).sorted()
        return "\(sessions.count)" + (addresses.isEmpty ? "" : " from " + addresses.joined(separator: ", "))
    }
}

/// Commands to type on the initiator's host, for open-iscsi (iscsiadm(8)).
package struct InitiatorCommands {
    package var facts: AttachmentFacts

    package init(_ facts: AttachmentFacts) { self.facts = facts }

    /// The commands, one a line; empty while the volume has no target name yet. A record is made by hand
    /// (`-o new`), so that no discovery is needed.
    package var lines: [String] {
        guard let iqn = facts.volume?.iqn else { return [] }
        return facts.portals.flatMap { portal -> [String] in
            let node = ["-m", "node", "-T", iqn, "-p", portal.description]
            let updates = settings.map { name, value in
                self.command(node + ["-o", "update", "-n", name, "-v", value])
            }
            return [command(node + ["-o", "new"])] + updates + [command(node + ["--login"])]
        }
    }

    private func command(_ arguments: [String]) -> String {
        Command("iscsiadm", arguments, effect: .reads).description
    }

    private var chap: CHAPSpec? { facts.declared?.spec.chap }

    /// Names as iscsid.conf has them. Passwords are placeholders: no command of this program reads them to show them.
    private var settings: [(String, String)] {
        var settings: [(String, String)] = []
        if let user = chap?.initiator.user ?? facts.access?.chapUser {
            settings.append(("node.session.auth.authmethod", "CHAP"))
            settings.append(("node.session.auth.username", user))
            settings.append(("node.session.auth.password", "PASSWORD"))
            if let mutual = chap?.mutual?.user ?? facts.access?.mutualUser {
                settings.append(("node.session.auth.username_in", mutual))
                settings.append(("node.session.auth.password_in", "MUTUAL_PASSWORD"))
            }
        }
        settings.append(("node.startup", "automatic"))
        return settings
    }

    package var text: String {
        let lines = lines
        guard let iqn = facts.volume?.iqn, !lines.isEmpty else {
            return "\nThe commands for its initiator are known once the volume exists and has a portal.\n"
        }
        var text = "\nOn the initiator, as root, with open-iscsi. Its /etc/iscsi/initiatorname.iscsi must read\n"
        text += PrintedText.oneLine("InitiatorName=\(facts.initiator)") + "\n\n"
        text += lines.map { "  \(PrintedText.oneLine($0))\n" }.joined() + "\n"
        if let chap {
            text += PrintedText.oneLine("PASSWORD is what \(chap.initiator.password.file) on \(facts.node) holds")
            let mutual = chap.mutual.map { PrintedText.oneLine("MUTUAL_PASSWORD what \($0.password.file) holds") }
            text += (mutual.map { ",\n\($0)" } ?? "") + ".\n"
        } else if facts.access?.chapUser != nil {
            text += "PASSWORD stands for the CHAP secret, which only its document's passwordFrom names.\n"
        }
        if facts.driver == .lio, let serial = facts.volume?.serial {
            text += "The disk appears as \(DiskName.byID(serial: serial)).\n"
        }
        return text + PrintedText.oneLine("After the volume has grown: iscsiadm -m node -T \(iqn) --rescan") + "\n"
    }
}
