import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

@Suite("State files are written into the directory that was looked at")
struct StateFileTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    @Test("Replaced whole, and readable again; a directory that others may write or that is a link is refused")
    func replaces() throws {
        let file = StateFile(folder.at("state/ledger"), what: "ledger")
        #expect(try file.read() == nil)
        for text in ["one", "another"] {
            try file.write(Array(text.utf8))
            #expect(try file.read() == Array(text.utf8))
        }
        #expect(folder.mode("state") == 0o700 && folder.mode("state/ledger") == 0o600)
        #expect(folder.read("state/ledger.new") == nil)
        #expect(chmod(folder.at("state"), 0o770) == 0)
        #expect(throws: HostError.self) { try file.write([1]) }
        #expect(symlink(folder.at("state"), folder.at("link")) == 0 && chmod(folder.at("state"), 0o700) == 0)
        #expect(throws: HostError.self) { try StateFile(folder.at("link/ledger"), what: "ledger").write([1]) }
        #expect(folder.read("state/ledger") == "another")
    }

    @Test("Whoever exchanges the directory for a link meanwhile has nothing written elsewhere")
    func race() async throws {
        let state = folder.at("state"), elsewhere = folder.at("elsewhere")
        try #require(mkdir(elsewhere, 0o700) == 0)
        let racer = Beside { goesOn in
            var round = 0
            while goesOn() {
                rename(state, "\(state)-\(round)")
                symlink(elsewhere, state)
                unlink(state)
                round += 1
            }
        }
        let file = StateFile("\(state)/ledger", what: "ledger")
        var written = 0
        let end = ContinuousClock.now + .seconds(2)
        while ContinuousClock.now < end {
            if (try? file.write([1, 2, 3])) != nil { written += 1 }
            if let lock = try? HostLock.acquire(path: "\(state)/lock", purpose: "race") { lock.release() }
            await Task.yield()
        }
        await racer.end()
        #expect(written > 0)
        for name in ["ledger", "ledger.new", "lock"] { #expect(access("\(elsewhere)/\(name)", F_OK) != 0, "\(name)") }
    }
}
