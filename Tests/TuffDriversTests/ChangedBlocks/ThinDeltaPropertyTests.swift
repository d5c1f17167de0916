import Testing
import TuffModel
import TuffTestSupport

@testable import TuffDrivers

/// Answers of a model of two devices, read in pieces of any length, and damaged ones.
struct ThinDeltaPropertyTests {
    /// Two maps of chunks to data blocks, and the text that the tool prints of them.
    private struct Scene {
        static let chunks = 400
        var left: [Int: Int] = [:]
        var right: [Int: Int] = [:]

        init(_ generator: inout SeededGenerator) {
            var block = 0
            let density = Int.random(in: 1...4, using: &generator)
            for chunk in 0..<Self.chunks where Int.random(in: 0...density, using: &generator) == 0 {
                left[chunk] = block
                block += 1
            }
            right = left
            for chunk in 0..<Self.chunks where Int.random(in: 0...9, using: &generator) == 0 {
                right[chunk] = Bool.random(using: &generator) ? block : nil
                block += 1
            }
        }

        func word(_ chunk: Int) -> String? {
            switch (left[chunk], right[chunk]) {
            case (nil, nil): nil
            case (_?, nil): "left_only"
            case (nil, _?): "right_only"
            case (let one?, let other?): one == other ? "same" : "different"
            }
        }

        var text: String {
            var text =
                "<superblock uuid=\"\" time=\"2\" transaction=\"3\" data_block_size=\"128\" nr_data_blocks=\"0\">\n"
                + "  <diff left=\"2\" right=\"3\">\n"
            var begin = 0
            while begin < Self.chunks {
                guard let word = word(begin) else {
                    begin += 1
                    continue
                }
                var end = begin + 1
                while end < Self.chunks, self.word(end) == word { end += 1 }
                text += "    <\(word) begin=\"\(begin)\" length=\"\(end - begin)\"/>\n"
                begin = end
            }
            return text + "  </diff>\n</superblock>\n"
        }

        var changed: Set<Int> { Set((0..<Self.chunks).filter { word($0).map { $0 != "same" } ?? false }) }
    }

    private static let chunk: UInt64 = 64 << 10

    private func question(_ size: UInt64 = UInt64(Scene.chunks) * Self.chunk) -> ThinDelta.Question {
        ThinDelta.Question(left: 2, right: 3, chunkSectors: 128, transaction: 3, size: size)
    }

    private func chunks(_ ranges: [Range<UInt64>]) -> Set<Int> {
        Set(ranges.flatMap { Int($0.lowerBound / Self.chunk)..<Int(($0.upperBound - 1) / Self.chunk + 1) })
    }

    private func isInOrder(_ ranges: [Range<UInt64>]) -> Bool {
        ranges.allSatisfy { !$0.isEmpty }
            && zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }
    }

    @Test func whatIsReadIsWhatDiffersHoweverItIsCut() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let scene = Scene(&generator)
            let bytes = Array(scene.text.utf8)
            var decoder = try ThinDeltaDecoder(question())
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...40, using: &generator))
                rest = rest.dropFirst(piece.count)
                try decoder.feed(piece)
            }
            let delta = try decoder.end()
            #expect(chunks(delta.changed) == scene.changed, "seed \(seed)")
            #expect(chunks(delta.mapped) == Set(scene.right.keys), "seed \(seed)")
            #expect(delta.leftChunks == UInt64(scene.left.count), "seed \(seed)")
            #expect(delta.rightChunks == UInt64(scene.right.count), "seed \(seed)")
            #expect(isInOrder(delta.changed) && isInOrder(delta.mapped), "seed \(seed)")
            #expect(delta == (try ThinDelta.decode(bytes, of: question())), "seed \(seed)")
        }
    }

    @Test func fewerRangesHoldMoreAndNeverLess() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let scene = Scene(&generator)
            let limit = Int.random(in: 1...20, using: &generator)
            let size = UInt64.random(in: 1...UInt64(Scene.chunks) * Self.chunk, using: &generator)
            let delta = try ThinDelta.decode(Array(scene.text.utf8), of: question(size), rangeLimit: limit)
            let within = scene.changed.filter { UInt64($0) * Self.chunk < size }
            #expect(delta.changed.count <= limit && delta.mapped.count <= limit, "seed \(seed)")
            #expect(chunks(delta.changed).isSuperset(of: within), "seed \(seed)")
            #expect(isInOrder(delta.changed) && isInOrder(delta.mapped), "seed \(seed)")
            #expect((delta.changed + delta.mapped).allSatisfy { $0.upperBound <= size }, "seed \(seed)")
            #expect(within.isEmpty == delta.changed.isEmpty, "seed \(seed)")
        }
    }

    /// A lost or doubled line, or a damaged byte: an error, or a count that is not the kernel's. What is left are
    /// digits that say another place with the same count, which nothing but a sample of hashes can tell.
    @Test func aLineThatIsLostIsNoticed() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let scene = Scene(&generator)
            var lines = scene.text.split(separator: "\n")
            let index = Int.random(in: 0..<lines.count, using: &generator)
            if Bool.random(using: &generator) { lines.remove(at: index) } else { lines.insert(lines[index], at: index) }
            do throws(HostError) {
                let delta = try ThinDelta.decode(Array(lines.joined(separator: "\n").utf8), of: question())
                #expect(
                    delta.leftChunks != UInt64(scene.left.count) || delta.rightChunks != UInt64(scene.right.count),
                    "seed \(seed)")
            } catch {
                #expect(error.code == .malformed, "seed \(seed)")
            }
        }
    }

    @Test func noDamagedByteTrapsTheDecoders() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let texts = [
            Array(Scene(&generator).text.utf8), try ThinDeltaTests.sample("delta-verbose.xml"),
            try ThinDeltaTests.sample("devices-plain.txt"), try ThinDeltaTests.sample("status-held.txt"),
            try ThinDeltaTests.sample("thin-volumes.json"),
        ]
        for round in 0..<2000 {
            var bytes = texts[round % texts.count]
            for _ in 0...1 { bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(generator.next() & 0xff) }
            _ = try? ThinDelta.decode(bytes, of: question())
            _ = try? ThinDevice.decode(bytes)
            _ = try? ThinPoolStatus.decode(bytes)
            _ = try? ThinVolumeReport.decode(bytes)
        }
    }
}
