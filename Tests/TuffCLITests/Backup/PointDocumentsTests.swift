import FoundationEssentials
import Testing
import TuffConfig
import TuffModel
import TuffRepository

@testable import TuffCLI

/// `tuff backup ls --print-yaml`: the volumes of restore points as documents that bring them back.
struct PointDocumentsTests {
    private static let stored = """
        apiVersion: tuff.dev/v1
        kind: Volume
        metadata: {name: db, labels: {tier: gold}}
        spec: {size: 20Gi, pool: fast, protect: true}

        """

    /// A point as a repository holds it.
    private func point(
        _ digit: Int, _ time: String, name: String = "db", uid: String? = "abcdefghij234567",
        document: String? = stored,
        size: Int = 20 << 30, node: String = "storage1", labels: [String: String] = ["tier": "silver"]
    ) throws -> RestorePoint {
        var series = ["name": name]
        if let uid { series.merge(["node": node, "stack": "default", "uid": uid]) { $1 } }
        struct Stored: Encodable {
            struct Record: Encodable {
                let series: [String: String]
                let time: String
                let finished: String
                let size: Int
                let root = "0"
                let labels: [String: String]
                let document: String?
                let counts = ["blocks": 0, "zero": 0, "new": 0, "read": 0, "stored": 0]
                let program = "tuff"
            }
            let id: FileID
            let record: Record
        }
        let id = try #require(FileID(String(repeating: "\(digit)", count: 32)))
        let bytes = try JSONEncoder().encode(
            Stored(
                id: id,
                record: Stored.Record(
                    series: series, time: time, finished: time, size: size, labels: labels, document: document)))
        return try JSONDecoder().decode(RestorePoint.self, from: bytes)
    }

