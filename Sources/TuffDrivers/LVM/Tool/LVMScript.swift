import FoundationEssentials
import TuffHost
import TuffModel

/// Makes many volumes with one process of LVM.
///
/// Each command of its own costs a start of `lvm`, a search of all devices and two copies of the group's metadata in
/// files, most of the time of a small change. lvm(8) carries out the lines of a file that it is named instead of a
/// command, ends at the first that fails, and with its status. Its standard input stays the host lock, as for every
/// child that changes something. Copies in /etc/lvm are made once before and once after, not for every volume between.
struct LVMScript {
    /// lvm(8) refuses longer lines (`CMD_LEN` in tools/lvmcmdline.c, LVM 2.03.16, without the newline and the zero).
    static let lineLimit = 254

    let commands: CommandRunner
    let host: LVMHost
    /// Nil: nothing is written down.
    let stateDirectory: String?

    /// An outcome for each, in order. After one that failed none is begun, and whoever asked may ask again for the
    /// rest.
    func run(_ creations: [VolumeCreation]) async -> [SequenceOutcome] {
        var outcomes = [SequenceOutcome](repeating: .notBegun, count: creations.count)
        let short = host.hasPlainFiles ? creations.indices.filter { creations[$0].line != nil } : []
        // What does not fit into a line has a process of its own, and so has what would be alone in a script, or would
        // need settings (`LVMSettings`).
        for index in creations.indices where short.count < 2 || !short.contains(index) {
            do throws(HostError) {
                try await commands.demand(creations[index].command)
                outcomes[index] = .performed
            } catch {
                outcomes[index] = .failed(error)
                return outcomes
            }
        }
        guard short.count > 1 else { return outcomes }
        let group = creations[0].group
        do throws(HostError) {
            try owe(group)
            try await commands.demand(Self.backup(group))
        } catch {
            for index in short { outcomes[index] = .failed(error) }
            return outcomes
        }
        for (index, outcome) in zip(short, await runScript(short.map { creations[$0] })) { outcomes[index] = outcome }
        // What is left owed here is made up for by the next pass.
        if (try? await commands.demand(Self.backup(group))) != nil { paid(group) }
        return outcomes
    }

    /// Copies the metadata of groups whose volumes were made by a process that died before it came to that.
    func settle() async {
        guard let stateDirectory, let names = try? FileManager.default.contentsOfDirectory(atPath: stateDirectory)
        else {
            return
        }
        for name in names.sorted() where name.hasPrefix(Self.prefix) {
            let group = String(name.dropFirst(Self.prefix.count))
            guard group.utf8.allSatisfy(Self.isNameCharacter), !group.hasPrefix("-") else { continue }
            if (try? await commands.demand(Self.backup(group))) != nil { paid(group) }
        }
    }

    private func runScript(_ creations: [VolumeCreation]) async -> [SequenceOutcome] {
        let text = (["#!/sbin/lvm"] + creations.compactMap(\.line)).joined(separator: "\n") + "\n"
        do throws(HostError) {
            let script = try MemoryFile(text, name: "lvm-script", what: "the commands for LVM")
            try await commands.demand(
                Command("lvm", [script.path], effect: .mutates, deadline: creations[0].command.deadline))
            // Open until here: LVM opens it through this process.
            _ = consume script
            return creations.map { _ in .performed }
        } catch  where error.code == .timeout {
            return creations.map { _ in .failed(error) }
        } catch {
            return await outcomes(of: creations, after: error)
        }
    }

    /// LVM does not say which line failed; what is there was made, and the first that is not is the one.
    private func outcomes(of creations: [VolumeCreation], after error: HostError) async -> [SequenceOutcome] {
        let group = creations[0].group
        let query = LVMQuery(.lvs, [.volumeTags], of: ["--", group], outputLimit: 64 << 20)
        guard let rows = try? await query.rows(by: commands) else { return creations.map { _ in .failed(error) } }
        let tags = Set(rows.flatMap { $0.tags() })
        var blamed = false
        return creations.map { creation in
            if tags.contains("tuff:uid=\(creation.uid)") { return .performed }
            defer { blamed = true }
            guard !blamed else { return .notBegun }
            var own = error
            own.subject = creation.command.description
            return .failed(own)
        }
    }

    /// vgcfgbackup(8): the copy in /etc/lvm/backup that LVM itself makes after every change.
    private static func backup(_ group: String) -> Command {
        Command("lvm", ["vgcfgbackup", "-qq", "--", group], effect: .mutates, deadline: 600)
    }

    // MARK: What is owed

    private static let prefix = "metadata-backup-owed."

    /// lvm(8), VALID NAMES.
    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "+_.-".utf8.contains(byte)
        }
    }

    private func owe(_ group: String) throws(HostError) { try note(of: group)?.write([]) }

    /// A note that cannot be removed stays, and its backup is made once more.
    private func paid(_ group: String) { try? note(of: group)?.remove() }

    private func note(of group: String) -> StateFile? {
        stateDirectory.map { StateFile("\($0)/\(Self.prefix)\(group)", what: "note of an owed backup") }
    }
}

extension VolumeCreation {
    /// The command as a line of a script, without copies of the metadata. Nil where LVM would refuse or misread it.
    var line: String? {
        var words = command.arguments.filter { $0 != "--" }
        guard words.first == "lvcreate" else { return nil }
        words = words.map { Self.short[$0] ?? $0 }
        words.insert("-An", at: 1)
        let isPlain = words.allSatisfy { word in
            !word.isEmpty && word.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"\"'\\#".utf8.contains($0) }
        }
        let text = words.joined(separator: " ")
        return isPlain && text.utf8.count <= LVMScript.lineLimit ? text : nil
    }

    /// lvcreate(8): the short names, which leave more of a line to the tags.
    private static let short = [
        "--yes": "-y", "--thin": "-T", "--virtualsize": "-V", "--name": "-n", "--activate": "-a",
        "--setactivationskip": "-k", "--wipesignatures": "-W", "--extents": "-l", "--zero": "-Z",
    ]
}
