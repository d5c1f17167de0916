import FoundationEssentials
import Glibc
import Testing
import TuffConfig
import TuffModel
import TuffTestSupport

/// Who may push to a tree of documents may lay links in it.
@Suite struct LinkTests {
    static let secret = "canary: 7f3a\nroot:$6$salt$hash:19000:0:99999:7:::\n"

    private func read(_ path: String, pruning: Bool = false) -> (sources: [ConfigSource], diagnostics: [Diagnostic]) {
        ConfigLoader.read(paths: [path], pruning: pruning)
    }

    /// Everything that would be said of what is read, as a person sees it.
    private func said(_ path: String) -> String {
        let (sources, diagnostics) = read(path)
        return DiagnosticText.render(diagnostics + ConfigLoader.load(sources).diagnostics, color: false)
    }

    @Test(arguments: [
        "OUTSIDE", "../outside/secret", "/proc/self/environ", "sub/parent/secret", "a/../../outside/secret",
    ])
    func aLinkOutOfTheTreeIsAnErrorThatQuotesNothing(_ target: String) throws {
        let outer = try TemporaryDirectory()
        try outer.write("outside/secret", Self.secret)
        try outer.write("tree/good.yaml", "# nothing\n")
        try outer.write("tree/a/good.yaml", "# nothing\n")
        try outer.write("tree/sub/good.yaml", "# nothing\n")
        try outer.link("tree/sub/parent", to: "../../outside")
        try outer.link("tree/x.yaml", to: target == "OUTSIDE" ? "\(outer.path)/outside/secret" : target)
        let (sources, diagnostics) = read("\(outer.path)/tree")
        #expect(sources.map { $0.path.suffix(9) }.allSatisfy { $0 == "good.yaml" })
        let errors = diagnostics.filter { $0.severity == .error }
        #expect(errors.map(\.rule) == ["link-out-of-tree"])
        #expect(errors.map(\.location.file) == ["\(outer.path)/tree/x.yaml"])
        let text = said("\(outer.path)/tree")
        #expect(!text.contains("canary") && !text.contains("hash") && !text.contains("PATH="))
    }

    /// As a ConfigMap is mounted: `x.yaml -> ..data/x.yaml`, `..data -> ..2026_11_30`.
    @Test func aLinkWithinTheTreeIsFollowed() throws {
        let directory = try TemporaryDirectory()
        try directory.write("..2026_11_30/x.yaml", "# x\n")
        try directory.link("..data", to: "..2026_11_30")
        try directory.link("x.yaml", to: "..data/x.yaml")
        let (sources, diagnostics) = read(directory.path, pruning: true)
        #expect(diagnostics == [])
        #expect(sources.map(\.path) == ["\(directory.path)/x.yaml"])
        #expect(sources.map(\.text) == [Array("# x\n".utf8)])
    }

    @Test(arguments: ["outside", "within", "named like a document", "nowhere"])
    func aLinkedDirectoryIsNamedAndStopsPruning(_ sort: String) throws {
        let outer = try TemporaryDirectory()
        try outer.write("outside/lost.yaml", Self.secret)
        try outer.write("tree/good.yaml", "# nothing\n")
        try outer.write("tree/real/good.yaml", "# nothing\n")
        let (name, target) =
            switch sort {
            case "outside": ("prod", "../outside")
            case "within": ("prod", "real")
            case "nowhere": ("prod", "../gone")
            default: ("prod.yaml", "real")
            }
        try outer.link("tree/\(name)", to: target)
        let seen = read("\(outer.path)/tree")
        #expect(seen.sources.map(\.path) == ["good.yaml", "real/good.yaml"].map { "\(outer.path)/tree/\($0)" })
        #expect(seen.diagnostics.map(\.rule) == ["linked-directory"])
        #expect(seen.diagnostics.map(\.severity) == [.warning])
        #expect(seen.diagnostics[0].message.contains("/tree/\(name)'"))
        #expect(read("\(outer.path)/tree", pruning: true).diagnostics.map(\.severity) == [.error])
        #expect(!said("\(outer.path)/tree").contains("canary"))
    }

    @Test(.timeLimit(.minutes(1))) func whatIsNoRegularFileIsAnErrorAndBlocksNothing() throws {
        let directory = try TemporaryDirectory()
        try directory.write("good.yaml", "# nothing\n")
        #expect(mkfifo("\(directory.path)/fifo.yaml", 0o600) == 0)
        try directory.link("link.yaml", to: "fifo.yaml")
        let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "\(directory.path)/socket.yaml".utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        // Only root may make one; elsewhere the three others are test enough.
        let hasDevice = mknod("\(directory.path)/device.yaml", S_IFCHR | 0o600, 0x0105) == 0
        let (sources, diagnostics) = read(directory.path)
        #expect(sources.map(\.path) == ["\(directory.path)/good.yaml"])
        #expect(diagnostics.count == (hasDevice ? 4 : 3))
        #expect(diagnostics.allSatisfy { $0.severity == .error && $0.message.contains("no regular file") })
    }

