import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Incremental backups, with a fault at every boundary, beside people, and with tools that lie.
@Suite struct BaseStoryTests {
    static let stories: [[BaseHost.Edit]] = [
        [.backUp], [.backUp, .write, .backUp], [.backUp, .backUp], [.backUp, .write, .backUp, .backUp],
        [.backUp, .reserve, .write, .backUp], [.backUp, .reserve, .write, .backUp, .release, .write, .backUp],
        [.backUp, .write, .removeBase, .backUp], [.backUp, .write, .exchangeBase, .backUp],
        [.backUp, .writeToBase, .backUp], [.backUp, .write, .backUp, .forgetBackups],
        [.backUp, .write, .losePoints, .backUp],
    ]

    enum Fault: CaseIterable {
        case killed, killedAfter, powerLost, failedAfter, failed, pretended, late

        func plan(at index: Int) -> FaultPlan {
            switch self {
            case .killed, .powerLost: FaultPlan(actions: [index: .crashBefore])
            case .killedAfter: FaultPlan(actions: [index: .crashAfter])
            case .failedAfter: FaultPlan(actions: [index: .failAfter])
            case .failed: FaultPlan(actions: [index: .failBefore])
            case .pretended: FaultPlan(actions: [index: .pretend])
            case .late: FaultPlan(actions: [index: .late(calls: 400), index + 1: .crashBefore])
            }
        }
    }

    /// - Parameter fault: in the last change; nil: none.
    static func run(_ story: [BaseHost.Edit], _ host: BaseHost, fault: (kind: Fault, index: Int)? = nil) async -> Bool {
        await host.settle()
        host.edit(.write)
        for edit in story.dropLast() {
            host.edit(edit)
            if [.backUp, .forgetBackups].contains(edit) { await host.settle() }
        }
        if let last = story.last { host.edit(last) }
        guard let fault else {
            await host.settle()
            return false
        }
        _ = await host.pass(fault.kind.plan(at: fault.index))
        let wasReached = host.machine.log.contains { $0.fault != nil }
        host.recover(rebooting: fault.kind == .powerLost)
        await host.settle()
        return wasReached
    }

    @Test(arguments: stories) func eachPointRestoresExactlyWhateverDiesWhen(_ story: [BaseHost.Edit]) async throws {
        let calm = try BaseHost()
        _ = await Self.run(story, calm)
        #expect(calm.violations.isEmpty, "\(calm.violations)")
        for kind in Fault.allCases {
            for index in 0..<60 {
                let host = try BaseHost()
                let wasReached = await Self.run(story, host, fault: (kind, index))
                #expect(host.violations.isEmpty, "\(kind) at \(index): \(host.violations)")
                if !wasReached { break }
            }
        }
    }

    @Test(arguments: stories) func aListThatLeavesEverythingOutIsFoundByTheSample(_ story: [BaseHost.Edit]) async throws
    {
        let host = try BaseHost(lies: true)
        _ = await Self.run(story, host)
        #expect(host.violations.isEmpty, "\(host.violations)")
    }

    /// What was read is what the reports say: an incremental one has no reason for more.
    @Test func onlyADoubtReadsMore() async throws {
        let host = try BaseHost()
        await host.settle()
        for edit in [BaseHost.Edit.backUp, .write, .backUp, .reserve, .write, .backUp] {
            host.edit(edit)
            if edit == .backUp { await host.settle() }
        }
        let points = host.machine.world.repositories[BaseHost.site]?.points ?? []
        #expect(points.map { $0.fullRead?.reason } == [.noBase, nil, .metadataSnapshotHeld])
        #expect(host.bases.count == 1 && host.violations.isEmpty, "\(host.violations)")
    }
}

