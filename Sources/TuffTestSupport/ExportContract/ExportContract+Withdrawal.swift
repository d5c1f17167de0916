import Testing
package import TuffHost
package import TuffModel
import TuffPlanning
import TuffReconcile

extension ExportContract {
    /// Everything of an export goes, and a second time there is nothing to do.
    package func withdrawsInFull() async throws {
        try await perform(building())
        try await perform(withdrawal())
        #expect(try await ours() == ExportPair(target: nil, backstore: nil))
        #expect(try await withdrawal().isEmpty)
        #expect(try await !initiators.discovers(iqn, as: initiator))
        try await perform(building())
        #expect(try await ours().withoutPlaces == expected())
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == spec.identity.serial)
        try await takeAway()
    }

    /// A withdrawal that was cut between any two actions is finished by what is then observed.
    package func finishesAWithdrawalThatWasCutAnywhere() async throws {
        try await perform(building())
        let count = driver.lower(try await withdrawal()).flatMap(\.actions).count
        #expect(count > 4)
        for length in 0..<count {
            if length > 0 { try await perform(building()) }
            let actions = driver.lower(try await withdrawal()).flatMap(\.actions)
            #expect(actions.count == count)
            try await machine.perform(Array(actions.prefix(length)))
            try await perform(withdrawal())
            let left = try await ours()
            #expect(left == ExportPair(target: nil, backstore: nil), "cut after \(actions.prefix(length).suffix(2))")
        }
    }

    /// Nothing of an export with a session goes unless that is wanted; the kernel's target then ends the session.
    package func cutsASessionOnlyWhenTold() async throws {
        try await perform(building())
        try await initiators.holdingSession(iqn, as: initiator) {
            let busy = try await waitForBusy()
            await #expect(throws: HostError.self) { try await perform(withdrawal()) }
            #expect(try await ours() == busy, "refused, and yet something changed")
            if kind == .lio {
                try await perform(withdrawal(disconnecting: true))
                #expect(try await ours() == ExportPair(target: nil, backstore: nil))
            } else {
                // tgtd keeps a session whose rule is gone, and the LUN as long as there is one.
                await #expect(throws: HostError.self) { try await perform(withdrawal(disconnecting: true)) }
                let left = try await ours()
                #expect(left.target?.acls == [] && left.target?.enabled == false)
                #expect(left.target?.luns.count == 1 && left.target?.dynamicSessions == [initiator])
            }
        }
        try await waitForIdle()
        try await takeAway()
    }

    /// A target that hands anything out, or lets anybody in, is not removed with it.
    package func keepsATargetThatIsNotEmpty() async throws {
        guard kind == .lio else { return }
        try await perform(building())
        let whole = try await ours()
        let target = TargetRef(iqn: iqn, place: whole.target?.place ?? "")
        await #expect(throws: HostError.self) { try await perform([.removeTarget(target)]) }
        #expect(try await ours() == whole)
        let place = whole.backstore?.place ?? ""
        await #expect(throws: HostError.self) { try await perform([.removeBackstore(uid: spec.uid, place: place)]) }
        #expect(try await ours() == whole)
        for step in try await withdrawal() {
            guard case .removeTarget = step else {
                await #expect(throws: HostError.self) { try await perform([.removeTarget(target)]) }
                try await perform([step])
                continue
            }
            break
        }
        try await takeAway()
    }

    /// A disabled target lets nobody in and keeps all the rest.
    package func disablesAndEnables() async throws {
        try await perform(building())
        var wanted = try await ours()
        let target = TargetRef(iqn: iqn, place: wanted.target?.place ?? "")
        for _ in 0..<2 { try await perform([.disable(target)]) }
        wanted.target?.enabled = false
        #expect(try await ours() == wanted)
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == nil)
        try await perform([.enable(target)])
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == spec.identity.serial)
        try await takeAway()
    }

    /// A device that gets another name stays handed out, is known by its number, and only its label is rewritten.
    /// - Parameter rename: Gives the device of `spec` the name it has at `location`.
    package func keepsAnExportThroughARename(_ rename: [HostAction], to location: VolumeLocation) async throws {
        try await perform(building())
        let before = try await ours()
        #expect(before.backstore?.device != nil)
        try await machine.perform(rename)
        #expect(try await ours() == before)
        var renamed = spec
        renamed.location = location
        renamed.place = before.backstore?.place ?? ""
        for _ in 0..<2 { try await perform([.relabelBackstore(renamed)]) }
        var wanted = before
        wanted.backstore?.path = location.path
        #expect(try await ours() == wanted)
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == spec.identity.serial)
        #expect(try await initiators.isWritable(iqn, as: initiator))
        try await takeAway()
    }

    private func waitForBusy() async throws -> ExportPair {
        for _ in 0..<100 {
            let pair = try await ours()
            if pair.target?.acls.contains(where: { !$0.sessions.isEmpty }) == true { return pair }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ContractViolation("no session appeared")
    }

    private func waitForIdle() async throws {
        for _ in 0..<200 {
            guard let target = try await ours().target else { return }
            if target.dynamicSessions.isEmpty, target.acls.allSatisfy(\.sessions.isEmpty) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ContractViolation("the session did not end")
    }
}
