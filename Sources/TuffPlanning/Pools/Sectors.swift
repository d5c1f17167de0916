import TuffModel

/// Logical sectors, by which partition tables count. Copies are byte for byte, so what was written for sectors of one
/// size is read wrongly in sectors of another.
enum Sectors {
    /// LIO's fileio and tgt hand files out in sectors of 512 bytes unless told otherwise, and disk images are made for
    /// these.
    static let ofFiles = 512

    static func text(_ size: Int) -> String { "\(size) bytes" }
}

extension PlanningPass {
    /// Of what a volume is made from; nil: not known, or it is made blank.
    func sectors(of source: StoredVolume) -> Int? {
        guard let group = source.backend.group else { return Sectors.ofFiles }
        return observed.volumeGroups.entries[group]?.value?.sectorSize
    }

    /// A word about a copy between sectors of different sizes.
    func sectorNotes(_ source: CopySource?, _ content: OutsideContent?, into pool: PoolState) -> [String] {
        let what = source?.resource.description ?? content.map { "the \($0.description)" }
        let found = source.flatMap { sectors(of: $0.stored) } ?? content?.sectors
        guard let what, let found, let own = pool.sectorSize, own != found else { return [] }
        return [
            "WARNING: pool '\(pool.name)' has sectors of \(Sectors.text(own)), and \(what) has sectors of "
                + "\(Sectors.text(found)): it is copied byte for byte, so a partition table in it is not read there, and file "
                + "systems with blocks smaller than a sector are not mounted"
        ]
    }
}
