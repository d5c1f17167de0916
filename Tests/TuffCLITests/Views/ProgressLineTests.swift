import Testing

@testable import TuffCLI

@Suite("How far a job is, in a line")
struct ProgressLineTests {
    @Test func saysWhatTheContractSays() {
        let line = ProgressLine(seconds: 42, done: 13_207_100_000, total: 35_218_900_000)
        #expect(line.text == "[0:42] 37.5%  12.3 GiB / 32.8 GiB, 299.8 MiB/s, ETA 1:09")
        #expect(line.json == "{\"done\":13207100000,\"kind\":\"Progress\",\"seconds\":42,\"total\":35218900000}\n")
    }

    @Test func saysNothingThatItDoesNotKnow() {
        #expect(ProgressLine(seconds: 0, done: 0, total: 1_024).text == "[0:00] 0.0%  0 B / 1.0 KiB")
        #expect(ProgressLine(seconds: 5, done: 0, total: 0).text == "[0:05] 100.0%  0 B / 0 B")
        #expect(ProgressLine(seconds: 7_384, done: 10, total: 10).text.hasPrefix("[2:03:04] 100.0%"))
    }

    @Test func countsBeyondWhatFits() {
        let line = ProgressLine(seconds: 1, done: .max, total: .max)
        #expect(line.text.contains("ETA 0:00"), "\(line.text)")
    }
}
