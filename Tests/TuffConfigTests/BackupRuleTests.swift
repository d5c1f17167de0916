import Testing
import TuffConfig
import TuffModel

/// Documents of backups: what they are read as, and where their rules fire and do not.
@Suite struct BackupRuleTests {
    static let base = """
        {apiVersion: tuff.dev/v1, kind: Pool, metadata: {name: p}, spec: {node: a, directory: {path: /srv/p}}}
        ---
        {apiVersion: tuff.dev/v1, kind: Pool, metadata: {name: q}, spec: {node: b, directory: {path: /srv/p}}}
        ---

        """

    private func document(_ kind: String, _ name: String, _ spec: String) -> String {
        "{apiVersion: tuff.dev/v1, kind: \(kind), metadata: {name: \(name), labels: {of: \(name)}}, "
            + "spec: {\(spec)}}\n---\n"
    }

    private func repository(_ name: String = "nas", _ spec: String = "directory: {path: /srv/b}") -> String {
        document("BackupRepository", name, spec)
    }

    private func volume(_ name: String, _ source: String, pool: String = "p", _ more: String = "") -> String {
        document("Volume", name, "size: 1Gi, pool: \(pool), source: {\(source)}\(more)")
    }

    private func policy(_ more: String, names: String = "[v]") -> String {
        document("BackupPolicy", "n", "volumes: {names: \(names)}, repository: nas, schedule: '@daily'\(more)")
    }

    private func rules(_ text: String) -> [String] { load(Self.base + text).diagnostics.map(\.rule) }

    private let plain =
        "{apiVersion: tuff.dev/v1, kind: Volume, metadata: {name: v}, spec: {size: 1Gi, pool: p}}\n---\n"

    // MARK: Reading

