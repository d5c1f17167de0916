import Glibc
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@testable import TuffDrivers

/// Conditions that LVM tells, by what an `lvm` of this test prints.
@Suite struct LVMConditionTests {
    let folder: Folder
    let machine: LinuxMachine
    let uid = UID(bytes: [UInt8](1...10))

    init() throws {
        folder = try Folder()
        folder.directory("target")
        machine = folder.machine(tools: .real())
    }

    private func check(_ condition: Precondition) async -> HostError? {
        let error = await failure { () throws(HostError) in
            try await machine.perform([.require(condition), .makeDirectory(.target("done"))])
        }
        #expect(folder.names("target").contains("done") == (error == nil))
        rmdir(folder.at("target/done"))
        return error
    }

    /// An `lvm` that writes down what it was asked, without the settings that every command has (`LVMSettings`).
    private func answer(_ status: Int) throws {
        let asked = "verb=$1; shift 3; echo \"$verb $@\" >\(folder.at("arguments"))"
        try folder.tool("lvm", "\(asked); cat \(folder.at("report")); exit \(status)")
    }

    private func volume(_ report: String, status: Int = 0, size: Int64? = 1024) async throws -> HostError? {
        try folder.write("report", report)
        try answer(status)
        return await check(
            .logicalVolume(group: "vg0", name: "v-a", uuid: "AbC", uid: uid, size: size.map { ByteCount($0) }))
    }

    private func row(uuid: String = "AbC", size: String = "1024", tags: String? = nil, open: String = "open") -> String
    {
        let tags = tags ?? "other,tuff:uid=\(uid)"
        let identity = #""vg_uuid":"GR-P", "lv_uuid":"\#(uuid)""#
        return #"{\#(identity), "lv_size":"\#(size)", "lv_tags":"\#(tags)", "lv_device_open":"\#(open)"}"#
    }

    private func report(_ rows: String...) -> String {
        #"{"report":[{"lv":[\#(rows.joined(separator: ","))]}]}"#
    }

