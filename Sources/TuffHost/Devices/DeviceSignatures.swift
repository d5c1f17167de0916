import FoundationEssentials
import TuffModel

/// Signatures that libblkid finds on a device, asked of `wipefs --no-act`.
///
/// wipefs and not the library in our own process: it asks libblkid for everything at once (superblocks with broken
/// checksums, partition tables, a GPT without its protective table, several that contradict each other), which takes
/// care to do right; it is part of util-linux, which no Debian is without; and a process that waits for a dead disk can
/// be ended.
struct DeviceSignatures {
    let commands: CommandRunner

    private struct Report: Decodable {
        struct Row: Decodable {
            var offset: String
            var type: String
            var uuid: String?
        }
        var signatures: [Row]
    }

    static func command(_ path: String) -> Command {
        Command(
            "wipefs", ["--no-act", "--json", "--", path], effect: .reads, deadline: 20, outputLimit: 1 << 20)
    }

    func read(_ path: String) async throws(HostError) -> [DeviceSignature] {
        let command = Self.command(path)
        let output = try await commands.demand(command)
        guard let found = Self.decode(output.standardOutput) else {
            throw HostError(
                .malformed, "what wipefs says of \(path) cannot be read", subject: command.description)
        }
        return found
    }

    /// Nil for what is no report. No output at all is none: an empty list is written out.
    static func decode(_ bytes: [UInt8]) -> [DeviceSignature]? {
        guard let report = try? JSONDecoder().decode(Report.self, from: Data(bytes)) else { return nil }
        var result: [DeviceSignature] = []
        for row in report.signatures {
            guard row.offset.hasPrefix("0x"), let offset = Int64(row.offset.dropFirst(2), radix: 16) else { return nil }
            result.append(DeviceSignature(type: row.type, offset: offset, uuid: row.uuid))
        }
        return result
    }
}
