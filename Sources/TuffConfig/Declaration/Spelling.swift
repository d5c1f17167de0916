/// Guesses the word that a person meant.
package enum Spelling {
    /// The candidate nearest to `word`, if one is near enough to be worth showing; the first in order among equals.
    package static func closest(to word: String, among candidates: some Collection<String>) -> String? {
        // Nobody mistypes a long text; comparing one with everything would only cost time.
        guard word.utf8.count <= 64 else { return nil }
        let wanted = folded(word)
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let known = folded(candidate)
            let limit = min(best.map { $0.distance - 1 } ?? .max, max(wanted.count, known.count) >= 6 ? 2 : 1)
            guard limit >= 0, abs(known.count - wanted.count) <= limit else { continue }
            let distance = distance(wanted, known)
            if distance <= limit { best = (candidate, distance) }
        }
        return best?.candidate
    }

    /// Without what distinguishes `read_only`, `ReadOnly` and `readOnly`.
    private static func folded(_ word: String) -> [UInt8] {
        word.utf8.compactMap { byte in
            switch byte {
            case 0x41...0x5a: byte | 0x20
            case UInt8(ascii: "_"), UInt8(ascii: "-"): nil
            default: byte
            }
        }
    }

    /// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
    private static func distance(_ lhs: [UInt8], _ rhs: [UInt8]) -> Int {
        guard !lhs.isEmpty, !rhs.isEmpty else { return max(lhs.count, rhs.count) }
        var before: [Int] = []
        var last = Array(0...rhs.count)
        for i in 1...lhs.count {
            var row = [i] + [Int](repeating: 0, count: rhs.count)
            for j in 1...rhs.count {
                let cost = lhs[i - 1] == rhs[j - 1] ? 0 : 1
                row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
                if i > 1, j > 1, lhs[i - 1] == rhs[j - 2], lhs[i - 2] == rhs[j - 1] {
                    row[j] = min(row[j], before[j - 2] + 1)
                }
            }
            (before, last) = (last, row)
        }
        return last[rhs.count]
    }
}
