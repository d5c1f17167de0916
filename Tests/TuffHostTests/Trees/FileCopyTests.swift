import FoundationEssentials
import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

@Suite("File copies") struct FileCopyTests {
    let folder: Folder
    let machine: LinuxMachine
    let roots: OpenRoots

    init() throws {
        folder = try Folder()
        folder.directory("pool")
        machine = folder.machine()
        roots = OpenRoots(HostRoots(target: folder.path, reach: Reach(everythingBeneath: [folder.path])))
    }

    private func place(_ name: String) -> HostPath { HostPath(.directory(folder.at("pool")), name) }

    private func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: folder.at("pool/\(name)"))))
    }

    private func copy() async -> HostError? {
        await failure { () throws(HostError) in
            try await machine.perform([.copyBytes(from: .file(place("a")), to: .file(place("b")))])
        }
    }

    @Test("All bytes are copied, zeros follow, holes stay holes, and again changes nothing")
    func copies() async throws {
        let size = 9 << 20
        var content = [UInt8](repeating: 0, count: 5 << 20)
        content.replaceSubrange(4_000_000..<4_100_000, with: (0..<100_000).map { UInt8(truncatingIfNeeded: $0 % 251) })
        try folder.write("pool/a", [])
        truncate(folder.at("pool/a"), content.count)
        let source = open(folder.at("pool/a"), O_WRONLY)
        content[4_000_000..<4_100_000].withUnsafeBytes { _ = pwrite(source, $0.baseAddress, 100_000, 4_000_000) }
        close(source)
        try folder.write("pool/b", [UInt8](repeating: 7, count: 1000), mode: 0o600)
        truncate(folder.at("pool/b"), size)
        #expect(await copy() == nil)
        let expected = content + [UInt8](repeating: 0, count: size - content.count)
        #expect(try bytes("b") == expected)
        var status = stat()
        #expect(stat(folder.at("pool/b"), &status) == 0 && status.st_blocks * 512 < 1 << 20)
        #expect(await copy() == nil)
        #expect(try bytes("b") == expected)
    }

    @Test("What is written to while it is copied is no source")
    func changes() throws {
        try folder.write("pool/a", [UInt8](repeating: 1, count: 3 << 20))
        try folder.write("pool/b", [UInt8](repeating: 0, count: 3 << 20))
        var isWritten = false
        let error = #expect(throws: HostError.self) {
            try DeviceBytes(place("b"), in: roots).copy(from: DeviceBytes(place("a"), in: roots, writable: false)) {
                if !isWritten {
                    isWritten = true
                    let file = open(folder.at("pool/a"), O_WRONLY)
                    _ = pwrite(file, "x", 1, 0)
                    close(file)
                }
                return true
            }
        }
        #expect(error?.code == .preconditionFailed && error?.sentence.contains("written to") == true)
    }

    @Test("A file that somebody has open is not written")
    func opened() async throws {
        try folder.write("pool/a", [1])
        try folder.write("pool/b", [0, 0])
        let holder = open(folder.at("pool/b"), O_RDWR | O_CLOEXEC)
        let error = await copy()
        #expect(error?.code == .preconditionFailed && error?.sentence.contains("in use") == true)
        close(holder)
        // Children that other tests start have it open until they become another program.
        for _ in 0..<100 where await copy() != nil { usleep(50_000) }
        #expect(try bytes("b") == [1, 0])
    }

    @Test("A larger source, and what is no plain file, is refused")
    func refusals() async throws {
        try folder.write("pool/a", [1, 2, 3])
        try folder.write("pool/b", [0, 0])
        #expect(await copy()?.code == .preconditionFailed)
        mkfifo(folder.at("pool/c"), 0o600)
        let error = await failure { () throws(HostError) in
            try await machine.perform([.copyBytes(from: .file(place("c")), to: .file(place("b")))])
        }
        #expect(error?.code == .preconditionFailed)
        #expect(try bytes("b") == [0, 0])
    }

    @Test("Where blocks are not shared, a clone is refused, and nobody takes what is left for anything")
    func clones() async throws {
        try folder.write("pool/a", [UInt8](repeating: 1, count: 8192))
        let error = await failure { () throws(HostError) in
            try await machine.perform([.cloneFile(place("a"), to: place("b"))])
        }
        let shares = try await machine.space(of: folder.at("pool")).sharesBlocks
        if shares == true {
            #expect(error == nil)
            #expect(try bytes("b") == bytes("a"))
        } else if error != nil {
            #expect(try bytes("b").isEmpty)
        }
        #expect(try bytes("a").count == 8192)
    }
}
