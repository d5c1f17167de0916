import FoundationEssentials
import Testing
import TuffModel

/// Servers that documents may name: who may push must not reach one that the administrator did not mean.
@Suite struct NFSReachTests {
    private func permits(_ pattern: String, _ server: String, _ export: String, path: String? = nil) -> Bool {
        Reach(nfs: [pattern]).permits(nfs: NFSShare(server: server, export: export, path: path))
    }

    @Test(arguments: [
        ("nas.example.com:/backups", "nas.example.com", "/backups"),
        ("nas.example.com:/backups", "NAS.Example.COM", "/backups/"),
        ("NAS.example.com:/backups/", "nas.example.com", "//backups"),
        ("nas:/backups/*", "nas", "/backups/a"), ("nas:/b?ckups", "nas", "/backups"),
        ("*.example.com:/backups", "nas.example.com", "/backups"), ("nas-?:/b", "nas-1", "/b"),
        ("*:/backups", "nas.example.com", "/backups"), ("*:/backups", "2001:db8::1", "/backups"),
        ("192.0.2.*:/b", "192.0.2.10", "/b"), ("192.0.2.10:/b", "[::ffff:192.0.2.10]", "/b"),
        ("[2001:db8::1]:/b", "2001:DB8:0:0::1", "/b"), ("2001:db8::1:/b", "[2001:db8::1]", "/b"),
    ])
    func oneServerHasOneName(_ pattern: String, _ server: String, _ export: String) {
        #expect(permits(pattern, server, export))
    }

    @Test(arguments: [
        // Another server, though the text begins or ends alike.
        ("nas.example.com:/backups", "nas.example.com.evil.net", "/backups"),
        ("nas*:/backups", "nas.evil.net", "/backups"), ("*.example.com:/backups", "a.evil.example.com", "/backups"),
        ("*.example.com:/backups", "example.com", "/backups"), ("nas:/backups", "nas.", "/backups"),
        // Texts that a resolver takes for an address, and names in the place of addresses.
        ("192.0.2.*:/b", "192.0.2.evil", "/b"), ("192.0.2.*:/b", "192.0.2.10.evil.net", "/b"),
        ("127.0.0.1:/b", "127.1", "/b"), ("*:/b", "0x7f000001", "/b"), ("*:/b", "2130706433", "/b"),
        ("*:/b", "010.0.0.1", "/b"), ("*:/b", "a.0x1", "/b"), ("*.example.com:/b", "2001:db8::1", "/b"),
        ("[2001:db8::1]:/b", "2001:db8::2", "/b"), ("*:/b", "fe80::1%eth0", "/b"),
        // What would be more than a name to mount(8).
        ("*:/b", "nas:/x,evil", "/b"), ("*:/b", "", "/b"), ("*:/b", "[nas]", "/b"), ("*:/b", "[192.0.2.1]", "/b"),
        ("*:/b", "\u{212a}nas", "/b"), ("*:/b", "-nas", "/b"),
        // Another export.
        ("nas:/backups", "nas", "/Backups"), ("nas:/backups", "nas", "/backups/other"),
        ("nas:/backups/*", "nas", "/backups"), ("nas:/backups/*", "nas", "/backups/a/b"),
        ("nas:/backups/*", "nas", "/backups/.."), ("nas:/backups", "nas", "/x/../backups"),
        ("nas:/*", "nas", "/"), ("nas:/b", "nas", "b"), ("nas:/backups", "nas", "/backups/./"),
        // A pattern that is none.
        ("nas", "nas", "/b"), ("/backups", "nas", "/backups"), ("nas/x:/b", "nas", "/b"), ("nas:/../b", "nas", "/b"),
    ])
    func whatWasNotNamedIsNotReached(_ pattern: String, _ server: String, _ export: String) {
        #expect(!permits(pattern, server, export))
    }

    @Test(arguments: [("tuff", true), ("a/b", true), ("../x", false), ("/x", false), ("a//b", false), ("", false)])
    func aPathStaysBeneathItsExport(_ path: String, _ isPermitted: Bool) {
        #expect(permits("nas:/backups", "nas", "/backups", path: path) == isPermitted)
    }

    @Test func nothingIsPermittedByDefault() {
        #expect(!Reach().permits(nfs: NFSShare(server: "nas", export: "/backups")))
    }

    @Test func aShareIsWrittenAsMountTakesIt() {
        #expect(NFSShare(server: "nas", export: "/b", path: "c").source == "nas:/b")
        #expect(NFSShare(server: "nas", export: "/b", path: "c").description == "nas:/b/c")
        #expect(NFSShare(server: "2001:db8::1", export: "/b").source == "[2001:db8::1]:/b")
    }

    @Test func optionsHaveOneOrderAndOnesThatAreAlwaysThere() throws {
        let options = try #require(NFSOptions(try ["port=2049", "vers=4.2"].map { try NFSOption($0) }))
        #expect(options.texts == ["nosuid", "nodev", "noexec", "vers=4.2", "port=2049"])
        #expect(options[.vers] == "4.2" && options[.sec] == nil)
        let reversed = try ["vers=4.2", "port=2049"].map { try NFSOption($0) }
        #expect(NFSOptions(reversed) == options)
        let twice = try ["vers=4.2", "vers=4.1"].map { try NFSOption($0) }
        #expect(NFSOptions(twice) == nil)
        let read = try JSONDecoder().decode(NFSOptions.self, from: JSONEncoder().encode(options))
        #expect(read == options)
    }

    @Test(arguments: ["[\"suid\"]", "[\"vers=4.2\",\"vers=4.1\"]", "[\"vers=4.2,suid\"]", "[\"port=2049 \"]"])
    func optionsThatNoDocumentCanHoldAreNotDecoded(_ text: String) {
        #expect(throws: (any Error).self) { try JSONDecoder().decode(NFSOptions.self, from: Data(text.utf8)) }
    }

    @Test(arguments: [
        "suid", "dev", "exec", "hard", "soft", "rw", "vers", "vers=", "vers=2", "vers=4.20", "nfsvers=4.2", "sec=ntlm",
        "sec=krb5:sys", "proto=udp", "rsize=4095", "rsize=6000", "wsize=2097152", "rsize=04096", "nconnect=0",
        "nconnect=17", "port=0", "port=65536", "port=+1", "port=1,suid", "vers=4.2 ", "VERS=4.2", "", "=", "vers=4.2=",
        "lookupcache=none", "mountport=1", "addr=192.0.2.1", "clientaddr=192.0.2.1", "context=x",
    ])
    func whatIsNotOnTheListIsNoOption(_ text: String) {
        #expect(throws: NFSOption.Problem.self) { try NFSOption(text) }
    }
}
