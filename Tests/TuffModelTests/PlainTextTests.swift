import Testing
import TuffModel

@Suite("Plain texts are told from others wherever the odd byte stands")
struct PlainTextTests {
    @Test(arguments: ["\u{1f}", "\n", "\u{7f}", "\u{80}", "ä", "\u{202e}", "\0"])
    func oneOddCharacterIsFoundAnywhere(odd: String) {
        for before in 0..<17 {
            let text = String(repeating: "~", count: before) + odd + String(repeating: " ", count: 17 - before)
            #expect(!PrintedText.isPlain(text), "behind \(before) characters")
        }
    }

    @Test func printableASCIIIsPlainAtAnyLength() {
        let all = String(String.UnicodeScalarView((0x20...0x7e).map { Unicode.Scalar(UInt8($0)) }))
        for count in 0...all.utf8.count {
            #expect(PrintedText.isPlain(String(all.prefix(count))))
            #expect(PrintedText.isPlain(String(all.suffix(count))))
        }
    }
}
