package import TuffModel

extension BackupBase {
    /// The command with the change of tags that makes this base of use: the point that was made of it in this process.
    /// - Throws: where none was, or its content is not told: the base then stays unfinished, which a later pass sees.
    package func completing(
        _ command: Command, with point: ObservedPoint?, _ identity: ThinIdentity
    ) throws(HostError) -> Command {
        guard let point, let root = point.root else {
            throw HostError(.preconditionFailed, "No restore point was made of \(objectName) in this process")
        }
        let completion = Completion(point: point.id, root: root, identity: identity)
        let (added, removed) = completing(with: completion)
        guard case .base(let read) = Self.read(tags.filter { !removed.contains($0) } + added),
            read.completion == completion
        else { throw HostError(.malformed, "The restore point of \(objectName) has the id '\(point.id)'") }
        let change = added.flatMap { ["--addtag", $0] } + removed.flatMap { ["--deltag", $0] }
        var command = command
        command.arguments.insert(contentsOf: change, at: command.arguments.firstIndex(of: "-S") ?? 1)
        return command
    }
}
