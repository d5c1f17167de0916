import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

@testable import TuffCLI

@Suite struct GetViewTests {
    @Test func volumesWithDocumentsShowBothSides() {
        let records = World.survey().records(of: .volume)
        expectGolden(GetView(records, of: .volume).text(Style()), "Golden/get-volumes.txt")
        expectGolden(GetView(records, of: .volume, wide: true).text(Style()), "Golden/get-volumes-wide.txt")
        expectGolden(GetView(records, of: .volume).document.json, "Golden/get-volumes.json")
        expectGolden(GetView(records, of: .volume).document.yaml, "Golden/get-volumes.yaml")
        #expect(GetView(records, of: .volume).names == "Volume/archive\nVolume/db-data\nVolume/web-data\n")
    }

    @Test func withoutDocumentsOnlyWhatExistsIsListed() {
        let survey = World.survey(declared: false)
        #expect(survey.records(of: .volume).map(\.id.name) == ["archive", "web-data"])
        #expect(survey.records(of: .pool).map(\.id.name) == ["vg0/tp0"])
        #expect(survey.records(of: .attachment).map(\.id.name) == ["web-on-web1"])
        #expect(survey.records.allSatisfy { $0.ready.status == .yes })
    }

    @Test func attachmentsAndPools() {
        let survey = World.survey()
        let text = [Kind.pool, .attachment].map { kind in
            GetView(survey.records(of: kind), of: kind, wide: true).text(Style())
        }.joined(separator: "\n")
        expectGolden(text, "Golden/get-others.txt")
    }

    @Test func anUnseenSourceIsUnknownAndNotAbsent() {
        var observed = World.observed()
        observed.volumeGroups = ObservationMap(unlisted: HostError(.timeout, "lvm did not answer within 60 s"))
        let record = World.record(.volume, "web-data", in: World.survey(observed: observed))
        #expect(record.ready.status == .unknown || record.ready.reason == "DependencyBlocked")
    }

    @Test(arguments: ["tier", "=x", "a=b,", "a=b=c", "", "a=b,a=c", "tier!=db", "tier in (db)", "a=b c"])
    func selectorsAreStrict(_ text: String) {
        #expect(LabelText.parse(text) == nil)
    }

    @Test func selectorsSelect() {
        #expect(LabelText.parse("backup=nightly,tier=db")?.matchLabels == ["backup": "nightly", "tier": "db"])
    }
}

@Suite struct DegradedTests {
    /// `web-data` handed over between two initiators for so many seconds.
    static func survey(_ seconds: Int64, declared: Bool = true) -> Survey {
        var desired = World.desired()
        desired.volumes["web-data"]?.spec.sharing = .handover
        var second = AttachmentSpec(volume: "web-data", initiator: "iqn.2004-10.com.example:web2")
        second.chap = desired.attachments["web-on-web1"]?.spec.chap
        desired.attachments["web-on-web2"] = Declared(
            metadata: Metadata(name: "web-on-web2"), spec: second, location: Examples.place(40))
        var observed = World.observed()
        var inventory = observed.targets.value!
        var acl = inventory.targets[0].acls[0]
        acl.initiator = second.initiator
        acl.mark = AccessMark(attachment: "web-on-web2", onRemove: .waitForLogout)
        inventory.targets[0].acls.append(acl)
        observed.targets = .known(inventory)
        var begun = Examples.context
        begun.now = Instant(secondsSince1970: begun.now.secondsSince1970 - seconds)
        observed.ledger = Ledger().after(observed, desired: desired, context: begun)
        return Survey(desired: declared ? desired : nil, observed: observed, context: Examples.context)
    }

    @Test(arguments: [true, false]) func aLongHandoverIsDegradedAndReady(declared: Bool) throws {
        let survey = Self.survey(7200, declared: declared)
        let record = World.record(.volume, "web-data", in: survey)
        #expect(record.ready.status == .yes)
        #expect(record.degraded?.reason == "HandoverLong")
        let get = GetView(survey.records(of: .volume), of: .volume).text(Style())
        #expect(get.split(separator: "\n").contains { $0.contains("web-data") && $0.contains("HandoverLong") })
        #expect(DescribeView(record).text(Style()).contains("Degraded"))
        #expect(DescribeView(record).text(Style()).contains("iqn.2004-10.com.example:web2"))
        let problem = try #require(StatusView(survey).problems.first { $0.reason == "HandoverLong" })
        #expect(problem.severity == .warning)
        #expect(problem.subject == "Volume/web-data")
        #expect(World.record(.volume, "web-data", in: Self.survey(60, declared: declared)).degraded == nil)
    }
}

@Suite struct DescribeViewTests {
    @Test func aVolume() {
        expectGolden(DescribeView(World.record(.volume, "web-data")).text(Style()), "Golden/describe-volume.txt")
    }

