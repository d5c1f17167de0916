package import TuffHost
package import TuffModel

/// `tgtadm` as the machine runs it: what it tells of connections.
package struct TgtTool: HostTool {
    package init() {}

    package func check(
        _ condition: Precondition, by commands: CommandRunner
    ) async throws(HostError) -> [UID: String] {
        guard case .tgtIdle(let port, let tid, _, let initiator) = condition else {
            throw HostError(.refused, "tgtadm does not tell that \(condition.sentence)")
        }
        let command = Command(
            "tgtadm", ["-C", "\(port)", "--lld", "iscsi", "--mode", "conn", "--op", "show", "--tid", "\(tid)"],
            effect: .reads, outputLimit: 1 << 20)
        let output = try await commands.run(command)
        guard output.status == 0 else {
            throw condition.failure("tgtadm cannot tell (status \(output.status))", cause: output.standardError)
        }
        guard !Self.isConnected(initiator, output.standardOutput) else { throw condition.failure("there is a session") }
        return [:]
    }

    /// A nexus is listed as `Session: N`, and beneath it a `Connection: N` with `Initiator: NAME`, each on a line of
    /// its own; without one nothing is printed. A session that does not say whose it is counts as anybody's.
    private static func isConnected(_ initiator: String?, _ output: [UInt8]) -> Bool {
        let lines = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline).map {
            $0.split(separator: " ").joined(separator: " ")
        }.filter { !$0.isEmpty }
        guard let initiator, !lines.isEmpty else { return !lines.isEmpty }
        let sessions = lines.split(omittingEmptySubsequences: false) { $0.hasPrefix("Session: ") }
        return sessions.first?.isEmpty == false
            || sessions.dropFirst().contains { session in
                let names = session.filter { $0.hasPrefix("Initiator: ") }.map { $0.dropFirst("Initiator: ".count) }
                return names.isEmpty || names.contains { $0 == initiator }
            }
    }
}
