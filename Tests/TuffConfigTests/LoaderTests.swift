import Testing
import TuffConfig
import TuffModel

/// The result of loading one file with this text.
func load(_ text: String, path: String = "input.yaml") -> LoadResult {
    ConfigLoader.load([ConfigSource(path: path, text: Array(text.utf8))])
}

@Suite struct LoaderTests {
    @Test func aDocumentBecomesASpecWithThePlacesOfItsFields() throws {
        let result = load(
            """
            apiVersion: tuff.dev/v1
            kind: Pool
            metadata: {name: fast}
            spec:
              lvm: {volumeGroup: vg0, thinPool: tp0}
            ---
            apiVersion: tuff.dev/v1
            kind: Volume
            metadata: {name: db-data}
            spec:
              size: 20Gi
              pool: fast
              iscsi: {portals: ["192.0.2.10:3260"]}
            """)
        #expect(result.diagnostics == [])
        #expect(result.documents == 2)
        let volume = try #require(result.state?.volumes["db-data"])
        #expect(volume.spec.size == ByteCount(20 << 30))
        #expect(volume.spec.placement == .pool("fast"))
        #expect(volume.spec.portals == [Portal(address: "192.0.2.10")])
        #expect(volume.spec.trashFor == TimeSpan(seconds: 7 * 86400))
        #expect(volume.location == SourceLocation(file: "input.yaml", line: 9, column: 18))
        #expect(volume.fields["spec.size"] == SourceLocation(file: "input.yaml", line: 11, column: 9))
        #expect(volume.fields["spec.iscsi"] == SourceLocation(file: "input.yaml", line: 13, column: 3))
        #expect(volume.fields["spec.iscsi.portals.0"] == SourceLocation(file: "input.yaml", line: 13, column: 21))
        #expect(volume.fields["spec.trashFor"] == nil)
    }

    @Test func anUnknownFieldIsPointedAtWithAGuess() {
        let result = load(
            """
            {apiVersion: tuff.dev/v1, kind: Pool, metadata: {name: fast}, spec: {directory: {path: /srv/p}}}
            ---
            apiVersion: tuff.dev/v1
            kind: Volume
            metadata: {name: db-data}
            spec:
              pool: fast
              sise: 20Gi
            """, path: "volumes.yaml")
        #expect(
            DiagnosticText.render(result.diagnostics, color: false) == """
                error[unknown-field]: Volume/db-data has no field 'sise'
                  --> volumes.yaml:8:3
                   |
                 8 |   sise: 20Gi
                   |   ^^^^
                   = help: did you mean 'size'?

                1 error in 1 file

                """)
    }
}
