import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

/// One thing people do to one volume: to its documents, by an order, at its initiator, or to the clock.
enum Edit: String, CaseIterable, Sendable {
    case declare, declareAttached, remove, extend, attach, attachWithSecret, detach, disconnectOnRemove
    case snapshot, clone, cloneAway, removeSnapshot
    case restore, removeRestore, overflow
    case declarePolicy, declareZonedPolicy, removePolicy, deselect, keepRun
    case declareFromImage, declareFromRaw, declareFromDigest, changeImage, loseImage
    case handOver, endHandover
    case shareReaders, shareWriters, addSharer, removeSharer, swapWriter, unshare
    case rename, renamePlainly, revertRename, renameBack, moveAway, moveBack
    case replaceInitiator, protect, unprotect, retain, keepForNoTime
    case login, logout, expire, clockBack, orderPurge, orderRestore, orderRelease, orderUnprotect, orderDetach
    case orderAdopt, orderLetGo, orderAdoptServed, orderLetGoServed, serveByHand
    case askForCheck, loseDevice, fillPool, nearlyFillPool
    case vanish, addStranger, write, loseLedger
    case declarePool, declareUsedPool, declareThickPool, declareMixedPool, autoExtend, stopMonitoring, changeWipe
    case place, relabelShelf, fillShelves, crowd
    case declareBackup, dropPoint, loseRepository, restoreBackup

    /// Those that begin a sequence on a fresh host.
    static let first: [Edit] = [.declare, .declareAttached]

    var order: ((String) -> Order)? {
        switch self {
        case .orderPurge: { .purge($0) }
        case .orderRestore: { .restore($0) }
        case .orderRelease: { .release($0) }
        case .orderAdopt: { _ in .adopt([Simulation.adoption]) }
        case .orderLetGo: { _ in .release(Simulation.adoption.name) }
        case .orderAdoptServed: { _ in .adopt([Simulation.servedAdoption]) }
        case .orderLetGoServed: { _ in .release(Simulation.servedAdoption.name) }
        case .orderUnprotect: { .unprotect($0) }
        case .orderDetach: { .detach(attachment: "\($0)-on-web", force: true) }
        default: nil
        }
    }

    var destroys: Bool { self == .keepForNoTime }
    var makesPool: Bool { [.declarePool, .declareUsedPool, .declareThickPool, .declareMixedPool].contains(self) }
}

extension Simulation {
    /// The document of a volume, whether or not it is declared now.
    private func document(_ name: String, _ backend: Backend) -> Declared<VolumeSpec> {
        desired.volumes[name]
            ?? Sample.declared(name, VolumeSpec(size: ByteCount(16 << 20), placement: .pool(backend.pool)))
    }

    private func attachment(_ volume: String, secret: Bool = false) -> Declared<AttachmentSpec> {
        var spec = AttachmentSpec(volume: volume, initiator: Self.initiators[0])
        if secret {
            let password = SecretReference(file: Self.secretFile)
            spec.chap = CHAPSpec(initiator: CHAPCredential(user: "web", password: password))
        }
        // What is beside it has its own initiator, and all have secrets or none.
        if let other = attached(to: volume).first {
            spec = sharer("", of: volume).spec
            spec.chap = other.spec.chap
        }
        return Sample.declared("\(volume)-on-web", spec)
    }

