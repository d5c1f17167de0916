import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@Suite("Secrets")
struct SecretTests {
    static let canary = "canary-7f3a9c1e"
    let folder: Folder
    let machine: LinuxMachine

    init() throws {
        folder = try Folder()
        folder.directory("target/auth")
        folder.directory("secrets/inner")
        try folder.write("target/auth/password", "", mode: 0o600)
        machine = folder.machine(allowed: [folder.at("other"), folder.at("secrets")])
        folder.directory("other")
    }

    /// The ends of writing and of fingerprinting the secret; both follow the same rules.
    private func refusal(_ path: String) async throws -> HostError? {
        let reference = SecretReference(file: path)
        let written = await failure { () throws(HostError) in
            try await machine.perform([.writeSecret(.target("auth/password"), reference)])
        }
        let hashed = await failure { () throws(HostError) in _ = try await machine.fingerprint(reference, key: key) }
        #expect(written == hashed)
        if let written {
            let all = "\(written)" + String(decoding: try JSONEncoder().encode(written), as: UTF8.self)
            #expect(!all.contains(Self.canary))
            #expect(folder.read("target/auth/password")?.contains(Self.canary) == false)
        }
        return written
    }

    @Test("A secret reaches the attribute exactly, without its newline")
    func written() async throws {
        for text in [Self.canary, Self.canary + "\n"] {
            try folder.write("secrets/inner/web1", text, mode: 0o600)
            #expect(try await refusal(folder.at("secrets/inner/web1")) == nil)
            #expect(folder.read("target/auth/password") == Self.canary)
        }
        try folder.write("secrets/spaced", " \(Self.canary) \n", mode: 0o400)
        #expect(try await refusal(folder.at("secrets/spaced")) == nil)
        #expect(folder.read("target/auth/password") == " \(Self.canary) ")
    }

    @Test(
        "A file that others may read or write is refused, with the command that mends it",
        arguments: [
            0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666,
        ] as [UInt32])
    func modes(_ mode: UInt32) async throws {
        let path = try folder.write("secrets/web1", Self.canary, mode: mode)
        let error = try await refusal(path)
        #expect(error?.code == .refused)
        #expect(error?.cause == "type: chmod 600 \(path)")
    }

    @Test(
        "Nothing, too much, several lines and NUL are refused",
        arguments: [
            ("empty", "is empty"), ("newline", "is empty"), ("long", "is longer than 4096 bytes"),
            ("lines", "holds more than one line"), ("nul", "holds a NUL byte"),
            ("none", "begins with NULL, which means no secret to the kernel"),
        ])
    func contents(_ name: String, _ reason: String) async throws {
        let texts = [
            "empty": "", "newline": "\n", "long": Self.canary + String(repeating: "x", count: 4096),
            "lines": "\(Self.canary)\n\(Self.canary)\n", "nul": "\(Self.canary)\0",
            "none": "NULL\(Self.canary)",
        ]
        let path = try folder.write("secrets/web1", try #require(texts[name]), mode: 0o600)
        let error = try await refusal(path)
        #expect(error?.code == .refused)
        #expect(error?.sentence.hasSuffix(reason) == true)
        let longest = try folder.write("secrets/web1", String(repeating: "x", count: 4096) + "\n", mode: 0o600)
        #expect(try await refusal(longest) == nil)
    }

    @Test("A file outside the allowed roots, or named so that it might be, is refused")
    func outside() async throws {
        let path = try folder.write("elsewhere", Self.canary, mode: 0o600)
        folder.directory("secrets-not")
        try folder.write("secrets-not/web1", Self.canary, mode: 0o600)
        for name in [
            path, folder.at("secrets/../elsewhere"), folder.at("secrets/./web1"), "secrets/web1", "",
            folder.at("secrets-not/web1"), "/etc/shadow", folder.at("secrets/web1\0"),
        ] {
            #expect(try await refusal(name)?.code == .refused, "\(name)")
        }
    }

    @Test("Links, directories, FIFOs and missing files are refused without waiting")
    func kinds() async throws {
        try folder.write("elsewhere", Self.canary, mode: 0o600)
        symlink(folder.at("elsewhere"), folder.at("secrets/link"))
        symlink("inner", folder.at("secrets/way"))
        try folder.write("secrets/inner/web1", Self.canary, mode: 0o600)
        mkfifo(folder.at("secrets/fifo"), 0o600)
        chmod(folder.at("secrets/inner"), 0o700)
        for name in ["link", "way/web1", "inner", "fifo"] {
            #expect(try await refusal(folder.at("secrets/\(name)"))?.code == .refused, "\(name)")
        }
        #expect(try await refusal(folder.at("secrets/none"))?.code == .notFound)
        #expect(try await refusal(folder.at("secrets/none/web1"))?.code == .notFound)
    }

    @Test("A file of another user is refused")
    func owner() async throws {
        guard geteuid() == 0 else { return }
        let path = try folder.write("secrets/web1", Self.canary, mode: 0o600)
        chown(path, 12_345, 0)
        #expect(try await refusal(path)?.code == .refused)
    }

    @Test("A secret that the attribute refuses is in no error")
    func refusedByAttribute() async throws {
        let path = try folder.write("secrets/web1", Self.canary, mode: 0o600)
        let reference = SecretReference(file: path)
        symlink("/dev/full", folder.at("target/auth/link"))
        folder.directory("target/auth/directory")
        for name in ["none", "link", "directory"] {
            let error = await failure { () throws(HostError) in
                try await machine.perform([.writeSecret(.target("auth/\(name)"), reference)])
            }
            let text = try #require(error.map { "\($0)" })
            #expect(!text.contains(Self.canary))
        }
        #expect(!"\(HostAction.writeSecret(.target("auth/password"), reference))".contains(Self.canary))
    }
}
