import FoundationEssentials
import Testing
import TuffDrivers
import TuffModel
import TuffPlanning
import TuffTestSupport

/// The conclusions from reports that LVM 2.03.16 printed on a real kernel of one group, before one of its devices
/// failed, while it failed, and after it came back: a thin pool of RAID 1, caches of three sorts, RAID with and without
/// checksums, a striped volume and a read-only one.
@Suite struct VolumeHealthTests {
    private func group(_ sample: String) throws -> VolumeGroup {
        try #require(try LVMReportDecoder.decode(LVMReportTests.sample(sample))["vg0"]?.value)
    }

    private func describe(_ group: VolumeGroup) -> String {
        let health = StorageHealth(group)
        return group.logicalVolumes.map { volume in
            var words = [volume.name, volume.layout.rawValue]
            words += volume.pool.map { ["in \($0)"] } ?? []
            words += volume.origin.map { ["of \($0)"] } ?? []
            words += volume.parts.isEmpty ? [] : ["on \(volume.parts.joined(separator: ", "))"]
            words += volume.permission == .writable ? [] : [volume.permission.rawValue]
            let faults = health.faults(of: volume).map { fault in
                "    \(fault.gravity), \(fault.reason.rawValue), \(fault.cause): \(fault.sentence)"
            }
            return ([words.joined(separator: " ")] + faults).joined(separator: "\n")
        }.joined(separator: "\n") + "\n"
    }

    @Test(arguments: ["parts", "parts-missing", "parts-refresh"]) func partsAreAskedToo(_ sample: String) throws {
        expectGolden(describe(try group(sample)), "Fixtures/LVM/\(sample).health.txt")
    }

    private func faults(_ sample: String, _ name: String) throws -> [VolumeFault] {
        let group = try group(sample)
        return StorageHealth(group).faults(of: try #require(group.logicalVolumes.first { $0.name == name }))
    }

    @Test func aPoolOnRAIDIsNotWellWhileALegIsOutThoughItReadsSo() throws {
        let pool = try #require(try group("parts-refresh").logicalVolumes.first { $0.name == "tp0" })
        #expect(pool.health == "")
        let fault = try #require(try faults("parts-refresh", "tp0").worst)
        #expect(fault.gravity == .impaired && fault.reason == .refreshNeeded && fault.cause == .itself)
        #expect(fault.sentence.contains("'lvchange --refresh vg0/tp0'"))
        let felt = try #require(try faults("parts-refresh", "v-db").worst)
        #expect(felt.cause == .pool(.thinPool(group: "vg0", pool: "tp0")) && felt.reason == .refreshNeeded)
        #expect(try faults("parts", "tp0").isEmpty && faults("parts", "v-db").isEmpty)
    }

    @Test func whatRAIDBearsIsNotBrokenAndWhatLiesOnTheDeviceIs() throws {
        #expect(try faults("parts-missing", "v-bad").worst?.gravity == .broken)
        #expect(try faults("parts-missing", "v-bad").worst?.reason == .devicesMissing)
        for name in ["tp0", "v-db", "v-r5", "v-ri"] {
            let worst = try #require(try faults("parts-missing", name).worst)
            #expect(worst.gravity == .impaired && worst.reason == .redundancyLost, "\(name): \(worst)")
        }
        let other = try #require(try faults("parts-missing", "v-good").worst)
        #expect(other.gravity == .impaired && other.cause == .group("vg0"))
    }

    @Test func twoLegsOfThreeAreMoreThanRAID5Bears() throws {
        var group = try group("parts-missing")
        for index in group.hiddenVolumes!.indices where group.hiddenVolumes![index].name == "v-r5_rimage_0" {
            group.hiddenVolumes![index].health = "refresh needed"
        }
        let volume = try #require(group.logicalVolumes.first { $0.name == "v-r5" })
        #expect(StorageHealth(group).faults(of: volume).worst?.gravity == .broken)
    }

    /// LVM: "No degraded or partial activation for raid with integrity".
    @Test func checksumsMakeALostLegALostVolumeOnceItIsInactive() throws {
        var group = try group("parts-missing")
        let index = try #require(group.logicalVolumes.firstIndex { $0.name == "v-ri" })
        group.logicalVolumes[index].active = false
        #expect(StorageHealth(group).faults(of: group.logicalVolumes[index]).worst?.gravity == .broken)
    }

    @Test func aCacheIsNoThinPool() throws {
        for name in ["v-cached", "v-cpool", "v-wcached"] {
            let volume = try #require(try group("parts").logicalVolumes.first { $0.name == name })
            #expect(volume.pool == nil && volume.origin == nil && volume.parts.count == 2, "\(volume)")
            #expect(try faults("parts", name).isEmpty)
        }
    }

    @Test func whatHealthTheFrontOfACacheHasIsTheVolumes() throws {
        for (health, name) in [("failed", "v-cached"), ("error", "v-wcached"), ("failed", "tp0"), ("unknown", "v-r5")] {
            var group = try group("parts")
            let index = try #require(group.logicalVolumes.firstIndex { $0.name == name })
            group.logicalVolumes[index].health = health
            #expect(StorageHealth(group).faults(of: group.logicalVolumes[index]).worst?.gravity == .broken, "\(name)")
        }
    }

    /// A pool that runs for its volumes alone reads inactive, and tells how full it is.
    @Test func onlyAPoolThatTellsNothingIsUntold() throws {
        var group = try group("parts")
        let index = try #require(group.logicalVolumes.firstIndex { $0.name == "tp0" })
        group.logicalVolumes[index].active = false
        #expect(StorageHealth(group).faults(of: group.logicalVolumes[index]).isEmpty)
        group.logicalVolumes[index].dataPercent = nil
        let fault = try #require(StorageHealth(group).faults(of: group.logicalVolumes[index]).worst)
        #expect(
            fault.gravity == .untold && fault.reason == .inactive && fault.sentence.contains("'lvchange -ay vg0/tp0'"))
    }
}
