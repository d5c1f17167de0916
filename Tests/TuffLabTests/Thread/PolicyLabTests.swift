import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Snapshots by schedule, at times that are told and not waited for.
extension ThreadLabTests {
    private func run(_ desired: DesiredState, at time: String) async throws -> ApplyReport {
        var context = context()
        context.now = try #require(Instant(text: time))
        context.consent.runDue = true
        let observed = try await reconciler.observe(desired, context: context)
        let plan = Planner.plan(desired: desired, observed: observed, context: context)
        return try await reconciler.apply(plan, desired: desired, observed: observed)
    }

    private func snapshots(_ group: String) async throws -> [String] {
        let output = try await machine.read(
            Command("lvm", ["lvs", "--noheadings", "-o", "lv_name", "-S", "lv_name=~^[sp]-", group], effect: .reads))
        return String(decoding: output.standardOutput, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            .map(String.init).sorted()
    }

    @Test func aPolicyTakesAndDestroysItsSnapshotsAndNobodyElses() async throws {
        try await withGroup("hourly", on: [Lab.disks[1]]) {
            let documents =
                document("Pool", "fast", "lvm: {volumeGroup: hourly, thinPool: pool}, overprovision: 8")
                + document("Volume", "db", "size: 16Mi, pool: fast")
                + document("Attachment", "web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
                + document("Snapshot", "mine", "volume: db")
                + document(
                    "SnapshotPolicy", "often",
                    "volumes: {names: [db]}, schedule: \"0 * * * *\", timeZone: Europe/Berlin, keep: {last: 2}")
            let set = try desired(documents)
            let first = try await run(set, at: "2031-03-04T05:30:00Z")
            #expect(first.outcome == .converged, "\(first.changes)")
            #expect(try await snapshots("hourly") == ["s-mine"])

            // What the volume holds at each time.
            var expected = ["s-mine"]
            for (hour, byte) in zip(["06", "07", "08", "12"], [UInt8(1), 2, 3, 4]) {
                try fill("/dev/hourly/v-db", byte, count: 4 * Self.mebi)
                let report = try await run(set, at: "2031-03-04T\(hour):10:00Z")
                #expect(report.outcome == .converged, "\(report.changes)")
                expected = (expected + ["p-often-db-20310304-\(hour)00"]).sorted()
                if hour > "07" { expected.removeAll { $0 == "p-often-db-20310304-\(hour == "08" ? "06" : "07")00" } }
                #expect(try await snapshots("hourly") == expected)
                #expect(try await plan(set).isEmpty)
            }
            for (name, byte) in [("p-often-db-20310304-0800", UInt8(3)), ("p-often-db-20310304-1200", 4)] {
                try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "-K", "hourly/\(name)"]))])
                #expect(try bytes("/dev/hourly/\(name)", count: 4 * Self.mebi) == [byte])
                try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-an", "hourly/\(name)"]))])
            }
            // One that a volume is to be made from stays until that is there.
            let cloned = try desired(
                documents
                    + document(
                        "Volume", "copy", "size: 16Mi, pool: fast, source: {snapshot: often-db-20310304-0800}"))
            #expect(try await run(cloned, at: "2031-03-04T13:10:00Z").outcome == .converged)
            #expect(try await snapshots("hourly") == (expected + ["p-often-db-20310304-1300"]).sorted())
            #expect(try await run(cloned, at: "2031-03-04T13:20:00Z").outcome == .converged)
            #expect(
                try await snapshots("hourly")
                    == ["p-often-db-20310304-1200", "p-often-db-20310304-1300", "s-mine"])
            try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "hourly/v-copy"]))])
            #expect(try bytes("/dev/hourly/v-copy", count: 4 * Self.mebi) == [3])
            // Nothing is left in the trash of what expired.
            let all = try await machine.read(
                Command(
                    "lvm", ["lvs", "--noheadings", "-o", "lv_name", "-S", "lv_name=~^t-", "hourly"], effect: .reads))
            #expect(all.standardOutput.allSatisfy { $0 == 0x20 || $0 == 0x0a })
        }
    }
}
