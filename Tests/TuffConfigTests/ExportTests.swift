import FoundationEssentials
import Testing
import TuffConfig
import TuffModel
import TuffTestSupport

func text(of path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: "\(packageRoot)/\(path)")), as: UTF8.self)
}

/// Names of the YAML files directly in `directory`, sorted.
func yamlFiles(in directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(packageRoot)/\(directory)")
        .filter { $0.hasSuffix(".yaml") }.sorted()
}

@Suite struct ExportTests {
    @Test func committedSchemasAreCurrent() throws {
        for file in SchemaExport.files() { expectGolden(file.text, "../../schemas/\(file.name)") }
        let committed = try FileManager.default.contentsOfDirectory(atPath: "\(packageRoot)/schemas")
        #expect(Set(committed) == Set(SchemaExport.files().map(\.name)), "a schema that no kind has")
    }

    @Test func tablesOfTheSpecPagesAreCurrent() throws {
        var tables = Kind.allCases.map { (SpecTable.pageName(for: $0), SpecTable.table(for: $0)) }
        tables.append((SpecTable.controllerPageName, SpecTable.controllerTable()))
        for (name, table) in tables {
            let page = try text(of: "docs/spec/\(name)")
            let current = try #require(SpecTable.replacing(in: page, with: table), "\(name) has no markers")
            expectGolden(current, "../../docs/spec/\(name)")
        }
    }

    @Test func examplesOfTheSpecPagesFitTogether() throws {
        let sources = try Kind.allCases.map { kind in
            let name = SpecTable.pageName(for: kind)
            return ConfigSource(path: name, text: Array(try example(in: text(of: "docs/spec/\(name)")).utf8))
        }
        let result = ConfigLoader.load(sources)
        #expect(result.diagnostics == [], "\(DiagnosticText.render(result.diagnostics, color: false))")
        let counts = try #require(result.state)
        #expect(counts.count == result.documents)
    }

    /// The first fenced block.
    private func example(in page: String) throws -> String {
        let parts = page.split(separator: "```", omittingEmptySubsequences: false)
        try #require(parts.count >= 3 && parts[1].hasPrefix("yaml\n"), "a page begins with an example")
        return String(parts[1].dropFirst("yaml\n".count))
    }

    @Test(
        arguments: try ["", "backups/", "sharing/"].flatMap { folder in
            try yamlFiles(in: "examples/\(folder)").map { folder + $0 }
        })
    func anExampleLoads(_ name: String) throws {
        let result = load(try text(of: "examples/\(name)"), path: name)
        #expect(result.diagnostics == [], "\(DiagnosticText.render(result.diagnostics, color: false))")
        #expect(result.state != nil)
    }

    @Test func allKindsAreInTheirExample() throws {
        let state = try #require(load(try text(of: "examples/all-kinds.yaml")).state)
        let tables = [
            state.pools.count, state.volumes.count, state.snapshots.count, state.snapshotPolicies.count,
            state.attachments.count, state.backupRepositories.count, state.backupPolicies.count, state.backups.count,
            state.restores.count,
        ]
        #expect(tables.allSatisfy { $0 > 0 })
    }

    @Test(arguments: try yamlFiles(in: "examples/config"))
    func anExampleConfigurationLoads(_ name: String) throws {
        let source = ConfigSource(path: name, text: Array(try text(of: "examples/config/\(name)").utf8))
        let (config, diagnostics) = ConfigLoader.loadController(source, defaultNode: "here")
        #expect(diagnostics == [])
        #expect(config != nil)
    }

    @Test func aConfigurationIsReadFieldByField() throws {
        let source = ConfigSource(path: "lio.yaml", text: Array(try text(of: "examples/config/lio.yaml").utf8))
        let expected = ControllerConfig(
            node: "storage1", portals: [Portal(address: "192.0.2.10"), Portal(address: "2001:db8::10")],
            iqnBase: "iqn.2026-01.com.example",
            allow: Reach(directories: ["/srv/tuff/pools", "/srv/tuff/backups"], volumeGroups: ["vg0", "fast-*"]))
        #expect(ConfigLoader.loadController(source, defaultNode: "here").config == expected)
    }

    @Test func defaultsOfTheDeclarationAreTheDefaultsOfTheSpecs() throws {
        let state = try #require(
            load(
                """
                {apiVersion: tuff.dev/v1, kind: Pool, metadata: {name: p}, \
                spec: {lvm: {volumeGroup: vg, create: {devices: [/dev/sdb]}}}}
                ---
                {apiVersion: tuff.dev/v1, kind: Volume, metadata: {name: v}, spec: {size: 1Mi, pool: p}}
                ---
                {apiVersion: tuff.dev/v1, kind: Attachment, metadata: {name: a}, \
                spec: {volume: v, iscsi: {initiator: "iqn.2004-10.com.example:a"}}}
                ---
                {apiVersion: tuff.dev/v1, kind: BackupRepository, metadata: {name: r}, \
                spec: {directory: {path: /srv/r}}}
                """
            ).state)
        var lvm = LVMPoolSpec(volumeGroup: "vg")
        lvm.create = PoolCreation(devices: ["/dev/sdb"])
        #expect(state.pools["p"]?.spec == PoolSpec(backend: .lvm(lvm)))
        #expect(state.volumes["v"]?.spec == VolumeSpec(size: ByteCount(1 << 20), placement: .pool("p")))
        #expect(state.attachments["a"]?.spec == AttachmentSpec(volume: "v", initiator: "iqn.2004-10.com.example:a"))
        #expect(state.backupRepositories["r"]?.spec == BackupRepositorySpec(site: .directory("/srv/r")))
        let empty = ConfigSource(path: "c", text: Array("{apiVersion: tuff.dev/v1, kind: Controller, spec: {}}".utf8))
        #expect(ConfigLoader.loadController(empty, defaultNode: "n").config == ControllerConfig(node: "n"))
    }
}
