import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffHost
import TuffTestSupport

@testable import TuffCLI

@Suite struct CommandTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    @Test func versionSaysOneLine() throws {
        let ended = try folder.run(["version"])
        #expect(ended.code == 0)
        #expect(ended.out == "tuff \(TuffVersion.current)\n")
        #expect(ended.err.isEmpty)
    }

    @Test(arguments: [
        ["plan"], ["apply"], ["validate"], ["nonsense"], ["plan", "-f", "x", "--nonsense"],
        ["get", "volumes", "-l", "a=b"], ["get", "volumes", "-f", "x", "-l", "tier!=db"],
        ["get", "volumes", "-f", "x", "-l", "tier in (db,web)"],
        ["get", "cars"], ["describe", "db-data"], ["apply", "-f", "x", "--lock-timeout", "soon"],
        ["plan", "-f", "x", "--stack", "No Label"], ["completion", "csh"],
    ]) func wrongUsageIs64AndSaysSoOnStandardError(_ arguments: [String]) throws {
        let ended = try folder.run(arguments)
        #expect(ended.code == 64)
        #expect(ended.out.isEmpty)
        #expect(!ended.err.isEmpty)
    }

    @Test func aMistypedCommandIsNamed() throws {
        let near = try folder.run(["paln", "-f", "x"])
        #expect(near.err == "error: there is no command 'paln'\n  help: did you mean 'plan'?\n")
        #expect(try folder.run(["frobnicate"]).err.contains("the commands are validate, plan, apply"))
        #expect(try folder.run(["help", "plan"]).code == 0)
        #expect(try folder.run(["plan", "--nonsense"]).err.hasPrefix("error: "))
    }

    @Test func aConfigurationThatOthersMayWriteIsNotObeyed() throws {
        try folder.writeVolume()
        try folder.write("open.yaml", "apiVersion: tuff.dev/v1\nkind: Controller\nspec: {node: n}\n")
        chmod("\(folder.path)/open.yaml", 0o666)
        let ended = try folder.run(["plan", "-f", "volumes.yaml", "--config", "open.yaml"])
        #expect(ended.code == 1)
        #expect(ended.err.contains("chmod go-w open.yaml"))
    }

    @Test func aWrongFieldIsLocatedWithASuggestionAndNothingIsPlanned() throws {
        try folder.writeVolume()
        try folder.write("volumes.yaml", folder.text("volumes.yaml").replacing("size:", with: "sise:"))
        let ended = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.out.isEmpty)
        expectGolden(ended.err, "Golden/diagnostic.txt")
    }

    @Test func theExampleOfValidateIsItsOutput() throws {
        try folder.writeVolume()
        try folder.write("volumes.yaml", folder.text("volumes.yaml").replacing("size:", with: "sise:"))
        let ended = try folder.run(["validate", "-f", "volumes.yaml"])
        #expect(ended.code == 1)
        #expect(ended.out.isEmpty)
        expectGolden(ended.err, "Golden/validate.txt")
    }

    @Test func aPlanOfWrongDocumentsHasNoJSON() throws {
        try folder.write("bad.yaml", "kind: [")
        let ended = try folder.run(["plan", "-f", "bad.yaml", "-o", "json"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.out.isEmpty)
        #expect(ended.err.contains("error[syntax]"))
    }

    @Test func validateNeedsNoHostAndSpeaksJSON() throws {
        try folder.writeVolume()
        let good = try folder.run(["validate", "-f", "volumes.yaml"])
        #expect(good.code == 0)
        #expect(good.out == "valid: 2 documents in 1 file\n")
        try folder.write("empty.yaml", "# nothing yet\n")
        let empty = try folder.run(["validate", "-f", "empty.yaml"])
        #expect(empty.code == 0)
        #expect(empty.err.contains("warning[no-document]: the file holds no document"))
        try folder.write("bad.yaml", "kind: [")
        let bad = try folder.run(["validate", "-f", "bad.yaml", "volumes.yaml", "-o", "json"])
        #expect(bad.code == 1)
        #expect(bad.out.contains("\"valid\": false"))
        #expect(bad.out.contains("\"kind\": \"Validation\""))
    }

    @Test func detailedExitCodesFollowTheState() throws {
        try folder.writeVolume()
        let plan = ["plan", "-f", "volumes.yaml", "--detailed-exitcode"] + folder.host
        #expect(try folder.run(plan).code == 2)
        let applied = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        #expect(applied.code == 0, "\(applied.err)")
        #expect(applied.out.contains("Apply: 1 done; 1 unchanged."))
        #expect(applied.err.contains("Volume/db-data: done after"))
        #expect(try folder.run(plan).code == 0)
        try folder.writeVolume(size: "32Mi")
        let blocked = try folder.run(plan)
        #expect(blocked.code == 3)
        #expect(blocked.out.contains("[blocked: WouldShrink]"))
    }

    @Test func withoutATerminalNothingIsChangedAndTheFlagIsNamed() throws {
        try folder.writeVolume()
        let ended = try folder.run(["apply", "-f", "volumes.yaml"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.err.contains("--auto-approve"))
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/pool/v-db-data"))
    }

    @Test func anApplyThatFailsMidwayKeepsWhatIsDoneAndExits3() throws {
        try folder.writeAttachment()
        // A tree of plain directories: what configfs would make by itself is missing, so that the export fails.
        let ended = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        #expect(ended.code == 3, "\(ended.err)")
        #expect(ended.out.contains("FAILED"))
        #expect(ended.out.contains("What is done stays done."))
        #expect(FileManager.default.fileExists(atPath: "\(folder.path)/pool/v-db-data"))
        try folder.clearTargets()
        let json = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve", "-o", "json"] + folder.host)
        #expect(json.out.hasPrefix("{\n  \"changes\": ["))
        #expect(json.out.contains("\"times\": {"))
        #expect(json.out.contains("\"verdict\": \"failed\""))
    }

    @Test func aHeldLockIs11AndNamesItsHolder() throws {
        try folder.writeVolume()
        let lock = try HostLock.acquire(path: "\(folder.path)/run/lock", purpose: "tuff apply -f volumes.yaml")
        defer { lock.release() }
        let ended = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        #expect(ended.code == 11)
        #expect(ended.out.isEmpty)
        #expect(ended.err.contains("pid \(getpid()) on "))
        #expect(ended.err.contains("command: tuff apply -f volumes.yaml"))
        #expect(ended.err.contains("--lock-timeout"))
        #expect(try folder.run(["plan", "-f", "volumes.yaml"] + folder.host).code == 0)
    }

    @Test(arguments: [SIGINT, SIGTERM]) func aSignalWhileWaitingForTheLockIs130(_ number: Int32) throws {
        try folder.writeVolume()
        let lock = try HostLock.acquire(path: "\(folder.path)/run/lock", purpose: "a test")
        defer { lock.release() }
        let running = try folder.start(
            ["apply", "-f", "volumes.yaml", "--auto-approve", "--lock-timeout", "60s"] + folder.host)
        // It says that it waits once it looks at signals.
        for _ in 0..<200 where !folder.text("err.\(running.pid)").contains("waiting for") { usleep(50_000) }
        running.signal(number)
        let ended = running.wait()
        #expect(ended.code == 130)
        #expect(ended.err.contains("nothing was changed"))
    }

    @Test func lookingCommandsShowOneVolumeTheSame() throws {
        try folder.writeVolume()
        _ = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        let documents = ["-f", "volumes.yaml"] + folder.host
        #expect(try folder.run(["get", "vol", "-o", "name"] + documents).out == "Volume/db-data\n")
        #expect(
            try folder.run(["get", "volumes", "db-data", "-l", "backup=nightly"] + documents).out.contains("64 MiB"))
        #expect(try folder.run(["get", "volumes", "-l", "backup=never"] + documents).out.isEmpty)
        #expect(try folder.run(["get", "volumes", "nobody"] + documents).code == 1)
        #expect(try folder.run(["describe", "volume/db-data"] + documents).out.hasPrefix("Volume/db-data\n"))
        #expect(try folder.run(["describe", "volume/nobody"] + documents).code == 1)
        #expect(try folder.run(["status"] + documents).out.contains("all is well"))
        let monitoring = try folder.run(["status", "--monitoring"] + documents)
        #expect(monitoring.code == 0)
        #expect(monitoring.out.hasPrefix("TUFF OK - 1 volume, 0 sessions |"))
        let broken = try folder.run(["status", "--monitoring", "-f", "missing.yaml"] + folder.host)
        #expect(broken.code == 3)
        #expect(broken.out.hasPrefix("TUFF UNKNOWN - "))
    }

    @Test func schemasAndCompletionsArePrinted() throws {
        #expect(try folder.run(["schema", "volume"]).out.contains("\"title\": \"Volume\""))
        #expect(try folder.run(["schema"]).code == 0)
        for shell in ["bash", "zsh", "fish"] {
            #expect(try folder.run(["completion", shell]).out.contains("tuff"))
        }
    }
}

