import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// A directory pool on NFS under the eye of the oracle: mounted, cut at every boundary, unmounted and swapped by
/// others, and away. What is on the server stays, and nothing is ever done in the directory beneath or on another
/// share.
@Suite struct MountStoryTests {
    static let share = NFSShare(server: "nas", export: "/pool")
    static let evil = NFSShare(server: "evil", export: "/pool")

    /// A host whose pool `dir` is on a server that is reached, with an empty directory to mount it at.
    static func host(_ mutant: Mutant? = nil, share: NFSShare = share) -> Simulation {
        var host = Simulation(seed: 1, mutant: mutant)
        host.meddle { world in
            world.files.addDirectory(Simulation.directory)
            for source in ["nas:/pool", "nas:/other", "evil:/pool"] { world.files.addExport(source) }
        }
        var directory = DirectoryPoolSpec(path: Simulation.directory)
        directory.nfs = share
        host.desired.pools["dir"] = Sample.declared("dir", PoolSpec(backend: .directory(directory)))
        return host
    }

    /// Actions in a place where nothing may be done.
    static func trespasses(_ world: FakeWorld) -> [String] {
        var found: [String] = []
        if world.files.local(Simulation.directory)?.entries.isEmpty != true { found.append("work beneath the mount") }
        let other = world.files.places.first { $0.home == "/net/nas:/other" }
        if other?.directory.entries.isEmpty != true { found.append("work on another share") }
        if world.files.asked.contains("evil:/pool") { found.append("a server was asked that nobody allowed") }
        return found
    }

    static func volumes(_ host: Simulation) -> [String] {
        OracleView(host.machine.world).objects.filter { $0.isLive && $0.home == "/net/nas:/pool" }.map(\.label)
    }

    private func clean(_ host: inout Simulation, _ what: String = "") {
        #expect(host.takeViolations() == [], "\(what)")
        #expect(Self.trespasses(host.machine.world) == [], "\(what)")
    }

    @Test func itIsMountedThenFilledAndThenLeftAlone() async throws {
        var host = Self.host()
        _ = host.edit(.declareAttached, "a", .directory)
        let first = await host.pass()
        #expect(first.plan?.steps.count == 1, "nothing is planned in a pool of which nobody knows what it holds")
        #expect(Self.volumes(host) == [])
        await host.settle()
        #expect(Self.volumes(host) == ["a"])
        #expect(host.machine.world.files.mounts[Simulation.directory]?.source == "nas:/pool")
        clean(&host)
    }

    @Test func aRebootMountsItAgainAndNothingIsLost() async throws {
        var host = Self.host()
        _ = host.edit(.declareAttached, "a", .directory)
        await host.settle()
        host.recover(rebooting: true)
        let seen = await host.pass()
        let reasons = seen.plan?.changes.compactMap(\.reason) ?? []
        #expect(!reasons.contains(.lost), "\(reasons)")
        await host.settle()
        #expect(Self.volumes(host) == ["a"])
        clean(&host)
    }

    @Test func aCutAtAnyBoundaryIsGoneOnFrom() async throws {
        for fault in [FaultPlan.ActionFault.crashBefore, .crashAfter, .failBefore, .failAfter] {
            for position in 0..<8 {
                for rebooting in [true, false] {
                    var host = Self.host()
                    _ = host.edit(.declare, "a", .directory)
                    for _ in 0..<2 { _ = await host.pass(faults: FaultPlan(actions: [position: fault])) }
                    host.recover(rebooting: rebooting)
                    await host.settle()
                    #expect(Self.volumes(host) == ["a"], "\(fault) \(position) \(rebooting)")
                    clean(&host, "\(fault) \(position) \(rebooting)")
                }
            }
        }
    }

