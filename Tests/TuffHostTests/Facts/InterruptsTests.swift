import Glibc
import Testing
import TuffHost

@Suite("Signals")
struct InterruptsTests {
    @Test("The first signal is noted, later ones change nothing; SIGPIPE ends nobody")
    func signals() async throws {
        let interrupts = try Interrupts.install()
        #expect(try Interrupts.install() === interrupts)
        #expect(!interrupts.isInterrupted)
        kill(getpid(), SIGPIPE)
        kill(getpid(), SIGTERM)
        #expect(await eventually { interrupts.received == SIGTERM })
        kill(getpid(), SIGINT)
        try await Task.sleep(for: .milliseconds(100))
        #expect(interrupts.received == SIGTERM)
        #expect(interrupts.isInterrupted)
    }
}
