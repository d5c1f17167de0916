import FoundationEssentials
import Testing
import TuffDrivers
import TuffModel
import TuffReconcile
import TuffTestSupport

@testable import TuffHost

/// `tuff forget` through the built program, of a logical volume that is there and shorter than it was.
@Suite struct ForgetCommandTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    @Test func whatTheLineOfACutVolumeSaysToTypeWorks() async throws {
        var world = FakeWorld()
        try world.lvm.create("v-db", in: "vg0", pool: "tp0", size: ByteCount(1 << 30), tags: Sample.marks().tags)
        let output = try await FakeMachine(world).read(LVMDriver.report(of: nil))
        try folder.write("report", String(decoding: output.standardOutput, as: UTF8.self))
        try folder.write(
            "tools/lvm",
            """
            #!/bin/sh
            case "$1" in
            fullreport) exec /bin/cat \(folder.path)/report ;;
            *) exit 5 ;;
            esac

            """, mode: 0o755)
        try folder.write(
            "volumes.yaml",
            """
            apiVersion: tuff.dev/v1
            kind: Pool
            metadata: {name: fast}
            spec: {lvm: {volumeGroup: vg0, thinPool: tp0}}
            ---
            apiVersion: tuff.dev/v1
            kind: Volume
            metadata: {name: db}
            spec: {size: 1Gi, pool: fast}

            """)
        let store = LedgerFile(directory: "\(folder.path)/run/state"), resource = ResourceID(.volume, "db")
        var ledger = Ledger()
        ledger.record(
            Ledger.Entry(
                stack: "default", resource: resource, uid: Sample.uid, place: "vg0/v-db",
                seen: Instant(secondsSince1970: 1), size: ByteCount(2 << 30)))
        try store.save(ledger)
        let cut = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host)
        #expect(cut.out.contains("Truncated") && cut.out.contains("tuff forget Volume/db"), "\(cut)")
        let forgotten = try folder.run(["forget", "Volume/db"] + folder.host)
        #expect(forgotten.code == 0 && forgotten.out.contains("Volume/db has 1 GiB"), "\(forgotten)")
        #expect(try store.load().entry(resource, stack: "default")?.size == ByteCount(1 << 30))
        let well = try folder.run(["plan", "-f", "volumes.yaml"] + folder.host)
        #expect(!well.out.contains("Truncated") && well.code == 0, "\(well)")
        // Now it is as large as anybody remembers, and not lost.
        let again = try folder.run(["forget", "Volume/db"] + folder.host)
        #expect(again.code == 1 && again.err.contains("is not lost"), "\(again)")
    }
}