/// Controllers with a deliberate fault. Each must be found out by what the real one passes.
@Suite struct BaseMutantTests {
    struct Mutant: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var story: [BaseHost.Edit]
        var isSampled = true
        var lies = false
        var fault: (@Sendable (Int) -> FaultPlan)?
        var bend: @Sendable (LVMDriver) -> any VolumeGroupDriver = { $0 }
    }

    static let mutants: [Mutant] = [
        Mutant(
            testDescription: "skips the sample", story: [.backUp, .write, .backUp], isSampled: false, lies: true),
        Mutant(
            testDescription: "trusts a stale base", story: [.backUp, .write, .exchangeBase, .backUp], isSampled: false,
            bend: { BentDriver(real: $0, trustsAnyBase: true) }),
        Mutant(
            testDescription: "gives somebody else's metadata snapshot back",
            story: [.backUp, .reserve, .write, .backUp], bend: { BentDriver(real: $0, releasesFirst: true) }),
        Mutant(
            testDescription: "leaves what a crash left reserved", story: [.backUp, .write, .backUp, .forgetBackups],
            fault: { FaultPlan(actions: [$0: .crashAfter]) }, bend: { BentDriver(real: $0, settles: false) }),
        Mutant(
            testDescription: "never marks a base complete", story: [.backUp, .write, .backUp],
            bend: { BentDriver(real: $0, completes: false) }),
        Mutant(
            testDescription: "leaves old bases", story: [.backUp, .write, .backUp],
            bend: { BentDriver(real: $0, drops: false) }),
    ]

    @Test(arguments: mutants) func isCaught(_ mutant: Mutant) async throws {
        var caught: [String] = []
        for index in 0..<(mutant.fault == nil ? 1 : 20) where caught.isEmpty {
            let host = try BaseHost(isSampled: mutant.isSampled, lies: mutant.lies, mutate: mutant.bend)
            await host.settle()
            host.edit(.write)
            for edit in mutant.story {
                host.edit(edit)
                guard [.backUp, .forgetBackups].contains(edit) else { continue }
                if let fault = mutant.fault {
                    _ = await host.pass(fault(index))
                    host.recover(rebooting: false)
                }
                await host.settle()
            }
            let points = host.machine.world.repositories[BaseHost.site]?.points ?? []
            if points.dropFirst().contains(where: { $0.fullRead?.reason == .noBase }) {
                host.note("an incremental backup reads all, and nobody did anything")
            }
            caught += host.violations
        }
        #expect(!caught.isEmpty, "\(mutant.testDescription) was not noticed")
    }
}

/// The driver of LVM with one fault.
private struct BentDriver: VolumeGroupDriver {
    let real: LVMDriver
    var trustsAnyBase = false
    var releasesFirst = false
    var settles = true
    var completes = true
    var drops = true

    func observe(_ machine: any Machine) async -> ObservationMap<VolumeGroup> { await real.observe(machine) }

    func observeProfiles(_ machine: any Machine, key: FingerprintKey) async -> ObservationMap<String> {
        await real.observeProfiles(machine, key: key)
    }

    func reading(_ volume: VolumeRef) -> ContentReading { real.reading(volume) }
    func lower(_ steps: [VolumeStep]) -> [LoweredBatch] { real.lower(steps) }
    func lower(_ steps: [PoolStep]) -> [LoweredBatch] { real.lower(steps) }

    func lower(_ steps: [LVMStep]) -> [LoweredBatch] {
        real.lower(steps.filter { if case .dropBase = $0 { drops } else { true } })
    }

    func complete(_ base: BackupBase, at location: VolumeLocation, identity: ThinIdentity) -> [HostAction] {
        completes ? real.complete(base, at: location, identity: identity) : []
    }

    func settleHolds(on machine: any Machine) async -> [HostError] {
        settles ? await real.settleHolds(on: machine) : []
    }

    func compare(_ comparison: BaseComparison, on machine: any Machine) async -> ComparedBase {
        if releasesFirst {
            let device = "\(DeviceMapper.uuid(group: comparison.groupUUID, volume: comparison.poolUUID))-tpool"
            try? await machine.perform([
                .run(
                    Command(
                        "dmsetup", ["message", "--uuid", device, "0", "release_metadata_snap"], effect: .mutates))
            ])
        }
        var found = await real.compare(comparison, on: machine)
        guard trustsAnyBase, found.reading.changes == nil,
            case .known(let group?) = await real.observe(machine)[comparison.group]
        else { return found }
        for volume in group.logicalVolumes {
            guard case .base(let base) = BackupBase.read(volume.tags), let completion = base.completion else {
                continue
            }
            // Whatever has the tags: it is what the volume holds by now.
            found.reading = BackupReading(
                changes: .init(since: completion.point, digest: completion.digest, ranges: []))
        }
        return found
    }
}
