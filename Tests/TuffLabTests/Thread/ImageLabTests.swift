import Crypto
import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile
import TuffTestSupport

/// Volumes from disk images, looked at with the tools of a person who is to boot from them.
extension ThreadLabTests {
    private static let folder = "/run/images"
    private static let motto = "read from a volume that was made from an image\n"

    private func run(_ tool: String, _ arguments: String...) async throws {
        try await machine.perform([.run(Command(tool, arguments, effect: .mutates))])
    }

    private func output(_ tool: String, _ arguments: String...) async throws -> String {
        let output = try await machine.read(Command(tool, arguments, effect: .reads))
        return String(decoding: output.standardOutput, as: UTF8.self)
    }

    /// A disk of 24 MiB with one partition, an ext4 file system with one file: raw, and compressed as qcow2.
    /// - Returns: the SHA-256 of the raw one.
    private func makeImages() async throws -> String {
        let files = FileManager.default, raw = "\(Self.folder)/disk.raw"
        try files.createDirectory(atPath: "\(Self.folder)/files/etc", withIntermediateDirectories: true)
        try Data(Self.motto.utf8).write(to: URL(filePath: "\(Self.folder)/files/etc/motto"))
        // Partition 1, type Linux, from sector 2048 on, 45056 sectors (22 MiB).
        var sector = [UInt8](repeating: 0, count: 512)
        sector.replaceSubrange(446..<462, with: [0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0xb0, 0, 0])
        sector.replaceSubrange(510..<512, with: [0x55, 0xaa])
        try Data(sector).write(to: URL(filePath: raw))
        try #require(truncate(raw, 24 << 20) == 0)
        try await run(
            "mkfs.ext4", "-q", "-F", "-E", "offset=1048576", "-d", "\(Self.folder)/files", raw, "22m")
        try await run(
            "qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, "\(Self.folder)/disk.qcow2")
        let digest = SHA256.hash(data: try Data(contentsOf: URL(filePath: raw)))
        return Hex.text(digest)
    }

    /// The partition table and the file, as they are on a device or in a file.
    private func inspect(_ path: String) async throws {
        #expect(try await output("partx", "-g", "-r", "-o", "NR,START,SECTORS,TYPE", path) == "1 2048 45056 0x83\n")
        try await run("mkdir", "-p", "/run/inside")
        try await run("mount", "-t", "ext4", "-o", "ro,loop,offset=1048576,sizelimit=23068672", path, "/run/inside")
        let found = try? String(contentsOfFile: "/run/inside/etc/motto", encoding: .utf8)
        try await run("umount", "/run/inside")
        #expect(found == Self.motto)
    }

    @Test func aVolumeFromAnImageHasItsPartitionsAndItsFiles() async throws {
        try await run("modprobe", "loop")
        let digest = try await makeImages()
        defer { try? FileManager.default.removeItem(atPath: Self.folder) }
        try FileManager.default.createDirectory(atPath: "/run/imagepool", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: "/run/imagepool") }
        try await withUsedExtents("images") {
            let pools =
                document("Pool", "fast", "lvm: {volumeGroup: images, thinPool: pool}, overprovision: 4")
                + document("Pool", "slow", "lvm: {volumeGroup: images}")
                + document("Pool", "dir", "directory: {path: /run/imagepool}")
            func from(_ name: String, _ pool: String, _ file: String, _ format: String, _ more: String = "") -> String {
                document(
                    "Volume", name,
                    "size: 40Mi, pool: \(pool), "
                        + "source: {image: {path: \(Self.folder)/\(file), format: \(format)\(more)}}"
                )
            }
            let wrong = ", sha256: \"\(String(repeating: "0", count: 64))\""
            let others =
                pools + from("root", "fast", "disk.qcow2", "qcow2") + from("file", "dir", "disk.qcow2", "qcow2")

            // The thick one's plan dies before a byte is copied; then somebody declares another digest.
            let set = try desired(others + from("data", "slow", "disk.raw", "raw", ", sha256: \"\(digest)\""))
            let steps = try await plan(set).storageSteps.filter { $0.location?.objectName == "v-data" }
            try await machine.perform(reconciler.volumeGroups.lower(Array(steps.prefix(2))).flatMap(\.actions))
            let refused = try await apply(try desired(others + from("data", "slow", "disk.raw", "raw", wrong)))
            let error = refused.changes.first { $0.resource.name == "data" }?.error?.description
            #expect(error?.contains(digest) == true, "\(refused.changes)")
            let seen = try await reconciler.observe(set, context: context())
            let data = seen.volumeGroups["images"].value??.logicalVolumes.first { $0.name == "v-data" }
            #expect(data?.tags.contains("tuff:op=copy") == true)

            let finished = try await apply(set)
            #expect(finished.outcome == .converged, "\(finished.changes)")
            #expect(try await plan(set).isEmpty)
            for name in ["root", "data"] {
                try await run("lvm", "lvchange", "-qq", "-ay", "images/v-\(name)")
                try await inspect("/dev/images/v-\(name)")
                // Behind the image, on extents that held other bytes.
                #expect(try bytes("/dev/images/v-\(name)", from: 24 << 20, count: 16 << 20) == [0])
            }
            try await inspect("/run/imagepool/v-file")

            // The images may go; who attaches the volume has the disk.
            try FileManager.default.removeItem(atPath: Self.folder)
            let attached = document("Attachment", "web", "volume: root, iscsi: {initiator: \"\(Self.web1)\"}")
            let report = try await apply(
                try desired(others + from("data", "slow", "disk.raw", "raw") + attached))
            #expect(report.outcome == .converged, "\(report.changes)")
        }
    }
}
