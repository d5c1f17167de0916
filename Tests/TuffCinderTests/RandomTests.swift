import FoundationEssentials
import Glibc
import Testing
import TuffCinder
import TuffRepository
import TuffTestSupport

struct RandomTests {
    /// Histories of a volume, each step a backup that builds on any earlier one: all of them come back.
    @Test(arguments: 1...40)
    func everyBackupOfARandomHistoryComesBack(_ seed: Int) throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: UInt64(seed))
        let compressions = ["none", "zlib", "gzip", "bz2", "bzip2", "zstd"]
        var states = [CinderScene.volume(&random, blocks: 1 + Int(random.next() % 60))]
        let count = 2 + Int(random.next() % 6)
        for number in 0..<count {
            var options = CinderScene.Options()
            options.compression = compressions[Int(random.next() % 6)]
            options.piece = 1 + Int(random.next() % 12)
            options.hasRecord = random.next() % 3 > 0
            options.hasDigests = random.next() % 4 > 0
            if random.next() % 3 == 0 { options.container = "shared" }
            if number == 0 {
                try scene.backUp(states[0], number: 0, options)
                continue
            }
            let parent = Int(random.next() % UInt64(number))
            let now = CinderScene.changed(states[number - 1], &random, blocks: Int(random.next() % 20))
            states.append(now)
            let isFull = random.next() % 5 == 0
            try scene.backUp(
                now, number: number, parent: isFull ? nil : parent, old: isFull ? nil : states[parent], options)
        }
        for number in 0..<count {
            let old = random.next() % 2 == 0 ? nil : CinderScene.volume(&random, blocks: 1 + Int(random.next() % 60))
            #expect(try scene.restore(number, over: old) == states[number], "seed \(seed), backup \(number)")
        }
        #expect(try scene.backups().list().allSatisfy { $0.state == .complete })
    }

    /// Thousands of damages to files and names: refused, or what was stored comes back; never anything else.
    @Test(arguments: 1...8)
    func noDamageIsSilent(_ part: Int) throws {
        let scene = try CinderScene()
        var random = SeededGenerator(seed: UInt64(part) &* 1_000_003)
        let compressions = ["none", "zlib", "bz2", "zstd"]
        var options = CinderScene.Options()
        let first = CinderScene.volume(&random, blocks: 12)
        let second = CinderScene.changed(first, &random, blocks: 5)
        let third = CinderScene.changed(second, &random, blocks: 5)
        options.compression = compressions[part % 4]
        try scene.backUp(first, number: 0, options)
        options.compression = compressions[(part + 1) % 4]
        try scene.backUp(second, number: 1, parent: 0, old: first, options)
        options.compression = compressions[(part + 2) % 4]
        try scene.backUp(third, number: 2, parent: 1, old: second, options)
        let files = try (0...2).flatMap { number in
            try FileManager.default.contentsOfDirectory(atPath: scene.directory(number)).sorted()
                .map { "\(scene.directory(number))/\($0)" }
        }
        var refused = 0
        for round in 0..<100 {
            let victim = files[Int(random.next() % UInt64(files.count))]
            let other = files[Int(random.next() % UInt64(files.count))]
            let (before, others) = (try scene.bytes(victim), try scene.bytes(other))
            let damage = try Damage.inflict(
                on: victim, bytes: before, other: other, others: others, random: &random, scene: scene)
            do {
                let restored = try scene.restore(2, threads: 1)
                #expect(restored == third, "part \(part), round \(round): \(damage) of \(victim) was not noticed")
            } catch let error as RepositoryError {
                refused += 1
                #expect(!error.description.contains(CinderScene.secret), "\(damage): \(error)")
            }
            for backup in try scene.backups().list() {
                #expect(!"\(backup)".contains(CinderScene.secret), "\(damage)")
            }
            // What the damage left, and then all as it was.
            for path in [victim, other] { try? FileManager.default.removeItem(atPath: path) }
            try? FileManager.default.removeItem(atPath: victim + "x")
            try scene.write(before, victim)
            try scene.write(others, other)
        }
        #expect(refused > 35, "only \(refused) of 100 were noticed: the damages do too little")
        #expect(try scene.restore(2) == third)
    }
}

/// Changes to a file.
private enum Damage {
    static func inflict(
        on path: String, bytes: [UInt8], other: String, others: [UInt8], random: inout SeededGenerator,
        scene: CinderScene
    ) throws -> String {
        var bytes = bytes
        func place() -> Int { Int(random.next() % UInt64(max(bytes.count, 1))) }
        switch random.next() % 12 {
        case 0:
            let at = place()
            if !bytes.isEmpty { bytes[at] ^= 1 << UInt8(random.next() % 8) }
            try scene.write(bytes, path)
            return "a flipped bit at \(at)"
        case 1:
            let at = place()
            if !bytes.isEmpty { bytes[at] = UInt8(truncatingIfNeeded: random.next()) }
            try scene.write(bytes, path)
            return "another byte at \(at)"
        case 2:
            let count = place()
            try scene.write(Array(bytes[..<count]), path)
            return "a cut after \(count)"
        case 3:
            let count = Int(random.next() % 9) + 1
            try scene.write(bytes + (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }, path)
            return "\(count) more bytes"
        case 4:
            unlink(path)
            return "a removal"
        case 5:
            try scene.write(others, path)
            try scene.write(bytes, other)
            return "an exchange with \(other)"
        case 6:
            try scene.write(bytes, path + "x")
            return "a file more"
        case 7:
            unlink(path)
            symlink(other, path)
            return "a symbolic link to \(other)"
        case 8:
            unlink(path)
            mkfifo(path, 0o600)
            return "a FIFO"
        case 9:
            let begin = place(), end = min(begin + 16, bytes.count)
            for index in begin..<max(begin, end) { bytes[index] = 0 }
            try scene.write(bytes, path)
            return "zeros at \(begin)"
        default:
            // Digits are what lengths, offsets, ids and digests are made of.
            let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
            guard !digits.isEmpty else { return "nothing" }
            let at = digits[Int(random.next() % UInt64(digits.count))]
            bytes[at] = 0x30 + UInt8(random.next() % 10)
            try scene.write(bytes, path)
            return "another digit at \(at)"
        }
    }
}