    @Test func everyFieldOfARepositoryIsRead() throws {
        let state = try #require(
            load(
                """
                apiVersion: tuff.dev/v1
                kind: BackupRepository
                metadata: {name: nas}
                spec:
                  nfs: {server: "[2001:DB8::1]", export: /backups, path: tuff/a, options: [port=2049, vers=4.2]}
                  create: true
                  encryption: {keyFrom: {file: /etc/tuff/secrets/key}}
                  compression: "zstd:3"
                  prune: {schedule: "0 3 * * *"}
                """
            ).state)
        let options = try #require(NFSOptions(try ["vers=4.2", "port=2049"].map { try NFSOption($0) }))
        let share = NFSShare(server: "2001:db8::1", export: "/backups", path: "tuff/a", options: options)
        var expected = BackupRepositorySpec(site: .nfs(share))
        expected.creates = true
        expected.key = SecretReference(file: "/etc/tuff/secrets/key")
        expected.compression = .zstd(level: 3)
        expected.prune = Schedule(cron: "0 3 * * *", jitter: TimeSpan(seconds: 1800))
        #expect(state.backupRepositories["nas"]?.spec == expected)
    }

    @Test func everyFieldOfASourceIsRead() throws {
        let uid = try #require(UID("abcdefgh234567ab"))
        let full =
            "backup: {repository: nas, volume: db, at: '2026-11-22T09:30:00.9+01:00', identity: keep, node: c, "
            + "stack: s, uid: \(uid), instant: true}"
        let state = try #require(load(Self.base + repository() + volume("v", full, ", priority: -5")).state)
        var expected = BackupSource(repository: "nas", volume: "db")
        expected.at = .notAfter(try #require(Instant(text: "2026-11-22T08:30:00Z")))
        expected.identity = .keep
        expected.node = "c"
        expected.stack = "s"
        expected.uid = uid
        expected.instant = true
        #expect(state.volumes["v"]?.spec.source == .backup(expected))
        #expect(state.volumes["v"]?.spec.priority == -5)
        let least = try #require(
            load(Self.base + repository() + volume("v", "backup: {repository: nas, volume: db}")).state)
        #expect(least.volumes["v"]?.spec.source == .backup(BackupSource(repository: "nas", volume: "db")))
    }

    @Test(arguments: [
        ("latest", "latest"), ("'2026-11-22T09:30:00Z'", "2026-11-22T09:30:00Z"),
        ("'2026-03-01T00:30:00+02:00'", "2026-02-28T22:30:00Z"),
        ("'2026-02-28T23:59:59.999999999-00:30'", "2026-03-01T00:29:59Z"), ("5c01d8e2", "5c01d8e2"),
        ("'12345678'", "12345678"), ("'0123456789abcdef0123456789abcdef'", "0123456789abcdef0123456789abcdef"),
    ])
    func aPointIsNamedInThreeWays(_ written: String, _ meaning: String) throws {
        let text = volume("v", "backup: {repository: nas, volume: db, at: \(written)}")
        let source = try #require(load(Self.base + repository() + text).state?.volumes["v"]?.spec.source)
        guard case .backup(let backup) = source else {
            Issue.record("\(source)")
            return
        }
        #expect(backup.at.description == meaning)
    }

    @Test(arguments: [
        ("yesterday", "invalid-restore-point"), ("5c01d8", "invalid-restore-point"), ("12345678", "wrong-type"),
        ("'2026-02-29T00:00:00Z'", "invalid-restore-point"), ("'2026-02-28T00:00:00'", "invalid-restore-point"),
        ("'0000-01-01T00:00:00+01:00'", "invalid-restore-point"), ("'2026-02-28'", "invalid-restore-point"),
        ("'0123456789abcdef0123456789abcdef0'", "invalid-restore-point"), ("5C01D8E2", "invalid-restore-point"),
    ])
    func whatIsNoPointIsRefused(_ written: String, _ rule: String) {
        #expect(
            rules(repository() + volume("v", "backup: {repository: nas, volume: db, at: \(written)}")) == [rule])
    }

    @Test(arguments: [
        ("options: [vers=4.2, nosuid]", "invalid-mount-option", "nosuid is always set"),
        ("options: [ver=4.2]", "invalid-mount-option", "did you mean 'vers'?"),
        ("options: [soft]", "invalid-mount-option", "the options are vers, sec, proto, rsize, wsize, nconnect, port"),
        ("options: [vers=4.1, vers=4.2]", "duplicate-value", "write one of the two"),
        ("path: /tuff", "invalid-path", "without '/' at its beginning"),
        ("path: a/../b", "invalid-path", "no '.', '..' or empty part"),
    ])
    func whatIsWrongWithAShareIsSaidWithACure(_ field: String, _ rule: String, _ help: String) {
        let found = load(repository("nas", "nfs: {server: s, export: /e, \(field)}")).diagnostics
        #expect(found.map(\.rule) == [rule])
        #expect(found.first?.help?.contains(help) == true, "\(found)")
    }

    @Test(arguments: ["nas.", "127.1", "0x7f.1", "nas:/b", "a b", "fe80::1%eth0", "-x", "[nas]", "10"])
    func aServerIsANameOrAnAddress(_ server: String) {
        let text = repository("nas", "nfs: {server: \"\(server)\", export: /e}")
        #expect(load(text).diagnostics.map(\.rule) == ["invalid-host"])
    }

    // MARK: Formats

    private let cinder = "directory: {path: /srv/c}, format: cinder"

    @Test func whatCinderWroteIsOnlyReadAndOnlyByItsOwnSource() {
        let both = repository() + repository("os", cinder) + plain
        let uuid = "8f3c1a52-6f0e-4c6b-9a5d-0c1e2f3a4b5c"
        #expect(rules(both + volume("w", "cinderBackup: {repository: os, backup: \(uuid)}")) == [])
        #expect(rules(both + volume("w", "cinderBackup: {repository: nas, backup: \(uuid)}")) == ["wrong-format"])
        #expect(rules(both + volume("w", "backup: {repository: os, volume: v}")) == ["wrong-format"])
        #expect(rules(both + document("Backup", "b", "volume: v, repository: os")) == ["wrong-format"])
        #expect(rules(both + document("Backup", "b", "volume: v, repository: nas")) == [])
        #expect(rules(both + policy("").replacing("nas", with: "os")) == ["wrong-format"])
        let restore = "volume: v, volumeUID: abcdefgh234567ab, from: {backup: {repository: os}}"
        #expect(rules(both + document("Restore", "r", restore)) == ["wrong-format"])
    }

    @Test(arguments: [
        ("create: true", 1), ("create: false", 0), ("compression: none", 1), ("prune: {}", 1),
        ("encryption: {keyFrom: {file: /k}}", 1),
    ])
    func fieldsOfWritingHaveNoMeaningInCindersFormat(_ field: String, _ errors: Int) {
        #expect(
            load(repository("os", "\(cinder), \(field)")).diagnostics.map(\.rule)
                == Array(repeating: "field-without-effect", count: errors))
    }

    // MARK: Places

    private func nfs(_ server: String, _ export: String, _ path: String? = nil) -> String {
        "nfs: {server: \"\(server)\", export: \(export)\(path.map { ", path: \($0)" } ?? "")}"
    }

    @Test func aRepositoryHasADirectoryOfItsOwn() {
        func two(_ one: String, _ other: String) -> [String] { rules(repository("x", one) + repository("y", other)) }
        #expect(two("directory: {path: /srv/b}", "directory: {path: /srv/b}") == ["duplicate-repository"])
        #expect(two("directory: {path: /srv/b}", "directory: {path: /srv/b2}") == [])
        #expect(two("directory: {path: /srv/b}", "directory: {path: /srv/b/c/d}") == ["nested-repository"])
        #expect(two("directory: {path: /srv/b/c/d}", "directory: {path: /srv/b}") == ["nested-repository"])
        #expect(two(nfs("nas", "/b", "one"), nfs("nas", "/b", "two")) == [])
        #expect(two(nfs("nas", "/b", "one"), nfs("NAS", "/b/one")) == ["duplicate-repository"])
        #expect(two(nfs("nas", "/b"), nfs("nas", "/b", "two")) == ["nested-repository"])
        #expect(two(nfs("nas", "/b"), nfs("sun", "/b", "two")) == [])
        #expect(two(nfs("::1", "/b"), nfs("[0::1]", "/b")) == ["duplicate-repository"])
        #expect(two(nfs("nas", "/b") + ", format: cinder", nfs("nas", "/b", "tuff")) == [])
        #expect(two(nfs("nas", "/b") + ", format: cinder", nfs("nas", "/b")) == ["duplicate-repository"])
    }

    @Test func aRepositoryLiesInNoPoolAndNoPoolInIt() {
        let share = document("Pool", "r", "node: a, directory: {path: /srv/r, \(nfs("nas", "/pools/r"))}")
        #expect(rules(repository("x", "directory: {path: /srv/p}")) == ["nested-repository"])
        #expect(rules(repository("x", "directory: {path: /srv/p/b}")) == ["nested-repository"])
        #expect(rules(repository("x", "directory: {path: /srv}")) == ["nested-repository", "nested-repository"])
        #expect(rules(share + repository("x", nfs("nas", "/pools/r", "b"))) == ["nested-repository"])
        #expect(rules(share + repository("x", nfs("nas", "/pools"))) == ["nested-repository"])
        #expect(rules(share + repository("x", nfs("nas", "/pools", "b"))) == [])
        #expect(rules(share + repository("x", nfs("nas", "/pools") + ", format: cinder")) == [])
    }

    // MARK: Volumes

    @Test func oneIdentityIsKeptOnce() {
        func keep(_ name: String, _ more: String = "", pool: String = "p") -> String {
            volume(name, "backup: {repository: nas, volume: db, identity: keep\(more)}", pool: pool)
        }
        #expect(rules(repository() + keep("v") + keep("w")) == ["duplicate-identity"])
        #expect(rules(repository() + keep("v") + keep("w", ", node: a")) == ["duplicate-identity"])
        #expect(rules(repository() + keep("v") + keep("w", pool: "q")) == [])
        #expect(rules(repository() + keep("v") + keep("w", ", uid: abcdefgh234567ab")) == [])
        let named = keep("v", ", node: c, uid: abcdefgh234567ab") + keep("w", ", uid: abcdefgh234567ab")
        #expect(rules(repository() + named) == ["duplicate-identity"])
        let new = volume("w", "backup: {repository: nas, volume: db, identity: new}")
        #expect(rules(repository() + keep("v") + new) == [])
    }

    @Test func aKeptIdentityIsTheOnlyOne() {
        let own = ", identity: {serial: x}"
        #expect(
            rules(repository() + volume("v", "backup: {repository: nas, volume: db, identity: keep}", own))
                == ["identity-twice"])
        #expect(rules(repository() + volume("v", "backup: {repository: nas, volume: db}", own)) == [])
    }

    @Test(arguments: [
        ("", 0), (", identity: keep", 0), (", at: '2026-11-22T09:30:00Z'", 0), (", node: c, stack: s", 0),
        (", at: 5c01d8e2", 1), (", uid: abcdefgh234567ab", 1),
    ])
    func whatIsNamedIsNotMadeBlank(_ more: String, _ errors: Int) {
        let source = "backup: {repository: nas, volume: db, orBlank: true\(more)}"
        #expect(rules(repository() + volume("v", source)) == Array(repeating: "blank-or-point", count: errors))
    }

    // MARK: Policies

    @Test func aDrillIsOnTheNodeOfItsVolumes() {
        let far = document("Volume", "w", "size: 1Gi, pool: q")
        func drill(_ pool: String) -> String { ", drill: {schedule: '@monthly', pool: \(pool)}" }
        let all = repository() + plain + far
        #expect(rules(all + policy(drill("p"))) == [])
        #expect(rules(all + policy(drill("q"))) == ["drill-on-another-node"])
        #expect(rules(all + policy(drill("p"), names: "[v, w]")) == ["drill-on-another-node"])
        #expect(rules(all + policy("", names: "[v, w]")) == [])
        #expect(rules(all + policy(drill("pp"))) == ["dangling-reference"])
        let labels = policy(drill("p")).replacing("names: [v]", with: "matchLabels: {of: w}")
        #expect(rules(all + labels) == ["drill-on-another-node"])
    }

    @Test func whatIsNamedIsThere() {
        #expect(rules(plain + policy("")) == ["dangling-reference"])
        #expect(rules(repository() + policy("")) == ["dangling-reference"])
        #expect(rules(plain + document("Backup", "b", "volume: v, repository: nas")) == ["dangling-reference"])
        #expect(rules(volume("v", "backup: {repository: nas, volume: gone}")) == ["dangling-reference"])
        let found = load(Self.base + repository() + plain + policy("").replacing("nas", with: "nass")).diagnostics
        #expect(found.map(\.help) == ["did you mean 'nas'?"])
    }
}
