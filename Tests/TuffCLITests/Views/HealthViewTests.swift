import Testing
import TuffController
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

/// A resource that is not well is not ready, whether documents were given or not, and the monitoring says why.
@Suite struct HealthViewTests {
    private func survey(_ declared: Bool, _ change: (inout VolumeGroup) -> Void) throws -> Survey {
        var observed = World.observed()
        var group = try #require(observed.volumeGroups.entries["vg0"]?.value)
        change(&group)
        observed.volumeGroups.entries["vg0"] = .known(group)
        return Survey(desired: declared ? desired : nil, observed: observed, context: Examples.context)
    }

    /// Documents that declare everything as it is.
    private var desired: DesiredState {
        var desired = World.desired()
        desired.volumes["archive"]?.spec.size = ByteCount(20 << 30)
        desired.volumes["db-data"] = nil
        return desired
    }

    private func ready(_ survey: Survey, _ kind: Kind, _ name: String) -> Condition {
        World.record(kind, name, in: survey).ready
    }

    @Test(arguments: [true, false]) func aFullPoolAndAllInItAreNotReady(_ declared: Bool) throws {
        let survey = try survey(declared) { $0.logicalVolumes[0].health = "out_of_data" }
        let pool = ready(survey, .pool, declared ? "fast" : "vg0/tp0")
        #expect(pool.status == .no && pool.reason == "DataFull" && pool.message.contains("'lvextend -L+SIZE vg0/tp0'"))
        for (kind, name) in [(Kind.volume, "web-data"), (.volume, "archive"), (.attachment, "web-on-web1")] {
            let found = ready(survey, kind, name)
            #expect(found.status == .no && found.reason == "DataFull", "\(name): \(found)")
            #expect(found.message.hasSuffix("see its own line"), "\(name): \(found)")
        }
        let problems = StatusView(survey).problems
        #expect(problems.filter { $0.reason == "DataFull" }.count == 1, "\(problems)")
        #expect(problems.first?.severity == .critical)
        #expect(problems.first?.message.hasSuffix("2 of our volumes and snapshots are in it") == true, "\(problems)")
        let monitoring = StatusView(survey).monitoring
        #expect(monitoring.code == 2 && monitoring.line.contains("DataFull"))
    }

    @Test(arguments: [true, false]) func whatLiesOnAMissingDeviceIsNotReadyAndTheRestIsDegraded(_ declared: Bool) throws
    {
        let survey = try survey(declared) {
            ($0.missingDevices, $0.partial) = (1, true)
            // `archive` is on it; `web-data` is not.
            $0.logicalVolumes[2].layout = .linear
            $0.logicalVolumes[2].health = "partial"
        }
        let lost = World.record(.volume, "archive", in: survey)
        #expect(lost.ready.status == .no && lost.ready.reason == "DevicesMissing", "\(lost.conditions)")
        let other = World.record(.volume, "web-data", in: survey)
        #expect(other.ready.status == .yes && other.degraded?.reason == "DevicesMissing", "\(other.conditions)")
        #expect(DescribeView(other).text(Style()).contains("DevicesMissing"))
        let problem = try #require(StatusView(survey).problems.first { $0.subject == "volume group vg0" })
        #expect(problem.message == "1 device missing; 1 of our volumes and snapshots are in it")
        #expect(StatusView(survey).monitoring.code == 2)
    }

    @Test(arguments: [true, false]) func aPoolThatNobodyCanActivateIsNotReady(_ declared: Bool) throws {
        let survey = try survey(declared) { group in
            for index in group.logicalVolumes.indices {
                (group.logicalVolumes[index].active, group.logicalVolumes[index].open) = (false, false)
                group.logicalVolumes[index].dataPercent = nil
                group.logicalVolumes[index].metadataPercent = nil
            }
        }
        let pool = ready(survey, .pool, declared ? "fast" : "vg0/tp0")
        #expect(pool.status == .no && pool.reason == "Inactive" && pool.message.contains("'lvchange -ay vg0/tp0'"))
        let volume = ready(survey, .volume, "archive")
        #expect(volume.status == .no && volume.reason == "Inactive", "\(volume)")
        #expect(StatusView(survey).monitoring.code != 0)
    }

    @Test(arguments: [true, false]) func aVolumeThatCouldNotBeActivatedIsNotReady(_ declared: Bool) throws {
        var observed = World.observed()
        var group = try #require(observed.volumeGroups.entries["vg0"]?.value)
        (group.logicalVolumes[2].active, group.logicalVolumes[2].open) = (false, false)
        observed.volumeGroups.entries["vg0"] = .known(group)
        observed.ledger = Ledger().after(observed, desired: World.desired(), context: Examples.context)
        observed.ledger.note(
            activationFault: "device-mapper: reload ioctl on (254:5) failed: No data available", of: World.archiveUID)
        let survey = Survey(desired: declared ? desired : nil, observed: observed, context: Examples.context)
        let found = ready(survey, .volume, "archive")
        #expect(found.status == .no && found.reason == "ActivationFailed", "\(found)")
        #expect(found.message.contains("its thin pool has no such device any more"))
        #expect(StatusView(survey).monitoring.code == 2)
        // Seen active it is well again.
        group.logicalVolumes[2].active = true
        observed.volumeGroups.entries["vg0"] = .known(group)
        let after = observed.ledger.after(observed, desired: desired, context: Examples.context)
        #expect(after.entries.allSatisfy { $0.activationFault == nil })
    }

    @Test(arguments: [true, false]) func aReadOnlyVolumeIsDegraded(_ declared: Bool) throws {
        let survey = try survey(declared) { $0.logicalVolumes[1].permission = .readOnly }
        let found = World.record(.volume, "web-data", in: survey)
        #expect(found.ready.status == .yes && found.degraded?.reason == "ReadOnly")
        #expect(found.degraded?.message.contains("'lvchange -prw vg0/v-web-data'") == true)
        #expect(StatusView(survey).problems.contains { $0.subject == "Volume/web-data" && $0.severity == .warning })
    }

    /// An inventory of a version that knew neither permissions nor hidden volumes is read.
    @Test func nothingIsWrongWithAWorldThatIsWell() {
        #expect(World.survey(declared: false).records.allSatisfy { $0.ready.status == .yes && $0.degraded == nil })
    }
}
