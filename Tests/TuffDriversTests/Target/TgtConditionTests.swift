import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Sessions as a `tgtadm` of this test lists them.
@Suite struct TgtConditionTests {
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("target")
        machine = folder.machine(tools: .real())
    }

    private func check(_ condition: Precondition) async -> HostError? {
        let error = await failure { () throws(HostError) in
            try await machine.perform([.require(condition), .makeDirectory(.target("done"))])
        }
        #expect(folder.names("target").contains("done") == (error == nil))
        rmdir(folder.at("target/done"))
        return error
    }

    @Test("A tgt target without connections passes, one with any or a tgtadm that cannot tell does not")
    func tgt() async throws {
        let condition = Precondition.tgtIdle(controlPort: 7, tid: 3, iqn: "iqn.2026-11.dev.tuff:a")
        try folder.tool("tgtadm", "echo \"$@\" >\(folder.at("arguments"))")
        #expect(await check(condition) == nil)
        #expect(folder.read("arguments") == "-C 7 --lld iscsi --mode conn --op show --tid 3\n")
        try folder.tool("tgtadm", "echo 'Session: 1'; echo '    Connection: 0'")
        #expect(await check(condition)?.code == .preconditionFailed)
        try folder.tool("tgtadm", "echo \"tgtadm: can't find the target\" >&2; exit 22")
        let error = await check(condition)
        #expect(error?.code == .preconditionFailed)
        #expect(error?.cause == "tgtadm: can't find the target")
    }

    @Test("One initiator of a tgt target is told from another, and a session of nobody's counts as anybody's")
    func tgtInitiator() async throws {
        func condition(_ initiator: String) -> Precondition {
            .tgtIdle(controlPort: 7, tid: 3, iqn: "iqn.2026-11.dev.tuff:a", initiator: initiator)
        }
        let one = "iqn.2004-10.com.example:one"
        let connection = "    Connection: 0\\n        Initiator: \(one)\\n        IP Address: 127.0.0.1\\n"
        try folder.tool("tgtadm", "printf 'Session: 1\\n\(connection)'")
        #expect(await check(condition(one))?.code == .preconditionFailed)
        #expect(await check(condition("iqn.2004-10.com.example:on")) == nil)
        #expect(await check(condition("\(one)2")) == nil)
        try folder.tool("tgtadm", "printf 'Session: 2\\nSession: 1\\n\(connection)'")
        #expect(await check(condition("\(one)2"))?.code == .preconditionFailed)
        try folder.tool("tgtadm", ":")
        #expect(await check(condition(one)) == nil)
    }
}
