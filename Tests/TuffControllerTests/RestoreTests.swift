import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffModel
import TuffRepository

/// Restores, checks and keys of repositories without a command, and what passes between processes.
@Suite struct RestoreTests {
    let folder: RepositoryFolder
    let host: ControlledHost

    init() throws {
        folder = try RepositoryFolder()
        host = try ControlledHost()
    }

    private func restore(
        _ request: RestoreRun.Request, _ witness: Witness = Witness()
    ) async throws(BackupError) -> RestoreRun.Outcome {
        let place = RestoreHost(host.controller()) { nil }
        return try await RestoreRun.begin(request, on: place, progress: JobProgress(), listener: witness).run()
    }

    private func error(_ request: RestoreRun.Request) async -> BackupError? {
        do throws(BackupError) {
            _ = try await restore(request)
            Issue.record("it succeeded")
            return nil
        } catch { return error }
    }

    private func sentences(_ witness: Witness) -> [String] {
        witness.report.remarks.compactMap { if case .warning(let sentence) = $0 { sentence } else { nil } }
    }

    @Test func aPointComesBackAndTheChoiceIsTold() async throws {
        let past = try folder.point(at: "2020-01-01T00:00:00Z")
        try folder.write("disk", "later")
        let future = try folder.point(at: "2098-01-01T00:00:00Z")
        var request = RestoreRun.Request(from: folder.place, to: .path("\(folder.path)/back"))
        request.name = "db"
        let witness = Witness()
        let outcome = try await restore(request, witness)
        #expect(outcome.point == future && outcome.restored.lost.isEmpty && folder.text("back") == "later")
        #expect(sentences(witness).count == 1 && sentences(witness)[0].contains("counts as the latest until then"))
        request.target = .path("\(folder.path)/earlier")
        request.choice = PointChoice(text: "2020-01-01T03:00:00Z")
        #expect(try await restore(request).point == past)
        #expect(folder.text("earlier") == String(repeating: "0123456789", count: 10_000))
    }

    @Test func whatCannotBeRestoredTouchesNothing() async throws {
        let point = try folder.point(at: "2020-01-01T00:00:00Z")
        var request = RestoreRun.Request(from: folder.place, to: .path("\(folder.path)/r/points/x"))
        let unnamed = await error(request)
        #expect(unnamed?.sort == .usage && unnamed?.sentence.hasPrefix("whose latest restore point?") == true)
        request.name = "db"
        let inside = await error(request)
        #expect(inside?.sort == .usage && inside?.sentence.contains("is in the repository itself") == true)
        request.target = .path("/dev/tuff-no-such-device")
        #expect(await error(request)?.sentence.contains("there is no device") == true)
        request.target = .path("\(folder.path)/back")
        request.choice = .id("0000000000")
        #expect(await error(request)?.sort == .missing)
        request.choice = .id(point.id.description)
        for name in try folder.files("index") { try folder.write("r/index/\(name)", "damaged") }
        let lost = await error(request)
        #expect(lost?.sort == .failed)
        #expect(lost?.sentence.contains("'tuff backup check --repair' makes the index anew") == true, "\(lost as Any)")
        #expect(access("\(folder.path)/back", F_OK) != 0)
    }

    @Test func aCheckReadsItsShareAndARepairFollows() throws {
        try folder.point(at: "2020-01-01T00:00:00Z")
        var request = CheckRun.Request(of: folder.place, share: 100, purpose: "a test's check")
        request.repairs = true
        let run = try CheckRun.begin(request, progress: JobProgress(), listener: Witness())
        let report = try run.run()
        #expect(report.isWhole && report.points == 1 && report.share == 100 && report.read == 3, "\(report)")
        // One that left its process does not know any more what to leave out.
        #expect(throws: BackupError.self) { try run.repair(after: again(report)) }
        #expect(try run.repair(after: report).hurt.isEmpty)
        #expect(try folder.files("leases").count == 1)
        run.end()
        #expect(try folder.files("leases").isEmpty)
    }

