package import TuffModel

/// Objects that a pass goes on with later, while it does not hold the host: a file among those of running jobs, so that
/// plans of other processes leave them alone. The kernel lets go of them when this process is gone.
package final class HeldObjects: Sendable {
    private let file: JobFile

    fileprivate init(_ file: JobFile) { self.file = file }

    package func end() { file.end() }
}

extension LinuxMachine {
    /// - Parameter summary: what this process does with them, for people: `carrying out the rest of its plan`.
    /// - Returns: nil where jobs have no files (tests).
    package func hold(_ objects: [UID], summary: String) throws(HostError) -> HeldObjects? {
        guard let jobsDirectory else { return nil }
        let ticket = JobTicket(
            id: HostFacts.randomName(), kind: "pass", summary: summary, keys: [], objects: objects)
        return HeldObjects(try JobFile.take(ticket, in: jobsDirectory))
    }
}
