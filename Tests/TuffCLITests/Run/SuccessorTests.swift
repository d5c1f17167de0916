import FoundationEssentials
import Glibc
import Testing
import TuffDrivers
import TuffHost
import TuffModel
import TuffTestSupport

/// A controller that is killed leaves a command behind which goes on. Whoever comes next must neither begin beside it
/// nor do its work again.
@Suite struct SuccessorTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    /// An lvm whose lvcreate takes two seconds and does its work at the end, and one volume to be made.
    private func prepare() async throws {
        var world = FakeWorld()
        for (name, volumes) in [("before", [String]()), ("after", ["v-a"])] {
            for volume in volumes {
                try world.lvm.create(volume, in: "vg0", pool: "tp0", size: ByteCount(1 << 30), tags: ["TAGS"])
            }
            let report = try await FakeMachine(world).read(LVMDriver.report(of: nil))
            try folder.write(name, String(decoding: report.standardOutput, as: UTF8.self))
        }
        try folder.write("report", folder.text("before"))
        try folder.write(
            "tools/lvm",
            """
            #!/bin/bash
            PATH=/usr/bin:/bin
            cd \(folder.path)
            case "$1" in
            fullreport) exec cat report ;;
            lvcreate)
                echo $$ >>begun
                tags=
                while [ $# -gt 0 ]; do
                    [ "$1" != --addtag ] || tags=$tags,$2
                    shift
                done
                sleep 2
                sed "s#TAGS#${tags#,}#" after >report.new && mv report.new report
                echo ended >>ended ;;
            esac

            """, mode: 0o755)
        var text = ""
        for (kind, name, spec) in [
            ("Pool", "fast", "lvm: {volumeGroup: vg0, thinPool: tp0}"), ("Volume", "a", "size: 1Gi, pool: fast"),
        ] {
            text += "apiVersion: tuff.dev/v1\nkind: \(kind)\nmetadata: {name: \(name)}\nspec: {\(spec)}\n---\n"
        }
        try folder.write("volumes.yaml", text)
    }

    private func apply(_ more: String...) throws -> Running {
        try folder.start(["apply", "-f", "volumes.yaml", "--auto-approve"] + more + folder.host)
    }

    @Test func aSuccessorWaitsForTheRunningChildOfADeadControllerAndDoesNotRepeatIt() async throws {
        try await prepare()
        let first = try apply()
        for _ in 0..<400 where folder.text("begun").isEmpty { usleep(50_000) }
        first.signal(SIGKILL)
        #expect(first.wait().code == 128 + SIGKILL)
        #expect(folder.text("ended").isEmpty, "the command was ended with its controller, or too soon for this test")

        let refused = try apply().wait()
        #expect(refused.code == 11, "\(refused.out) \(refused.err)")
        #expect(refused.err.contains("a command it started is still running"), "\(refused.err)")
        #expect(folder.text("ended").isEmpty)

        let waited = try apply("--lock-timeout", "30s").wait()
        #expect(waited.code == 0, "\(waited.out) \(waited.err)")
        #expect(folder.text("ended") == "ended\n")
        #expect(folder.text("begun").split(separator: "\n").count == 1, "the volume was made again")
        let plan = try folder.run(["plan", "-f", "volumes.yaml", "--detailed-exitcode"] + folder.host)
        #expect(plan.code == 0, "\(plan.out)")
    }
}
