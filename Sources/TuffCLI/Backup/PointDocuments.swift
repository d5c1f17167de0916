import TuffCinder
import TuffConfig
import TuffController
import TuffModel
import TuffRepository

/// Volumes of restore points as documents that bring them back: the newest point of each series, or the newest whole
/// backup of each of Cinder's volumes.
///
/// The owner of the medium may have written all that is read here. So a stored document is decoded, only its volume's
/// own fields are taken from it, and what is printed is printed once it decodes again.
struct PointDocuments {
    /// The name that documents have for the repository; nil: it is not known, and no document says where its content
    /// comes from.
    var repository: String?
    /// The pool of volumes whose document is not stored.
    var pool: String?

    private struct Document {
        /// Lines of text.
        var comments: [String]
        /// Nil: there is none, and the comments say why.
        var volume: Declared<VolumeSpec>?
    }

    // MARK: Restore points

    /// - Parameters:
    ///   - points: oldest first.
    ///   - unfit: those whose time is not to be believed, and those that lack something.
    func text(_ points: [RestorePoint], passingOver unfit: Set<FileID>) -> String {
        let newest = Dictionary(points.filter { !unfit.contains($0.id) }.map { ($0.record.series, $0) }) { $1 }
        let uids = Dictionary(grouping: newest.keys, by: \.name)
        let sorted = newest.values.sorted {
            ($0.record.series.name, $0.record.time, $0.id) < ($1.record.series.name, $1.record.time, $1.id)
        }
        return text(
            sorted.map { document($0, isAlone: uids[$0.record.series.name]?.count == 1) } + unfitSeries(points, newest),
            none: "There is no restore point.")
    }

    /// Series of which no point is fit: whoever takes the text for all that there is must hear of them.
    private func unfitSeries(_ points: [RestorePoint], _ fit: [Series: RestorePoint]) -> [Document] {
        var counts: [String: Int] = [:]
        for point in points where fit[point.record.series] == nil {
            counts[PointRemoval.SeriesName(point.record.series).text, default: 0] += 1
        }
        return counts.inKeyOrder.map { name, count in
            let sentence =
                "no document, since none of its \(PrintedText.count(count, "restore point")) is without fault"
            return Document(comments: ["\(name): \(sentence): 'tuff backup ls' shows them"])
        }
    }

    /// - Parameter isAlone: no other series has its name.
    private func document(_ point: RestorePoint, isAlone: Bool) -> Document {
        let record = point.record, series = record.series, size = ByteCount(Int64(clamping: record.size))
        let origin = [("node", series.node), ("stack", series.stack), ("uid", series.uid)]
            .compactMap { word, value in value.map { "\(word) \($0)" } }.joined(separator: ", ")
        let title = "\(series.name): restore point \(point.id) of \(record.time), \(size)"
        var document = Document(comments: [title + (origin.isEmpty ? "" : "; " + origin)])
        if !isAlone {
            document.comments.append("several volumes of this name were backed up: keep one of the documents")
        }
        if let stored = record.document.flatMap(ConfigLoader.volume(declaredBy:)), stored.metadata.name == series.name {
            document.volume = stored
            // A plan stores none; another one would begin with something else than the point.
            document.volume?.spec.source = nil
            document.volume?.metadata.labels = Self.own(stored.metadata.labels)
        } else {
            document.volume = volume(named: series.name, size, labels: record.labels ?? [:], &document)
        }
        guard let repository else { return document }
        var source = BackupSource(repository: repository, volume: series.name)
        source.at = .id(point.id.description)
        source.node = series.node
        source.stack = series.stack
        if !isAlone { source.uid = series.uid.flatMap { UID($0) } }
        // By hand nothing of a disk's identity is stored. One that a document says is no other's.
        if series.uid.flatMap({ UID($0) }) != nil, document.volume?.spec.identity == nil { source.identity = .keep }
        document.volume?.spec.source = .backup(source)
        return document
    }

    /// Without those that Tuff gives meaning to.
    private static func own(_ labels: [String: String]) -> [String: String] {
        labels.filter { !$0.key.hasPrefix("tuff.dev/") }
    }

