import FoundationEssentials
import Glibc
import Testing
import TuffTestSupport

@testable import TuffCLI

/// `tuff exports` with a tree of plain directories in the place of the kernel's, where nothing can be exported. What
/// can be is tested in the lab.
@Suite struct ExportsCommandTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    private func apply() throws -> Ended {
        try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
    }

    private var recordPath: String? {
        let path = "run/state/accepted-default.json"
        return FileManager.default.fileExists(atPath: "\(folder.path)/\(path)") ? path : nil
    }

    @Test(arguments: [
        ["exports"], ["exports", "restore", "--wait", "soon"], ["exports", "restore", "--stack", "No Label"],
        ["exports", "withdraw", "-f", "x"],
    ]) func wrongUsageDoesNothing(_ arguments: [String]) throws {
        let ended = try folder.run(arguments)
        #expect(ended.code == (arguments.count == 1 ? 0 : 64))
    }

    @Test func whatIsAcceptedIsWrittenDownWithoutSecretsForUsAlone() throws {
        try folder.writeAttachment()
        #expect(try folder.run(["apply", "-f", "volumes.yaml"] + folder.host).code == 1)
        #expect(recordPath == nil, "nobody approved")
        _ = try apply()
        let record = try #require(recordPath)
        #expect(folder.text(record).contains("db-on-web1"))
        #expect(!folder.text(record).contains(TestFolder.secret))
        var status = stat()
        #expect(stat("\(folder.path)/\(record)", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func withoutARecordThereIsNothingToBringBack() throws {
        let ended = try folder.run(["exports", "restore"] + folder.host)
        #expect(ended.code == 0, "\(ended.err)")
        #expect(ended.out.contains("nothing was accepted"))
        #expect(try folder.run(["exports", "restore", "--stack", "other"] + folder.host).code == 1)
    }

    @Test func aVolumeThatIsGoneIsNotMade() throws {
        try folder.writeAttachment()
        _ = try apply()
        try folder.clearTargets()
        for name in try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/pool") {
            try FileManager.default.removeItem(atPath: "\(folder.path)/pool/\(name)")
        }
        let ended = try folder.run(["exports", "restore", "--wait", "1s"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.out.contains("nothing is made in its place"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/pool").isEmpty)
        let json = try folder.run(["exports", "restore", "--wait", "0s", "-o", "json"] + folder.host)
        #expect(json.out.contains("\"state\": \"blocked\""))
        #expect(json.out.contains("\"kind\": \"Exports\""))
    }

    @Test func aDamagedRecordIsNamedAndKeepsApplyFromReplacingIt() throws {
        try folder.writeVolume()
        #expect(try apply().code == 0)
        let record = try #require(recordPath)
        try folder.write(record, "{", mode: 0o600)
        let restored = try folder.run(["exports", "restore", "--wait", "0s"] + folder.host)
        #expect(restored.code == 1)
        #expect(restored.out.contains("accepted-default.json is damaged"))
        try folder.writeVolume(size: "128Mi")
        let applied = try apply()
        #expect(applied.code == 1)
        #expect(applied.err.contains("is damaged"))
        #expect(folder.text(record) == "{")
    }

    @Test func aSignalEndsTheWait() throws {
        try folder.writeAttachment()
        _ = try apply()
        try folder.clearTargets()
        try FileManager.default.removeItem(atPath: "\(folder.path)/secret")
        let running = try folder.start(["exports", "restore", "--wait", "5m"] + folder.host)
        for _ in 0..<200 where !folder.text("err.\(running.pid)").contains("waiting") { usleep(50_000) }
        // While it waits the lock is free.
        #expect(try folder.run(["exports", "withdraw", "--lock-timeout", "30s"] + folder.host).code == 0)
        running.signal(SIGTERM)
        #expect(running.wait().code == 130)
    }
}