    @Test func theNewestOfEachSeriesIsPrintedWithItsDocumentAndWhereItsContentIs() throws {
        let points = [
            try point(1, "2026-11-01T00:00:00Z"), try point(2, "2026-11-02T00:00:00Z"),
            try point(3, "2026-11-03T00:00:00Z"),
        ]
        let text = PointDocuments(repository: "nas", pool: nil).text(points, passingOver: [points[2].id])
        #expect(
            text == """
                # The pools are to be declared beside these, and who may attach them: fast
                ---
                # db: restore point \(points[1].id) of 2026-11-02T00:00:00Z, 20 GiB; \
                node storage1, stack default, uid abcdefghij234567
                apiVersion: tuff.dev/v1
                kind: Volume
                metadata:
                  labels:
                    tier: gold
                  name: db
                spec:
                  pool: fast
                  protect: true
                  size: "20Gi"
                  source:
                    backup:
                      at: "22222222222222222222222222222222"
                      identity: keep
                      node: storage1
                      repository: nas
                      stack: default
                      volume: db

                """)
        let read = try #require(ConfigLoader.volume(declaredBy: text))
        guard case .backup(let source)? = read.spec.source else {
            Issue.record("no source: \(text)")
            return
        }
        #expect(source.identity == .keep && source.uid == nil && source.at == .id(points[1].id.description))
    }

    /// Two identities for one volume are an error of the document.
    @Test func aVolumeWithAnIdentityOfItsOwnKeepsNoOther() throws {
        let stored = Self.stored.replacing("protect: true", with: "protect: true, identity: {serial: abc123}")
        for (uid, text) in [("abcdefghij234567", stored), ("no uid", Self.stored)] {
            let points = [try point(1, "2026-11-01T00:00:00Z", uid: uid, document: text)]
            let printed = PointDocuments(repository: "nas", pool: nil).text(points, passingOver: [])
            #expect(printed.contains("repository: nas") && !printed.contains("keep"), "\(printed)")
        }
    }

    @Test func labelsOfOursInAStoredDocumentAreLeftOut() throws {
        let stored = Self.stored.replacing("tier: gold", with: "tier: gold, tuff.dev/backup: x")
        let points = [try point(1, "2026-11-01T00:00:00Z", document: stored)]
        let printed = PointDocuments(repository: "nas", pool: nil).text(points, passingOver: [])
        #expect(printed.contains("gold") && !printed.contains("tuff.dev/backup"), "\(printed)")
    }

    @Test func aSeriesWithoutAFitPointIsSaid() throws {
        let points = [
            try point(1, "2026-11-01T00:00:00Z"), try point(2, "2026-11-02T00:00:00Z", name: "web"),
            try point(3, "2026-11-03T00:00:00Z", name: "web"),
        ]
        let text = PointDocuments(repository: "nas", pool: nil).text(points, passingOver: Set(points[1...].map(\.id)))
        #expect(text.contains("name: db\n"))
        #expect(
            text.contains(
                "# web@storage1/default/abcdefghij234567: no document, since none of its 2 restore points is without"))
        let none = PointDocuments(repository: "nas", pool: nil).text(points, passingOver: Set(points.map(\.id)))
        #expect(
            none.contains(
                "# db@storage1/default/abcdefghij234567: no document, since none of its 1 restore point is without"))
        #expect(!none.contains("There is no restore point"))
    }

    @Test func seriesOfOneNameAreToldApart() throws {
        let points = [
            try point(1, "2026-11-01T00:00:00Z"), try point(2, "2026-11-02T00:00:00Z", uid: "zzzzzzzzzz234567"),
        ]
        let text = PointDocuments(repository: "nas", pool: nil).text(points, passingOver: [])
        #expect(text.contains("      uid: abcdefghij234567\n") && text.contains("      uid: zzzzzzzzzz234567\n"))
        #expect(text.contains("# several volumes of this name were backed up: keep one of the documents\n"))
    }

    /// Files that are backed up by hand have any size.
    @Test(arguments: [(1, 1), (1 << 20, 1), (100_000_000, 96)])
    func aSizeThatNoVolumeHasIsRoundedUp(_ bytes: Int, _ mebibytes: Int64) throws {
        let point = try point(1, "2026-11-01T00:00:00Z", uid: nil, document: nil, size: bytes)
        let text = PointDocuments(repository: nil, pool: "slow").text([point], passingOver: [])
        #expect(ConfigLoader.volume(declaredBy: text)?.spec.size == ByteCount(mebibytes << 20), "\(text)")
    }

    @Test func withoutADocumentASizeAndAPoolMakeOne() throws {
        let byHand = try point(1, "2026-11-01T00:00:00Z", uid: nil, document: nil)
        let bare = PointDocuments(repository: nil, pool: nil).text([byHand], passingOver: [])
        #expect(bare.split(separator: "\n").allSatisfy { $0.hasPrefix("# ") } && bare.contains("--declared-as NAME"))
        #expect(bare.contains("--pool NAME prints one of its size"))
        let text = PointDocuments(repository: "nas", pool: "slow").text([byHand], passingOver: [])
        let read = try #require(ConfigLoader.volume(declaredBy: text))
        #expect(read.spec.size == ByteCount(20 << 30) && read.spec.placement == .pool("slow"))
        #expect(read.metadata.labels == ["tier": "silver"])
    }

    /// The owner of the medium may have written all of a repository that is not encrypted.
    @Test(arguments: [
        "spec: {size: 1Gi}", "{{{", stored + "---\n" + stored, stored.replacing("name: db", with: "name: other"),
        stored.replacing("kind: Volume", with: "kind: Pool"), "\u{1b}]0;owned\u{7}",
    ])
    func aStoredDocumentThatIsNoneIsNotPrinted(_ document: String) throws {
        let text = PointDocuments(repository: "nas", pool: "slow").text(
            [try point(1, "2026-11-01T00:00:00Z", document: document)], passingOver: [])
        let read = try #require(ConfigLoader.volume(declaredBy: text))
        #expect(read.metadata.name == "db" && read.spec.placement == .pool("slow") && !text.contains("\u{1b}"))
    }

    @Test func aStoredDocumentSaysNothingOfWhereItsContentComesFrom() throws {
        let stored = Self.stored.replacing(
            "protect: true", with: "source: {image: {path: /srv/tuff/images/other.raw, format: raw}}")
        for repository in [nil, "nas"] {
            let text = PointDocuments(repository: repository, pool: nil).text(
                [try point(1, "2026-11-01T00:00:00Z", document: stored)], passingOver: [])
            let read = try #require(ConfigLoader.volume(declaredBy: text))
            guard case .backup? = read.spec.source else {
                #expect(read.spec.source == nil && repository == nil, "\(text)")
                continue
            }
        }
    }

    @Test func namesAndLabelsThatNoDocumentMayHaveMakeNone() throws {
        let node = try point(1, "2026-11-01T00:00:00Z", node: "a b")
        let labelled = try point(1, "2026-11-01T00:00:00Z", document: nil, labels: ["x y": "z"])
        for point in [node, labelled] {
            let text = PointDocuments(repository: "nas", pool: "slow").text([point], passingOver: [])
            #expect(text.split(separator: "\n").allSatisfy { $0.hasPrefix("# ") }, "\(text)")
            #expect(text.contains("names or labels that no document may have"))
        }
    }

    @Test func labelsOfOursSayWhatAPointWasMadeForAndAreNotTheVolumes() throws {
        let made = try point(
            1, "2026-11-01T00:00:00Z", document: nil, labels: ["tuff.dev/backup": "before", "tier": "db"])
        let text = PointDocuments(repository: "nas", pool: "slow").text([made], passingOver: [])
        #expect(try #require(ConfigLoader.volume(declaredBy: text)).metadata.labels == ["tier": "db"])
    }

    @Test func aNameThatIsNoneOfAVolumeIsSaid() throws {
        let text = PointDocuments(repository: "nas", pool: "slow").text(
            [try point(1, "2026-11-01T00:00:00Z", name: "a\nb: \u{1b}[31m", uid: nil, document: nil)], passingOver: [])
        #expect(text.split(separator: "\n").allSatisfy { $0.hasPrefix("# ") } && !text.contains("\u{1b}"), "\(text)")
    }
}