    /// Does one thing to the volume `name`.
    /// - Returns: false where there is nothing to do it to, so that the sequence need not be tried.
    mutating func edit(_ edit: Edit, _ name: String, _ backend: Backend) -> Bool {
        let access = "\(name)-on-web"
        let iqn = "\(Sample.iqnBase):\(name)"
        let isDeclared = desired.volumes[name] != nil
        switch edit {
        case .declare, .declareAttached:
            guard !isDeclared else { return false }
            desired.volumes[name] = document(name, backend)
            if edit == .declareAttached { desired.attachments[access] = attachment(name, secret: true) }
        case .remove:
            guard isDeclared else { return false }
            withdrawDocument(name)
        case .attach, .attachWithSecret:
            guard isDeclared, desired.attachments[access] == nil, attached(to: name).count < seats(of: name) else {
                return false
            }
            desired.attachments[access] = attachment(name, secret: edit == .attachWithSecret)
        case .detach:
            guard desired.attachments.removeValue(forKey: access) != nil else { return false }
        case .rename, .renamePlainly, .revertRename, .renameBack: return editName(edit, name)
        case .moveAway, .moveBack: return move(name, away: edit == .moveAway)
        case .handOver, .endHandover: return handOver(name, begins: edit == .handOver)
        case .shareReaders, .shareWriters, .addSharer, .removeSharer, .swapWriter, .unshare: return share(edit, name)
        case .snapshot, .clone, .removeSnapshot: return copy(edit, name, backend)
        case .restore: return restore(name)
        case .removeRestore: return desired.restores.removeValue(forKey: "\(name)-undo") != nil
        case .cloneAway: return cloneAway(name, backend)
        case .replaceInitiator, .disconnectOnRemove:
            guard var declared = desired.attachments[access] else { return false }
            if edit == .disconnectOnRemove {
                declared.spec.onRemove = .disconnect
            } else {
                guard attached(to: declared.spec.volume).count < Self.initiators.count else { return false }
                declared.spec.initiator = free(beside: declared.spec.volume)
            }
            desired.attachments[access] = declared
        case .extend, .protect, .unprotect, .retain, .keepForNoTime:
            guard var declared = desired.volumes[name] else { return false }
            change(&declared, edit)
            desired.volumes[name] = declared
        case .declareFromImage, .declareFromRaw, .declareFromDigest, .changeImage, .loseImage:
            return editImage(edit, name, backend)
        case .declarePolicy, .declareZonedPolicy, .removePolicy, .deselect, .keepRun:
            return policy(edit, name, backend)
        case .expire: machine.advance(seconds: 8 * 86400)
        case .clockBack: machine.setClock(ahead: -2 * 86400)
        case .orderPurge, .orderRestore, .orderRelease, .orderUnprotect, .orderDetach: return true
        case .orderAdopt, .orderLetGo: return adopt(Self.adoption, isGoing: edit == .orderLetGo)
        case .orderAdoptServed, .orderLetGoServed:
            return adopt(Self.servedAdoption, isGoing: edit == .orderLetGoServed)
        case .serveByHand: return serveByHand()
        case .askForCheck, .loseDevice, .fillPool, .nearlyFillPool: return fall(edit)
        case .loseLedger:
            ledger.contents = Ledger()
            other.waits = [:]
            oracle.forgetAll()
        case .declarePool, .declareUsedPool, .declareThickPool, .declareMixedPool, .autoExtend, .stopMonitoring,
            .changeWipe:
            return editPool(edit)
        case .place, .relabelShelf, .fillShelves: return editPlacement(edit, name)
        case .crowd: return crowdGroup()
        case .declareBackup, .dropPoint, .loseRepository, .restoreBackup: return editBackups(edit, name)
        case .login, .logout, .vanish, .addStranger, .write, .overflow: return byHand(edit, name, iqn, backend)
        }
        return true
    }

    /// Takes back the document of a volume, and all that refer to it.
    mutating func withdrawDocument(_ name: String) {
        desired.volumes[name] = nil
        for attachment in attached(to: name) { desired.attachments[attachment.metadata.name] = nil }
        forget(.volume(name))
        forgetBackups(of: name)
    }

    /// Documents that would refer to nothing are taken back as well, or no longer say where their content came from.
    private mutating func forget(_ source: VolumeSource) {
        for (key, volume) in desired.volumes where volume.spec.source == source {
            desired.volumes[key]!.spec.source = nil
        }
        guard case .volume(let name) = source else {
            for (key, restore) in desired.restores {
                if case .snapshot(let name) = restore.spec.from, source == .snapshot(name) {
                    desired.restores[key] = nil
                }
            }
            return
        }
        for (key, snapshot) in desired.snapshots where snapshot.spec.volume == name {
            desired.snapshots[key] = nil
            forget(.snapshot(key))
        }
    }

    /// Back to the volume's snapshot, with the uid it has at this moment; a second time under another name.
    private mutating func restore(_ name: String) -> Bool {
        let snapshot = "\(name)-snap"
        let undo = desired.restores["\(name)-undo"] == nil ? "\(name)-undo" : "\(name)-again"
        let tags = OracleView(machine.world).objects.first { $0.tags.contains("tuff:vol=\(name)") }?.tags
        guard desired.volumes[name] != nil, desired.snapshots[snapshot] != nil, desired.restores[undo] == nil,
            case .ours(let marks)? = tags.map({ Marks.read($0) })
        else { return false }
        desired.restores[undo] = Sample.declared(
            undo, RestoreSpec(volume: name, volumeUID: marks.uid, from: .snapshot(snapshot)))
        return true
    }

