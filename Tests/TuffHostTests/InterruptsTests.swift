import Glibc
import Testing
import TuffHost

@Suite("Signals")
struct InterruptsTests {
    @Test("A signal is noted, heard by those who listen and by those who ask later; SIGPIPE ends nobody")
    func signals() async throws {
        let interrupts = try Interrupts.install()
        #expect(try Interrupts.install() === interrupts)
        #expect(!interrupts.isInterrupted)
        var early = interrupts.signals().makeAsyncIterator()
        kill(getpid(), SIGPIPE)
        kill(getpid(), SIGTERM)
        #expect(await early.next() == SIGTERM)
        #expect(interrupts.received == SIGTERM)
        kill(getpid(), SIGINT)
        #expect(await early.next() == SIGINT)
        var late = interrupts.signals().makeAsyncIterator()
        #expect(await late.next() == SIGTERM)
        #expect(interrupts.isInterrupted)
    }
}
