import Crypto
import FoundationEssentials
import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

@Suite("Images") struct ImageTests {
    let folder: Folder
    let machine: LinuxMachine
    let content: [UInt8]

    init() throws {
        folder = try Folder()
        folder.directory("pool")
        folder.directory("images")
        machine = folder.machine()
        content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
        try folder.write("images/disk.raw", content)
    }

    private func raw(_ name: String = "images/disk.raw", sha256: String? = nil) -> ImageSource {
        var source = ImageSource(path: folder.at(name), format: .raw)
        source.sha256 = sha256
        return source
    }

    private var target: HostPath { HostPath(.directory(folder.at("pool")), "v-a") }

    private func fill(from source: ImageSource) async -> HostError? {
        await failure { () throws(HostError) in
            try await machine.perform([.copyImage(source, to: .file(target))])
        }
    }

    private func make(_ size: Int64) async throws {
        try await machine.perform([.createFile(target, size: ByteCount(size))])
    }

    private func bytes() throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: folder.at("pool/v-a")))) }

    @Test("What its header says is told, and what is wrong with it in a sentence")
    func look() async throws {
        #expect(try await machine.image(raw()) == .usable(size: ByteCount(200_000), content: ByteCount(200_000)))
        let wrong = ImageSource(path: folder.at("images/disk.raw"), format: .qcow2)
        #expect(try await machine.image(wrong) == .unusable("does not begin as qcow2 does"))
        try folder.write("images/q", [0x51, 0x46, 0x49, 0xfb] + content)
        guard case .unusable(let sentence) = try await machine.image(raw("images/q")) else {
            Issue.record("qcow2 passes for raw")
            return
        }
        #expect(sentence.contains("declared raw"))
    }

    @Test("Of a raw image the blocks that are no holes are what is written")
    func holes() async throws {
        let path = folder.at("images/sparse.raw")
        let file = open(path, O_WRONLY | O_CREAT, 0o600)
        ftruncate(file, 64 << 20)
        #expect(try await machine.image(raw("images/sparse.raw")) == .usable(size: ByteCount(64 << 20), content: .zero))
        // Two pieces in one block, and one that crosses from a block into the next.
        for offset in [3 << 20, 3 << 20 + 32 << 10, 9 << 20 - 8] {
            _ = content.withUnsafeBytes { pwrite(file, $0.baseAddress, 16, off_t(offset)) }
        }
        close(file)
        #expect(
            try await machine.image(raw("images/sparse.raw"))
                == .usable(size: ByteCount(64 << 20), content: ByteCount(3 << 16)))
    }

    @Test("Only plain files beneath the allowed roots are opened, without following links")
    func refusals() async throws {
        symlink(folder.at("images/disk.raw"), folder.at("images/link"))
        symlink(folder.at("images"), folder.at("elsewhere"))
        mkfifo(folder.at("images/pipe"), 0o600)
        func code(_ path: String) async -> HostError.Code? {
            let source = ImageSource(path: path, format: .raw)
            return await failure { () throws(HostError) in _ = try await machine.image(source) }?.code
        }
        for name in ["images/link", "elsewhere/disk.raw", "images/pipe", "images"] {
            #expect(await code(folder.at(name)) == .refused, "\(name)")
        }
        #expect(await code("/etc/passwd") == .refused)
        #expect(await code(folder.at("images/../images/disk.raw")) == .refused)
        #expect(await code(folder.at("images/none")) == .notFound)
        try await make(1 << 20)
        #expect(await fill(from: ImageSource(path: "/etc/passwd", format: .raw))?.code == .refused)
        #expect(folder.status("pool/v-a")?.st_blocks == 0)
    }

    @Test("A file holds its image and zeros after it; what is there already is overwritten, holes stay holes")
    func filling() async throws {
        try await make(8 << 20)
        #expect(await fill(from: raw()) == nil)
        #expect(try bytes() == content + [UInt8](repeating: 0, count: 8 << 20 - content.count))
        #expect((folder.status("pool/v-a")?.st_blocks ?? 0) * 512 < 512 << 10)

        // An interrupted filling from another image left its bytes.
        let descriptor = open(folder.at("pool/v-a"), O_WRONLY)
        try #require(pwrite(descriptor, [9, 9, 9], 3, 4 << 20) == 3)
        close(descriptor)
        let other = content.map { $0 ^ 1 }
        try folder.write("images/other.raw", Array(other.prefix(100_000)))
        #expect(await fill(from: raw("images/other.raw")) == nil)
        #expect(try bytes() == other.prefix(100_000) + [UInt8](repeating: 0, count: 8 << 20 - 100_000))
    }

    @Test("Nothing is written of an image that has another digest, or is too large")
    func digest() async throws {
        try await make(1 << 20)
        let right = SHA256.hash(data: content).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let wrong = String(repeating: "0", count: 64)
        let error = try #require(await fill(from: raw(sha256: wrong)))
        #expect(error.description.contains(wrong) && error.description.contains(right))
        #expect(folder.status("pool/v-a")?.st_blocks == 0)
        #expect(await fill(from: raw(sha256: right)) == nil)
        #expect(try bytes().prefix(content.count).elementsEqual(content))
        truncate(folder.at("images/disk.raw"), 2 << 20)
        #expect(await fill(from: raw())?.code == .preconditionFailed)
    }

    @Test("An image that is written to while it is copied is noticed")
    func changes() throws {
        let roots = HostRoots(target: "/", reach: Reach(everythingBeneath: [folder.path]))
        let opened = try OpenedImage(raw(), in: roots)
        try opened.requireUnchanged()
        let descriptor = open(folder.at("images/disk.raw"), O_WRONLY)
        try #require(pwrite(descriptor, [1], 1, 77) == 1)
        close(descriptor)
        // Times of files step with the kernel's tick.
        usleep(20_000)
        truncate(folder.at("images/disk.raw"), off_t(content.count))
        #expect(throws: HostError.self) { try opened.requireUnchanged() }
    }

    @Test("A controller that ends ends the copy")
    func abandoned() async throws {
        try await make(8 << 20)
        let roots = OpenRoots(HostRoots(target: "/", reach: Reach(everythingBeneath: [folder.path])))
        #expect(throws: HostError.self) {
            try DeviceBytes(target, in: roots).copy(raw(), in: roots.roots) { false }
        }
        #expect(folder.status("pool/v-a")?.st_blocks == 0)
    }
}
