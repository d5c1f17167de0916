import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// Which pool volumes land in that name none, by what real LVM says of three groups; and plans that do not fit into
/// them.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct PlacementLabTests {
    private static let mebi = 1 << 20
    private static let ssd = "poolSelector: {matchLabels: {tier: ssd}}"

    private func document(_ kind: String, _ name: String, _ spec: String, labels: String = "") -> String {
        LabProgram.document(kind, name, spec, labels: labels)
    }

    private func pools(narrow: String = "ssd") -> String {
        document("Pool", "wide", "lvm: {volumeGroup: wide, thinPool: tp}, overprovision: 4", labels: "tier: ssd")
            + document(
                "Pool", "narrow", "lvm: {volumeGroup: narrow, thinPool: tp}, overprovision: 4",
                labels: "tier: \(narrow)")
            + document("Pool", "bulk", "lvm: {volumeGroup: bulk}", labels: "tier: disk")
    }

    /// Thin pools of 1 GiB and 512 MiB, and a group without one.
    private func inWorld(_ name: String, _ body: (LabProgram) async throws -> Void) async throws {
        let disks = Array(Lab.disks.suffix(3))
        let lab = try LabProgram(name, port: 3271)
        for (group, disk) in zip(["wide", "narrow", "bulk"], disks) {
            try await lab.lvm("vgcreate", "-qq", "--yes", group, disk)
        }
        for (group, size) in [("wide", "1g"), ("narrow", "512m")] {
            try await lab.lvm(
                "lvcreate", "-qq", "--yes", "--type", "thin-pool", "--chunksize", "64k", "-L", size, "-n", "tp", group)
        }
        do { try await body(lab) } catch { Issue.record(error) }
        try await lab.lvm("vgremove", "-qq", "--yes", "--force", "wide", "narrow", "bulk")
        for disk in disks { try await lab.lvm("pvremove", "-qq", disk) }
        try lab.remove()
    }

    /// The group each volume is in.
    private func places(_ lab: LabProgram) async throws -> [String: String] {
        var result: [String: String] = [:]
        for group in ["wide", "narrow", "bulk"] {
            for name in try await lab.made(in: group) {
                #expect(result.updateValue(group, forKey: name) == nil, "\(name) is there twice")
            }
        }
        return result
    }

    /// The result of Cinder's formula for a thin pool's real numbers, less what initiators have filled.
    private func score(_ lab: LabProgram, _ group: String) async throws -> Double {
        let rows = try await lab.report("lvs", "lv_name,lv_size,data_percent", group)
        let pool = try #require(rows.first { $0[0] == "tp" })
        let size = try #require(Double(pool[1])), used = try #require(Double(pool[2]))
        let promised = rows.filter { $0[0] != "tp" }.reduce(0) { $0 + (Double($1[1]) ?? 0) }
        let free = (size * (1 - used / 100) - size / 10) / (size * 0.9)
        return (size * 0.9 * 4 - promised) * min(max(free, 0), 1)
    }

    private struct Description: Decodable {
        struct Pool: Decodable {
            var name: String
            var scoreBytes: Int64
            var fits: Bool
            var reason: String?
            var message: String?
        }
        struct Placement: Decodable {
            var pool: String?
            var settled: Bool
            var pools: [Pool]
        }
        var placement: Placement?
    }

    private func describe(_ lab: LabProgram, _ name: String) async throws -> Description.Placement {
        let output = try await lab.run(
            "tuff", ["describe", "volume/\(name)", "-o", "json", "-f", "\(lab.folder)/storage.yaml"] + lab.hostOptions)
        try #require(output.status == 0, "\(output.standardError)")
        let description = try JSONDecoder().decode(Description.self, from: Data(output.standardOutput))
        return try #require(description.placement)
    }

    /// Scores are told of the pools as they are, within the hundredths of a percent that LVM prints.
    private func expectScores(_ lab: LabProgram, of name: String, chosen: String) async throws {
        let placement = try await describe(lab, name)
        #expect(placement.pool == chosen)
        for group in ["wide", "narrow"] {
            let told = try #require(placement.pools.first { $0.name == group }).scoreBytes
            let score = try await score(lab, group)
            #expect(abs(Double(told) - score) < Double(Self.mebi), "\(group): \(told) for \(score)")
        }
        let bulk = try #require(placement.pools.first { $0.name == "bulk" })
        #expect(!bulk.fits && bulk.reason == "NotSelected")
        #expect(bulk.message == "its label tier is 'disk', not 'ssd'", "\(bulk.message ?? "")")
    }

    @Test func volumesSpreadAndStayAndFullPoolsAreAvoided() async throws {
        try await inWorld("placement") { lab in
            func set(_ more: String = "", narrow: String = "ssd") -> String {
                var text = pools(narrow: narrow)
                for (name, size) in [("a", "2Gi"), ("b", "100Mi"), ("c", "200Mi"), ("d", "52Mi")] {
                    text += document("Volume", name, "size: \(size), \(Self.ssd)")
                }
                return text
                    + document("Volume", "h", "size: 32Mi, poolSelector: {matchLabels: {tier: disk}}") + more
            }
            try lab.declare(set(document("Volume", "y", "size: 8Gi, \(Self.ssd)")))
            let first = try await lab.apply()
            #expect(first.status == 3, "\(first.text)")
            let homes = ["v-a": "wide", "v-b": "narrow", "v-c": "narrow", "v-d": "wide", "v-h": "bulk"]
            #expect(try await places(lab) == homes)
            #expect(first.text.contains("InsufficientCapacity"), "\(first.text)")
            #expect(try await describe(lab, "y").pools.filter { $0.reason == "InsufficientCapacity" }.count == 2)

            // Initiators fill the pool of which more may be promised.
            try lab.declare(set())
            try await lab.lvm("lvchange", "-qq", "-ay", "-K", "wide/v-a")
            try await lab.must(
                "dd", ["if=/dev/zero", "of=/dev/wide/v-a", "bs=1M", "count=700", "oflag=direct", "status=none"])
            try await expectScores(lab, of: "b", chosen: "narrow")
            let e = document("Volume", "e", "size: 64Mi, \(Self.ssd)")
            try lab.declare(set(e))
            try await expectScores(lab, of: "e", chosen: "narrow")
            let sentence = try await lab.show("describe", "volume/e")
            #expect(sentence.contains("chosen: the highest score"), "\(sentence)")
            #expect(try await lab.apply().status == 0)
            #expect(try await places(lab) == homes.merging(["v-e": "narrow"]) { $1 })

            // Whatever becomes of pools and labels: what is placed stays.
            try await lab.lvm("lvextend", "-qq", "-L", "3g", "wide/tp")
            try lab.declare(set(e, narrow: "nvme"))
            let before = try await lab.volumes("wide", "narrow", "bulk")
            let settled = try await lab.apply()
            #expect(settled.status == 0, "\(settled.text)")
            #expect(try await lab.volumes("wide", "narrow", "bulk") == before)
            let stays = try await lab.show("describe", "volume/e")
            #expect(stays.contains("stays, though its label tier is 'nvme', not 'ssd'"), "\(stays)")
        }
    }

    /// Three images fit one by one and not together.
    @Test func whatDoesNotFitTogetherIsRefusedBeforeTheFirstCommand() async throws {
        try await inWorld("proof") { lab in
            let image = "\(lab.folder)/disk.raw"
            try await lab.must("dd", ["if=/dev/urandom", "of=\(image)", "bs=1M", "count=200", "status=none"])
            func set(_ count: Int) -> String {
                (1...count).reduce(pools()) { text, number in
                    text
                        + document(
                            "Volume", "boot\(number)",
                            "size: 200Mi, pool: narrow, source: {image: {path: \(image), format: raw}}")
                }
            }
            let groups = try await lab.report("vgs", "vg_name,vg_seqno,vg_free", "narrow")
            let pool = try await lab.report("lvs", "lv_size,data_percent", "narrow/tp")[0]
            let size = try #require(Int64(pool[0]))
            try #require(pool[1] == "0.00")
            let room = ByteCount(size - size / 10)
            try lab.declare(set(3))
            let refused = try await lab.apply()
            let sentence = refused.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(refused.status != 0)
            #expect(sentence.contains("at its worst moment, Volume/boot3"), "\(sentence)")
            #expect(
                sentence.contains(
                    "has taken 600 MiB of data of thin pool narrow/tp, which has \(room); 10% is kept free"),
                "\(sentence), not \(room)")
            #expect(try await lab.made(in: "narrow").isEmpty, "something was made")
            #expect(try await lab.report("vgs", "vg_name,vg_seqno,vg_free", "narrow") == groups)

            // What fits beside the reserve is made, and really takes what was said.
            try lab.declare(set(2))
            let fitting = try await lab.apply()
            #expect(fitting.status == 0, "\(fitting.text)")
            #expect(try await lab.made(in: "narrow") == ["v-boot1", "v-boot2"])
            let full = try await lab.report("lvs", "data_percent", "narrow/tp")[0][0]
            #expect(abs((Double(full) ?? 0) - 400 / 5.12) < 0.1, "\(full) %")
        }
    }
}