@Suite struct StreamTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    @Test(arguments: [["version"], ["--help"], ["plan", "-f", "volumes.yaml"], ["schema"], ["inventory"], ["status"]])
    func aFullDiskBehindStandardOutputIsAFailure(_ arguments: [String]) throws {
        try folder.writeVolume()
        let takesHost = ["plan", "inventory", "status"].contains(arguments[0])
        let ended = try folder.run(arguments + (takesHost ? folder.host : []), out: "/dev/full")
        #expect(ended.code == 1)
        #expect(ended.err.contains("standard output cannot be written"))
    }

    @Test func aReaderThatWentAwayIsNoCrash() throws {
        try folder.writeVolume()
        #expect(mkfifo("\(folder.path)/pipe", 0o600) == 0)
        let reader = open("\(folder.path)/pipe", O_RDONLY | O_NONBLOCK)
        let running = try folder.start(["schema"], out: "\(folder.path)/pipe")
        close(reader)
        let ended = running.wait()
        #expect(ended.code == 1 || ended.code == 0, "ended by a signal: \(ended.code)")
        #expect(!ended.err.contains("error"))
    }

    @Test func coloursOnlyWhereTheyAreWanted() throws {
        try folder.writeVolume()
        let plan = ["plan", "-f", "volumes.yaml"] + folder.host
        #expect(!(try folder.run(plan).out.contains("\u{1b}[")))
        #expect(try folder.run(plan + ["--color", "always"]).out.contains("\u{1b}["))
        #expect(!(try folder.run(plan + ["--color", "never"]).out.contains("\u{1b}[")))
        #expect(try folder.run(plan + ["--color", "sometimes"]).code == 64)
    }
}

