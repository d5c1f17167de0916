import FoundationEssentials
import Testing
import TuffDrivers
import TuffModel
import TuffTestSupport

/// Reports in `Fixtures/LVM` were printed by LVM 2.03.16 on a real kernel for the driver's own command line; columns
/// that were asked for later (tags of groups, profiles, monitoring) were filled in by hand.
struct LVMReportTests {
    static func sample(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: "\(testTarget(of: #filePath))/Fixtures/LVM/\(name).json")))
    }

    private func known(_ name: String, in sample: String) throws -> VolumeGroup {
        let groups = try LVMReportDecoder.decode(Self.sample(sample))
        return try #require(groups[name]?.value)
    }

    @Test func aReportOfEverythingIsReadToTheLastCell() throws {
        let group = try known("vg0", in: "mixed")
        #expect(group.uuid == "8fj8qM-Kf0G-1RUJ-gl8T-Nbhp-Ads2-Z49lE2")
        #expect(group.size == ByteCount(4_269_801_472))
        #expect(group.free == ByteCount(3_074_424_832))
        #expect(group.extentSize == ByteCount(4 << 20))
        #expect(group.metadataAreaSize == ByteCount(1_044_480))
        #expect(group.metadataAreaFree == ByteCount(517_120))
        #expect(group.missingDevices == 0 && !group.partial && !group.exported && group.lockType == "")
        #expect(group.logicalVolumes.map(\.name) == ["lin", "linsnap", "snap", "tp0", "v-db", "v-web"])
        #expect(
            group.logicalVolumes[0]
                == LogicalVolume(
                    name: "lin", uuid: "18Tl9A-Y76V-TjRk-2of1-e0N6-qXCK-qmOaLg", size: ByteCount(100 << 20),
                    tags: ["other:tag"], layout: .linear, active: true, suspended: true,
                    device: DeviceNumber(major: 254, minor: 3)))
        #expect(
            group.logicalVolumes[2]
                == LogicalVolume(
                    name: "snap", uuid: "q0Rha2-8QdN-SYYj-Ysay-Y40R-xb9O-BfPjnO", size: ByteCount(1 << 30),
                    layout: .thin, pool: "tp0", origin: "v-db"))
        #expect(
            group.logicalVolumes[3]
                == LogicalVolume(
                    name: "tp0", uuid: "LG5IrJ-cPo4-Svng-LKEF-NDiQ-UAMc-B5bRr8", size: ByteCount(1 << 30),
                    layout: .thinPool, active: true, open: true, dataPercent: 9.77, metadataPercent: 11.82,
                    metadataSize: ByteCount(4 << 20), chunkSize: ByteCount(64 << 10),
                    whenFull: "queue", isMonitored: true, zeroesChunks: true, device: DeviceNumber(major: 254, minor: 5)
                ))
        #expect(
            group.logicalVolumes[4]
                == LogicalVolume(
                    name: "v-db", uuid: "AoGfki-T5XG-1mq4-UIh6-QUyN-uefq-xRLSVB", size: ByteCount(1 << 30),
                    tags: [
                        "tuff:iqn=iqn.2026-01.dev.tuff:db", "tuff:stack=default", "tuff:uid=aaaabbbbccccdddd",
                        "tuff:vol=db",
                    ], layout: .thin, active: true, open: true, pool: "tp0", dataPercent: 9.77,
                    device: DeviceNumber(major: 254, minor: 6)))
    }

    @Test func aHostWithoutGroupsHasNone() throws {
        #expect(try LVMReportDecoder.decode(Self.sample("no-groups")) == [:])
        #expect(try LVMReportDecoder.decode(Self.sample("unused-disk")) == [:])
        #expect(try known("vg0", in: "empty-group").logicalVolumes == [])
    }

    @Test func whatForbidsChangingAGroupIsSeen() throws {
        #expect(try known("vg1", in: "exported-and-shared").exported)
        #expect(try known("vgs", in: "exported-and-shared").lockType == "sanlock")
        let broken = try known("vg0", in: "missing-device")
        #expect(broken.missingDevices == 1 && broken.partial)
        #expect(broken.logicalVolumes.first { $0.name == "tp0" }?.health == "partial")
    }

    @Test func twoGroupsOfOneNameAreUnknownAndOthersKnown() throws {
        let groups = try LVMReportDecoder.decode(Self.sample("same-name"))
        #expect(groups["vg0"]?.value != nil)
        guard case .unknown(let error)? = groups["vg1"] else {
            Issue.record("vg1 is \(String(describing: groups["vg1"]))")
            return
        }
        #expect(error.code == .malformed && error.sentence.contains("two volume groups are named vg1"))
    }

    @Test func withoutDeviceMapperNobodyKnowsWhatIsActive() throws {
        let groups = try LVMReportDecoder.decode(Self.sample("no-device-mapper"))
        #expect(groups.count == 2 && groups.values.allSatisfy { $0.value == nil })
    }

    @Test func everyTruncationOfAReportIsRefused() throws {
        let whole = try Self.sample("mixed")
        let end = try #require(whole.lastIndex(of: UInt8(ascii: "}")))
        for length in 0...end {
            let error = #expect(throws: HostError.self) { try LVMReportDecoder.decode(Array(whole.prefix(length))) }
            #expect(error?.code == .malformed, "cut after \(length) bytes")
        }
    }

    /// A report whose text `lie` bends is unknown, for all groups or for vg0 alone.
    private func isUnknown(_ lie: (String) -> String) throws {
        let text = String(decoding: try Self.sample("mixed"), as: UTF8.self)
        let changed = lie(text)
        try #require(changed != text)
        do throws(HostError) {
            guard case .unknown(let error)? = try LVMReportDecoder.decode(Array(changed.utf8))["vg0"] else {
                Issue.record("believed: \(changed)")
                return
            }
            #expect(!error.sentence.isEmpty)
        } catch {
            #expect(error.code == .malformed)
        }
    }

    @Test(arguments: [
        (#""lv_name":"v-web""#, #""lv_name":"v-db""#),
        (
            #""lv_uuid":"BW5EnG-Zu72-FXUP-hcch-LM1H-zRRz-36d5eU""#,
            #""lv_uuid":"AoGfki-T5XG-1mq4-UIh6-QUyN-uefq-xRLSVB""#
        ),
        (#""lv_name":"v-web", "#, #""lv_name":"v-web", "lv_name":"v-web", "#),
        (#""lv_name":"v-web""#, #""lv_name":"""#),
        (#""vg_name":"vg0""#, #""vg_name":"""#),
        (#""pool_lv":"tp0""#, #""pool_lv":"tp1""#),
        (#""pool_lv":"tp0""#, #""pool_lv":"""#),
        (#""lv_size":"104857600""#, #""lv_size":"100m""#),
        (#""lv_size":"104857600""#, #""lv_size":"-104857600""#),
        (#""lv_size":"104857600""#, #""lv_size":"99999999999999999999""#),
        (#""lv_size":"104857600""#, #""lv_size":104857600"#),
        (#""lv_size":"104857600""#, #""lv_size":null"#),
        (#""data_percent":"9.77""#, #""data_percent":"9,77""#),
        (#""data_percent":"9.77""#, #""data_percent":"nan""#),
        (#""data_percent":"9.77""#, #""data_percent":"977.0""#),
        (#""lv_active_locally":"1""#, #""lv_active_locally":"active""#),
        (#""lv_active_locally":"1""#, #""lv_active_locally":"-1""#),
        (#""zero":"1""#, #""zero":"-1""#),
        (#""zero":"1""#, #""zero":"zero""#),
        (#""vg_free":"3074424832""#, #""vg_free":"9074424832""#),
        (#""vg_extent_size":"4194304""#, #""vg_extent_size":"0""#),
        (#""pv": ["#, #""lv": ["#),
        (#""seg": ["#, #""segments": ["#),
        (#""report": ["#, #""log": ["#),
        (#""report": ["#, #""report": [], "report": ["#),
        (#""lv_tags":"other:tag""#, "\"lv_tags\":\"other\u{1}tag\""),
        // `report { list_item_separator }` of lvm.conf, and whatever else stands between tags.
        ("tuff:iqn=iqn.2026-01.dev.tuff:db,", "tuff:iqn=iqn.2026-01.dev.tuff:db;"),
        ("tuff:iqn=iqn.2026-01.dev.tuff:db,", "tuff:iqn=iqn.2026-01.dev.tuff:db, "),
        (#""lv_tags":"other:tag""#, #""lv_tags":"'other:tag'""#),
        (#""lv_count":"6""#, #""lv_count":"7""#),
        (#""lv_count":"6""#, #""lv_count":"""#),
        (#""pv_count":"1""#, #""pv_count":"2""#),
        (#""pv_free":"3074424832""#, #""pv_free":"3074424833""#),
        (#""pv_allocatable":"1""#, #""pv_allocatable":"allocatable""#),
        (#""lv_tags":"other:tag""#, #""lv_tags":"\ud800""#),
        (#""lv_tags":"other:tag""#, #""lv_tags":"\x""#),
    ]) func aLieIsNotBelieved(_ truth: String, _ lie: String) throws {
        try isUnknown { $0.replacing(truth, with: lie) }
    }

    /// A report that has lost rows looks like one of a group that has lost volumes.
    @Test func aReportThatHasLostAVolumeIsNotBelieved() throws {
        try isUnknown { text in
            text.split(separator: "\n").filter { !$0.contains(#""lv_name":"v-db""#) }.joined(separator: "\n")
        }
    }

    @Test func onlyRoomThatLVMHandsOutIsFree() throws {
        let text = String(decoding: try Self.sample("mixed"), as: UTF8.self)
        for (column, value) in [("pv_allocatable", "0"), ("pv_missing", "1")] {
            let other = value == "0" ? "1" : "0"
            let changed = text.replacing("\"\(column)\":\"\(other)\"", with: "\"\(column)\":\"\(value)\"")
            let group = try #require(try LVMReportDecoder.decode(Array(changed.utf8))["vg0"]?.value)
            #expect(group.free == .zero && group.unallocatable == ByteCount(3_074_424_832), "\(column)")
        }
        #expect(try known("vg0", in: "mixed").unallocatable == nil)
    }

    @Test(
        arguments: LVMReportDecoder.groupColumns + LVMReportDecoder.volumeColumns + LVMReportDecoder.segmentColumns
            + LVMReportDecoder.deviceColumns)
    func aReportThatLacksAColumnIsNotBelieved(_ column: String) throws {
        try isUnknown { $0.replacing("\"\(column)\":", with: "\"other\":") }
    }

    @Test func twoGroupsOfOneUUIDAreUnknown() throws {
        let text = String(decoding: try Self.sample("exported-and-shared"), as: UTF8.self)
        let lie = text.replacing(
            "FLJrsP-BDFV-dbEy-Ynxm-LkfN-0dSj-lLR6ei", with: "hMuGv3-9gNh-OFwe-92xJ-0N7P-k1TN-1dDEX2")
        let groups = try LVMReportDecoder.decode(Array(lie.utf8))
        #expect(groups["vg1"]?.value == nil && groups["vgs"]?.value == nil && groups["vg0"]?.value != nil)
    }

    @Test func invalidUTF8IsNotBelieved() throws {
        var bytes = try Self.sample("mixed")
        bytes[try #require(bytes.firstIndex(of: UInt8(ascii: ":")))] = 0xff
        #expect(throws: HostError.self) { try LVMReportDecoder.decode(bytes) }
    }

    @Test func fiftyMegabytesAreRefusedUnread() {
        let bytes = [UInt8](repeating: UInt8(ascii: " "), count: 50 << 20)
        #expect(throws: HostError.self) { try LVMReportDecoder.decode(bytes) }
    }

    @Test func deepNestingIsRefusedBeforeTheStackIsFull() {
        let text = "{\"x\":" + String(repeating: "[", count: 1 << 20)
        #expect(throws: HostError.self) { try LVMReportDecoder.decode(Array(text.utf8)) }
    }

    /// Changes a byte or two anywhere: whatever comes of it, groups, unknown groups or an error, nothing traps.
    @Test func noDamagedByteTrapsTheDecoder() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let whole = try Self.sample("mixed")
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0...1 { bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(generator.next() & 0xff) }
            do throws(HostError) {
                _ = try LVMReportDecoder.decode(bytes)
            } catch {
                #expect(error.code == .malformed, "seed \(seed)")
            }
        }
    }

    @Test func theListGivesEachNameOnce() throws {
        let text =
            #"{"report":[{"vg":[{"vg_name":"b","vg_uuid":"1"},{"vg_name":"a","vg_uuid":"2"},"#
            + #"{"vg_name":"a","vg_uuid":"3"}]}]}"#
        #expect(try LVMReportDecoder.decodeNames(Array(text.utf8)) == ["a", "b"])
        #expect(throws: HostError.self) {
            try LVMReportDecoder.decodeNames(Array(#"{"report":[{"vg":[{"vg_uuid":"1"}]}]}"#.utf8))
        }
    }
}