    private mutating func copy(_ edit: Edit, _ name: String, _ backend: Backend) -> Bool {
        let snapshot = "\(name)-snap", clone = "\(name)-copy"
        switch edit {
        case .snapshot:
            guard desired.volumes[name] != nil, desired.snapshots[snapshot] == nil else { return false }
            var spec = SnapshotSpec(volume: name)
            if backend == .thick { spec.reserve = ByteCount(8 << 20) }
            desired.snapshots[snapshot] = Sample.declared(snapshot, spec)
        case .removeSnapshot:
            guard desired.snapshots.removeValue(forKey: snapshot) != nil else { return false }
            forget(.snapshot(snapshot))
        default:
            guard let origin = desired.volumes[name], desired.volumes[clone] == nil else { return false }
            var spec = VolumeSpec(size: origin.spec.size + ByteCount(4 << 20), placement: .pool(backend.pool))
            spec.source = desired.snapshots[snapshot] == nil ? .volume(name) : .snapshot(snapshot)
            desired.volumes[clone] = Sample.declared(clone, spec)
        }
        return true
    }

    /// Into another pool, byte by byte: of the group, or a directory, or from there.
    private mutating func cloneAway(_ name: String, _ backend: Backend) -> Bool {
        let snapshot = "\(name)-snap", clone = "\(name)-away"
        guard let origin = desired.volumes[name], desired.volumes[clone] == nil else { return false }
        let pool: String =
            switch backend {
            case .lvm: desired.volumes.count.isMultiple(of: 2) ? Backend.directory.pool : Backend.thick.pool
            case .directory: desired.volumes.count.isMultiple(of: 2) ? Backend.thick.pool : Backend.lvm.pool
            case .thick: Backend.lvm.pool
            }
        var spec = VolumeSpec(size: origin.spec.size + ByteCount(4 << 20), placement: .pool(pool))
        spec.source = desired.snapshots[snapshot] == nil ? .volume(name) : .snapshot(snapshot)
        desired.volumes[clone] = Sample.declared(clone, spec)
        return true
    }

    private func change(_ declared: inout Declared<VolumeSpec>, _ edit: Edit) {
        switch edit {
        case .extend: declared.spec.size += ByteCount(8 << 20)
        case .protect, .unprotect:
            declared.spec.protect = edit == .protect
            declared.fields["spec.protect"] = declared.location
        case .retain: declared.spec.deletionPolicy = .retain
        default: declared.spec.trashFor = TimeSpan(seconds: 0)
        }
    }

    private mutating func byHand(_ edit: Edit, _ name: String, _ iqn: String, _ backend: Backend) -> Bool {
        var isPossible = true
        meddle { world in
            switch edit {
            case .login:
                let chap = (user: "web", secret: Self.canary)
                isPossible = Self.initiators.map { world.targets.login(initiator: $0, to: iqn, chap: chap) }
                    .contains(true)
            case .overflow:
                let snapshot = "s-\(name)-snap"
                isPossible = backend == .thick && world.lvm["vg0", snapshot]?.active == true
                if isPossible { world.lvm.overflow(snapshot, in: "vg0") }
            case .logout:
                isPossible = !world.targets.sessions.isEmpty
                for initiator in Self.initiators { world.targets.logout(initiator: initiator, from: iqn) }
            case .vanish:
                // lvremove refuses what is in use, by a person too.
                let volume = world.lvm["vg0", "v-\(name)"]
                isPossible = backend != .directory && volume.map { !world.isOpen("vg0", $0) } == true
                if isPossible { try? world.lvm.remove("v-\(name)", in: "vg0") }
            case .addStranger:
                let path = "iscsi/\(iqn)/tpgt_1/acls/iqn.2004-10.com.example:stranger"
                isPossible = world.targets.exists("iscsi/\(iqn)/tpgt_1")
                try? world.targets.meddle(.makeDirectory(.target(path)))
            default:
                if backend != .directory {
                    world.lvm.write(to: "v-\(name)", in: "vg0")
                } else {
                    world.files.write(to: "v-\(name)", in: Self.directory)
                }
            }
        }
        return isPossible
    }
}
