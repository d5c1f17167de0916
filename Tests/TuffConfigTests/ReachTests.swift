import Testing
import TuffModel

@testable import TuffConfig

@Suite struct ReachTests {
    private func load(
        _ spec: String, toleratesFormer: Bool = false
    ) -> (config: ControllerConfig?, diagnostics: [Diagnostic]) {
        let text = "apiVersion: tuff.dev/v1\nkind: Controller\nspec:\n  node: n\n  \(spec)\n"
        return ConfigLoader.loadController(
            ConfigSource(path: "config.yaml", text: Array(text.utf8)), defaultNode: "n",
            toleratesFormer: toleratesFormer)
    }

    @Test func everyFieldIsRead() {
        let found = load(
            """
            allow:
                secrets: [/s]
                images: []
                directories: [/d, /e]
                volumeGroups: [vg0, "fast-*"]
                nfs: ["nas.example.com:/backups", "nas:/pools/*"]
                unwiped: true
            """)
        #expect(found.diagnostics == [])
        #expect(
            found.config?.allow
                == Reach(
                    secrets: ["/s"], images: [], directories: ["/d", "/e"], volumeGroups: ["vg0", "fast-*"],
                    nfs: ["nas.example.com:/backups", "nas:/pools/*"], unwiped: true))
        #expect(load("allow: {}").config?.allow == Reach())
    }

    @Test(arguments: [
        ("{images: [/srv/tuff]}", ["/srv/tuff of", "/srv/tuff/pools of allow.directories (the default)"]),
        ("{secrets: [/k], directories: [/k/pools]}", ["/k", "/k/pools", "narrower"]),
        ("{secrets: [/k], images: [/k]}", ["/k", "narrower"]),
        ("{images: [/etc]}", ["/etc of allow.images", "/etc/tuff/secrets of allow.secrets (the default)"]),
    ])
    func rootsOfDifferentSortsMustNotOverlap(_ allow: String, _ words: [String]) {
        let found = load("allow: \(allow)")
        #expect(found.config == nil)
        #expect(found.diagnostics.allSatisfy { $0.rule == "overlapping-roots" } && !found.diagnostics.isEmpty)
        let all = found.diagnostics.map { "\($0.message) \($0.help ?? "")" }.joined(separator: "\n")
        for word in words { #expect(all.contains(word), "\(all)") }
    }

    @Test(arguments: ["/srv/x/../\u{308}y", "/srv/../\u{301}", "/srv/x/./\u{301}y", "/srv//\u{308}"])
    func aCombiningCharacterHidesNoPartOfAPath(_ path: String) {
        #expect(load("allow: {images: [\"\(path)\"]}").diagnostics.map(\.rule) == ["invalid-path"])
    }

    @Test func rootsOfOneSortMayOverlap() {
        #expect(load("allow: {directories: [/d, /d/e]}").config != nil)
        #expect(load("allow: {images: [/srv/tuff/pools-not]}").config != nil)
    }

    /// A person pastes what the error prints over the old line.
    @Test(
        arguments: [
            (["/etc/tuff/secrets", "/srv"], ["/etc/tuff/secrets"], [], ["/srv"], []),
            (["/etc/tuff", "/srv"], ["/etc/tuff"], [], ["/srv"], []),
            (["/srv/pools", "/srv/images", "/keys"], ["/keys"], ["/srv/images"], ["/srv/pools"], []),
            (["/srv", "/srv/images"], [], ["/srv/images"], [], ["/srv"]),
            (["/srv/a: b, [c] \"d\" #e"], [], [], ["/srv/a: b, [c] \"d\" #e"], []),
        ] as [([String], [String], [String], [String], [String])])
    func anOldConfigurationIsRefusedWithTheBlockThatReplacesIt(
        _ roots: [String], secrets: [String], images: [String], directories: [String], leftOut: [String]
    ) throws {
        let list = roots.map { "\"\($0.replacing("\"", with: "\\\""))\"" }.joined(separator: ", ")
        let old = load("allowedRoots: [\(list)]")
        #expect(old.config == nil)
        #expect(old.diagnostics.map(\.rule) == ["replaced-field"])
        let help = try #require(old.diagnostics.first?.help)
        let block = try #require(help.firstRange(of: "allow: "))
        let pasted = load(String(help[block.lowerBound...]))
        #expect(pasted.diagnostics == [])
        #expect(
            pasted.config?.allow
                == Reach(secrets: secrets, images: images, directories: directories, unwiped: true))
        for root in leftOut { #expect(help.contains(root)) }
    }

    @Test func whereNothingMayBeLostAnOldConfigurationIsReadAsItWasMeant() {
        let old = load("allowedRoots: [/etc/tuff, /srv]", toleratesFormer: true)
        #expect(old.config?.allow == Reach(everythingBeneath: ["/etc/tuff", "/srv"]))
        #expect(old.diagnostics.map(\.severity) == [.warning])
        #expect(load("allowedRoots: [etc]", toleratesFormer: true).diagnostics.map(\.rule) == ["invalid-path"])
    }

    @Test(arguments: [
        ("vg0", "vg0", true), ("vg0", "vg00", false), ("*", "anything", true), ("fast-*", "fast-a", true),
        ("fast-*", "fast", false), ("*-a*b", "x-aab", true), ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ("v?0", "vg0", true), ("v?0", "v0", false), ("", "", true), ("nas:/b/*", "nas:/b/c", true),
        ("nas:/b/*", "nas:/b/c/d", false), ("nas:/?", "nas://", false), ("*", "a/b", false),
    ])
    func globs(_ pattern: String, text: String, matches: Bool) {
        #expect(Glob(pattern).matches(text) == matches)
    }

    @Test func aPathIsBeneathARootByWholeNames() {
        #expect(Reach.holds("/srv", "/srv") && Reach.holds("/srv", "/srv/a") && Reach.holds("/", "/srv"))
        #expect(!Reach.holds("/srv", "/srv2") && !Reach.holds("/srv/a", "/srv"))
        // Texts that look alike, and slashes that Swift does not see.
        #expect(!Reach.holds("/srv/\u{e9}", "/srv/e\u{301}/a"))
        #expect(Reach.holds("/srv/a", "/srv/a/\u{301}b") && Reach.names(in: "/a/\u{301}b") == ["a", "\u{301}b"])
    }
}