    @Test func unmountedOrSwappedInTheMiddleNothingIsDoneInWhatIsThereThen() async throws {
        for swapped in [false, true] {
            for position in 0..<6 {
                var host = Self.host()
                _ = await host.pass()
                _ = host.edit(.declare, "a", .directory)
                let machine = host.machine
                let interference = Interference(before: position) {
                    machine.meddle { world in
                        world.files.unmount(Simulation.directory)
                        if swapped { world.files.mount("nas:/other", at: Simulation.directory) }
                    }
                }
                _ = await host.pass(interference: interference)
                #expect(Self.trespasses(machine.world) == [], "before \(position), swapped \(swapped)")
                host.meddle { $0.files.unmount(Simulation.directory) }
                await host.settle()
                #expect(Self.volumes(host) == ["a"])
                clean(&host, "before \(position), swapped \(swapped)")
            }
        }
    }

    @Test func anotherShareIsNeitherUsedNorCovered() async throws {
        var host = Self.host()
        _ = host.edit(.declare, "a", .directory)
        await host.settle()
        host.meddle { world in
            world.files.unmount(Simulation.directory)
            world.files.mount("nas:/other", at: Simulation.directory)
        }
        let seen = await host.pass()
        #expect(seen.plan?.steps.isEmpty == true)
        let reasons = Set(seen.plan?.changes.compactMap(\.reason) ?? [])
        #expect(reasons.contains(.wrongMount) && !reasons.contains(.lost), "\(reasons)")
        clean(&host)
    }

    @Test func aServerThatDoesNotAnswerHoldsUpNothingElse() async throws {
        var host = Self.host()
        _ = host.edit(.declare, "a", .directory)
        _ = host.edit(.declare, "b", .lvm)
        await host.settle()
        host.meddle { world in
            world.files.directories[Simulation.directory]?.failure = HostError(.timeout, "the server does not answer")
        }
        _ = host.edit(.extend, "b", .lvm)
        let seen = await host.pass()
        let pool = seen.plan?.changes.first { $0.resource == ResourceID(.pool, "dir") }
        #expect(pool?.action == .blocked && pool?.reason == .unknown)
        #expect(seen.report?.changes.first { $0.resource == ResourceID(.volume, "b") }?.verdict == .done)
        host.meddle { $0.files.directories[Simulation.directory]?.failure = nil }
        await host.settle()
        #expect(Self.volumes(host) == ["a"])
        clean(&host)
    }

    @Test func aServerThatNobodyAllowedGetsNoPacket() async throws {
        var host = Self.host(share: Self.evil)
        _ = host.edit(.declare, "a", .directory)
        let seen = await host.pass()
        #expect(seen.plan?.changes.first { $0.resource == ResourceID(.pool, "dir") }?.reason == .notAllowed)
        #expect(host.machine.world.files.asked == [])
        clean(&host)
    }

    @Test func itIsUnmountedWithConsentOnceNothingOfOursIsThere() async throws {
        var host = Self.host()
        _ = host.edit(.declare, "a", .directory)
        await host.settle()
        host.withdrawDocument("a")
        await host.settle()
        let pool = host.desired.pools.removeValue(forKey: "dir")
        _ = await host.pass()
        #expect(host.machine.world.files.mounts[Simulation.directory] != nil, "the trash is there")
        host.desired.pools["dir"] = pool
        _ = host.edit(.expire, "a", .directory)
        await host.settle()
        host.desired.pools["dir"] = nil
        let kept = await host.pass(Consent())
        #expect(kept.plan?.steps.isEmpty == true)
        await host.settle()
        #expect(host.machine.world.files.mounts.isEmpty)
        #expect(host.ledger.contents.entries.allSatisfy { $0.share == nil })
        clean(&host)
    }

    @Test func mountedInAnotherWayItIsMountedAgain() async throws {
        var host = Self.host()
        _ = host.edit(.declare, "a", .directory)
        await host.settle()
        host.meddle { world in
            world.files.unmount(Simulation.directory)
            world.files.mount("nas:/pool", at: Simulation.directory, fault: "is mounted soft")
        }
        await host.settle()
        #expect(host.machine.world.files.mounts[Simulation.directory]?.fault == nil)
        #expect(Self.volumes(host) == ["a"])
        clean(&host)
    }
}
