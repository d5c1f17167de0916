import Testing
import TuffTestSupport

/// A rule that does not hold throws `ContractViolation`.
struct StorageContractTests {
    @Test(arguments: VolumeContract.Rule.allCases)
    func aVolumeGroupOfTheFakeMachineKeeps(_ rule: VolumeContract.Rule) async {
        await #expect(throws: Never.self) {
            try await VolumeContract(FakeMachine(), group: "vg0", pool: "tp0").check(rule)
        }
    }

    /// One world for all rules: none may rely on being the first.
    @Test func volumeRulesDoNotDisturbEachOther() async {
        let contract = VolumeContract(FakeMachine(), group: "vg0", pool: "tp0")
        for rule in VolumeContract.Rule.allCases {
            await #expect(throws: Never.self, "\(rule)") { try await contract.check(rule) }
        }
    }

    @Test(arguments: DirectoryContract.Rule.allCases, [true, false])
    func aDirectoryOfTheFakeMachineKeeps(_ rule: DirectoryContract.Rule, sharesBlocks: Bool) async {
        var world = FakeWorld()
        world.files.addDirectory("/srv/tuff", sharesBlocks: sharesBlocks)
        let contract = DirectoryContract(FakeMachine(world), directory: "/srv/tuff")
        await #expect(throws: Never.self) { try await contract.check(rule) }
    }
}
