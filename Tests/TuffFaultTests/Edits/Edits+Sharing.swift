import TuffModel
import TuffTestSupport

/// The documents' words on who may use a volume at once. None of it is an error of the documents: at most one
/// attachment without sharing, two for a live migration, one that writes beside readers.
extension Simulation {
    func attached(to volume: String) -> [Declared<AttachmentSpec>] {
        desired.attachments.values.filter { $0.spec.volume == volume }.sorted { $0.metadata.name < $1.metadata.name }
    }

    /// An initiator that no attachment of the volume has.
    func free(beside volume: String) -> String {
        let used = attached(to: volume).map(\.spec.initiator)
        return Self.initiators.first { !used.contains($0) } ?? Self.initiators[0]
    }

    /// The number of attachments that the sharing of a volume lets it have; there are three initiators.
    func seats(of volume: String) -> Int {
        switch desired.volumes[volume]?.spec.sharing {
        case .handover: 2
        case .readers, .writers: Self.initiators.count
        default: 1
        }
    }

    /// One more initiator, with the secret that the others have; beside a writer it reads, where only one may write.
    func sharer(_ name: String, of volume: String) -> Declared<AttachmentSpec> {
        var spec = AttachmentSpec(volume: volume, initiator: free(beside: volume))
        let others = attached(to: volume)
        spec.chap = others.first?.spec.chap
        spec.readOnly =
            desired.volumes[volume]?.spec.sharing == .readers && others.contains { !$0.spec.readOnly }
        return Sample.declared(name, spec)
    }

    /// The second side of a live migration comes (`NAME-next`), or goes and the volume is unshared again.
    mutating func handOver(_ name: String, begins: Bool) -> Bool {
        let next = "\(name)-next"
        guard desired.volumes[name] != nil, (desired.attachments[next] == nil) == begins,
            attached(to: name).count < (begins ? 2 : 3), !attached(to: name).contains(where: \.spec.readOnly)
        else { return false }
        desired.volumes[name]?.spec.sharing = begins ? .handover : .none
        desired.attachments[next] = begins ? sharer(next, of: name) : nil
        return true
    }

    mutating func share(_ edit: Edit, _ name: String) -> Bool {
        let sharers = attached(to: name).map(\.metadata.name)
        guard let declared = desired.volumes[name] else { return false }
        switch edit {
        case .shareReaders:
            guard declared.spec.sharing != .readers else { return false }
            desired.volumes[name]?.spec.sharing = .readers
            for other in sharers.dropFirst() { desired.attachments[other]?.spec.readOnly = true }
        case .shareWriters:
            guard declared.spec.sharing != .writers else { return false }
            desired.volumes[name]?.spec.sharing = .writers
        case .addSharer:
            let free = ["\(name)-next", "\(name)-third"].first { desired.attachments[$0] == nil }
            guard let free, sharers.count < seats(of: name) else { return false }
            desired.attachments[free] = sharer(free, of: name)
        case .removeSharer:
            guard let last = sharers.last, sharers.count > 1 else { return false }
            desired.attachments[last] = nil
        case .swapWriter:
            // Who writes reads from now on, and the next one writes; alone it goes from one to the other.
            guard declared.spec.sharing != .handover, !sharers.isEmpty else { return false }
            let writer = sharers.firstIndex { desired.attachments[$0]?.spec.readOnly == false }
            if let writer { desired.attachments[sharers[writer]]?.spec.readOnly = true }
            if writer == nil || sharers.count > 1 {
                let next = sharers[((writer ?? -1) + 1) % sharers.count]
                desired.attachments[next]?.spec.readOnly = false
            }
        default:
            guard declared.spec.sharing != .none, sharers.count < 2 else { return false }
            desired.volumes[name]?.spec.sharing = .none
        }
        return true
    }
}
