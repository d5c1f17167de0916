import Testing
import TuffConfig
import TuffModel
import TuffTestSupport

/// A restore point carries its volume's document: written and read again it is the same volume.
@Suite struct VolumeDocumentTests {
    /// A volume whose every field is drawn.
    private func volume(_ random: inout SeededGenerator) -> Declared<VolumeSpec> {
        func maybe<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
        let labels = ["tier": "db", "example.com/rank": "1"]
        let placement: VolumeSpec.Placement =
            Bool.random(using: &random) ? .pool("fast") : .selector(LabelSelector(matchLabels: labels))
        var spec = VolumeSpec(size: ByteCount(Int64.random(in: 1...4096, using: &random) << 22), placement: placement)
        var backup = BackupSource(repository: "nas", volume: "yes")
        backup.at = [.latest, .notAfter(Instant(secondsSince1970: 1_790_000_000)), .id("0123456789abcdef")]
            .randomElement(using: &random)!
        backup.identity = BackupSource.Identity.allCases.randomElement(using: &random)!
        backup.node = maybe("storage1")
        backup.stack = maybe("default")
        backup.uid = maybe(UID("abcdefghij234567")!)
        backup.orBlank = Bool.random(using: &random)
        var image = ImageSource(path: "/srv/images/a b.qcow2", format: .qcow2)
        image.sha256 = maybe(String(repeating: "0a", count: 32))
        spec.source = [
            nil, .volume("null"), .snapshot("other"), .backup(backup), .image(image),
            .cinderBackup(repository: "openstack", backup: "8f3c1a52-6f0e-4c6b-9a5d-0c1e2f3a4b5c"),
        ].randomElement(using: &random)!
        spec.sharing = VolumeSpec.Sharing.allCases.randomElement(using: &random)!
        spec.portals = maybe([Portal(address: "192.0.2.10"), Portal(address: "fd00::10", port: 3261)])
        if Bool.random(using: &random) {
            var identity = IdentityOverride()
            identity.iqn = maybe("iqn.2026-01.dev.tuff:db")
            identity.serial = maybe("0123")
            identity.lun = Int.random(in: 0...16383, using: &random)
            spec.identity = identity
        }
        spec.deletionPolicy = VolumeSpec.DeletionPolicy.allCases.randomElement(using: &random)!
        spec.trashFor = TimeSpan(seconds: Int64.random(in: 0...1_000_000, using: &random))
        spec.priority = Int.random(in: -1000...1000, using: &random)
        spec.protect = Bool.random(using: &random)
        let metadata = Metadata(
            name: ["db-data", "true", "1"].randomElement(using: &random)!,
            labels: maybe(["tier": "on", "n": ""]) ?? [:],
            annotations: maybe(["example.com/note": "two\nlines: \"x\" # \u{202e}\u{1f600}"]) ?? [:])
        return Declared(metadata: metadata, spec: spec, location: SourceLocation(file: "", line: 1, column: 1))
    }

    @Test func writtenAndReadItIsTheSameVolume() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            let volume = volume(&random), text = volume.document.yaml
            let read = ConfigLoader.volume(declaredBy: text)
            #expect(read?.metadata == volume.metadata && read?.spec == volume.spec, "seed \(seed):\n\(text)")
            guard read?.spec == volume.spec else { return }
        }
    }

    @Test func itLooksAsAPersonWouldWriteIt() {
        var spec = VolumeSpec(size: ByteCount(20 << 30), placement: .pool("fast"))
        spec.protect = true
        let volume = Declared(
            metadata: Metadata(
                name: "db-data", labels: ["tier": "db"], annotations: [Metadata.renamedFromKey: "former"]),
            spec: spec, location: SourceLocation(file: "", line: 1, column: 1))
        #expect(
            volume.document.yaml == """
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata:
                  labels:
                    tier: db
                  name: db-data
                spec:
                  pool: fast
                  protect: true
                  size: "20Gi"

                """)
    }

    @Test(arguments: [
        "", "a: b", "apiVersion: tuff.dev/v1\nkind: Pool\nmetadata: {name: a}\nspec: {directory: {path: /srv/a}}",
        "apiVersion: tuff.dev/v1\nkind: Volume\nmetadata: {name: a}\nspec: {size: 1Gi, pool: b, sise: 2}",
        "apiVersion: tuff.dev/v1\nkind: Volume\nmetadata: {name: a}\nspec: {size: 1Gi, pool: b}\n---\n{}",
        "\u{1b}]0;x\u{7}", String(repeating: "[", count: 10_000),
    ])
    func anythingElseIsNoVolume(_ text: String) {
        #expect(ConfigLoader.volume(declaredBy: text) == nil)
    }
}
