import Testing
import TuffHost
import TuffModel
import TuffPlanning

extension ExportContract {
    /// Steps from nothing give exactly what was asked for, and an initiator sees that and nobody else does.
    package func buildsAnExportThatOneInitiatorSees() async throws {
        try await perform(building())
        #expect(try await ours().withoutPlaces == expected())
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == spec.identity.serial)
        #expect(try await initiators.isWritable(iqn, as: initiator))
        #expect(try await initiators.discovers(iqn, as: initiator))
        #expect(try await !initiators.discovers(iqn, as: stranger))
        #expect(try await initiators.serial(iqn, as: stranger, chap: nil) == nil)
        try await takeAway()
    }

    /// A read-only attachment refuses writes, and becomes writable by the one step.
    package func keepsReadOnlyDisksFromBeingWritten() async throws {
        try await perform(building(readOnly: true))
        #expect(try await ours().withoutPlaces == expected(readOnly: true))
        #expect(try await !initiators.isWritable(iqn, as: initiator))
        try await perform([.setReadOnly(try await found(), initiator: initiator, number: 0, readOnly: false)])
        #expect(try await ours().withoutPlaces == expected())
        #expect(try await initiators.isWritable(iqn, as: initiator))
        try await takeAway()
    }

    /// Everything somebody can change or remove is observed as exactly that difference, and one repair mends it.
    package func observesAndRepairsEachDifferenceAlone() async throws {
        try await perform(building())
        let whole = try await ours()
        #expect(whole.withoutPlaces == expected())
        for edit in ContractEdits.all(self) {
            try await machine.perform(edit.damage)
            var wanted = whole
            edit.change(&wanted)
            #expect(try await ours() == wanted, "after somebody's edit: \(edit.name)")
            let current = try await ours()
            let target = TargetRef(iqn: iqn, place: current.target?.place ?? "")
            try await perform(edit.repair(target, current.backstore))
            try await machine.perform(edit.undo)
            #expect(try await ours() == whole, "after the repair of: \(edit.name)")
        }
        try await takeAway()
    }

    /// Secrets are compared by fingerprint, demanded at login, 0600 from the first, and cleared again.
    package func demandsTheSecretsThatWereSet() async throws {
        guard capabilities.chap else { return }
        let chap = CHAPCredentials(user: "web1", password: secrets.0)
        try await perform(building(chap: chap))
        let password = try await machine.fingerprint(secrets.0, key: key)
        let other = try await machine.fingerprint(secrets.1, key: key)
        #expect(password != other)
        let secured = expected(chap: ObservedCHAP(user: "web1", password: password), demanded: true)
        #expect(try await ours().withoutPlaces == secured)
        #expect(try await initiators.serial(iqn, as: initiator, chap: chap) == spec.identity.serial)
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == nil)
        var wrong = chap
        wrong.password = secrets.1
        #expect(try await initiators.serial(iqn, as: initiator, chap: wrong) == nil)

        try await perform([.setCHAP(target, initiator: initiator, wrong)])
        #expect(try await ours().target?.acls.first?.chap.password == other)
        for edit in ContractEdits.secrets(self) {
            try await perform([.setCHAP(target, initiator: initiator, chap)])
            #expect(try await ours().withoutPlaces == secured)
            try await machine.perform(edit.damage)
            var wanted = secured
            edit.change(&wanted)
            #expect(try await ours().withoutPlaces == wanted, "after somebody's edit: \(edit.name)")
            try await perform(edit.repair(target, nil))
            #expect(try await ours().withoutPlaces == secured, "after the repair of: \(edit.name)")
        }
        var mutual = chap
        mutual.mutualUser = "storage"
        mutual.mutualPassword = secrets.1
        try await perform([.setCHAP(target, initiator: initiator, mutual)])
        let both = ObservedCHAP(user: "web1", password: password, mutualUser: "storage", mutualPassword: other)
        #expect(try await ours().target?.acls.first?.chap == both)
        try await perform([.setCHAP(target, initiator: initiator, nil), .set(target, .authentication, false)])
        #expect(try await ours().withoutPlaces == expected())
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == spec.identity.serial)
        try await takeAway()
    }

    /// A live session is seen and protects the access it uses; without it the access goes.
    package func withdrawsOnlyWithoutASession() async throws {
        try await perform(building())
        let whole = try await ours()
        try await initiators.holdingSession(iqn, as: initiator) {
            let sessions = try await waitForSession()
            #expect(sessions.count == 1)
            #expect(sessions.first?.state == "LOGGED_IN")
            #expect(sessions.first?.addresses.isEmpty == false)
            let target = try await found()
            let removal = ExportStep.removeACL(target, initiator: initiator, mapped: [0], disconnecting: false)
            await #expect(throws: HostError.self) { try await perform([removal]) }
            if kind == .lio {
                let unmapping = ExportStep.unmapLUN(target, initiator: initiator, number: 0)
                await #expect(throws: HostError.self) { try await perform([unmapping]) }
            }
            var busy = whole
            busy.target?.acls[0].sessions = sessions
            #expect(try await ours() == busy)
        }
        try await waitForNoSession()
        try await perform([.removeACL(try await found(), initiator: initiator, mapped: [0], disconnecting: false)])
        #expect(try await ours().target?.acls == [])
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == nil)
        try await takeAway()
    }

    /// Somebody else's target and backstore are as they were, through building, repair and removal.
    package func leavesOtherPeoplesTargetsAlone() async throws {
        try await machine.perform(ContractEdits.makeForeign(self))
        func others() async throws -> TargetInventory {
            var inventory = try await inventory()
            inventory.targets.removeAll { $0.iqn == iqn }
            inventory.backstores.removeAll { $0.name == spec.name }
            return inventory
        }
        let before = try await others()
        #expect(before.targets.contains { $0.iqn == ContractEdits.foreignIQN })
        try await perform(building())
        #expect(try await others() == before)
        try await takeAway()
        #expect(try await others() == before)
        try await machine.perform(ContractEdits.removeForeign(self))
    }

    private func found() async throws -> TargetRef {
        TargetRef(iqn: iqn, place: try await ours().target?.place ?? "")
    }

    private func waitForSession() async throws -> [ObservedSession] {
        for _ in 0..<100 {
            if let sessions = try await ours().target?.acls.first?.sessions, !sessions.isEmpty { return sessions }
            try await Task.sleep(for: .milliseconds(50))
        }
        return []
    }

    private func waitForNoSession() async throws {
        for _ in 0..<200 {
            guard try await ours().target?.acls.contains(where: { !$0.sessions.isEmpty }) == true else { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("the session did not end")
    }
}
