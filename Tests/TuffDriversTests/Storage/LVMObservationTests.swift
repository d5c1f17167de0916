import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffTestSupport

/// Observing through a machine that locks, refuses, lies and lacks things.
struct LVMObservationTests {
    private let driver = LVMDriver()

    private func world(_ change: (inout FakeLVM) -> Void = { _ in }) -> FakeWorld {
        var lvm = FakeLVM.sample()
        for name in ["vg1", "vg2", "vg3", "vg4", "vg5"] { lvm.addGroup(name) }
        change(&lvm)
        return FakeWorld(lvm: lvm)
    }

    private func lie(_ fault: FaultPlan.ReadFault, at reads: [Int]) -> FaultPlan {
        FaultPlan(reads: Dictionary(uniqueKeysWithValues: reads.map { (FaultPlan.Read(.lvm, $0), fault) }))
    }

    @Test func oneReportIsEnoughWhenAllIsWell() async {
        let machine = FakeMachine(world())
        let seen = await driver.observe(machine)
        #expect(machine.calls.reads == [.lvm: 1])
        #expect(seen.entries.count == 6 && seen.unlisted == nil)
        #expect(seen["nowhere"] == .known(nil))
    }

    @Test func aLockedGroupDoesNotBlindTheOthers() async {
        let machine = FakeMachine(world { $0["vg2"]?.isLocked = true })
        let seen = await driver.observe(machine)
        for name in ["vg0", "vg1", "vg3", "vg4", "vg5"] { #expect(seen.entries[name]?.value?.name == name) }
        guard case .unknown(let error) = seen["vg2"] else {
            Issue.record("vg2 is \(seen["vg2"])")
            return
        }
        #expect(error.code == .timeout)
        #expect(seen["nowhere"] == .known(nil))
    }

    /// A report that ended badly may lack groups: it is asked for again, group by group.
    @Test(arguments: [
        FaultPlan.ReadFault.status(5), .truncated(percent: 50), .garbage([]), .fail(.timeout), .fail(.malformed),
    ]) func oneBadReportIsMadeGoodGroupByGroup(_ fault: FaultPlan.ReadFault) async {
        let machine = FakeMachine(world())
        let expected = await driver.observe(machine)
        machine.setFaults(lie(fault, at: [0]))
        #expect(await driver.observe(machine) == expected)
        #expect(machine.calls.reads == [.lvm: 8])
    }

    @Test(arguments: FaultPlan.ReadFault.samples.filter { $0 != .stale })
    func whatIsLiedAboutThroughoutIsUnknownThroughout(_ fault: FaultPlan.ReadFault) async {
        let machine = FakeMachine(world(), faults: lie(fault, at: Array(0..<20)))
        let seen = await driver.observe(machine)
        for name in ["vg0", "vg1", "nowhere"] {
            guard case .unknown = seen[name] else {
                Issue.record("\(name) is \(seen[name])")
                return
            }
        }
    }

    @Test func aMissingToolIsAskedForOnce() async {
        var world = world()
        world.missingTools = ["lvm"]
        let machine = FakeMachine(world)
        let seen = await driver.observe(machine)
        #expect(seen.entries.isEmpty && seen.unlisted?.code == .notFound)
        #expect(machine.calls.reads == [.lvm: 1])
    }

    @Test func aGroupOfAnotherHostIsSeenAndSaidToBeOne() async {
        let machine = FakeMachine(
            world {
                $0.systemID = "renamed"
                $0["vg1"]?.systemID = "tufflab"
                $0["vg2"]?.systemID = "renamed"
            })
        let seen = await driver.observe(machine)
        #expect(seen.entries["vg1"]?.value?.foreignTo == "renamed")
        #expect(seen.entries["vg1"]?.value?.systemID == "tufflab")
        #expect(seen.entries["vg2"]?.value?.foreignTo == nil && seen.entries["vg0"]?.value?.foreignTo == nil)
    }

    /// Nobody can say then whether such a group may be used; the others need no system ID.
    @Test func aSystemIDThatCannotBeToldMakesItsGroupsUnknown() async {
        let machine = FakeMachine(
            world {
                $0.systemID = "here"
                $0["vg1"]?.systemID = "here"
            }, faults: lie(.status(5), at: [1]))
        let seen = await driver.observe(machine)
        #expect(seen.entries["vg1"] != nil && seen.entries["vg1"]?.value == nil)
        #expect(seen.entries["vg0"]?.value != nil)
    }

    @Test func aGroupThatAFilterHidesIsFoundAndOneThatIsGoneIsNot() async {
        let machine = FakeMachine(world { $0["vg1"]?.isHidden = true })
        #expect(await driver.observe(machine)["vg1"] == .known(nil))
        let found = await driver.find(["vg1", "gone"], on: machine)
        #expect(found.keys.sorted() == ["vg1"])
        machine.setFaults(lie(.status(5), at: [0]))
        #expect(await driver.find(["vg1", "gone"], on: machine).keys.sorted() == ["gone", "vg1"])
    }

    @Test func groupsOfOneNameAreUnknown() async {
        let machine = FakeMachine(world { $0.addGroup("vg1") })
        let seen = await driver.observe(machine)
        #expect(seen.entries["vg0"]?.value != nil)
        #expect(seen.entries["vg1"] != nil && seen.entries["vg1"]?.value == nil)
    }
}
