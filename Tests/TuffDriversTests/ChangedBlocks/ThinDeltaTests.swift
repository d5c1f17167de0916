import FoundationEssentials
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffDrivers

/// Files in `Fixtures/Thin` were printed by thin-provisioning-tools 0.9.0, LVM 2.03.16 and Linux 6.1 on a real kernel.
/// Of devices.txt two more columns were cut off.
struct ThinDeltaTests {
    static func sample(_ name: String) throws -> [UInt8] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return Array(try Data(contentsOf: folder.appending(path: "Fixtures/Thin/\(name)")))
    }

    private static let chunk: UInt64 = 64 << 10
    static let size: UInt64 = 300 << 20

    private func question(_ left: UInt32 = 2, _ right: UInt32 = 3, size: UInt64 = Self.size) -> ThinDelta.Question {
        ThinDelta.Question(left: left, right: right, chunkSectors: 128, transaction: 3, size: size)
    }

    private static func chunks(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        ranges.map { $0.lowerBound * chunk..<$0.upperBound * chunk }
    }

    @Test func aRealAnswerIsReadToItsEnd() throws {
        let delta = try ThinDelta.decode(Self.sample("delta.xml"), of: question())
        // Written, discarded, written where nothing was, and the last chunk.
        #expect(delta.changed == Self.chunks([3..<5, 20..<22, 50..<54, 4700..<4701]))
        // Discarded chunks have no blocks any more.
        #expect(delta.mapped == Self.chunks([0..<10, 22..<25, 50..<54, 100..<101, 4095..<4096, 4700..<4701]))
        #expect(delta.changedBytes == 9 * Self.chunk && delta.mappedBytes == 20 * Self.chunk)
        let devices = try ThinDevice.decode(Self.sample("devices.txt"))
        #expect(delta.leftChunks == 17 && delta.rightChunks == 20)
        #expect(devices[2] == ThinDevice(mappedChunks: 17, transaction: 1))
        #expect(devices[3] == ThinDevice(mappedChunks: 20, transaction: 2))
    }

    @Test func aDeviceComparedWithItselfShowsAllThatItHas() throws {
        let delta = try ThinDelta.decode(Self.sample("mapped.xml"), of: question(3, 3))
        #expect(delta.changed.isEmpty)
        #expect(delta.mapped == Self.chunks([0..<10, 22..<25, 50..<54, 100..<101, 4095..<4096, 4700..<4701]))
        #expect(delta.leftChunks == 20 && delta.rightChunks == 20)
    }

    @Test func anEmptyDeviceHasNothing() throws {
        let empty = ThinDelta.Question(left: 2, right: 2, chunkSectors: 1024, transaction: 4, size: 100 << 20)
        let delta = try ThinDelta.decode(Self.sample("empty.xml"), of: empty)
        #expect(delta.changed.isEmpty && delta.mapped.isEmpty && delta.leftChunks == 0)
    }

    @Test func rangesEndWithTheVolume() throws {
        // The last chunk is only half the volume's, and what is behind it counts and is not read.
        let delta = try ThinDelta.decode(Self.sample("delta.xml"), of: question(size: 51 * Self.chunk + 512))
        #expect(
            delta.changed == Self.chunks([3..<5, 20..<22]) + [50 * Self.chunk..<51 * Self.chunk + 512])
        #expect(delta.rightChunks == 20)
    }

    @Test func theVerboseFormIsRefused() throws {
        let error = #expect(throws: HostError.self) {
            try ThinDelta.decode(Self.sample("delta-verbose.xml"), of: question())
        }
        #expect(error?.code == .malformed && error?.sentence.contains("--verbose") == true)
    }

    @Test func anAnswerToAnotherQuestionIsRefused() throws {
        let text = try Self.sample("delta.xml")
        var wrong = [question(3, 2), question(2, 2), question(4, 3)]
        wrong.append(ThinDelta.Question(left: 2, right: 3, chunkSectors: 256, transaction: 3, size: Self.size))
        wrong.append(ThinDelta.Question(left: 2, right: 3, chunkSectors: 128, transaction: 4, size: Self.size))
        wrong.append(ThinDelta.Question(left: 2, right: 3, chunkSectors: 0, transaction: 3, size: Self.size))
        for question in wrong {
            let error = #expect(throws: HostError.self) { try ThinDelta.decode(text, of: question) }
            #expect(error?.code == .malformed)
        }
    }

    /// The Rust tools print more of the superblock.
    @Test func otherVersionsSayMoreOfThePool() throws {
        let text =
            #"<superblock uuid="" time="2" transaction="3" version="2" data_block_size="128" nr_data_blocks="14400">"#
            + "\n  <diff left=\"2\" right=\"3\">\n    <same begin=\"0\" length=\"3\"/>\n  </diff>\n</superblock>"
        let delta = try ThinDelta.decode(Array(text.utf8), of: question())
        #expect(delta.mapped == [0..<3 * Self.chunk])
    }

    @Test func cutOffAnywhereItIsAnErrorAndNeverAShorterList() throws {
        let text = try Self.sample("delta.xml")
        let last = try #require(text.lastIndex(of: UInt8(ascii: ">")))
        for length in 0...last {
            #expect(throws: HostError.self, "after \(length) bytes") {
                try ThinDelta.decode(Array(text[..<length]), of: question())
            }
        }
        for length in (last + 1)...text.count { _ = try ThinDelta.decode(Array(text[..<length]), of: question()) }
    }

    @Test(arguments: [
        #"<same begin="0" length="0"/>"#, #"<same begin="-1" length="1"/>"#, #"<same begin="01" length="1"/>"#,
        #"<same begin="1" length="1" begin="2"/>"#, #"<same begin="1"/>"#, #"<same begin="1" length="1" x="1"/>"#,
        #"<same begin="1" length="1">"#, #"</same begin="1" length="1"/>"#, #"<same begin='1' length='1'/>"#,
        #"<other begin="1" length="1"/>"#, #"<same begin="18446744073709551615" length="1"/>"#,
        #"<same begin="18446744073709551616" length="1"/>"#, #"<same begin="281474976710656" length="1"/>"#,
        #"<same begin="1" length="1"/>text"#, "<!-- --><same begin=\"1\" length=\"1\"/>",
        "<same begin=\"1\" length=\"1\"/><same begin=\"1\" length=\"1\"/>",
        "<same begin=\"5\" length=\"2\"/><different begin=\"6\" length=\"1\"/>",
        "<same begin=\"5\" length=\"2\"/><different begin=\"3\" length=\"1\"/>",
        "<same begin=\"1\"length=\"1\"/>", "<same begin=\"&#49;\" length=\"1\"/>", "< same begin=\"1\" length=\"1\"/>",
        "</diff><diff left=\"2\" right=\"3\">", "</diff></superblock><same begin=\"1\" length=\"1\"/>",
        "<same begin=\"1\" length=\"1\"/><same\tx/>",
    ])
    func whatIsNotThatGrammarIsRefused(inside: String) {
        let text =
            #"<superblock uuid="" time="2" transaction="3" data_block_size="128" nr_data_blocks="0">"#
            + "<diff left=\"2\" right=\"3\">\(inside)</diff></superblock>\n"
        let error = #expect(throws: HostError.self) { try ThinDelta.decode(Array(text.utf8), of: question()) }
        #expect(error?.code == .malformed)
    }

    @Test func aTagWithoutAnEndTakesNoMemory() throws {
        var decoder = try ThinDeltaDecoder(question())
        #expect(throws: HostError.self) { try decoder.feed(([UInt8](repeating: 0x61, count: 1 << 20))[...]) }
        var other = try ThinDeltaDecoder(question())
        let open = Array("<".utf8) + [UInt8](repeating: 0x61, count: 600)
        #expect(throws: HostError.self) { try other.feed(open[...]) }
        // And it stays of no use.
        #expect(throws: HostError.self) { try other.feed(try Self.sample("delta.xml")[...]) }
        #expect(throws: HostError.self) { try other.end() }
    }

    @Test func statusAndListAreReadStrictly() throws {
        #expect(
            try ThinPoolStatus.decode(Self.sample("status-free.txt")) == ThinPoolStatus(transaction: 3, held: nil))
        #expect(try ThinPoolStatus.decode(Self.sample("status-held.txt")) == ThinPoolStatus(transaction: 3, held: 58))
        func status(_ text: String) throws -> ThinPoolStatus { try ThinPoolStatus.decode(Array(text.utf8)) }
        let tail = "no_discard_passdown queue_if_no_space"
        #expect(try status("0 8 thin-pool 8 1/2 1/6 - ro \(tail) - 256 \n").obstacle != nil)
        #expect(try status("0 8 thin-pool 7 1/2 6/6 150 out_of_data_space \(tail) - 256 \n").obstacle != nil)
        #expect(try status("0 8 thin-pool 7 1/2 1/6 - rw \(tail) needs_check 256 \n").needsCheck)
        #expect(try status("0 8 thin-pool 7 1/2 1/6 - rw \(tail) - 256 \n").obstacle == nil)
        for text in [
            "", "0 8 thin-pool Fail\n", "0 8 thin 8 7\n", "0 8 thin-pool 7 1/2 1/6 0 rw \(tail) - 256 \n",
            "0 8 thin-pool 7 1/2 1/6 -1 rw \(tail) - 256 \n", "0 8 thin-pool 7 1/2 1/6 - rw \(tail) -",
            "0 8 thin-pool 7 1/2 1/6 - rw\n", "0 8 thin-pool 7 1/2 1/6 - new \(tail) - 256 \n",
            "0 8 thin-pool 7 1/2 1/6 - rw \(tail) - 256 \n0 8 thin-pool 7 1/2 1/6 - rw \(tail) - 256 \n",
        ] {
            #expect(throws: HostError.self, "\(text)") { try status(text) }
        }
        for text in ["1 2 3", "1 2\n", "1 2 3\n1 2 3\n", "1 2 x\n", "16777216 1 1\n", "1 2 3 4\n", "DEV M T\n"] {
            #expect(throws: HostError.self, "\(text)") { try ThinDevice.decode(Array(text.utf8)) }
        }
        #expect(try ThinDevice.decode([]).isEmpty)
        #expect(try ThinDevice.decode(Self.sample("devices-plain.txt")).count == 4)
    }

    @Test func theReportOnThinVolumesIsReadToTheLastCell() throws {
        let volumes = try ThinVolumeReport.decode(Self.sample("thin-volumes.json"))
        #expect(volumes.count == 5)
        let uuid = "VguCUg-akGu-LJEX-tFTb-iZI2-W8Ej-In3x3D"
        let base = try #require(volumes[uuid])
        #expect(base.identity == ThinIdentity(uuid: uuid, device: 5, transaction: 8))
        #expect(base.name == "b-ro" && base.pool == "tp0" && base.size == ByteCount(100 << 20) && base.isReadOnly)
        #expect(volumes["cJ97Yl-E31g-gFTy-DY3S-A1YE-5NfI-crTQVh"]?.isReadOnly == false)
        let text = String(decoding: try Self.sample("thin-volumes.json"), as: UTF8.self)
        for (cell, other) in [
            (#""thin_id":"5""#, #""thin_id":"""#), (#""transaction_id":"8""#, #""transaction":"8""#),
            ("VguCUg-akGu-LJEX-tFTb-iZI2-W8Ej-In3x3D", "cJ97Yl-E31g-gFTy-DY3S-A1YE-5NfI-crTQVh"),
        ] {
            let damaged = text.replacing(cell, with: other)
            #expect(throws: HostError.self, "\(other)") { try ThinVolumeReport.decode(Array(damaged.utf8)) }
        }
    }

    @Test func onlyToolsThatNameAllChangesAreTrusted() {
        for version in ["0.9.0\n", "1.0.6\n", "1.0.12\n", "1.1.0\n", "1.3.3\n", "2.0.0\n"] {
            #expect(ThinTools.isTrusted(Array(version.utf8)), "\(version)")
        }
        for version in ["1.0.0\n", "1.0.5\n", "0.8.5\n", "1.0\n", "1.0.6-rc1\n", "tool 1.1.0\n", "", "-1.0.6\n"] {
            #expect(!ThinTools.isTrusted(Array(version.utf8)), "\(version)")
        }
    }
}
