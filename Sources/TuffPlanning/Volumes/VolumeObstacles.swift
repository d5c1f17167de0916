import TuffModel

/// Why a volume that is there is not touched, or given to nobody.
extension PlanningPass {
    /// A volume out of reach is left as it is, and what others may change is not handed out, not even as it was.
    func barrier(of stored: StoredVolume, in pool: PoolState?) -> Obstacle? {
        if let obstacle = door.obstacle(to: stored.backend) { return obstacle }
        if let obstacle = pool?.obstacle, obstacle.reason == .exposed { return obstacle }
        return stored.exposure.map { Obstacle(.exposed, "\($0); nothing is done with it") }
    }

    /// A volume that is shorter than it was is damaged: grown again it would show zeros, or what others left, in the
    /// place of its end.
    func truncation(of stored: StoredVolume) -> Obstacle? {
        guard stored.isTruncated, let size = stored.size, let former = stored.formerSize else { return nil }
        let giving =
            !stored.location.traits.recordsSize
            ? "tuff forget \(stored.marks.role.resource), after which an apply makes it longer again"
            : "truncate -s \(former.bytes) \(stored.location.path)"
        return Obstacle(
            .truncated,
            "\(stored.location) has \(size), and had \(former): its end was cut off, and nobody is given the rest. "
                + "Bring a backup of it back as another volume; or, if a blank end will do: \(giving)")
    }

    func suspension(of stored: StoredVolume) -> Obstacle? {
        guard stored.suspended else { return nil }
        return Obstacle(
            .suspended,
            "\(stored.location) is suspended in the device mapper, so every access to it hangs; "
                + "'lvchange --refresh \(stored.location)' resumes it")
    }
}
