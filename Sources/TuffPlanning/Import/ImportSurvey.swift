package import TuffModel

/// Which logical volumes `tuff import` is about.
package struct ImportSelection: Hashable, Sendable {
    /// Only of this volume group.
    package var group: String?
    /// Only of this thin pool, as `POOL` or `GROUP/POOL`.
    package var pool: String?
    /// Only these, as `NAME` or `GROUP/NAME`; empty: all.
    package var names: [String]

    package init(group: String? = nil, pool: String? = nil, names: [String] = []) {
        self.group = group
        self.pool = pool
        self.names = names
    }

    func includes(_ group: String) -> Bool { self.group == nil || self.group == group }

    func includes(_ volume: LogicalVolume, in group: String) -> Bool {
        if let pool, volume.pool.map({ pool == $0 || pool == "\(group)/\($0)" }) != true { return false }
        return names.isEmpty || isNamed(volume, in: group)
    }

    func isNamed(_ volume: LogicalVolume, in group: String) -> Bool {
        names.contains(volume.name) || names.contains("\(group)/\(volume.name)")
    }
}

/// Volumes on a host that Tuff did not make, in the words of documents. Pure: what may be imported, as what, and why
/// the rest may not.
package struct ImportSurvey: Equatable, Sendable {
    package struct Pool: Equatable, Sendable {
        package var name: String
        package var backend: StorageBackend
        package var node: String?
    }

    package struct Volume: Equatable, Sendable {
        package var name: String
        package var group: String
        package var logicalVolume: String
        package var uuid: String
        package var size: ByteCount
        package var pool: String
        package var identity = IdentityOverride()
        package var sharing = VolumeSpec.Sharing.none
        package var portals: [Portal]?
        package var attachments: [Attachment] = []
        /// Things about it that no document says.
        package var notes: [String] = []
        /// A document that was given says that it was imported from this logical volume.
        package var isDeclared = false
        /// It has our marks already.
        package var isAdopted = false

        package var origin: String { "\(group)/\(logicalVolume)" }

        package var adoption: Adoption {
            Adoption(group: group, volume: logicalVolume, uuid: uuid, name: name, identity: identity)
        }
    }

    package struct Attachment: Equatable, Sendable {
        package var name: String
        package var initiator: String
        package var readOnly = false
        package var chapUser: String?
        package var mutualUser: String?
    }

    /// A volume that is there and cannot be imported.
    package struct Refusal: Equatable, Sendable {
        package var what: String
        package var reason: String
    }

    package internal(set) var pools: [Pool] = []
    package internal(set) var volumes: [Volume] = []
    package internal(set) var refused: [Refusal] = []
    /// Names that were asked for and are no logical volume that was looked at.
    package internal(set) var missing: [String] = []
    /// The places that documents of this node say they were imported from, where what is there is neither ours nor can
    /// be adopted.
    package internal(set) var unmet: [String] = []

    /// - Parameters:
    ///   - observed: with the devices behind other people's backstores, where the target stack can tell them.
    ///   - desired: documents that exist already. Their names stay theirs, and their pools are not written again.
    package init(
        _ selection: ImportSelection, observed: ObservedState, desired: DesiredState, context: PlanContext
    ) {
        var pass = ImportPass(selection, observed: observed, desired: desired, context: context)
        pass.run()
        self = pass.survey
    }

    /// The fault that keeps a logical volume from being handed out as a volume of Tuff's; nil: there is none.
    static func unfit(_ volume: LogicalVolume, in group: VolumeGroup, _ health: StorageHealth) -> String? {
        if volume.layout == .thinPool { return "is a thin pool; its volumes are imported, and it becomes their Pool" }
        if volume.layout != .striped, let what = volume.layout.special {
            return "is \(what), and this version takes over linear, striped and thin volumes only"
        }
        if volume.isThickSnapshot, let origin = volume.origin { return "is a snapshot of \(group.name)/\(origin)" }
        if volume.suspended { return "is suspended in the device mapper, so every access to it hangs" }
        let faults = health.faults(of: volume)
        let fault = faults.filter {
            $0.gravity >= .impaired && $0.reason != .readOnly && $0.cause != .group(group.name)
        }.worst
        return fault.map { "is not well: \($0.sentence)" }
    }
}

/// Answers for all volumes of one group, made out once, since each of them would look at all the others.
private struct GroupLook {
    let health: StorageHealth
    /// Names of copy-on-write snapshots by their origin's.
    let snapshots: [String: [String]]

    init(_ group: VolumeGroup) {
        health = StorageHealth(group)
        snapshots = Dictionary(
            grouping: group.logicalVolumes.filter { $0.origin != nil && $0.layout != .thin }, by: { $0.origin! }
        ).mapValues { $0.map(\.name) }
    }
}