    @Test func aKeyFileThatOthersMayReadIsRefusedOrTold() throws {
        let key = "\(folder.path)/key"
        try folder.write("key", "a-key-of-sixteen-bytes\n")
        chmod(key, 0o600)
        let place = RepositoryPlace("\(folder.path)/e", keyFile: key)
        try place.make(listener: Witness())
        chmod(key, 0o644)
        let sentence = "the key file \(key) is open to other users (mode 0644)"
        #expect(throws: BackupError(sentence, help: "type: chmod 600 \(key)")) { try place.open(listener: Witness()) }
        let witness = Witness()
        _ = try place.open(.advised, listener: witness)
        #expect(sentences(witness) == ["\(sentence): others may know the key"])
        chmod(key, 0o600)
        try folder.write("other", "another-key-of-bytes\n")
        chmod("\(folder.path)/other", 0o600)
        do {
            _ = try RepositoryPlace("\(folder.path)/e", keyFile: "\(folder.path)/other").open(listener: Witness())
            Issue.record("another key opened it")
        } catch { #expect(error.sort == .wrongKey) }
        let slot = try KeySlots.add("\(folder.path)/other", label: "spare", to: place, listener: witness)
        _ = try RepositoryPlace("\(folder.path)/e", keyFile: "\(folder.path)/other").open(listener: Witness())
        try KeySlots.remove(slot.id, from: place, purpose: "a test", patience: nil, listener: witness)
        #expect(try place.open(listener: Witness()).keySlots().map(\.record.label) == ["first"])
    }

    @Test func theCommandThatPassesAPointOverNamesTheRepositoryAsItWasNamed() throws {
        let future = try #require(FuturePoint(try folder.point(at: "2098-01-01T00:00:00Z")))
        let declared = RepositoryPlace.Declared(
            "nas", RepositoryAccess(.directory("\(folder.path)/r")), in: ["a set", "b"])
        #expect(
            future.warning(in: RepositoryPlace(declared)).contains(
                "tuff backup prune -f 'a set' -f b --repository nas --set-aside \(future.point.id) has it"),
            "\(future.warning(in: RepositoryPlace(declared)))")
        #expect(
            future.warning(in: RepositoryPlace("r", keyFile: "k")).contains("prune --repository r --key-file k --set-"))
    }

    // MARK: Between processes

    @Test(arguments: [
        (RepositoryError.Code.notFound, BackupError.Sort.missing), (.locked, .locked), (.wrongKey, .wrongKey),
        (.interrupted, .interrupted), (.damaged, .failed), (.unreadable, .failed), (.brokenIndex, .failed),
        (.newer, .failed), (.full, .failed), (.refused, .failed), (.failed, .failed),
    ])
    func anErrorOfTheRepositoryKeepsItsSortAndItsWords(_ code: RepositoryError.Code, _ sort: BackupError.Sort) {
        let error = BackupError(RepositoryError(code, "\u{1b}[31mred", cause: "because"), help: "do this")
        #expect(error == BackupError("\\u{1b}[31mred: because", help: "do this", sort: sort))
    }

    private func again<Value: Codable>(_ value: Value) throws -> Value {
        try JSONDecoder().decode(Value.self, from: try JSONEncoder().encode(value))
    }

    @Test func requestsAndOutcomesPassBetweenProcesses() async throws {
        var backup = folder.request()
        backup.changes = BackupRun.Changes(.bytes([0..<10, 20..<30]), since: "1234")
        backup.patience = TimeSpan(seconds: 600)
        backup.repository.keyFile = "/etc/tuff/key"
        #expect(try again(backup) == backup)
        let outcome = try folder.backUp(folder.request())
        #expect(try again(outcome) == outcome)
        var prune = PruneRun.Request(of: folder.place, purpose: "a test")
        prune.rule.weekly = 5
        #expect(try again(prune) == prune)
        let run = try PruneRun.begin(prune, listener: Witness())
        #expect(try again(run.forecast()) == run.forecast() && again(run.run()) == Prune.Report())
        let check = CheckRun.Request(of: folder.place, share: 5, purpose: "a test")
        #expect(try again(check) == check)
        let report = try CheckRun.begin(check, progress: JobProgress(), listener: Witness()).run()
        var away = report
        away.mayRepair = false
        #expect(try again(report) == away)
        var restoring = RestoreRun.Request(from: folder.place, to: .path("\(folder.path)/back"))
        restoring.choice = .id(outcome.point.id.description)
        #expect(try again(restoring) == restoring)
        let restored = try await restore(restoring)
        #expect(try again(restored) == restored)
        let cinder = CinderRun.Request("id", in: "directory", to: "target")
        #expect(try again(cinder) == cinder)
        let error = BackupError("sentence", help: "help", sort: .locked)
        #expect(try again(error) == error)
    }
}
