import Synchronization
import Testing
import TuffCLI
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Progress of work that takes long, under a clock that the test turns.
@Suite struct ProgressTests {
    private final class Scene: Sendable {
        private let seconds = Mutex(0.0), said = Mutex("")
        private let made = Mutex<ProgressTalk?>(nil)

        init(_ form: ProgressTalk.Form) {
            made.withLock { made in
                made = ProgressTalk(
                    Examples.plan, style: Style(), form: form, now: { [unowned self] in seconds.withLock { $0 } },
                    talk: { [unowned self] text in said.withLock { $0 += text } })
            }
        }

        func at(_ time: Double, _ event: ExecutionEvent) {
            seconds.withLock { $0 = time }
            made.withLock { $0 }?.tell(event)
        }

        func end() { made.withLock { $0 }?.end() }
        var text: String { said.withLock { $0 } }
    }

    private static func moved(_ change: Int, _ done: Int64, of total: Int64 = 20 << 30) -> ExecutionEvent {
        .progress(change: change, DataProgress(done: ByteCount(done), total: ByteCount(total)))
    }

    private let first = Examples.plan.changes[5].resource, second = Examples.plan.changes[4].resource

    @Test func onATerminalOneLineIsWrittenOver() {
        let scene = Scene(.terminal(80))
        scene.at(0, Self.moved(5, 0))
        scene.at(0.2, Self.moved(5, 9_019_431_322))
        scene.at(0.4, Self.moved(4, 1 << 20, of: 3 << 20))
        scene.at(0.6, .finished(change: 5, seconds: 1.7))
        scene.at(0.8, Self.moved(4, 3 << 20, of: 3 << 20))
        scene.end()
        let clear = TerminalText.lineAnew
        #expect(
            scene.text == clear + "\(first): 0 %, 0 bytes of 20 GiB"
                + clear + "\(first): 42 %, 8.4 GiB of 20 GiB"
                + clear + "\(second): 33 %, 1 MiB of 3 MiB; \(first): 42 %, 8.4 GiB of 20 GiB"
                + clear + "\(first): done after 1.7 s\n"
                + clear + "\(second): 100 %, 3 MiB of 3 MiB" + clear)
    }

    @Test func itIsNoWiderThanTheTerminal() {
        let scene = Scene(.terminal(30))
        scene.at(0, Self.moved(5, 9_019_431_322))
        let line = scene.text.dropFirst(TerminalText.lineAnew.count)
        #expect(line.count <= 29 && "\(first): 42 %, 8.4 GiB of 20 GiB".hasPrefix(line))
    }

    @Test func elsewhereItIsALineAMinute() {
        let scene = Scene(.lines)
        scene.at(0, .started(change: 5))
        for time in stride(from: 0.2, through: 125, by: 0.2) { scene.at(time, Self.moved(5, Int64(time * 1e7))) }
        scene.at(125, .finished(change: 5, seconds: 125))
        scene.end()
        let lines = scene.text.split(separator: "\n").map(String.init)
        #expect(lines.count == 4, "\(lines)")
        #expect(lines[1] == "\(first): 2 %, 572.2 MiB of 20 GiB" && lines[2] == "\(first): 5 %, 1.1 GiB of 20 GiB")
        #expect(!scene.text.contains(TerminalText.lineAnew))
    }

    @Test func besideJSONItIsALineOfJSON() {
        let scene = Scene(.json)
        for time in stride(from: 0.0, through: 9, by: 0.5) { scene.at(time, Self.moved(5, Int64(time * 1e6))) }
        #expect(
            scene.text.split(separator: "\n") == [
                "{ \"done\": 0, \"kind\": \"Progress\", \"resource\": \"\(first)\", \"total\": 21474836480 }",
                "{ \"done\": 5000000, \"kind\": \"Progress\", \"resource\": \"\(first)\", \"total\": 21474836480 }",
            ])
    }

    @Test func noShareIsToldOfWhatIsNotKnown() {
        let scene = Scene(.json)
        scene.at(0, Self.moved(5, 0, of: 0))
        #expect(scene.text == "{ \"done\": 0, \"kind\": \"Progress\", \"resource\": \"\(first)\" }\n")
        #expect(ProgressText.share(DataProgress(done: .zero, total: .zero)) == "0 bytes")
    }

    @Test func nothingIsAllDoneBeforeItIs() {
        let almost = DataProgress(done: ByteCount((20 << 30) - 1), total: ByteCount(20 << 30))
        #expect(ProgressText.share(almost).hasPrefix("99 %"))
        #expect(
            ProgressText.share(DataProgress(done: ByteCount(1023), total: ByteCount(1024)))
                == "99 %, 1023 bytes of 1 KiB")
    }
}