struct ImportPass {
    let selection: ImportSelection
    let observed: ObservedState
    let desired: DesiredState
    let context: PlanContext
    let index: StorageIndex
    let exports: ForeignExports
    var survey: ImportSurvey
    private var names: ImportNames
    /// Documents that say which logical volume they were imported from, by that.
    private let declared: [String: Declared<VolumeSpec>]

    init(
        _ selection: ImportSelection, observed: ObservedState, desired: DesiredState, context: PlanContext
    ) {
        self.selection = selection
        self.observed = observed
        self.desired = desired
        self.context = context
        index = StorageIndex(observed)
        exports = ForeignExports(observed.targets)
        survey = ImportSurvey.empty
        declared = Dictionary(
            desired.volumes.values.compactMap { volume in volume.metadata.importedFrom.map { ($0, volume) } }
        ) { first, _ in first }
        names = ImportNames(
            volumes: Set(desired.volumes.keys).union(
                index.volumes.filter { $0.marks.stack == context.stack && $0.marks.kind == .volume }.map(\.marks.name)),
            attachments: Set(desired.attachments.keys), pools: Set(desired.pools.keys))
    }

    mutating func run() {
        if let error = observed.volumeGroups.unlisted {
            survey.refused.append(ImportSurvey.Refusal(what: "LVM", reason: "could not be observed: \(error)"))
        }
        var found: Set<String> = []
        for (name, entry) in observed.volumeGroups.entries.inKeyOrder
        where selection.includes(name) {
            switch entry {
            case .unknown(let error):
                survey.refused.append(
                    ImportSurvey.Refusal(what: "volume group \(name)", reason: "could not be observed: \(error)"))
            case .known(let group):
                let look = GroupLook(group)
                for volume in group.logicalVolumes.sorted(by: { $0.name < $1.name })
                where selection.includes(volume, in: name) {
                    found.formUnion([volume.name, "\(name)/\(volume.name)"])
                    self.look(at: volume, in: group, look)
                }
            }
        }
        survey.missing = selection.names.filter { !found.contains($0) }
        survey.unmet = unmet()
        guard selection == ImportSelection() else { return }
        let volumes = observed.volumeGroups.entries.flatMap { name, entry in
            (entry.value?.logicalVolumes ?? []).map { ($0, group: name) }
        }
        survey.refused += exports.others(than: volumes)
    }

    /// Of what is selected. What our marks say is a document's volume, in the trash or wherever, is that.
    private func unmet() -> [String] {
        let taken = Set(survey.volumes.map(\.origin))
        return declared.filter { origin, document in
            guard !taken.contains(origin), let slash = origin.firstIndex(of: "/") else { return false }
            let group = String(origin[..<slash]), name = String(origin[origin.index(after: slash)...])
            guard selection.includes(group), selection.pool == nil,
                selection.names.isEmpty || selection.names.contains(name) || selection.names.contains(origin)
            else { return false }
            if case .pool(let pool) = document.spec.placement,
                desired.pools[pool]?.spec.node ?? context.config.node != context.config.node
            {
                return false
            }
            return !index.volumes.contains {
                $0.marks.stack == context.stack && $0.marks.role == .volume(document.metadata.name)
            }
        }.keys.sorted()
    }

    private mutating func look(at volume: LogicalVolume, in group: VolumeGroup, _ look: GroupLook) {
        let place = "\(group.name)/\(volume.name)"
        var marks: Marks?
        if case .base = BackupBase.read(volume.tags) {
            guard selection.isNamed(volume, in: group.name) else { return }
            return refuse(place, "is the base of Tuff's incremental backups, which removes it by itself")
        }
        switch Marks.read(volume.tags) {
        case .foreign: break
        case .damaged(let sentence): return refuse(place, "has marks of Tuff's that cannot be read: \(sentence)")
        case .ours(let found):
            let isMine = found.adopted && found.stack == context.stack && found.until == nil && !found.released
            guard isMine else {
                // What Tuff made is in its documents; only who asks for it is told.
                guard selection.isNamed(volume, in: group.name) || found.stack != context.stack else { return }
                return refuse(place, "is \(found.role.resource) of stack \(found.stack) already")
            }
            marks = found
        }
        if marks == nil, let reason = obstacle(volume, group: group, health: look.health) {
            // Pools are written as such; only who asks for one is told.
            if volume.layout == .thinPool, !selection.isNamed(volume, in: group.name) { return }
            return refuse(place, reason)
        }
        take(volume, group: group, marks: marks, snapshots: look.snapshots[volume.name] ?? [])
    }

