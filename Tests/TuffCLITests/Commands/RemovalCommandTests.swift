import FoundationEssentials
import Glibc
import Testing

/// Removal and its commands through the built program, on a directory pool.
@Suite struct RemovalCommandTests {
    let folder: TestFolder
    private var host: [String] { folder.host + ["--auto-approve"] }

    init() throws { folder = try TestFolder() }

    /// One pool and these volumes in it, each of 8 MiB.
    private func write(_ volumes: [String], rest: String = "") throws {
        var text = """
            apiVersion: tuff.dev/v1
            kind: Pool
            metadata: {name: local}
            spec: {directory: {path: \(folder.path)/pool}, overprovision: 100}

            """
        for name in volumes {
            text += """
                ---
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata: {name: \(name)}
                spec: {size: 8Mi, pool: local\(rest)}

                """
        }
        try folder.write("volumes.yaml", text)
    }

    private func apply(_ more: String...) throws -> Ended {
        try folder.run(["apply", "-f", "volumes.yaml"] + more + host)
    }

    private func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/pool").filter { $0 != ".tuff" }.sorted()
    }

    private func sidecars() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/pool/.tuff").sorted()
    }

    private func fill(_ name: String) throws {
        let handle = try #require(fopen("\(folder.path)/pool/\(name)", "r+"))
        defer { fclose(handle) }
        fputs("precious", handle)
    }

    private func isFilled(_ name: String) -> Bool { folder.text("pool/\(name)").hasPrefix("precious") }

    /// The uid of the one volume in the trash.
    private func uidInTrash() throws -> String {
        String(try #require(try files().first { $0.hasPrefix("t-") }).dropFirst(2))
    }

    @Test func aRemovedDocumentEndsInTheTrashAndItsReturnBringsTheDataBack() throws {
        try write(["db"])
        #expect(try apply().code == 0)
        try fill("v-db")
        try write([])
        let listed = try apply()
        #expect(listed.code == 0 && listed.out.contains("[orphan]"), "\(listed.out)")
        #expect(try files() == ["v-db"])
        let removed = try apply("--prune")
        #expect(removed.code == 0 && removed.out.contains("1 to remove"), "\(removed.out) \(removed.err)")
        let uid = try uidInTrash()
        #expect(try files() == ["t-\(uid)"])
        let listing = try folder.run(["trash", "ls"] + folder.host)
        #expect(listing.code == 0 && listing.out.contains("db ") && listing.out.contains(uid), "\(listing.out)")
        try write(["db"])
        #expect(try apply().code == 0)
        #expect(try files() == ["v-db"] && isFilled("v-db"))
        #expect(try sidecars() == ["\(uid).json"])
    }

    @Test func whatTheTrashHoldsIsBroughtBackAndDestroyedByHand() throws {
        try write(["db"])
        _ = try apply()
        try fill("v-db")
        try write([])
        _ = try apply("--prune")
        let back = try folder.run(["trash", "restore", "db"] + host)
        #expect(back.code == 0, "\(back.err)")
        #expect(try files() == ["v-db"] && isFilled("v-db"))
        let live = try folder.run(["trash", "purge", "db"] + host)
        #expect(live.code == 1 && live.err.contains("no volume 'db'"), "\(live.err)")
        _ = try apply("--prune")
        let unasked = try folder.run(["trash", "purge", "db"] + folder.host)
        #expect(unasked.code == 1 && unasked.err.contains("--auto-approve"))
        #expect(try files().count == 1)
        let purged = try folder.run(["trash", "purge", "db"] + host)
        #expect(purged.code == 0 && purged.out.contains("destroys data"), "\(purged.out) \(purged.err)")
        #expect(try files() == [] && sidecars() == [])
    }

    @Test func theGuardRefusesAllOfItAndTheNumberMustMatch() throws {
        try write(["a", "b", "c", "d", "e"])
        _ = try apply()
        try write(["a"])
        for (flags, word) in [
            (["--prune"], "--allow-removals 4"), (["--prune", "--allow-removals", "3"], "this plan removes 4"),
        ] {
            let refused = try folder.run(["apply", "-f", "volumes.yaml"] + flags + host)
            #expect(refused.code == 1 && refused.err.contains(word), "\(refused.err)")
            #expect(try files() == ["v-a", "v-b", "v-c", "v-d", "v-e"])
        }
        #expect(try apply("--prune", "--allow-removals", "4").code == 0)
        #expect(try files().filter { $0.hasPrefix("t-") }.count == 4)
    }

    @Test func protectionOutlivesTheDocumentUntilItIsEnded() throws {
        try write(["db"], rest: ", protect: true")
        _ = try apply()
        try write([])
        let kept = try apply("--prune")
        #expect(kept.code == 3 && kept.out.contains("Protected"), "\(kept.out)")
        #expect(try files() == ["v-db"])
        let ended = try folder.run(["unprotect", "db"] + host)
        #expect(ended.code == 0, "\(ended.err)")
        #expect(try apply("--prune").code == 0)
        #expect(try files().first?.hasPrefix("t-") == true)
    }

    @Test func protectedTrashIsNotPurgedByHandEither() throws {
        try write(["db"])
        _ = try apply()
        try write([])
        _ = try apply("--prune")
        let path = "pool/.tuff/\(try uidInTrash()).json"
        let marked = folder.text(path).replacing(
            "\"tuff:stack=default\"", with: "\"tuff:protect\",\"tuff:stack=default\"")
        try folder.write(path, marked, mode: 0o600)
        let refused = try folder.run(["trash", "purge", "db"] + host)
        #expect(refused.code == 3 && refused.out.contains("Protected"), "\(refused.out) \(refused.err)")
        #expect(try files().count == 1)
    }

    @Test func namesakesInTheTrashAreToldApartByTheirUids() throws {
        for _ in 0..<2 {
            try write(["db"])
            // The second is another volume, since the first is forgotten in a place that is not looked at.
            _ = try apply()
            try write([])
            _ = try apply("--prune")
            let uid = try uidInTrash()
            for name in ["t-\(uid)", ".tuff/\(uid).json"] {
                rename("\(folder.path)/pool/\(name)", "\(folder.path)/\(name.replacing("/", with: "_"))")
            }
            #expect(try folder.run(["forget", "Volume/db"] + folder.host).code == 0)
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            if name.hasPrefix("t-") { rename("\(folder.path)/\(name)", "\(folder.path)/pool/\(name)") }
            if name.hasPrefix(".tuff_") {
                rename("\(folder.path)/\(name)", "\(folder.path)/pool/\(name.replacing("_", with: "/"))")
            }
        }
        let before = try files()
        let refused = try folder.run(["trash", "purge", "db"] + host)
        #expect(before.count == 2)
        #expect(refused.code == 1 && refused.err.contains("2 volumes are called 'db'"), "\(refused.err)")
        #expect(try files() == before)
        let uid = String(before[0].dropFirst(2))
        #expect(try folder.run(["trash", "purge", uid] + host).code == 0)
        #expect(try files() == [before[1]])
    }

    @Test func aLostVolumeIsNotMadeAgainUnasked() throws {
        try write(["db"])
        _ = try apply()
        for name in try sidecars() { unlink("\(folder.path)/pool/.tuff/\(name)") }
        unlink("\(folder.path)/pool/v-db")
        let lost = try apply()
        #expect(lost.code == 3 && lost.out.contains("Lost") && lost.out.contains("forget"), "\(lost.out)")
        #expect(try files() == [])
        let status = try folder.run(["status", "-f", "volumes.yaml", "--monitoring"] + folder.host)
        #expect(status.code == 2 && status.out.contains("Volume/db Lost"), "\(status.out)")
        let forgotten = try folder.run(["forget", "Volume/db"] + folder.host)
        #expect(forgotten.code == 0 && forgotten.out.contains("forgotten: Volume/db"), "\(forgotten.err)")
        #expect(try apply().code == 0)
        let there = try folder.run(["forget", "Volume/db"] + folder.host)
        #expect(there.code == 1 && there.err.contains("is not lost"), "\(there.err)")
    }

    @Test func recreateIsForOneVolumeByName() throws {
        try write(["db"])
        _ = try apply()
        for name in try sidecars() { unlink("\(folder.path)/pool/.tuff/\(name)") }
        unlink("\(folder.path)/pool/v-db")
        #expect(try apply("--recreate", "Volume/other").code == 3)
        let made = try apply("--recreate", "Volume/db")
        #expect(made.code == 0 && made.out.contains("blank"), "\(made.out)")
    }

    /// The ledger is made again from marks when it is gone, and stops everything while it cannot be understood.
    @Test(arguments: ["{", "[]", "{\"version\":99}", "{\"version\":1,\"entries\":3}"])
    func aDamagedLedgerStopsPlansAndAMissingOneDoesNot(text: String) throws {
        try write(["db"])
        _ = try apply()
        let ledger = "run/state/ledger.json"
        #expect(folder.text(ledger).contains("\"db\""))
        try folder.write(ledger, text, mode: 0o600)
        try write(["db", "web"])
        let stopped = try apply()
        #expect(stopped.code == 1 && stopped.err.contains("ledger"), "\(stopped.err)")
        #expect(try files() == ["v-db"])
        unlink("\(folder.path)/\(ledger)")
        #expect(try apply().code == 0)
        #expect(folder.text(ledger).contains("\"db\"") && folder.text(ledger).contains("\"web\""))
    }

    @Test func aClockInThePastRemovesNothing() throws {
        try write(["db"])
        _ = try apply()
        let ledger = "run/state/ledger.json"
        let text = folder.text(ledger)
        let key = "\"lastPass\":{\"secondsSince1970\":"
        let start = try #require(text.firstRange(of: key)).upperBound
        let later = text[..<start] + "9" + text[start...]
        try folder.write(ledger, String(later), mode: 0o600)
        try write([])
        let blocked = try apply("--prune")
        #expect(blocked.code == 3 && blocked.out.contains("ClockBehind"), "\(blocked.out)")
        #expect(try files() == ["v-db"])
    }

    @Test func aReleasedVolumeStaysAndIsAdoptedAgain() throws {
        try write(["db"], rest: ", deletionPolicy: Retain")
        _ = try apply()
        try fill("v-db")
        try write([])
        #expect(try apply("--prune").code == 0)
        #expect(try files() == ["v-db"] && isFilled("v-db"))
        #expect(try apply("--prune").out.contains("Nothing to do"))
        try write(["db"])
        let adopted = try apply()
        #expect(adopted.code == 0 && adopted.out.contains("take up"), "\(adopted.out)")
        #expect(isFilled("v-db"))
    }

    @Test func whatIsOrderedWithoutSenseSaysSo() throws {
        try write(["db"])
        _ = try apply()
        let orders: [([String], Int32, String)] = [
            (["detach", "nobody"], 1, "no initiator has access"), (["unprotect", "nobody"], 1, "no volume 'nobody'"),
            (["release", "Pool/local"], 64, "only volumes are released"), (["release", "db"], 64, "Volume/NAME"),
            (["trash", "restore", "nobody"], 1, "no volume 'nobody'"),
        ]
        for (order, code, word) in orders {
            let ended = try folder.run(order + host)
            #expect(ended.code == code && ended.err.contains(word), "\(order): \(ended.code) \(ended.err)")
        }
        let nothing = try folder.run(["forget", "Volume/nobody"] + folder.host)
        #expect(nothing.code == 1 && nothing.err.contains("the ledger knows no"), "\(nothing.err)")
        #expect(try files() == ["v-db"])
    }
}
