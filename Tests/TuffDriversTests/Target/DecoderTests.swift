import FoundationEssentials
import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffTestSupport

/// A recording from a real machine, in `Samples` beside this file.
private func sample(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: "\(testTarget(of: #filePath))/Target/Samples/\(name)")))
}

private func pretty(_ inventory: TargetInventory) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(inventory), as: UTF8.self) + "\n"
}

/// `lio-tree.jsonl`: what `LIODriver.queries` gave on Linux 6.1 with two exports of ours (one with a session, one with
/// CHAP), another person's half-built target in demo mode with a session, and unfinished backstores.
@Suite struct LIODecoderTests {
    private func entries() throws -> [TreeEntry] {
        try sample("lio-tree.jsonl").split(separator: UInt8(ascii: "\n")).map {
            try JSONDecoder().decode(TreeEntry.self, from: Data($0))
        }
    }

    @Test func readsARealTree() throws {
        expectGolden(try pretty(try LIODecoder.inventory(try entries())), "Target/Samples/lio-tree.inventory.json")
    }

    @Test func orderOfEntriesDoesNotMatter() throws {
        let entries = try entries()
        #expect(try LIODecoder.inventory(entries.reversed()) == LIODecoder.inventory(entries))
    }

    /// An entry may be missing because its object is half-built; nothing else may then come or change but by it.
    @Test func aMissingEntryIsAnErrorOrALesserInventory() throws {
        let entries = try entries()
        let whole = try LIODecoder.inventory(entries)
        for index in entries.indices {
            var fewer = entries
            fewer.remove(at: index)
            guard let found = understood(fewer) else { continue }
            #expect(found.targets.count + seenBadly(found).count <= whole.targets.count)
            #expect(found.backstores.allSatisfy { backstore in whole.backstores.contains { $0 == backstore } })
        }
    }

    @Test func everyTruncatedTreeIsAnErrorOrALesserInventory() throws {
        let entries = try entries()
        let whole = try LIODecoder.inventory(entries)
        for length in entries.indices {
            guard let found = understood(Array(entries.prefix(length))) else { continue }
            #expect(found.targets.count <= whole.targets.count && found.backstores.count <= whole.backstores.count)
        }
    }

    @Test func aCutAttributeIsAnErrorOrShowsAsADifference() throws {
        let entries = try entries()
        let whole = try LIODecoder.inventory(entries)
        var errors = 0
        for index in entries.indices {
            guard let text = entries[index].text else { continue }
            for length in 0..<text.count {
                var cut = entries
                cut[index].text = String(text.prefix(length))
                if let found = understood(cut) {
                    #expect((found.targets.map(\.iqn) + seenBadly(found)).sorted() == whole.targets.map(\.iqn))
                    errors += found.unseen == nil ? 0 : 1
                } else {
                    errors += 1
                }
            }
        }
        #expect(errors > 100)
    }

    @Test(arguments: ["", "2", "-1", "yes", "\u{1F4A5}", "1\n1"])
    func garbageInAFlagIsUnknown(_ text: String) throws {
        let path = "iscsi/iqn.2026-01.dev.tuff:db/tpgt_1/enable"
        var entries = try entries()
        let index = try #require(entries.firstIndex { $0.path == path })
        entries[index].text = text
        let found = try LIODecoder.inventory(entries)
        #expect(found.unseen?.targets.mapValues(\.subject) == ["iqn.2026-01.dev.tuff:db": path])
        #expect(found.unseen?.backstores.isEmpty == true)
        let whole = try LIODecoder.inventory(try self.entries())
        #expect(found.targets == whole.targets.filter { $0.iqn != "iqn.2026-01.dev.tuff:db" })
        #expect(found.backstores == whole.backstores)
    }

    @Test func twoReadingsOfOneEntryAreMergedUnlessTheyContradict() throws {
        let entries = try entries()
        let whole = try LIODecoder.inventory(entries)
        #expect(try LIODecoder.inventory(entries + entries) == whole)
        var split: [TreeEntry] = []
        for entry in entries {
            var first = entry
            var second = entry
            first.mode = nil
            second.text = nil
            second.fingerprint = nil
            split += [first, second]
        }
        #expect(try LIODecoder.inventory(split) == whole)
        for index in entries.indices where entries[index].text != nil {
            var other = entries[index]
            other.text = "something else"
            let unseen = try LIODecoder.inventory(entries + [other]).unseen
            let faults = (unseen?.targets.values.map(\.code) ?? []) + (unseen?.backstores.values.map(\.code) ?? [])
            #expect(faults == [.malformed], "\(other.path)")
        }
    }

