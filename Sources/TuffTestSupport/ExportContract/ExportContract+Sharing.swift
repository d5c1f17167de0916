import Testing
import TuffHost
package import TuffModel
package import TuffPlanning

extension ExportContract {
    package var second: String { "iqn.2004-10.com.example:web2" }
    package var secondMark: AccessMark { AccessMark(attachment: "db-on-web2", onRemove: .waitForLogout) }

    /// The steps that let a second initiator in, in the planner's order.
    package func adding(_ target: TargetRef, readOnly: Bool = false) -> [ExportStep] {
        var steps: [ExportStep] = [.createACL(target, initiator: second)]
        if capabilities.marksAccess { steps.append(.markACL(target, initiator: second, secondMark)) }
        return steps + [.mapLUN(target, initiator: second, number: 0, lun: 0, readOnly: readOnly)]
    }

    /// The inventory that must be observed after `building` and `adding`.
    private func expectedForTwo(readOnly: Bool = false) -> ExportPair {
        var pair = expected()
        pair.target?.acls.append(
            ObservedACL(
                initiator: second, mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: readOnly)],
                mark: capabilities.marksAccess ? secondMark : nil))
        return pair
    }

    /// A live migration: the second initiator comes and the first one goes under live sessions, each sees the same
    /// disk, and neither notices the other's coming and going.
    package func handsADiskOverUnderLiveSessions() async throws {
        try await perform(building())
        try await initiators.holdingSession(iqn, as: initiator) {
            let sessions = try await sessions(of: initiator)
            #expect(sessions.count == 1)
            try await perform(adding(try await reference()))
            var wanted = expectedForTwo()
            wanted.target?.acls[0].sessions = sessions
            #expect(try await ours().withoutPlaces == wanted)
            #expect(try await initiators.serial(iqn, as: second, chap: nil) == spec.identity.serial)
            #expect(try await initiators.isWritable(iqn, as: second))
            #expect(try await ours().target?.acls.first?.sessions == sessions)
        }
        try await waitUntilGone(initiator)
        try await initiators.holdingSession(iqn, as: second) {
            let sessions = try await sessions(of: second)
            #expect(sessions.count == 1)
            let target = try await reference()
            let busy = ExportStep.removeACL(target, initiator: second, mapped: [0], disconnecting: false)
            await #expect(throws: HostError.self) { try await perform([busy]) }
            try await perform([.removeACL(target, initiator: initiator, mapped: [0], disconnecting: false)])
            let left = try await ours()
            #expect(left.target?.acls.map(\.initiator) == [second])
            #expect(left.target?.acls.first?.sessions == sessions)
            #expect(left.target?.dynamicSessions == [])
        }
        try await waitUntilGone(second)
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == nil)
        #expect(try await initiators.serial(iqn, as: second, chap: nil) == spec.identity.serial)
        try await takeAway()
    }

    /// A reader beside a writer cannot write, and the two can change places; where read-only is for all, it is for all.
    package func keepsAReaderBesideAWriterFromWriting() async throws {
        try await perform(building())
        let target = try await reference()
        guard capabilities.readOnlyPerInitiator else {
            try await perform(adding(target, readOnly: true))
            #expect(try await !initiators.isWritable(iqn, as: initiator))
            try await takeAway()
            return
        }
        try await perform(adding(target, readOnly: true))
        #expect(try await ours().withoutPlaces == expectedForTwo(readOnly: true))
        #expect(try await initiators.isWritable(iqn, as: initiator))
        #expect(try await !initiators.isWritable(iqn, as: second))
        try await perform([
            .setReadOnly(target, initiator: initiator, number: 0, readOnly: true),
            .setReadOnly(target, initiator: second, number: 0, readOnly: false),
        ])
        #expect(try await !initiators.isWritable(iqn, as: initiator))
        #expect(try await initiators.isWritable(iqn, as: second))
        try await takeAway()
    }

    private func reference() async throws -> TargetRef {
        TargetRef(iqn: iqn, place: try await ours().target?.place ?? "")
    }

    private func sessions(of initiator: String) async throws -> [ObservedSession] {
        for _ in 0..<100 {
            let acl = try await ours().target?.acls.first { $0.initiator == initiator }
            if let sessions = acl?.sessions, !sessions.isEmpty { return sessions }
            try await Task.sleep(for: .milliseconds(50))
        }
        return []
    }

    private func waitUntilGone(_ initiator: String) async throws {
        for _ in 0..<200 {
            let acl = try await ours().target?.acls.first { $0.initiator == initiator }
            guard acl?.sessions.isEmpty == false else { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ContractViolation("the session of \(initiator) did not end")
    }
}