    /// A volume of which size and labels alone are known.
    private func volume(
        named name: String, _ size: ByteCount, labels: [String: String], _ document: inout Document
    ) -> Declared<VolumeSpec>? {
        guard NameRule.isLabel(name) else {
            document.comments.append("its name is no name of a volume: 'tuff backup restore' brings it back by hand")
            return nil
        }
        guard let pool else {
            document.comments.append("no document is stored with it; --pool NAME prints one of its size in that pool")
            return nil
        }
        // A volume has whole sectors, and 1 MiB at least; one that is larger than the point takes it all the same.
        let room = max(size, ByteCount(ByteCount.mebi)).roundedUp(to: ByteCount(ByteCount.mebi))
        return Declared(
            metadata: Metadata(name: name, labels: Self.own(labels)),
            spec: VolumeSpec(size: room, placement: .pool(pool)),
            location: SourceLocation(file: "", line: 1, column: 1))
    }

    // MARK: Cinder

    /// - Parameter backups: oldest first.
    func text(_ backups: [CinderBackup]) -> String {
        let whole = backups.filter { $0.state == .complete && $0.size != nil }
        let newest = Dictionary(whole.map { ($0.volume, $0) }) { $1 }.values.sorted { $0.volume < $1.volume }
        // A volume may have another's made name for its own.
        var counts: [String: Int] = [:]
        for backup in newest {
            let made = Self.madeName(backup), own = backup.volumeName ?? ""
            counts[own, default: 0] += 1
            if made != own { counts[made, default: 0] += 1 }
        }
        return text(
            newest.map { document($0, isAlone: counts[$0.volumeName ?? ""] == 1) },
            none: "There is no whole backup of Cinder's.")
    }

    private static func madeName(_ backup: CinderBackup) -> String { "volume-\(backup.volume)" }

    private func document(_ backup: CinderBackup, isAlone: Bool) -> Document {
        let size = ByteCount(Int64(clamping: backup.size ?? 0))
        let own = backup.volumeName.flatMap { isAlone && NameRule.isLabel($0) ? $0 : nil }
        let name = own ?? Self.madeName(backup)
        let time = backup.created.map { " of \($0)" } ?? ""
        var document = Document(comments: ["\(name): Cinder's backup \(backup.id)\(time), \(size)"])
        document.volume = volume(named: name, size, labels: [:], &document)
        let facts: [(String, String?)] = [
            ("volume-id", backup.volume.description), ("volume-name", backup.volumeName),
            ("backup-name", backup.name), ("backup-created", backup.created),
        ]
        for case (let key, let value?) in facts where !value.isEmpty {
            document.volume?.metadata.annotations["cinder.openstack.org/\(key)"] = value
        }
        for (key, value) in backup.userMetadata.inKeyOrder {
            if NameRule.isLabelWord(key) {
                document.volume?.metadata.annotations["metadata.cinder.openstack.org/\(key)"] = value
            } else {
                document.comments.append("its metadata \(PrintedText.quoted(key)) cannot be the key of an annotation")
            }
        }
        if let repository {
            document.volume?.spec.source = .cinderBackup(repository: repository, backup: backup.id.description)
        }
        return document
    }

    // MARK: Writing

    private func text(_ documents: [Document], none: String) -> String {
        guard !documents.isEmpty else { return "# \(none)\n" }
        var text = ""
        if repository == nil {
            text +=
                "# No document says where its content comes from: the name of the BackupRepository is not known.\n"
                + "# --declared-as NAME, or -f with the set that declares it, adds that.\n"
        }
        var pools: Set<String> = []
        for case .pool(let name)? in documents.map({ $0.volume?.spec.placement }) { pools.insert(name) }
        if !pools.isEmpty {
            let names = pools.sorted().map(PrintedText.oneLine).joined(separator: ", ")
            text += "# The pools are to be declared beside these, and who may attach them: \(names)\n"
        }
        for document in documents {
            let yaml = document.volume.map(\.document.yaml)
            let isSound = yaml.map { ConfigLoader.volume(declaredBy: $0) != nil } ?? true
            var comments = document.comments
            if !isSound { comments.append("it has names or labels that no document may have; none is printed") }
            if yaml != nil, isSound { text += "---\n" }
            text += comments.map { "# \(PrintedText.oneLine($0).prefix(400))\n" }.joined()
            if let yaml, isSound { text += yaml }
        }
        return text
    }
}
