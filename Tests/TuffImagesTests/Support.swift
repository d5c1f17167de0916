import FoundationEssentials
import Glibc
import Testing
import TuffHost
import TuffImages
import TuffModel
import TuffTestSupport

/// An image in memory that notices every wish for bytes it does not have.
final class MemoryFile: ImageFile {
    let bytes: [UInt8]
    private(set) var strayed = false
    private(set) var taken = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var length: UInt64 { UInt64(bytes.count) }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        guard offset <= length, UInt64(buffer.count) <= length - offset else {
            strayed = true
            throw ImageError(.unreadable, "\(buffer.count) bytes at \(offset) of \(length)")
        }
        taken += buffer.count
        bytes.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + buffer.count]))
        }
    }
}

extension DiskImage {
    /// The disk's bytes from `offset` on.
    mutating func bytes(at offset: UInt64, _ count: Int) throws -> [UInt8] {
        var result = [UInt8](repeating: 0xa5, count: count)
        var failure: ImageError?
        result.withUnsafeMutableBytes { buffer in
            do throws(ImageError) { try read(at: offset, into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        return result
    }
}

/// True if these are the bytes from `offset` on; element by element takes minutes in a debug build.
func isEqual(_ bytes: [UInt8], _ all: [UInt8], at offset: Int) -> Bool {
    bytes.withUnsafeBytes { bytes in
        all.withUnsafeBytes { memcmp(bytes.baseAddress!, $0.baseAddress! + offset, bytes.count) == 0 }
    }
}

/// A folder of one test with QEMU's own tools in it.
final class Workshop {
    static let isEquipped = ["qemu-img", "qemu-io"].allSatisfy { access("/usr/bin/\($0)", X_OK) == 0 }

    let folder: String
    private let machine = LinuxMachine(
        configuration: LinuxMachine.Configuration(workerCommand: [], reach: Reach(everythingBeneath: [])))

    init() throws {
        var template = Array("/tmp/tuff-images-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func run(_ tool: String, _ arguments: [String]) async throws {
        try await machine.perform([.run(Command(tool, arguments, effect: .mutates))])
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path(name))))
    }

    func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: URL(filePath: path(name)))
    }

    /// The bytes that `qemu-img` reads out of an image.
    func judged(_ name: String) async throws -> [UInt8] {
        try await run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path(name), path("judged.raw")])
        return try read("judged.raw")
    }
}

/// Zeros, text and noise in runs of any length, as disks have.
func diskBytes(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var position = 0
    while position < count {
        let end = min(count, position + Int.random(in: 1...200_000, using: &generator))
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: break
        case 1:
            let byte = UInt8.random(in: 1...255, using: &generator)
            for index in position..<end { bytes[index] = index % 7 == 0 ? byte : UInt8(truncatingIfNeeded: index >> 6) }
        default:
            for index in position..<end { bytes[index] = UInt8(truncatingIfNeeded: generator.next()) }
        }
        position = end
    }
    return bytes
}
