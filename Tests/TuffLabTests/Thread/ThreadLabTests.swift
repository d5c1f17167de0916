import FoundationEssentials
import Glibc
import Testing
import TuffConfig
import TuffDrivers
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// The whole thread on a real kernel: documents, LVM, LIO, and an initiator that reads the result.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct ThreadLabTests {
    let config = ControllerConfig(
        node: "tufflab", portals: [Portal(address: "127.0.0.1", port: 3262)], iqnBase: "iqn.2026-01.dev.tuff.thread",
        allow: Reach(everythingBeneath: ["/run"]))
    let machine = Lab.machine(beneath: ["/run"])

    var reconciler: Reconciler {
        Reconciler(
            machine: machine, config: config, volumeGroups: LVMDriver(), directories: DirectoryPoolDriver(),
            exports: LIODriver())
    }

    func desired(_ text: String) throws -> DesiredState {
        let loaded = ConfigLoader.load([ConfigSource(path: "lab.yaml", text: Array(text.utf8))])
        return try #require(loaded.state, "\(loaded.diagnostics)")
    }

    func document(_ kind: String, _ name: String, _ spec: String) -> String {
        "apiVersion: tuff.dev/v1\nkind: \(kind)\nmetadata: {name: \(name)}\nspec: {\(spec)}\n---\n"
    }

    func context() -> PlanContext {
        PlanContext(now: machine.now(), seed: "\(UInt64.random(in: 0 ... .max))", config: config)
    }

    func plan(_ desired: DesiredState) async throws -> Plan {
        try await look(desired).plan
    }

    private func look(_ desired: DesiredState) async throws -> (plan: Plan, observed: ObservedState) {
        let context = context()
        let observed = try await reconciler.observe(desired, context: context)
        return (Planner.plan(desired: desired, observed: observed, context: context), observed)
    }

    func apply(_ desired: DesiredState) async throws -> ApplyReport {
        let (plan, observed) = try await look(desired)
        return try await reconciler.apply(plan, desired: desired, observed: observed)
    }

    /// A volume group with a thin pool `pool`, made on a blank disk and removed after `body` with all it holds.
    func withGroup(_ name: String, on disks: [String], _ body: () async throws -> Void) async throws {
        try await machine.perform([
            .run(Lab.lvm(["vgcreate", "-qq", "--yes", "--metadatasize", "16m", name] + disks)),
            .run(
                Lab.lvm(["lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "1g", "-n", "pool", name, disks[0]])),
        ])
        do { try await body() } catch { Issue.record(error) }
        try removeTargets()
        try await machine.perform([
            .run(Lab.lvm(["vgremove", "-qq", "--yes", "--force", name])),
            .run(Lab.lvm(["pvremove", "-qq", "--yes"] + disks)),
        ])
    }

    static let root = "/sys/kernel/config/target"

    func target(_ volume: String) -> String { "\(Self.root)/iscsi/\(config.iqnBase):\(volume)/tpgt_1" }

    /// Takes apart what the test made, in the order the kernel wants.
    func removeTargets() throws {
        let iscsi = "\(Self.root)/iscsi"
        for name in entries(iscsi) where name.hasPrefix(config.iqnBase) {
            let group = "\(iscsi)/\(name)/tpgt_1"
            for acl in entries("\(group)/acls") {
                for lun in entries("\(group)/acls/\(acl)") where lun.hasPrefix("lun_") {
                    removeLinks("\(group)/acls/\(acl)/\(lun)")
                    try remove("\(group)/acls/\(acl)/\(lun)")
                }
                try remove("\(group)/acls/\(acl)")
            }
            for lun in entries("\(group)/lun") {
                removeLinks("\(group)/lun/\(lun)")
                try remove("\(group)/lun/\(lun)")
            }
            for portal in entries("\(group)/np") { try remove("\(group)/np/\(portal)") }
            try remove(group)
            try remove("\(iscsi)/\(name)")
        }
        for adapter in entries("\(Self.root)/core") {
            for object in entries("\(Self.root)/core/\(adapter)") where object.hasPrefix("tuff-") {
                try remove("\(Self.root)/core/\(adapter)/\(object)")
            }
        }
    }

    func entries(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    func removeLinks(_ path: String) {
        for name in entries(path) { unlink("\(path)/\(name)") }
    }

    func remove(_ path: String) throws {
        guard rmdir(path) == 0 else { throw HostError(.failed, "rmdir \(path)") }
    }

    func write(_ text: String, _ path: String) throws {
        let descriptor = open(path, O_WRONLY)
        try #require(descriptor >= 0, "\(path)")
        defer { close(descriptor) }
        #expect(text.withCString { Glibc.write(descriptor, $0, strlen($0)) } > 0, "\(path)")
    }

    static let web1 = "iqn.2004-10.com.example:web1"

    @Test func aDeclaredDiskIsServedGrownAndRepairedWhereverItIsBroken() async throws {
        try await withGroup("thread", on: [Lab.disks[1]]) {
            var text = document("Pool", "fast", "lvm: {volumeGroup: thread, thinPool: pool}, overprovision: 4")
            text += document("Volume", "db", "size: 64Mi, pool: fast")
            text += document("Attachment", "db-web", "volume: db, iscsi: {initiator: \"\(Self.web1)\"}")
            var desired = try desired(text)
            let first = try await apply(desired)
            #expect(first.outcome == .converged, "\(first.changes)")
            #expect(first.remaining.isEmpty)

            let uid = try #require(first.plan.changes.first { $0.resource.kind == .volume }?.uid)
            let url = "iscsi://127.0.0.1:3262/\(config.iqnBase):db/0"
            let inquiry = try await machine.read(
                Command("iscsi-inq", ["-i", Self.web1, "-e", "1", "-c", "128", url], effect: .reads))
            #expect(String(decoding: inquiry.standardOutput, as: UTF8.self).contains(uid.serial))
            let stranger = try await machine.read(
                Command("iscsi-inq", ["-i", "iqn.2004-10.com.example:web2", url], effect: .reads))
            #expect(stranger.status != 0, "an initiator without a document could log in")

            desired.volumes["db"]!.spec.size = ByteCount(128 << 20)
            #expect(try await apply(desired).outcome == .converged)
            let capacity = try await machine.read(
                Command("iscsi-ls", ["-i", Self.web1, "-s", "iscsi://127.0.0.1:3262"], effect: .reads))
            #expect(String(decoding: capacity.standardOutput, as: UTF8.self).contains("Size:127M"))

            let group = target("db")
            let breakages: [(String, () throws -> Void)] = [
                ("demo mode", { try write("1", "\(group)/attrib/generate_node_acls") }),
                ("authentication", { try write("1", "\(group)/attrib/authentication") }),
                ("enable", { try write("0", "\(group)/enable") }),
                ("portal", { try remove("\(group)/np/127.0.0.1:3262") }),
                ("read-only", { try write("1", "\(group)/acls/\(Self.web1)/lun_0/write_protect") }),
                (
                    "mapping",
                    {
                        removeLinks("\(group)/acls/\(Self.web1)/lun_0")
                        try remove("\(group)/acls/\(Self.web1)/lun_0")
                    }
                ),
                ("everything", { try removeTargets() }),
            ]
            for (what, breakage) in breakages {
                try breakage()
                #expect(try await !plan(desired).isEmpty, "\(what): not noticed")
                let report = try await apply(desired)
                #expect(report.outcome == .converged && report.remaining.isEmpty, "\(what): \(report.changes)")
                let again = try await machine.read(
                    Command("iscsi-inq", ["-i", Self.web1, "-e", "1", "-c", "128", url], effect: .reads))
                #expect(
                    String(decoding: again.standardOutput, as: UTF8.self).contains(uid.serial),
                    "\(what): not the same disk")
            }
        }
    }

    /// Somebody renames volumes between the plan and its carrying out: what has the name then is not handed out.
    @Test func anotherVolumeOfTheNameIsNotHandedOut() async throws {
        try await withGroup("swap", on: [Lab.disks[1]]) {
            var text = document("Pool", "fast", "lvm: {volumeGroup: swap, thinPool: pool}, overprovision: 4")
            for name in ["a", "b"] { text += document("Volume", name, "size: 64Mi, pool: fast") }
            #expect(try await apply(try desired(text)).outcome == .converged)
            try await machine.perform([.run(Lab.lvm(["lvchange", "-qq", "-ay", "-K", "swap/v-a", "swap/v-b"]))])
            text += document("Attachment", "a-web", "volume: a, iscsi: {initiator: \"\(Self.web1)\"}")
            let desired = try desired(text)
            let (plan, observed) = try await look(desired)
            try await machine.perform([
                .run(Lab.lvm(["lvrename", "-qq", "swap", "v-a", "v-x"])),
                .run(Lab.lvm(["lvrename", "-qq", "swap", "v-b", "v-a"])),
            ])
            let report = try await reconciler.apply(plan, desired: desired, observed: observed)
            let change = report.changes.first { $0.resource.name == "a-web" }
            #expect(change?.verdict == .failed && change?.error?.code == .preconditionFailed, "\(report.changes)")
            let uid = try #require(plan.changes.first { $0.resource.name == "a-web" }?.uid)
            let place = LIOPath.adapter(uid, isBlockDevice: true)
            #expect(entries("\(Self.root)/core/\(place)").isEmpty, "something was made")
            // The next pass finds it by its uid, under the name it has now.
            #expect(try await apply(desired).outcome == .converged)
            let info = try String(contentsOfFile: "\(Self.root)/core/\(place)/tuff-\(uid)/info", encoding: .utf8)
            #expect(info.contains("/dev/swap/v-x"))
        }
    }

    @Test func aSuspendedDeviceHoldsUpItsOwnVolumeOnly() async throws {
        try await withGroup("held", on: [Lab.disks[1]]) {
            var text = document("Pool", "fast", "lvm: {volumeGroup: held, thinPool: pool}, overprovision: 4")
            for name in ["a", "b"] {
                text += document("Volume", name, "size: 64Mi, pool: fast")
                text += document("Attachment", "\(name)-web", "volume: \(name), iscsi: {initiator: \"\(Self.web1)\"}")
            }
            let desired = try desired(text)
            #expect(try await apply(desired).outcome == .converged)
            try await machine.perform([.run(Command("dmsetup", ["suspend", "held-v--a"], effect: .mutates))])
            try write("0", "\(target("b"))/enable")
            let report = try await apply(desired)
            let verdicts = Dictionary(uniqueKeysWithValues: report.changes.map { ($0.resource.name, $0) })
            #expect(verdicts["a-web"]?.verdict == .blocked)
            #expect(report.plan.changes.first { $0.resource.name == "a-web" }?.reason == .suspended)
            #expect(verdicts["b-web"]?.verdict == .done)
            #expect(report.outcome == .partly)
            try await machine.perform([.run(Command("dmsetup", ["resume", "held-v--a"], effect: .mutates))])
            #expect(try await apply(desired).outcome == .converged)
        }
    }

    @Test func aGroupThatMissesADiskStallsAndTheRestConverges() async throws {
        try await withGroup("whole", on: [Lab.disks[1]]) {
            try await machine.perform([
                .run(Lab.lvm(["vgcreate", "-qq", "--yes", "broken", Lab.disks[2], Lab.disks[3]])),
                .run(
                    Lab.lvm(["lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "512m", "-n", "pool", "broken"])),
                .run(Lab.lvm(["vgchange", "-qq", "-an", "broken"])),
            ])
            // The last disk disappears from LVM's sight. /etc/lvm is the guest's own.
            let path = "/etc/lvm/lvm.conf"
            let before = try String(contentsOfFile: path, encoding: .utf8)
            try before.replacing("devices {", with: "devices { filter = [ \"r|\(Lab.disks[3])|\", \"a|.*|\" ] ")
                .write(toFile: path, atomically: false, encoding: .utf8)
            var text = document("Pool", "good", "lvm: {volumeGroup: whole, thinPool: pool}, overprovision: 4")
            text += document("Pool", "bad", "lvm: {volumeGroup: broken, thinPool: pool}, overprovision: 4")
            text += document("Pool", "gone", "lvm: {volumeGroup: nowhere, thinPool: pool}")
            for pool in ["good", "bad", "gone"] {
                text += document("Volume", "in-\(pool)", "size: 64Mi, pool: \(pool)")
            }
            let report = try await apply(try desired(text))
            try before.write(toFile: path, atomically: false, encoding: .utf8)
            let reasons = Dictionary(uniqueKeysWithValues: report.plan.changes.map { ($0.resource.name, $0.reason) })
            #expect(reasons["in-bad"] == .poolUnhealthy)
            #expect(reasons["in-gone"] == .poolMissing)
            #expect(report.changes.first { $0.resource.name == "in-good" }?.verdict == .done)
            #expect(report.outcome == .partly)
            try await machine.perform([
                .run(Lab.lvm(["vgremove", "-qq", "--yes", "--force", "broken"])),
                .run(Lab.lvm(["pvremove", "-qq", "--yes", Lab.disks[2], Lab.disks[3]])),
            ])
        }
    }
}