    @Test func anEntryThatCouldNotBeReadMakesItsObjectUnseen() throws {
        let entries = try entries()
        let whole = try LIODecoder.inventory(entries)
        let fault = HostError(.failed, "Cannot read it", cause: "EIO")
        for index in entries.indices {
            var damaged = entries
            damaged[index].error = fault
            let words = entries[index].path.split(separator: "/").map(String.init)
            guard words.count > 1 else {
                #expect(error(damaged)?.cause == "EIO")
                continue
            }
            let found = try LIODecoder.inventory(damaged)
            var expected = whole
            var unseen = UnseenTargets()
            let isIdle = words.last == "alua_tg_pt_gp" && entries[index].text == nil
            switch (words[0], words.count) {
            // The kernel never lets that be read of a LUN that hands nothing out.
            case ("iscsi", _) where isIdle: break
            case ("iscsi", _) where words[1].contains("."):
                unseen.targets[words[1]] = fault
                expected.targets.removeAll { $0.iqn == words[1] }
            case ("core", 2) where words[1].contains("_"): unseen.unlisted = fault
            // Attributes of an adapter are nobody's.
            case ("core", 3...) where words[1].contains("_") && !words[2].hasPrefix("hba_"):
                unseen.backstores[words[2]] = fault
                expected.backstores.removeAll { $0.name == words[2] && $0.place == words[1] }
            default: break
            }
            expected.unseen = unseen.isEmpty ? nil : unseen
            #expect(found == expected, "\(entries[index].path)")
        }
    }

    private func seenBadly(_ inventory: TargetInventory) -> [String] { inventory.unseen?.targets.keys.map { $0 } ?? [] }

    private func understood(_ entries: [TreeEntry]) -> TargetInventory? { try? LIODecoder.inventory(entries) }

    private func error(_ entries: [TreeEntry]) -> HostError? {
        do throws(HostError) {
            _ = try LIODecoder.inventory(entries)
            return nil
        } catch {
            return error
        }
    }
}

/// `tgt-targets.txt`, `tgt-portals.txt`: a real tgtd with another person's target (account, everybody let in, probes),
/// one of ours with a session, and one that was left before its LUN had its name.
@Suite struct TgtDecoderTests {
    private func decode(_ targets: [UInt8], _ portals: [UInt8] = []) -> Result<TargetInventory, HostError> {
        Result { () throws(HostError) in try TgtDecoder.inventory(targets: targets, portals: portals) }
    }

    @Test func readsRealOutput() throws {
        let inventory = try TgtDecoder.inventory(
            targets: try sample("tgt-targets.txt"), portals: try sample("tgt-portals.txt"))
        expectGolden(try pretty(inventory), "Target/Samples/tgt-targets.inventory.json")
    }

    /// Cut anywhere but at the end of a line of rules or of a whole target, the text is no reading.
    @Test func everyTruncationIsUnknownOrAWholeBeginning() throws {
        let text = try sample("tgt-targets.txt")
        let whole = try decode(text).get()
        var understood = 0
        for length in text.indices.dropFirst() {
            guard case .success(let found) = decode(Array(text.prefix(length))) else { continue }
            understood += 1
            #expect(text[length - 1] == UInt8(ascii: "\n"))
            for target in found.targets {
                var same = try #require(whole.targets.first { $0.iqn == target.iqn })
                if same != target { same.acls = target.acls }
                #expect(same.luns == target.luns && same.settings == target.settings)
            }
        }
        // Two targets end before the last one, each with a rule that may be missing.
        #expect(understood == 4)
    }

    @Test func everyMissingOrRepeatedLineIsUnknownOrPlain() throws {
        let lines = try sample("tgt-targets.txt").split(
            separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
        let optional = ["Nop ", "zed", "ALL", "iqn.", "IP Address", "Connection"]
        for index in lines.indices {
            for count in [0, 2] {
                var changed = Array(lines)
                changed.replaceSubrange(index...index, with: Array(repeating: lines[index], count: count))
                let text = Array(changed.joined(separator: [UInt8(ascii: "\n")])) + [UInt8(ascii: "\n")]
                guard case .success = decode(text) else { continue }
                let line = String(decoding: lines[index], as: UTF8.self).drop { $0 == " " }
                #expect(optional.contains { line.hasPrefix($0) }, "'\(line)' \(count) times was taken")
            }
        }
    }

    @Test func aTargetTwiceIsContradictory() throws {
        let text = try sample("tgt-targets.txt")
        #expect(throws: HostError.self) { try decode(text + text).get() }
    }

    @Test(arguments: ["garbage\n", "Target x: y\n", "Target 1: \n", "\n", "Target 1: a", "\u{0}\n", "{}\n"])
    func garbageIsUnknownWithASentence(_ text: String) {
        guard case .failure(let error) = decode(Array(text.utf8)) else {
            Issue.record("'\(text)' was taken")
            return
        }
        #expect(error.code == .malformed)
        #expect(error.sentence.contains("tgtadm"))
    }

    @Test func bytesThatAreNoTextAreUnknown() {
        #expect(throws: HostError.self) { try decode([0xff, 0xfe, 0x0a]).get() }
    }

    @Test(arguments: ["Portal: 127.0.0.1,1\n", "127.0.0.1:3260,1\n", "Portal: :3260,1\n", "Portal: a:b,1\n"])
    func aPortalThatIsNoneIsUnknown(_ text: String) {
        #expect(throws: HostError.self) { try decode([], Array(text.utf8)).get() }
    }

    /// Seeded: bytes changed anywhere never crash the reader.
    @Test func damagedBytesNeverCrash() throws {
        let text = try sample("tgt-targets.txt")
        var generator = SeededGenerator(seed: 0x7466)
        for _ in 0..<2000 {
            var damaged = text
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                damaged[Int.random(in: 0..<damaged.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            _ = decode(damaged)
        }
    }
}
