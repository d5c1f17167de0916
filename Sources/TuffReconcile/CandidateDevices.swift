import TuffHost
import TuffModel

/// Devices are looked at only while the pool they are for is not there: afterwards they are LVM's.
extension Reconciler {
    /// The making of a pool of this node that is not there; nil where it is, or cannot be made.
    func missing(
        _ pool: Declared<PoolSpec>, in groups: ObservationMap<VolumeGroup>
    ) -> PoolCreation? {
        guard case .lvm(let lvm) = pool.spec.backend, let create = lvm.create,
            pool.spec.node ?? config.node == config.node, case .known(let group) = groups[lvm.volumeGroup]
        else { return nil }
        guard let group else { return create }
        return lvm.thinPool.map { name in group.logicalVolumes.contains { $0.name == name } } ?? true ? nil : create
    }

    func candidates(for creations: [PoolCreation]) async -> ObservationMap<CandidateDevice> {
        var entries: [String: Observation<CandidateDevice>] = [:]
        for path in Set(creations.flatMap(\.devices)).sorted() {
            do throws(HostError) {
                entries[path] = .known(try await machine.look(at: path))
            } catch {
                // A device that is not there is known to be absent, which is an answer of its own.
                if error.code != .notFound { entries[path] = .unknown(error) }
            }
        }
        return ObservationMap(entries)
    }
}