    @Test("A logical volume with its uuid, uid and size passes; lvm is asked for this one alone")
    func logicalVolume() async throws {
        #expect(try await volume(report(row())) == nil)
        #expect(
            folder.read("arguments")
                == "lvs --reportformat json --units b --nosuffix -o vg_uuid,lv_uuid,lv_size,lv_tags,lv_device_open "
                + "-- vg0/v-a\n")
        #expect(try await volume(report(row(size: "2048")), size: nil) == nil)
    }

    @Test("A volume that a condition held for is identified: its device is taken for it by what follows")
    func conditionIdentifies() async throws {
        func device() async -> String {
            await check(.device(group: "tuff-no-such", name: "v-a", uid: uid, uuid: nil))?.sentence ?? "passed"
        }
        #expect(try await volume(report(row(tags: "other"))) != nil)
        #expect(await device().contains("LVM was not asked"))
        #expect(try await volume(report(row())) == nil)
        #expect(await device().contains("LVM-GRPAbC"))
        try folder.write("report", report(row(uuid: "De-F", tags: "tuff:op=copy,tuff:uid=\(uid)")))
        #expect(await check(.unfinished(group: "vg0", name: "v-a", uid: uid, operation: "copy")) == nil)
        #expect(await device().contains("LVM-GRPDeF"))
    }

    @Test("A thin pool is one by its segment type, and what lvm did not find is none")
    func thinPool() async throws {
        func check(_ report: String, status: Int = 0) async throws -> HostError? {
            try folder.write("report", report)
            try answer(status)
            return await self.check(.thinPool(group: "vg0", name: "tp"))
        }
        #expect(try await check(report(#"{"lv_name":"tp", "segtype":"thin-pool", "origin":""}"#)) == nil)
        #expect(folder.read("arguments") == "lvs --reportformat json -o lv_name,segtype,origin -- vg0/tp\n")
        #expect(
            try await check(report(#"{"lv_name":"tp", "segtype":"linear", "origin":""}"#))?.code == .preconditionFailed)
        #expect(try await check(report())?.code == .preconditionFailed)
        #expect(try await check("", status: 5)?.code == .preconditionFailed)
        #expect(try await check("{")?.code == .malformed)
    }

    /// `lvm` answers a question about one volume with `report`, and the one about what depends on it with `others`.
    private func expired(_ report: String, status: Int = 0, others: String? = nil) async throws -> HostError? {
        try folder.write("report", report)
        let alone = #"{"lv_name":"t-a", "segtype":"linear", "origin":""}"#
        try folder.write("others", others ?? self.report(alone))
        let files = "case \"$*\" in *segtype*) cat \(folder.at("others"));; *) cat \(folder.at("report"));; esac"
        try folder.tool("lvm", "\(files); exit \(status)")
        let until = try #require(Instant(text: "2026-11-30T12:00:00Z"))
        return await check(.expiredVolume(group: "vg0", name: "t-a", uuid: "AbC", uid: uid, until: until))
    }

    @Test("A volume in the trash passes when uuid, uid and deadline are the same and nobody holds it open")
    func expiredVolume() async throws {
        let tags = "other,tuff:uid=\(uid),tuff:until=2026-11-30T12:00:00Z"
        for open in ["", "unknown"] { #expect(try await expired(report(row(tags: tags, open: open))) == nil) }
        for open in ["open", "1", "-1", "0"] {
            #expect(try await expired(report(row(tags: tags, open: open)))?.code == .preconditionFailed, "\(open)")
        }
        for other in [
            "tuff:uid=\(uid)", "tuff:uid=\(uid),tuff:until=2026-11-30T12:00:01Z", "tuff:until=2026-11-30T12:00:00Z",
        ] {
            #expect(try await expired(report(row(tags: other, open: "")))?.code == .preconditionFailed, "\(other)")
        }
        #expect(try await expired(report(row(uuid: "xyz", tags: tags, open: "")))?.code == .preconditionFailed)
        #expect(try await expired(report(row(tags: tags, open: "")), status: 5)?.code == .preconditionFailed)
        #expect(try await expired(report())?.code == .malformed)
    }

    @Test("A volume that others come from, which LVM would remove with it, does not pass; thin snapshots live on")
    func dependents() async throws {
        let tags = "tuff:uid=\(uid),tuff:until=2026-11-30T12:00:00Z"
        func check(_ type: String, _ dependent: String) async throws -> HostError? {
            let own = "{\"lv_name\":\"t-a\", \"segtype\":\"\(type)\", \"origin\":\"\"}"
            let other = "{\"lv_name\":\"x\", \"segtype\":\"\(dependent)\", \"origin\":\"t-a\"}"
            return try await expired(report(row(tags: tags, open: "")), others: report(own, other))
        }
        #expect(try await check("linear", "snapshot")?.code == .preconditionFailed)
        #expect(try await check("linear", "thin")?.code == .preconditionFailed, "of an external origin")
        #expect(try await check("thin", "snapshot")?.code == .preconditionFailed)
        #expect(try await check("thin", "thin") == nil)
        #expect(try await expired(report(row(tags: tags, open: "")), others: report())?.code == .preconditionFailed)
        #expect(try await expired(report(row(tags: tags, open: "")), others: "{")?.code == .malformed)
    }

    @Test("A scratch volume passes with all its marks and no others, in no use, and with nothing that comes from it")
    func scratchVolume() async throws {
        let tags = Marks.scratch(uid, of: "nightly", stack: "default").tags
        func check(_ report: String, others: String? = nil, uuid: String? = "AbC") async throws -> HostError? {
            try folder.write("report", report)
            try folder.write("others", others ?? self.report(#"{"lv_name":"d-a", "segtype":"linear", "origin":""}"#))
            let files = "case \"$*\" in *segtype*) cat \(folder.at("others"));; *) cat \(folder.at("report"));; esac"
            try folder.tool("lvm", files)
            return await self.check(.scratchVolume(group: "vg0", name: "d-a", uuid: uuid, tags: tags))
        }
        func row(_ tags: [String], uuid: String = "AbC", open: String = "") -> String {
            report(self.row(uuid: uuid, tags: tags.joined(separator: ","), open: open))
        }
        #expect(try await check(row(tags)) == nil)
        #expect(try await check(row(tags + ["theirs"], open: "unknown"), uuid: nil) == nil)
        for other in [tags + ["tuff:protect"], Array(tags.dropLast()), tags + ["tuff:vol=db"], ["tuff:uid=\(uid)"]] {
            #expect(try await check(row(other))?.code == .preconditionFailed, "\(other)")
        }
        #expect(try await check(row(tags, uuid: "xyz"))?.code == .preconditionFailed)
        #expect(try await check(row(tags, open: "open"))?.code == .preconditionFailed)
        let snapshot = #"{"lv_name":"x", "segtype":"snapshot", "origin":"d-a"}"#
        let both = report(#"{"lv_name":"d-a", "segtype":"linear", "origin":""}"#, snapshot)
        #expect(try await check(row(tags), others: both)?.code == .preconditionFailed)
    }

    @Test("Another uuid, uid or size, a missing volume: nothing is done")
    func otherVolume() async throws {
        #expect(try await volume(report(row(uuid: "xyz")))?.code == .preconditionFailed)
        #expect(try await volume(report(row(size: "2048")))?.code == .preconditionFailed)
        #expect(try await volume(report(row(tags: "other")))?.code == .preconditionFailed)
        #expect(try await volume(report(row(tags: "tuff:uid=\(uid)x")))?.code == .preconditionFailed)
        #expect(try await volume(report(row()), status: 5)?.code == .preconditionFailed)
    }

    @Test("An lvm that prints half, twice, nothing or nonsense is not believed")
    func lyingTool() async throws {
        let whole = report(row())
        for text in [
            "", "{}", "null", String(whole.dropLast(3)), report(), report(row(), row()), report(row(size: "1.5k")),
            #"{"report":[]}"#, whole + whole,
        ] {
            #expect(try await volume(text)?.code == .malformed, "\(text)")
        }
    }

    @Test("Volumes are identified by their uid, exactly one each, and remembered for the condition")
    func identification() async throws {
        func identify(_ rows: [String], status: Int = 0) async throws -> HostError? {
            try folder.write("report", #"{"report":[{"lv":[\#(rows.joined(separator: ","))]}]}"#)
            try answer(status)
            return await failure { () throws(HostError) in
                try await machine.perform([LogicalVolumeNames.identification(of: [uid], in: "vg0")])
            }
        }
        let row = #"{"vg_uuid":"AAAA-BB", "lv_uuid":"CC-D", "lv_tags":"x,tuff:uid=\#(uid)"}"#
        #expect(try await identify([]) != nil)
        #expect(try await identify([row, row]) != nil)
        #expect(try await identify([row.replacing("tuff:uid=\(uid)", with: "tuff:uid=\(uid)x")]) != nil)
        #expect(try await identify([row], status: 5) != nil)
        #expect(try await identify([row]) == nil)
        #expect(
            folder.read("arguments")
                == "lvs --reportformat json -o vg_uuid,lv_uuid,lv_tags -S lv_tags={\"tuff:uid=\(uid)\"} -- vg0\n")
        let error = await check(.device(group: "tuff-no-such", name: "v-a", uid: uid, uuid: nil))
        #expect(error?.sentence.contains("LVM-AAAABBCCD") == true, "\(error?.sentence ?? "passed")")
    }
}
