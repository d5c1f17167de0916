import TuffModel

/// Rules between documents, and rules within one document that no single field can express.
///
/// Each rule looks at the resources that could be decoded. The rest has its own errors already.
struct Linker {
    let documents: DocumentSet
    let state: DesiredState
    /// Resources of the kinds that several rules look at, in the order in which they were read.
    let pools: [Declared<PoolSpec>]
    let volumes: [Declared<VolumeSpec>]

    init(_ documents: DocumentSet) {
        self.documents = documents
        state = documents.state
        pools = documents.inOrder(.pool, documents.state.pools)
        volumes = documents.inOrder(.volume, documents.state.volumes)
    }

    func check() {
        checkReferences()
        checkCycles()
        checkNodes()
        checkPools()
        checkVolumes()
        checkSnapshots()
        checkAttachments()
        checkPolicies()
        checkBackups()
        checkRestores()
        checkAnnotations()
    }

    // MARK: Saying so

    /// Reports that `declared` does what `complaint` says: a predicate that follows the resource's name.

    func error<Spec>(
        rule: String, _ kind: Kind, _ declared: Declared<Spec>, at path: String, complaint: String,
        help: String? = nil
    ) {
        error(
            rule: rule, ResourceID(kind, declared.metadata.name), at: declared.location(of: path), complaint: complaint,
            help: help)
    }

    func error(rule: String, _ resource: ResourceID, at place: SourceLocation, complaint: String, help: String?) {
        guard let report = documents.reports[place.file] else { return }
        report.error(rule, "\(resource) \(complaint)", at: position(place, report), help: help)
    }

    func warning<Spec>(
        rule: String, _ kind: Kind, _ declared: Declared<Spec>, at path: String, complaint: String,
        help: String? = nil
    ) {
        let place = declared.location(of: path)
        guard let report = documents.reports[place.file] else { return }
        report.warning(
            rule, "\(kind.rawValue)/\(declared.metadata.name) \(complaint)", at: position(place, report), help: help)
    }

    private func position(_ place: SourceLocation, _ report: FileReport) -> TextPosition {
        TextPosition(
            line: Int32(clamping: place.line), column: Int32(clamping: place.column),
            length: Int32(clamping: report.file.extent(at: place)))
    }

    /// Resources in the order in which they were read, so that "first" means the same in every run.
    func inOrder<Spec>(_ kind: Kind, _ resources: [String: Declared<Spec>]) -> [Declared<Spec>] {
        documents.inOrder(kind, resources)
    }

    // MARK: References

    /// Most suggestions in one run. Each compares with every name, which is worth it for a person's typing errors only.
    private static let guesses = 50

    private func checkReferences() {
        var guessesLeft = Self.guesses
        // Looked for where one is missing only.
        var names: [Kind: [String]] = [:]
        func known(_ kind: Kind) -> [String] {
            if let known = names[kind] { return known }
            let known = documents.known.keys.filter { $0.kind == kind }.map(\.name).sorted()
            names[kind] = known
            return known
        }

        for reference in documents.references where documents.known[reference.target] == nil {
            let target = reference.target
            // Only the host knows the snapshots that policies took.
            if target.kind == .snapshot, PolicySnapshotName.isOne(target.name) { continue }
            // The set is refused already for its unreadable parts, and this resource may be declared there.
            if documents.unread.mayDeclare(target.name) { continue }
            var help: String?
            if guessesLeft > 0 {
                guessesLeft -= 1
                help = Spelling.closest(to: target.name, among: known(target.kind)).map {
                    "did you mean '\($0)'?"
                }
            }
            reference.report.error(
                "dangling-reference",
                "\(reference.subject) names '\(target.name)' in \(reference.path), but there is no \(target)",
                at: reference.position, help: help ?? "declare it, or remove the reference")
        }
    }

    /// A volume is made from its source, a snapshot from its volume: neither may come from itself.
    private func checkCycles() {
        func origin(_ id: ResourceID) -> ResourceID? {
            switch id.kind {
            case .volume:
                switch state.volumes[id.name]?.spec.source {
                case .volume(let name)?: ResourceID(.volume, name)
                case .snapshot(let name)?: ResourceID(.snapshot, name)
                default: nil
                }
            case .snapshot: state.snapshots[id.name].map { ResourceID(.volume, $0.spec.volume) }
            default: nil
            }
        }
        var finished: Set<ResourceID> = []
        for volume in volumes where volume.spec.source != nil {
            var trail: [ResourceID] = []
            var onTrail: Set<ResourceID> = []
            var next: ResourceID? = ResourceID(.volume, volume.metadata.name)
            while let id = next, !finished.contains(id), onTrail.insert(id).inserted {
                trail.append(id)
                next = origin(id)
            }
            if let id = next, let start = trail.firstIndex(of: id) { reportCycle(Array(trail[start...])) }
            finished.formUnion(trail)
        }
    }

    private func reportCycle(_ cycle: [ResourceID]) {
        guard let first = cycle.first(where: { $0.kind == .volume }), let volume = state.volumes[first.name] else {
            return
        }
        let start = cycle.firstIndex(of: first) ?? 0
        let round = cycle[start...] + cycle[..<start] + [first]
        let shown = round.count > 8 ? round.prefix(7).map(\.description) + ["…"] : round.map(\.description)
        error(
            rule: "source-cycle", .volume, volume, at: "spec.source",
            complaint: "is made from itself: \(shown.joined(separator: " → "))",
            help: "one of them must begin without a source")
    }
}
