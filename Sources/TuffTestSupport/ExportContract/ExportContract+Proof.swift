import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

extension ExportContract {
    /// A backstore whose path leads elsewhere when the kernel opens it is taken down again, and no LUN ever maps it.
    package func handsOutNothingThatTheKernelOpenedElsewhere() async throws {
        guard kind == .lio else { return }
        try await perform([.createTarget(target)])
        // What a person sees who exchanges a directory for a link between our look and the kernel's.
        let making = driver.lower([.createBackstore(spec), .addLUN(target, number: 0, spec)]).flatMap(\.actions)
        let exchanged = making.map { action -> HostAction in
            guard case .writeAttribute(let path, let value, let verify) = action, path.relative.hasSuffix("/control")
            else { return action }
            return .writeAttribute(path, value.replacing(spec.location.path, with: other.location.path), verify: verify)
        }
        #expect(exchanged != making)
        let error = await #expect(throws: HostError.self) { try await machine.perform(exchanged) }
        #expect(error?.code == .preconditionFailed)
        #expect(try await ours().backstore == nil, "what the kernel opened is still there")
        #expect(try await ours().target?.luns == [])
        try await perform(building())
        #expect(try await initiators.serial(iqn, as: initiator, chap: nil) == spec.identity.serial)
        try await takeAway()
    }

    /// A making that was cut between the kernel's opening and its proof leaves a backstore without a serial number, and
    /// is begun anew.
    package func makesAnewWhatWasNeverProven() async throws {
        guard kind == .lio else { return }
        let making = driver.lower([.createBackstore(spec)]).flatMap(\.actions)
        let opening = try #require(making.firstIndex { if case .enableBackstore = $0 { true } else { false } })
        guard case .enableBackstore(let object, _) = making[opening] else { return }
        let enable = HostAction.writeAttribute(
            HostPath(object.root, "\(object.relative)/enable"), "1", verify: false)
        try await machine.perform(making[..<opening] + [enable])
        let cut = try await ours().backstore
        #expect(cut?.enabled == true && cut?.identity?.serial == "")
        var placed = spec
        placed.place = cut?.place ?? ""
        try await perform([.repairBackstore(placed, enable: true)])
        try await perform(building().filter { if case .createBackstore = $0 { false } else { true } })
        #expect(try await ours().withoutPlaces == expected())
        try await takeAway()
    }

    /// A backstore goes although somebody made a group of ports beneath it and put the LUN into it, and one whose
    /// adapter holds what somebody put there leaves that alone.
    package func withdrawsWhatSomebodyHungSomethingBeneath() async throws {
        guard kind == .lio else { return }
        try await perform(building())
        let place = try #require(try await ours().backstore?.place)
        let object = "core/\(place)/\(spec.name)", theirs = HostPath.target("core/\(place)/theirs")
        func write(_ path: String, _ value: String) -> HostAction {
            .writeAttribute(.target(path), value, verify: false)
        }
        try await machine.perform([
            .makeDirectory(.target("\(object)/alua/g1")), write("\(object)/alua/g1/tg_pt_gp_id", "7"),
            write("\(object)/alua/g1/alua_access_state", "2"),
            write("iscsi/\(iqn)/tpgt_1/lun/lun_0/alua_tg_pt_gp", "g1"), .makeDirectory(theirs),
        ])
        try await perform(withdrawal())
        #expect(try await ours() == ExportPair(target: nil, backstore: nil))
        #expect(try await inventory().backstores.contains { $0.name == "theirs" })
        try await machine.perform([.removeDirectory(theirs), .removeIfEmpty(.target("core/\(place)"))])
    }
}