@Suite struct PlanFileTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    @Test func aPlanFileIsPrivateAndAppliesWhatItShowed() throws {
        try folder.writeVolume()
        let planned = try folder.run(["plan", "-f", "volumes.yaml", "--out", "p.json"] + folder.host)
        #expect(planned.code == 0, "\(planned.err)")
        var status = stat()
        #expect(stat("\(folder.path)/p.json", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        // The documents may be gone: the file holds them.
        try folder.write("volumes.yaml", "")
        let applied = try folder.run(["apply", "p.json", "--auto-approve"] + folder.host)
        #expect(applied.code == 0, "\(applied.err)")
        #expect(FileManager.default.fileExists(atPath: "\(folder.path)/pool/v-db-data"))
    }

    @Test func aHostThatChangedSinceIsNotTouched() throws {
        try folder.writeVolume()
        _ = try folder.run(["plan", "-f", "volumes.yaml", "--out", "p.json"] + folder.host)
        try folder.write("pool/v-db-data", "somebody else's")
        let ended = try folder.run(["apply", "p.json", "--auto-approve"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.err.contains("Planned then:"))
        #expect(ended.err.contains("Planned now:"))
        #expect(ended.err.contains("[blocked: NameTaken]"))
        #expect(folder.text("pool/v-db-data") == "somebody else's")
    }

    @Test func anotherConfigurationIsRefused() throws {
        try folder.writeVolume()
        _ = try folder.run(["plan", "-f", "volumes.yaml", "--out", "p.json"] + folder.host)
        try folder.write("config.yaml", folder.text("config.yaml").replacing("storage1", with: "storage2"))
        let ended = try folder.run(["apply", "p.json", "--auto-approve"] + folder.host)
        #expect(ended.code == 1)
        #expect(ended.err.contains("configuration is not the one"))
    }

    @Test func aNewerFormatAndOtherFilesAreRefusedWithASentence() throws {
        try folder.write("newer.json", #"{"format": 99, "kind": "PlanFile", "tuff": "9.0.0"}"#)
        let newer = try folder.run(["apply", "newer.json"] + folder.host)
        #expect(newer.code == 1)
        #expect(newer.err.contains("plan file format 99"))
        #expect(newer.err.contains("9.0.0"))
        try folder.write("other.json", "{}")
        #expect(try folder.run(["apply", "other.json"] + folder.host).err.contains("is no plan file"))
        try folder.write("cut.json", #"{"format": 2, "kind": "PlanFile"}"#)
        #expect(try folder.run(["apply", "cut.json"] + folder.host).err.contains("is damaged"))
    }

    @Test func anInventoryPlansTheSameWithoutTheHost() throws {
        try folder.writeAttachment()
        let inventory = try folder.run(["inventory", "-f", "volumes.yaml"] + folder.host)
        #expect(inventory.code == 0, "\(inventory.err)")
        try folder.write("inventory.json", inventory.out)
        let here = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host)
        let there = try folder.run(
            ["plan", "-f", "volumes.yaml", "--inventory", "inventory.json", "--tool-path", "/nowhere"])
        #expect(there.code == 0, "\(there.err)")
        func lines(_ text: String) -> [Substring] { text.split(separator: "\n").dropFirst().map { $0 } }
        #expect(lines(there.out) == lines(here.out))
        #expect(there.out.contains("+ Attachment/db-on-web1"))
    }

    @Test func whatAnInventoryDidNotLookAtIsUnknownAndNotAbsent() throws {
        try folder.writeVolume()
        try folder.write("inventory.json", try folder.run(["inventory"] + folder.host).out)
        let plan = try folder.run(["plan", "-f", "volumes.yaml", "--inventory", "inventory.json"])
        #expect(plan.out.contains("[blocked: Unknown]"))
        #expect(!plan.out.contains("+ Volume"))
    }

    @Test func secretsAppearNowhere() throws {
        try folder.writeAttachment()
        let documents = ["-f", "volumes.yaml"] + folder.host
        var texts: [String] = []
        for arguments in [
            ["plan", "--show-commands", "--out", "p.json"], ["plan", "-o", "json"], ["apply", "--auto-approve"],
            ["apply", "--auto-approve", "-o", "json"], ["get", "attachments", "-o", "json"],
            ["describe", "attachment/db-on-web1"], ["describe", "attachment/db-on-web1", "-o", "json"],
            ["status", "-o", "json"], ["inventory"], ["doctor"],
        ] {
            let ended = try folder.run(arguments + documents)
            texts += [ended.out, ended.err]
        }
        texts.append(folder.text("p.json"))
        #expect(texts.contains { $0.contains("(read-write, CHAP)") })
        for text in texts { #expect(!text.contains(TestFolder.secret)) }
    }

    @Test func aSecretThatOthersMayReadBlocksItsAttachmentAlone() throws {
        try folder.writeAttachment()
        chmod("\(folder.path)/secret", 0o644)
        let plan = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host)
        #expect(plan.out.contains("[blocked: SecretUnavailable]"))
        #expect(plan.out.contains("+ Volume/db-data"))
    }
}