    /// Files and directories are exchanged for links out of the tree, and back, while it is read.
    @Test func whatIsExchangedWhileItIsReadLeadsNowhere() async throws {
        let outer = try TemporaryDirectory()
        try outer.write("outside/x.yaml", Self.secret)
        try outer.write("tree/sub/x.yaml", "# nothing\n")
        try outer.write("tree/y.yaml", "# nothing\n")
        try outer.link("link", to: "\(outer.path)/outside")
        try outer.link("link.yaml", to: "\(outer.path)/outside/x.yaml")
        let path = outer.path
        let exchange = Beside { goesOn in
            while goesOn() {
                for (link, own) in [("link", "tree/sub"), ("link.yaml", "tree/y.yaml")] {
                    rename("\(path)/\(own)", "\(path)/aside")
                    rename("\(path)/\(link)", "\(path)/\(own)")
                    rename("\(path)/\(own)", "\(path)/\(link)")
                    rename("\(path)/aside", "\(path)/\(own)")
                }
            }
        }
        for _ in 0..<3000 {
            let (sources, _) = read("\(path)/tree")
            #expect(sources.allSatisfy { $0.text == Array("# nothing\n".utf8) })
        }
        await exchange.end()
    }

    /// `.git/config` holds tokens, and is a file of the tree that a pusher did not write.
    @Test(arguments: [".git/config", "loop/config", "sub/.hidden", ".git/sub/../config"])
    func aLinkToSomethingHiddenIsAnErrorThatQuotesNothing(_ target: String) throws {
        let tree = try TemporaryDirectory()
        try tree.write("good.yaml", "# nothing\n")
        try tree.write(".git/config", Self.secret)
        try tree.write(".git/sub/x", Self.secret)
        try tree.write("sub/.hidden", Self.secret)
        try tree.link("loop", to: ".git")
        try tree.link("x.yaml", to: target)
        let (sources, diagnostics) = read(tree.path)
        #expect(sources.map(\.path) == ["\(tree.path)/good.yaml"])
        #expect(diagnostics.filter { $0.severity == .error }.map(\.rule) == ["link-to-hidden"])
        #expect(!said(tree.path).contains("canary"))
    }

    /// Neither excerpts nor messages repeat it: each of these texts is quoted by one rule where it is no link.
    @Test(arguments: [
        "canary: 1\n", "a: b: canary\n", "kind: canary\n", "kind: [*canary]\n", "kind: !canary x\n",
        "apiVersion: tuff.dev/v1\nkind: Volume\nmetadata: {name: canary_x}\nspec: {size: canary}\n",
        "apiVersion: tuff.dev/v1\nkind: Volume\nmetadata: {name: x}\nspec: {size: 1Gi, pool: p, canary: 1}\n",
    ])
    func whatALinkLeadsToIsNotQuoted(_ text: String) throws {
        let tree = try TemporaryDirectory()
        try tree.write("notes/plain.txt", text)
        try tree.link("x.yaml", to: "notes/plain.txt")
        let shown = said(tree.path)
        #expect(shown.contains("error[") && shown.contains("x.yaml:"), "\(shown)")
        #expect(!shown.contains("canary"), "\(shown)")
    }

    @Test func secretsInTheTreeAreRefusedWhateverTheyAreCalled() throws {
        let outer = try TemporaryDirectory()
        try outer.write("tree/good.yaml", "# nothing\n")
        try outer.write("tree/private/web1", Self.secret)
        try outer.write("tree/private/sub/y.yaml", Self.secret)
        try outer.write("tree/one.yaml", Self.secret)
        try outer.link("tree/x.yaml", to: "private/sub/y.yaml")
        try outer.link("roots", to: "tree/private")
        let roots = ["\(outer.path)/roots", "\(outer.path)/tree/one.yaml", "\(outer.path)/absent"]
        let (sources, diagnostics) = ConfigLoader.read(paths: ["\(outer.path)/tree"], secrets: roots)
        #expect(sources.map(\.path) == ["\(outer.path)/tree/good.yaml"])
        #expect(diagnostics.map(\.rule) == Array(repeating: "secrets-in-tree", count: 3))
        #expect(
            diagnostics.map(\.location.file)
                == ["one.yaml", "private", "x.yaml"].map { "\(outer.path)/tree/\($0)" })
    }

    /// A shell's pattern names links as well as files.
    @Test func aLinkThatIsNamedIsReadAndNotQuoted() throws {
        let outer = try TemporaryDirectory()
        try outer.write("secret", "a: b: canary\n")
        try outer.link("x.yaml", to: "secret")
        try outer.write("own.yaml", "a: b: canary\n")
        let text = said("\(outer.path)/x.yaml")
        #expect(text.contains("error[syntax]") && text.contains("x.yaml:"))
        #expect(!text.contains("canary"))
        #expect(said("\(outer.path)/own.yaml").contains("canary"))
    }
}
