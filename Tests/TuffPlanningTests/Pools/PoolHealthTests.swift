import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Faults of a pool, and its growth by itself.
@Suite struct PoolHealthTests {
    private let autoExtend = AutoExtendSpec(threshold: Percentage(80), by: Percentage(20))

    private func observed(
        free: ByteCount = Sample.gibi(30), _ change: (inout LogicalVolume) -> Void = { _ in }
    ) -> ObservedState {
        var group = Sample.group()
        group.free = free
        change(&group.logicalVolumes[0])
        var state = ObservedState(takenAt: Sample.context().now, volumeGroups: ObservationMap(["vg0": .known(group)]))
        state.profiles = ObservationMap([
            "tuff-autoextend-80-20.profile": .known(String(autoExtend.profileText.dropLast()))
        ])
        return state
    }

    private func desired(growing: Bool = false) -> DesiredState {
        var state = Sample.desired(volumes: [])
        state.pools["fast"]!.spec.autoExtend = growing ? autoExtend : nil
        return state
    }

    private func complaints(_ observed: ObservedState, growing: Bool = false) throws -> [Reason] {
        PoolState(try #require(desired(growing: growing).pools["fast"]), observed: observed).complaints.map(\.reason)
    }

    private func pool(_ observed: ObservedState, growing: Bool = true) throws -> (PlannedChange, [PoolStep]) {
        let plan = Planner.plan(desired: desired(growing: growing), observed: observed, context: Sample.context())
        return (
            try #require(plan.changes.first { $0.resource.kind == .pool }),
            plan.steps.compactMap { if case .pool(let step) = $0.step { step } else { nil } }
        )
    }

    @Test func aPoolThatIsWellHasNothingToSay() throws {
        #expect(try complaints(observed()).isEmpty)
        #expect(try pool(observed(), growing: false).0.action == .unchanged)
    }

    static let faults: [(Reason, @Sendable (inout LogicalVolume) -> Void)] = [
        (.needsCheck, { $0.needsCheck = true }),
        (.dataFull, { $0.health = "out_of_data" }),
        (.metadataFull, { $0.health = "metadata_read_only" }),
        (.poolUnhealthy, { $0.health = "failed" }),
    ]

    @Test(arguments: faults.indices) func whatStopsAPoolIsNamedWithWhatToDo(_ index: Int) throws {
        let (reason, change) = Self.faults[index]
        let (found, steps) = try pool(observed(change), growing: false)
        #expect(found.action == .blocked && found.reason == reason && steps.isEmpty)
        #expect(found.summary.contains("vg0/tp0"))
    }

    @Test func fullAndCoarsePoolsAreUsableAndSaidToBeDegraded() throws {
        #expect(try complaints(observed { $0.dataPercent = 93 }) == [.dataFull])
        #expect(try complaints(observed { $0.metadataPercent = 93 }) == [.metadataFull])
        #expect(try complaints(observed { $0.chunkSize = ByteCount(512 << 10) }) == [.coarseChunks])
        #expect(try complaints(observed { $0.chunkSize = ByteCount(256 << 10) }).isEmpty)
        #expect(try complaints(observed { $0.zeroesChunks = false }) == [.notZeroed])
        #expect(try complaints(observed { $0.zeroesChunks = true }).isEmpty)
        let change = try pool(observed { $0.chunkSize = ByteCount(8 << 20) }, growing: false).0
        #expect(change.action == .unchanged && change.notes.contains { $0.contains("8 MiB") })
    }

    @Test func growthIsSwitchedOnAndFoundOnAgain() throws {
        let (change, steps) = try pool(observed { $0.isMonitored = true })
        #expect(change.action == .update && change.differences.map(\.field) == ["profile"])
        #expect(
            steps == [.setAutoExtend(group: "vg0", pool: "tp0", uuid: "pool-uuid", AutoExtend(autoExtend))])
        let on = observed {
            $0.isMonitored = true
            $0.profile = "tuff-autoextend-80-20"
        }
        #expect(try pool(on).0.action == .unchanged && (try complaints(on, growing: true)).isEmpty)
    }

    @Test func monitoringThatIsOffAndAProfileThatSaysSomethingElseAreSetRight() throws {
        let unwatched = observed {
            $0.isMonitored = false
            $0.profile = "tuff-autoextend-80-20"
        }
        #expect(try pool(unwatched).0.differences.map(\.field) == ["monitoring"])
        var edited = observed {
            $0.isMonitored = true
            $0.profile = "tuff-autoextend-80-20"
        }
        edited.profiles.entries["tuff-autoextend-80-20.profile"] = .known("activation {\n}")
        #expect(try pool(edited).0.differences.map(\.field) == ["tuff-autoextend-80-20.profile"])
        edited.profiles.entries["tuff-autoextend-80-20.profile"] = nil
        #expect(try pool(edited).0.action == .update)
        edited.profiles.entries["tuff-autoextend-80-20.profile"] = .unknown(HostError(.failed, "no answer"))
        #expect(try pool(edited).1.isEmpty && (try complaints(edited, growing: true)) == [.autoExtendOff])
    }

    @Test func anotherProfileIsNotTakenOff() throws {
        let theirs = observed {
            $0.profile = "databases"
            $0.isMonitored = true
        }
        #expect(try pool(theirs).1.isEmpty)
        #expect(try complaints(theirs, growing: true) == [.autoExtendOff])
        #expect(try pool(theirs, growing: false).1.isEmpty)
    }

    @Test func growthNobodyAsksForAnyMoreIsSwitchedOff() throws {
        let on = observed { $0.profile = "tuff-autoextend-80-20" }
        #expect(
            try pool(on, growing: false).1 == [.setAutoExtend(group: "vg0", pool: "tp0", uuid: "pool-uuid", nil)])
    }

    @Test func aGroupWithoutRoomIsSaidNotToLetItGrow() throws {
        let on = observed(free: Sample.gibi(10)) {
            $0.isMonitored = true
            $0.profile = "tuff-autoextend-80-20"
        }
        #expect(try complaints(on, growing: true) == [.cannotGrow])
    }
}
