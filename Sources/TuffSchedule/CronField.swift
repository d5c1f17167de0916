/// The five fields of a cron expression in their order, each read on its own: crontab(5).
enum CronField: Int, CaseIterable {
    case minute, hour, dayOfMonth, month, weekday

    /// The field's name for people.
    var name: String {
        switch self {
        case .minute: "minute"
        case .hour: "hour"
        case .dayOfMonth: "day of the month"
        case .month: "month"
        case .weekday: "day of the week"
        }
    }

    /// The numbers it takes; Sunday is 0 and 7.
    var range: ClosedRange<Int> {
        switch self {
        case .minute: 0...59
        case .hour: 0...23
        case .dayOfMonth: 1...31
        case .month: 1...12
        case .weekday: 0...7
        }
    }

    /// One number or name, as a regular expression of ECMA 262.
    private var pattern: String {
        switch self {
        case .minute: "[0-5]?[0-9]"
        case .hour: "([01]?[0-9]|2[0-3])"
        case .dayOfMonth: "(0?[1-9]|[12][0-9]|3[01])"
        case .month: "(0?[1-9]|1[0-2]|[A-Za-z]{3})"
        case .weekday: "([0-7]|[A-Za-z]{3})"
        }
    }

    /// The whole field as a regular expression. It takes any three letters for a name and ranges that run backwards.
    var listPattern: String {
        let item = #"(\*|N(-N)?)(/[1-9][0-9]?)?"#.replacing("N", with: pattern)
        return "\(item)(,\(item))*"
    }

    static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    static let weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    /// The numbers that `text` stands for, as bits. The error is about the first bad item of the list.
    func parse(_ text: Substring) -> Result<UInt64, Problem> {
        var bits: UInt64 = 0
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            switch numbers(of: item) {
            case .success(let more): bits |= more
            case .failure(let problem): return .failure(Problem(sentence: problem.sentence, item: item))
            }
        }
        // Sunday's two numbers are one day.
        if self == .weekday, bits & 1 << 7 != 0 { bits = bits & ~(1 << 7) | 1 }
        return .success(bits)
    }

    struct Problem: Error {
        /// Continues "its minute '60' ".
        var sentence: String
        var item = Substring()
    }

    /// `*`, `n`, `a-b`, each with an optional `/step`. Beyond crontab(5), `n/step` begins at n and goes on to the end,
    /// as most of today's readers of cron expressions have it.
    private func numbers(of item: Substring) -> Result<UInt64, Problem> {
        let halves = item.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(halves.count) else { return .failure(shape(item)) }
        var step = 1
        if halves.count == 2 {
            guard let number = Self.number(halves[1]), number >= 1, !halves[1].hasPrefix("0") else {
                return .failure(Problem(sentence: "has a step that is no whole number from 1 to 99"))
            }
            step = number
        }
        // A week's seven days: 7 is only another name for the first.
        let end = self == .weekday ? 6 : range.upperBound
        if halves[0] == "*" { return .success(Self.bits(from: range.lowerBound, through: end, by: step)) }
        let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false).map(value)
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else {
            return .failure(shape(item))
        }
        if ends.count == 1 {
            let through = halves.count == 2 ? max(end, first) : first
            return .success(Self.bits(from: first, through: through, by: step))
        }
        guard first <= last else { return .failure(backwards(first, last)) }
        return .success(Self.bits(from: first, through: last, by: step))
    }

    private func backwards(_ first: Int, _ last: Int) -> Problem {
        if self == .weekday, last == 0 {
            return Problem(sentence: "runs backwards, since Sunday is 0: it is 7 as well, '\(first)-7'")
        }
        func range(_ from: Int, _ to: Int) -> String { from == to ? "\(from)" : "\(from)-\(to)" }
        let end = self == .weekday ? 6 : self.range.upperBound
        return Problem(
            sentence: "runs backwards: a range goes from the smaller to the larger, and what goes past the end is two, "
                + "'\(range(first, end)),\(range(self.range.lowerBound, last))'")
    }

    /// Forms that other readers of such expressions take beyond crontab(5), with the text to write here.
    private func shape(_ item: Substring) -> Problem {
        if item == "?" { return Problem(sentence: "is written '*' here") }
        if let last = item.last, "LW".contains(last), self == .dayOfMonth || self == .weekday {
            return Problem(
                sentence:
                    "is an extension of other schedulers ('last', 'nearest weekday') that is not read here; a day "
                    + "from \(range.lowerBound) to \(range.upperBound) is")
        }
        if item.contains("#"), self == .weekday {
            return Problem(sentence: "is an extension of other schedulers ('the n-th weekday') that is not read here")
        }
        let names =
            switch self {
            case .month: " or jan-dec"
            case .weekday: " or sun-sat"
            default: ""
            }
        return Problem(
            sentence: "is not within \(range.lowerBound)-\(range.upperBound)\(names), *, a range, a list or a step")
    }

    private func value(_ text: Substring) -> Int? {
        switch self {
        case .month: Self.months.firstIndex(of: text.lowercased()).map { $0 + 1 } ?? ranged(text)
        case .weekday: Self.weekdays.firstIndex(of: text.lowercased()) ?? ranged(text)
        default: ranged(text)
        }
    }

    private func ranged(_ text: Substring) -> Int? {
        Self.number(text).flatMap { range.contains($0) ? $0 : nil }
    }

    private static func number(_ text: Substring) -> Int? {
        (1...2).contains(text.utf8.count) && text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) ? Int(text) : nil
    }

    private static func bits(from first: Int, through last: Int, by step: Int) -> UInt64 {
        stride(from: first, through: last, by: step).reduce(0) { $0 | 1 << UInt64($1) }
    }
}
