import FoundationEssentials
import Glibc
import Testing
import TuffController
import TuffDrivers
import TuffModel
import TuffTestSupport

@testable import TuffCLI
@testable import TuffHost

/// The built program, a person at its terminal, and signals.
@Suite struct InterruptionTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    /// An lvm whose reports are a fake machine's and whose creations take their time, and two volumes to be made; a
    /// third waits for them.
    private func prepareSlowCreation() async throws {
        let report = try await FakeMachine(FakeWorld()).read(LVMDriver.report(of: nil))
        try folder.write("report", String(decoding: report.standardOutput, as: UTF8.self))
        try folder.write(
            "tools/lvm",
            """
            #!/bin/sh
            case "$1" in
            fullreport) exec /bin/cat \(folder.path)/report ;;
            /proc/*)
                # Both creations, in one process.
                echo begun >>\(folder.path)/begun
                /bin/sleep 2
                echo ended >>\(folder.path)/ended ;;
            esac

            """, mode: 0o755)
        var text = ""
        for (kind, name, spec) in [
            ("Pool", "fast", "lvm: {volumeGroup: vg0, thinPool: tp0}"), ("Volume", "a", "size: 1Gi, pool: fast"),
            ("Volume", "b", "size: 1Gi, pool: fast"),
            ("Volume", "c", "size: 1Gi, pool: fast, source: {volume: a}"),
        ] {
            text += "apiVersion: tuff.dev/v1\nkind: \(kind)\nmetadata: {name: \(name)}\nspec: {\(spec)}\n---\n"
        }
        try folder.write("volumes.yaml", text)
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func aSignalLetsTheRunningCommandFinishAndStartsNoOther(_ number: Int32) async throws {
        try await prepareSlowCreation()
        let running = try folder.start(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        for _ in 0..<400 where folder.text("begun").isEmpty { usleep(50_000) }
        #expect(folder.text("begun") == "begun\n")
        running.signal(number)
        let ended = running.wait()
        #expect(ended.code == 130, "\(ended.err)")
        #expect(folder.text("ended") == "ended\n", "the running command was not finished")
        #expect(folder.text("begun") == "begun\n", "another command was started")
        #expect(ended.out.contains("interrupted"))
    }

    /// A digest over 8 GiB, which takes longer than anybody who pressed Ctrl-C would wait.
    @Test(arguments: [SIGINT, SIGTERM])
    func aSignalEndsAFillingAtOnce(_ number: Int32) throws {
        try folder.write("disk.raw", "")
        try #require(truncate("\(folder.path)/disk.raw", 8 << 30) == 0)
        let digest = String(repeating: "0", count: 64)
        try folder.writeVolume(
            size: "8Gi, source: {image: {path: \(folder.path)/disk.raw, format: raw, sha256: \"\(digest)\"}}")
        let running = try folder.start(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        var status = stat()
        for _ in 0..<400 where stat("\(folder.path)/pool/v-db-data", &status) != 0 || status.st_size == 0 {
            usleep(50_000)
        }
        #expect(status.st_size == 8 << 30, "the volume was not made")
        usleep(300_000)
        running.signal(number)
        let ended = running.wait()
        #expect(ended.code == 130, "\(ended.err)")
        #expect(ended.err.contains("1 of copying or wiping left for the next pass"), "\(ended.err)")
        #expect(!ended.err.contains("FAILED"), "\(ended.err)")
        #expect(ended.out.contains("interrupted"))
    }

    @Test func whatIsLeftBehindIsNamed() {
        let since = Instant(secondsSince1970: 1_795_339_800)
        let command = RunningCommand(pid: 4711, since: since, command: "lvm lvcreate x", overdue: true).sentence
        #expect(command.contains("4711") && command.contains("lvm lvcreate x"))
        #expect(StuckWorker(pid: nil, since: since, request: "reading /srv").sentence.contains("reading /srv"))
    }

    // MARK: At a terminal

    /// A pseudo-terminal; what the program writes to it is read with `until`.
    private final class Terminal {
        let master: Int32
        let path: String
        private var text = ""

        init() throws {
            master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
            // TIOCSPTLCK and TIOCGPTN (ioctl_tty(2)), which unlockpt(3) and ptsname(3) are made of.
            var lock: Int32 = 0
            var number: UInt32 = 0
            let prepared = ioctl(master, 0x4004_5431, &lock) == 0 && ioctl(master, 0x8004_5430, &number) == 0
            path = "/dev/pts/\(number)"
            try #require(prepared)
        }

        deinit { close(master) }

        func type(_ line: String) {
            #expect(line.withCString { Glibc.write(master, $0, strlen($0)) } == line.utf8.count)
        }

        /// Reads until `word` was written, for at most twenty seconds.
        func until(_ word: String) -> String {
            var buffer = [UInt8](repeating: 0, count: 4096)
            for _ in 0..<200 where !text.contains(word) {
                var poller = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
                guard poll(&poller, 1, 100) > 0 else { continue }
                let count = read(master, &buffer, buffer.count)
                if count > 0 { text += String(decoding: buffer.prefix(count), as: UTF8.self) }
            }
            return text
        }
    }

    /// Starts an apply that asks, and waits for its question.
    private func ask(_ terminal: Terminal) throws -> Running {
        try folder.writeVolume()
        let running = try folder.start(
            ["apply", "-f", "volumes.yaml"] + folder.host, input: terminal.path, err: terminal.path)
        #expect(terminal.until("[y/N]").contains("Apply these changes? [y/N]"))
        #expect(access("\(folder.path)/pool/v-db-data", F_OK) != 0, "something was made before anybody said yes")
        return running
    }

    @Test(arguments: ["y\n", "yes\n", "YES\n"]) func yesIsCarriedOut(_ answer: String) throws {
        let terminal = try Terminal()
        let running = try ask(terminal)
        terminal.type(answer)
        let ended = running.wait()
        #expect(ended.code == 0)
        #expect(access("\(folder.path)/pool/v-db-data", F_OK) == 0)
    }

    /// Also a bare return, another word, and the end of the input (Ctrl-D).
    @Test(arguments: ["n\n", "\n", "yeah\n", "\u{4}"]) func anythingElseChangesNothing(_ answer: String) throws {
        let terminal = try Terminal()
        let running = try ask(terminal)
        terminal.type(answer)
        #expect(running.wait().code == 1)
        #expect(terminal.until("not approved").contains("nothing was changed"))
        #expect(access("\(folder.path)/pool/v-db-data", F_OK) != 0)
    }

    @Test(arguments: [SIGINT, SIGTERM]) func aSignalAtTheQuestionIs130(_ number: Int32) throws {
        let terminal = try Terminal()
        let running = try ask(terminal)
        running.signal(number)
        #expect(running.wait().code == 130)
        #expect(terminal.until("interrupted").contains("nothing was changed"))
        #expect(access("\(folder.path)/pool/v-db-data", F_OK) != 0)
    }

    @Test func whatChangedWhileSomebodyThoughtIsNotCarriedOut() throws {
        let terminal = try Terminal()
        let running = try ask(terminal)
        try folder.write("pool/v-db-data", "somebody's")
        terminal.type("y\n")
        #expect(running.wait().code == 1)
        #expect(terminal.until("has changed").contains("the host has changed since the plan was shown"))
        #expect(folder.text("pool/v-db-data") == "somebody's")
    }
}