    private func obstacle(_ volume: LogicalVolume, group: VolumeGroup, health: StorageHealth) -> String? {
        if let reason = ImportSurvey.unfit(volume, in: group, health) { return reason }
        if let obstacle = PoolState.obstacle(of: group) { return "cannot be changed: \(obstacle.sentence)" }
        let isCinders = volume.name.hasPrefix("volume-")
        // A document names it as well as a person does.
        let isNamed =
            selection.isNamed(volume, in: group.name) || declared["\(group.name)/\(volume.name)"] != nil
        if let origin = volume.origin, !isCinders, !isNamed {
            return "is a thin snapshot of \(group.name)/\(origin); name it to import it as a volume of its own"
        }
        return exports.obstacle(volume, group: group.name)
    }

    private mutating func refuse(_ place: String, _ reason: String) {
        survey.refused.append(ImportSurvey.Refusal(what: place, reason: reason))
    }

    private mutating func take(
        _ volume: LogicalVolume, group: VolumeGroup, marks: Marks?, snapshots: [String]
    ) {
        let origin = "\(group.name)/\(volume.name)"
        let document = declared[origin]
        let backend: StorageBackend =
            volume.pool.map { .thinPool(group: group.name, pool: $0) } ?? .thick(group: group.name)
        var found = ImportSurvey.Volume(
            name: document?.metadata.name ?? marks?.name
                ?? names.volume(volume.name, group: group.name), group: group.name,
            logicalVolume: volume.name, uuid: volume.uuid, size: volume.size, pool: "")
        if case .pool(let name)? = document?.spec.placement { found.pool = name } else { found.pool = pool(backend) }
        found.isDeclared = document != nil || marks.map { desired.volumes[$0.name] != nil } == true
        found.isAdopted = marks != nil
        if let origin = volume.origin { found.notes.append("began as a snapshot of \(group.name)/\(origin)") }
        if !snapshots.isEmpty {
            found.notes.append(
                "has copy-on-write snapshots of somebody's: \(snapshots.sorted().joined(separator: ", "))")
        }
        let export = exports.export(of: volume, group: group.name)
        describe(export, in: &found)
        if let marks {
            found.identity.iqn = marks.iqn == "\(context.config.iqnBase):\(marks.name)" ? nil : marks.iqn
            found.identity.serial = marks.serial
            found.identity.lun = marks.lun
        } else if let identity = document?.spec.identity {
            // What a document says was written by an earlier import, or chosen.
            found.identity.iqn = identity.iqn ?? found.identity.iqn
            found.identity.serial = identity.serial ?? found.identity.serial
            found.identity.lun = identity.lun ?? found.identity.lun
        }
        survey.volumes.append(found)
    }

    /// The document of this pool, or one that is to be written.
    private mutating func pool(_ backend: StorageBackend) -> String {
        let node = context.config.node
        let known = desired.pools.values.filter {
            $0.spec.storage == backend && ($0.spec.node ?? node) == node
        }
        if let name = known.map(\.metadata.name).min() { return name }
        if let pool = survey.pools.first(where: { $0.backend == backend }) { return pool.name }
        // All pools of a set name their node, or none does.
        let isNamed = desired.pools.isEmpty || desired.pools.values.contains { $0.spec.node != nil }
        let pool = ImportSurvey.Pool(
            name: names.pool(backend), backend: backend, node: isNamed && NameRule.isLabel(node) ? node : nil)
        survey.pools.append(pool)
        return pool.name
    }

    /// Takes over what the target in front of a volume says of it.
    private mutating func describe(_ export: ForeignExport?, in volume: inout ImportSurvey.Volume) {
        guard let export else { return }
        volume.notes += export.notes
        if let iqn = export.iqn, index.volumes(withTarget: iqn).allSatisfy({ $0.marks.name == volume.name }) {
            volume.identity.iqn = iqn
        }
        volume.identity.serial = export.serial
        volume.identity.lun = export.lun == 0 ? nil : export.lun
        let portals = export.portals.filter { !$0.isWildcard && $0.fault == nil }.sorted()
        if !portals.isEmpty, portals != context.config.portals.sorted() { volume.portals = portals }
        for access in export.access {
            var attachment = access
            if attachment.name.isEmpty { attachment.name = names.attachment(volume.name, initiator: access.initiator) }
            volume.attachments.append(attachment)
        }
        if volume.attachments.count > 1 {
            volume.sharing = volume.attachments.count(where: { !$0.readOnly }) > 1 ? .writers : .readers
        }
    }
}

extension ImportSurvey {
    static let empty = ImportSurvey()

    private init() {}
}
