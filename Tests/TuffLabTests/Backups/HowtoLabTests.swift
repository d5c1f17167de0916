import FoundationEssentials
import Testing
import TuffTestSupport

/// The pages of docs/howto on backups, followed word by word: their documents are written where they say, their
/// commands typed as they stand there, on a terminal, with `yes` to every question.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct HowtoLabTests {
    /// A page in sections, each with its blocks in order.
    struct Page {
        enum Block: Equatable {
            /// A document for the file that its first line names.
            case file(path: String, text: String)
            case commands([String])
        }

        var sections: [String: [Block]] = [:]

        /// - Parameter path: from the root of the sources.
        init(_ path: String) throws {
            var section = "", fence: String?, lines: [String] = []
            let text = try String(contentsOfFile: path, encoding: .utf8)
            for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
                if let kind = fence {
                    guard line == "```" else {
                        lines.append(line)
                        continue
                    }
                    sections[section, default: []].append(try Self.block(kind, lines))
                    (fence, lines) = (nil, [])
                } else if line.hasPrefix("```") {
                    fence = String(line.dropFirst(3))
                } else if line.hasPrefix("## ") {
                    section = String(line.dropFirst(3))
                }
            }
        }

        private static func block(_ kind: String, _ lines: [String]) throws -> Block {
            if kind == "sh" { return .commands(lines) }
            let first = try #require(lines.first)
            try #require(kind == "yaml" && first.hasPrefix("# /"), "a block that nothing is done with: \(lines)")
            return .file(path: String(first.dropFirst(2)), text: lines.joined(separator: "\n") + "\n")
        }
    }

    private static let device = "/dev/vg0/v-db-data"

    private func inWorld(_ body: (LabProgram) async throws -> Void) async throws {
        let lab = try LabProgram("howto", port: 3260)
        try lab.write("127.0.0.1 localhost nas.example.com\n", to: "hosts")
        let made = try await lab.shell(
            """
            set -e
            mount --bind \(lab.folder)/hosts /etc/hosts
            ip address add 192.0.2.10/32 dev lo
            Tests/Lab/nfs-server start
            mkdir /run/lab/nfs/backups && mount -t tmpfs lab-nfs-backups /run/lab/nfs/backups
            chown 65534:65534 /run/lab/nfs/backups
            exportfs -o rw,fsid=9,no_subtree_check,root_squash "*:/run/lab/nfs/backups"
            """)
        #expect(made.status == 0, "\(made.text)")
        try await group(lab)
        do { try await body(lab) } catch { Issue.record(error) }
        try await lose(lab)
        let gone = try await lab.shell(
            """
            set -e
            exportfs -u "*:/run/lab/nfs/backups"
            sleep 1.2; exportfs -f
            umount /run/lab/nfs/backups
            Tests/Lab/nfs-server stop
            ip address del 192.0.2.10/32 dev lo
            umount /etc/hosts
            rm -rf /etc/tuff/*
            """)
        #expect(gone.status == 0, "\(gone.text)")
        try lab.remove()
    }

    private func group(_ lab: LabProgram) async throws {
        try await lab.lvm("vgcreate", "-qq", "--yes", "vg0", Lab.disks[1])
        try await lab.lvm("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "2g", "-n", "tp0", "vg0")
    }

    /// The group, and all that the host knew.
    private func lose(_ lab: LabProgram) async throws {
        _ = try await lab.run("tuff", ["exports", "withdraw", "--auto-approve"])
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "vg0")
        try await lab.lvm("pvremove", "-qq", "--yes", Lab.disks[1])
        try await lab.must("bash", ["-c", "rm -rf /var/lib/tuff/*"])
    }

    /// Follows a section of a page, the text before the first heading where none is named.
    private func follow(_ page: Page, _ section: String = "", on lab: LabProgram) async throws {
        for block in try #require(page.sections[section], "no section '\(section)'") {
            switch block {
            case .file(let path, let text):
                try await lab.must("mkdir", ["-p", String(path[..<path.lastIndex(of: "/")!])])
                try Data(text.utf8).write(to: URL(filePath: path))
            case .commands(let lines):
                for line in lines {
                    let typed = try await lab.shell("script -qec '\(line)' /dev/null <<<yes")
                    #expect(typed.status == 0, "\(line): \(typed.text)")
                }
            }
        }
    }

    private func serial(_ lab: LabProgram) async throws -> String {
        let url = "iscsi://192.0.2.10:3260/iqn.2026-01.dev.tuff:db-data/0"
        let initiator = "iqn.2004-10.com.example:web1"
        return try await lab.must("iscsi-inq", ["-i", initiator, "-e", "1", "-c", "128", url])
    }

    @Test("Whoever follows docs/howto/disaster-recovery.md and backups.md gets a volume and a host back")
    func followed() async throws {
        let recovery = try Page("docs/howto/disaster-recovery.md"), keeping = try Page("docs/howto/backups.md")
        try await inWorld { lab in
            // Backed up, while it has something in it, once by the policy and once by name.
            let setUp = try #require(recovery.sections[""])
            let files = setUp.prefix { if case .file = $0 { true } else { false } }
            var page = recovery
            page.sections[""] = Array(files) + [try #require(setUp.dropFirst(files.count).first)]
            try await follow(page, on: lab)
            try await lab.must("dd", ["if=/dev/urandom", "of=\(Self.device)", "bs=1M", "count=40", "oflag=direct"])
            let digest = try await lab.must("sha256sum", [Self.device]), serial = try await serial(lab)
            page.sections[""] = Array(setUp.dropFirst(files.count + 1))
            try await follow(page, on: lab)

            _ = try await lab.run("tuff", ["exports", "withdraw", "--auto-approve"])
            try await lab.lvm("lvremove", "-qq", "--yes", "vg0/v-db-data")
            let lost = try await lab.shell("tuff plan -f /etc/tuff/storage")
            #expect(lost.text.contains("[blocked: Lost]"), "\(lost.text)")
            try await follow(recovery, "One volume is lost", on: lab)
            #expect(try await lab.must("sha256sum", [Self.device]) == digest)
            #expect(try await self.serial(lab) == serial)

            // Each night's work, and a clock that was wrong.
            try await follow(keeping, on: lab)
            try await follow(keeping, "What you hear", on: lab)
            try await follow(keeping, "Restoring for practice", on: lab)
            try await follow(keeping, "The clock was wrong", on: lab)

            // Back to the document as it was at first, on a host that remembers nothing.
            try await lose(lab)
            try await group(lab)
            page.sections[""] = Array(files.dropLast())
            try await follow(page, on: lab)
            let blank = try await lab.shell("tuff plan -f /etc/tuff/storage")
            #expect(blank.text.contains("BackupExists"), "\(blank.text)")
            try await follow(recovery, "The host is lost", on: lab)
            #expect(try await lab.must("sha256sum", [Self.device]) == digest)
            #expect(try await self.serial(lab) == serial)
            let calm = try await lab.shell("tuff plan -f /etc/tuff/storage")
            #expect(calm.text.contains("Nothing to do"), "\(calm.text)")
        }
    }
}
