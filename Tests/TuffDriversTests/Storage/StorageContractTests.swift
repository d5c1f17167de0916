import Testing
import TuffTestSupport

struct StorageContractTests {
    @Test(arguments: VolumeContract.Rule.allCases)
    func aVolumeGroupOfTheFakeMachineKeeps(_ rule: VolumeContract.Rule) async throws {
        try await VolumeContract(FakeMachine(), group: "vg0", pool: "tp0").check(rule)
    }

    /// One world for all rules: none may rely on being the first.
    @Test func volumeRulesDoNotDisturbEachOther() async throws {
        let contract = VolumeContract(FakeMachine(), group: "vg0", pool: "tp0")
        for rule in VolumeContract.Rule.allCases { try await contract.check(rule) }
    }

    @Test(arguments: DirectoryContract.Rule.allCases, [true, false])
    func aDirectoryOfTheFakeMachineKeeps(_ rule: DirectoryContract.Rule, sharesBlocks: Bool) async throws {
        var world = FakeWorld()
        world.files.addDirectory("/srv/tuff", sharesBlocks: sharesBlocks)
        try await DirectoryContract(FakeMachine(world), directory: "/srv/tuff").check(rule)
    }
}