    @Test func aVolumeThatIsNotMadeYet() {
        let text = DescribeView(World.record(.volume, "db-data")).text(Style())
        #expect(text.contains("Missing"))
        #expect(!text.contains("UID"))
    }

    @Test func howAVolumeGotItsPool() throws {
        var desired = World.desired()
        desired.volumes["web-data"]!.spec.placement = .selector(LabelSelector(matchLabels: ["tier": "ssd"]))
        desired.pools["fast"]!.metadata.labels = ["tier": "ssd"]
        desired.pools["slow"] = Declared(
            metadata: Metadata(name: "slow", labels: ["tier": "hdd"]),
            spec: PoolSpec(backend: .lvm(LVMPoolSpec(volumeGroup: "vg0"))), location: Examples.place(60))
        let survey = Survey(desired: desired, observed: World.observed(), context: Examples.context)
        let record = World.record(.volume, "web-data", in: survey)
        let view = DescribeView(record, placement: survey.placement(of: record))
        let lines = view.text(Style()).split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("  fast") && $0.contains("it is there, and stays") }, "\(lines)")
        #expect(
            lines.contains { $0.hasPrefix("  slow") && $0.contains("-") && $0.contains("out: its label tier is 'hdd'") }
        )
        guard case .map(let placement)? = view.body["placement"], case .list(let pools)? = placement["pools"] else {
            Issue.record("nothing structured")
            return
        }
        #expect(placement["pool"] == "fast" && placement["settled"] == .bool(true) && pools.count == 2)
        guard case .map(let slow)? = pools.last else { return }
        #expect(slow["fits"] == .bool(false) && slow["reason"] == "NotSelected")
        #expect(survey.placement(of: World.record(.volume, "db-data", in: survey)) == nil, "it names its pool")
    }

    @Test func anAttachmentWithTheLinesForItsInitiator() {
        let view = DescribeView(World.record(.attachment, "web-on-web1"))
        expectGolden(view.text(Style()), "Golden/describe-attachment.txt")
        expectGolden(view.document.json, "Golden/describe-attachment.json")
    }

    @Test func withoutCHAPNoPasswordIsAskedFor() {
        var observed = World.observed()
        if case .known(var inventory) = observed.targets {
            inventory.targets[0].acls[0].chap = ObservedCHAP()
            observed.targets = .known(inventory)
        }
        let survey = World.survey(declared: false, observed: observed)
        let text = DescribeView(World.record(.attachment, "web-on-web1", in: survey)).text(Style())
        #expect(text.contains("--login"))
        #expect(!text.contains("PASSWORD"))
    }

    @Test func theDiskNameIsTheOneLinuxGives() {
        // Seen in a Linux 6.1 guest: serial deadbeef00112233 gave naa.6001405deadbeef00112233000000000.
        #expect(DiskName.byID(serial: "deadbeef00112233") == "/dev/disk/by-id/wwn-0x6001405deadbeef00112233000000000")
    }
}

@Suite struct StatusViewTests {
    @Test func oneScreen() {
        expectGolden(StatusView(World.survey()).text(Style()), "Golden/status.txt")
        expectGolden(StatusView(World.survey()).monitoring.line + "\n", "Golden/monitoring.txt")
    }

    @Test func monitoringCodes() {
        #expect(StatusView(World.survey(declared: false)).monitoring.code == 0)
        #expect(StatusView(World.survey()).monitoring.code == 1)
        let full = World.survey(declared: false, observed: World.observed(dataPercent: 95))
        #expect(StatusView(full).monitoring.code == 2)
        var observed = World.observed()
        observed.targets = .unknown(HostError(.timeout, "configfs did not answer"))
        #expect(StatusView(World.survey(declared: false, observed: observed)).monitoring.code == 3)
    }

    @Test func withoutProblemsAllIsWell() {
        #expect(StatusView(World.survey(declared: false)).text(Style()).contains("all is well"))
    }
}

@Suite struct DoctorViewTests {
    @Test func eachFailureComesWithItsFix() {
        let view = DoctorView([
            Finding(.ok, "running as root"),
            Finding(.ok, "config /etc/tuff/config.yaml belongs to root, and only root may write it"),
            Finding(.ok, "lvm 2.03.16(2)"),
            Finding(
                .fail, "kernel: iscsi_target_mod is neither loaded nor loadable",
                fix: "install a kernel with LIO, then: modprobe iscsi_target_mod"),
            Finding(
                .warn, "portal 192.0.2.10:3260: no interface of this host has that address",
                fix: "configure the address, or correct 'portals' in /etc/tuff/config.yaml"),
        ])
        #expect(
            view.text(Style()).contains("        fix: install a kernel with LIO, then: modprobe iscsi_target_mod\n"))
        #expect(view.text(Style()).hasSuffix("\nDoctor: 3 ok, 1 warning, 1 failure.\n"))
        #expect(view.exitCode == 1)
        #expect(DoctorView([Finding(.warn, "x")]).exitCode == 0)
    }
}
