import TuffModel

extension ReachDoor {
    /// Why documents may not have what a restore point holds: it is another host's or another stack's. Whoever may push
    /// documents of one stack must not read another's disks by way of a repository that both use.
    ///
    /// One that a person made by hand belongs to no host.
    func obstacle(to point: ObservedPoint, of context: PlanContext) -> Obstacle? {
        guard point.node != nil || point.stack != nil else { return nil }
        let node = point.node ?? "", stack = point.stack ?? ""
        guard node != context.config.node || stack != context.stack,
            !context.config.allow.permits(seriesOf: node, stack: stack)
        else { return nil }
        return Obstacle(
            .notAllowed,
            "restore point \(point.id.prefix(8)) of '\(point.volume)' is of host '\(node)' and stack '\(stack)', and "
                + "allow.series of the controller's configuration does not name \(node)/\(stack)")
    }
}
