import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Controllers that get the mounts of pools wrong, each found out in a story in which the real one does nothing wrong.
@Suite struct MountMutantTests {
    static let mutants: [Mutant] = [
        Mutant("works in the directory beneath the mount") { mutant in
            mutant.mounts = Self.taken { if case .absent = $0 { true } else { false } }
            mutant.trustsPaths = true
        },
        Mutant("works on whatever share is mounted") { mutant in
            mutant.mounts = Self.taken { if case .foreign = $0 { true } else { false } }
            mutant.trustsPaths = true
        },
        Mutant("does not look again before it acts") { $0.trustsPaths = true },
        Mutant("mounts from a server that allow.nfs does not name") { mutant in
            mutant.plan = { plan, _ in
                var plan = plan
                guard let index = plan.changes.firstIndex(where: { $0.reason == .notAllowed }) else { return plan }
                let step = MountStep.mount(MountStoryTests.evil, at: Simulation.directory, anew: false)
                plan.steps.append(
                    PlannedStep(id: plan.steps.count, change: index, step: .mount(step), keys: [step.key], after: []))
                return plan
            }
        },
        Mutant("takes a share that is away for an empty pool") { mutant in
            mutant.directories = { $0 }
            mutant.mounts = Self.taken { if case .absent = $0 { true } else { false } }
            mutant.trustsPaths = true
        },
    ]

    /// Takes mounts for the one that is meant.
    private static func taken(
        _ matches: @escaping @Sendable (ObservedMount.State) -> Bool
    ) -> @Sendable (ObservedMount) -> ObservedMount {
        { mount in
            guard matches(mount.state) else { return mount }
            return ObservedMount(share: mount.share, state: .mounted)
        }
    }

    /// The faults that are seen in all stories.
    private func faults(_ mutant: Mutant?) async -> [String] {
        var found: [String] = []
        for story in [fresh, swapped, interrupted, forbidden, rebooted] { found += await story(mutant) }
        return found
    }

    private func fresh(_ mutant: Mutant?) async -> [String] {
        var host = MountStoryTests.host(mutant)
        _ = host.edit(.declare, "a", .directory)
        for _ in 0..<2 { _ = await host.pass() }
        return MountStoryTests.trespasses(host.machine.world)
    }

    private func swapped(_ mutant: Mutant?) async -> [String] {
        var host = MountStoryTests.host(mutant)
        host.meddle { $0.files.mount("nas:/other", at: Simulation.directory) }
        _ = host.edit(.declare, "a", .directory)
        for _ in 0..<2 { _ = await host.pass() }
        return MountStoryTests.trespasses(host.machine.world)
    }

    private func interrupted(_ mutant: Mutant?) async -> [String] {
        var host = MountStoryTests.host(mutant)
        _ = await host.pass()
        _ = host.edit(.declare, "a", .directory)
        let machine = host.machine
        _ = await host.pass(
            interference: Interference(before: 0) { machine.meddle { $0.files.unmount(Simulation.directory) } })
        return MountStoryTests.trespasses(machine.world)
    }

    private func forbidden(_ mutant: Mutant?) async -> [String] {
        var host = MountStoryTests.host(mutant, share: MountStoryTests.evil)
        _ = host.edit(.declare, "a", .directory)
        _ = await host.pass()
        return MountStoryTests.trespasses(host.machine.world)
    }

    /// Nothing that lies on a server is lost because it is not mounted.
    private func rebooted(_ mutant: Mutant?) async -> [String] {
        var host = MountStoryTests.host(mutant)
        // By a person, so that every controller finds it mounted at first.
        host.meddle { $0.files.mount("nas:/pool", at: Simulation.directory) }
        _ = host.edit(.declare, "a", .directory)
        for _ in 0..<2 { _ = await host.pass() }
        host.recover(rebooting: true)
        let seen = await host.pass()
        return seen.plan?.changes.contains { $0.reason == .lost } == true
            ? ["what is not mounted is said to be lost"] : []
    }

    @Test func ofTheRealControllerNothingIsFound() async {
        let found = await faults(nil)
        #expect(found == [])
    }

    @Test(arguments: mutants.indices) func everyMutantIsCaught(_ number: Int) async {
        let mutant = Self.mutants[number]
        let found = number == Self.mutants.count - 1 ? await rebooted(mutant) : await faults(mutant)
        #expect(found != [], "the mutant '\(mutant)' was not noticed")
    }
}
