import FoundationEssentials
import Glibc
import Testing

@testable import TuffCLI

/// The reach of documents, as the program says it.
@Suite struct ReachCommandTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    private func configure(_ line: String) throws {
        try folder.write(
            "config.yaml",
            """
            apiVersion: tuff.dev/v1
            kind: Controller
            spec:
              node: storage1
              portals: ["127.0.0.1:3260"]
              \(line)
            """)
    }

    private func run(_ arguments: String...) throws -> Ended { try folder.run(arguments + folder.host) }

    @Test func anOldConfigurationIsRefusedAndWhatTheErrorPrintsReplacesIt() throws {
        try folder.writeAttachment()
        try configure("allowedRoots: [\(folder.path)/secret, \(folder.path)/pool]")
        for command in [
            ["plan", "-f", "volumes.yaml"], ["apply", "-f", "volumes.yaml", "--auto-approve"], ["doctor"],
        ] {
            let ended = try folder.run(command + folder.host)
            #expect(ended.code == 1 && ended.err.contains("error[replaced-field]"), "\(ended.err)")
        }
        #expect(folder.text("pool/v-db-data") == "" && folder.text("run/state/ledger.json") == "")
        let printed = try #require(try run("plan", "-f", "volumes.yaml").err.firstMatch(of: /write in its place: (.*)/))
        try configure(String(printed.1))
        let plan = try run("plan", "-f", "volumes.yaml")
        #expect(plan.code == 0, "\(plan.err)")
        #expect(plan.out.contains("Plan: 2 to add"), "\(plan.out)")
    }

    @Test(arguments: [
        "allowedRoots: [FOLDER]", "allow: {secrets: [], directories: []}", "allow: {volumeGroups: []}",
    ])
    func aBootServesWhatWasAcceptedAndWarns(_ line: String) throws {
        try folder.writeAttachment()
        let applied = try run("apply", "-f", "volumes.yaml", "--auto-approve")
        #expect(applied.out.contains("done"), "\(applied.out)\(applied.err)")
        let record = folder.text("run/state/accepted-default.json")
        let before = try run("exports", "restore", "--wait", "0s")
        try configure(line.replacing("FOLDER", with: folder.path))
        let ended = try run("exports", "restore", "--wait", "0s")
        // As far as it came before: the tree of this test is not the kernel's.
        #expect(ended.code == before.code && ended.out == before.out, "\(ended.out)\(ended.err)\n\(before.out)")
        #expect(ended.err.contains("warning"), "\(ended.err)")
        #expect(!(ended.out + ended.err).contains("beneath none"))
        #expect(try run("exports", "withdraw", "--auto-approve").err.contains("refused") == false)
        #expect(folder.text("run/state/accepted-default.json") == record)
        // A pass under the narrower reach forgets nothing of it, and removes nothing.
        guard !line.contains("allowedRoots") else { return }
        let pass = try run("apply", "-f", "volumes.yaml", "--auto-approve", "--prune")
        #expect(pass.out.contains("blocked: NotAllowed]") && !pass.out.contains("trash"), "\(pass.out)\(pass.err)")
        #expect(folder.text("run/state/accepted-default.json") == record)
    }

    @Test func aSecretIsNoDocument() throws {
        try folder.write("secret", "- \(TestFolder.secret)\n: }", mode: 0o600)
        symlink("\(folder.path)/secret", "\(folder.path)/set.yaml")
        for command in ["plan", "apply", "status", "doctor", "import"] {
            for name in ["secret", "set.yaml"] {
                let ended = try run(command, "-f", name)
                #expect(ended.code == 1 && ended.err.contains("it was not read"), "\(command): \(ended.err)")
                #expect(!(ended.out + ended.err).contains(TestFolder.secret), "\(command)")
            }
        }
    }

    @Test func aFolderOfSecretsAmongDocumentsIsNotRead() throws {
        try configure("allow: {secrets: [\(folder.path)/docs/secrets]}")
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/docs/secrets", withIntermediateDirectories: true, attributes: nil)
        try folder.write("docs/secrets/web1.yaml", "- \(TestFolder.secret)\n: }", mode: 0o600)
        symlink("secrets/web1.yaml", "\(folder.path)/docs/x.yaml")
        for command in ["plan", "apply", "status"] {
            let ended = try run(command, "-f", "docs")
            #expect(ended.code == 1, "\(command): \(ended.err)")
            #expect(ended.err.components(separatedBy: "error[secrets-in-tree]").count == 3, "\(ended.err)")
            #expect(!(ended.out + ended.err).contains(TestFolder.secret), "\(command)")
        }
    }

    @Test func aSecretIsNoImage() throws {
        try folder.writeVolume(size: "1Mi, source: {image: {path: \(folder.path)/secret, format: raw}}")
        let plan = try run("plan", "-f", "volumes.yaml")
        #expect(plan.out.contains("blocked: NotAllowed]") && plan.out.contains("allow.images"), "\(plan.out)")
        #expect(!(plan.out + plan.err).contains(TestFolder.secret))
    }

    @Test func aPoolBelowSomebodyElsesDirectoryIsExposedInPlanDoctorAndAtBoot() throws {
        try folder.writeAttachment()
        _ = try run("apply", "-f", "volumes.yaml", "--auto-approve")
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/alice", withIntermediateDirectories: false, attributes: nil)
        try configure("allow: {secrets: [\(folder.path)/secret], directories: [\(folder.path)/alice]}")
        try FileManager.default.moveItem(atPath: "\(folder.path)/pool", toPath: "\(folder.path)/alice/pool")
        chmod("\(folder.path)/alice", 0o777)
        for name in ["volumes.yaml", "run/state/accepted-default.json"] {
            let text = folder.text(name).replacing("\(folder.path)/pool", with: "\(folder.path)/alice/pool")
            try folder.write(name, text, mode: 0o600)
        }
        let fault = "\(folder.path)/alice may be written by others than its owner (mode 0777)"
        func flat(_ ended: Ended) -> String {
            (ended.out + ended.err).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
        // In its text the place in the documents stands beside the sentence, in the middle of it.
        let plan = try run("plan", "-f", "volumes.yaml", "-o", "json")
        #expect(plan.out.contains("\"Exposed\"") && plan.out.contains(fault), "\(plan.out)")
        let doctor = try run("doctor", "-f", "volumes.yaml")
        #expect(doctor.out.contains("FAIL") && flat(doctor).contains(fault), "\(doctor.out)")
        #expect(flat(doctor).contains("type: chmod go-w \(folder.path)/alice"), "\(doctor.out)")
        let boot = try run("exports", "restore", "--wait", "0s")
        #expect(boot.code == 1 && flat(boot).contains(fault), "\(boot.out)\(boot.err)")
        chmod("\(folder.path)/alice", 0o755)
        #expect(!flat(try run("plan", "-f", "volumes.yaml")).contains("Exposed"))
    }
}
