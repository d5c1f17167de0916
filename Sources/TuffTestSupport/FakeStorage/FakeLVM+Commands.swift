import TuffDrivers
import TuffHost
import TuffModel

/// The outcome of a command.
enum FakeResponse {
    case output(CommandOutput)
    /// It waits for something that does not come.
    case hangs
}

extension FakeLVM {
    /// Exit status of a command line LVM cannot parse, and of one it refuses.
    static let badArguments: Int32 = 3
    static let refused: Int32 = 5

    /// Runs `lvm ARGUMENTS`. A command line that nobody taught this fake ends the test process: guessing what LVM would
    /// do with it would let wrong command lines pass.
    mutating func run(
        _ arguments: [String], view: LVMView = .own, isOpen: (String, Volume) -> Bool
    ) -> FakeResponse {
        switch arguments.first {
        case "fullreport": return report(arguments, isOpen: isOpen)
        case "vgs":
            precondition(arguments == LVMDriver.list.arguments, "FakeLVM does not know: lvm \(arguments)")
            let text = nameReport(everything: view == .everything)
            return .output(CommandOutput(status: 0, standardOutput: Array(text.utf8)))
        case "lvs": return thinVolumes(arguments)
        case "systemid":
            return .output(CommandOutput(status: 0, standardOutput: Array("  system ID: \(systemID)\n".utf8)))
        case "lvmconfig" where arguments == LVMDriver.thresholdQuery(nil).arguments:
            let text = "thin_pool_autoextend_threshold=\(autoextendThreshold)\n"
            return .output(CommandOutput(status: 0, standardOutput: Array(text.utf8)))
        // Nothing else is set that the product asks for.
        case "lvmconfig": return .output(CommandOutput(status: Self.refused, standardOutput: []))
        case "lvcreate":
            return change(
                arguments,
                flags: ["-qq", "--yes", "--thin", "--snapshot", "-K"],
                valued: [
                    "--virtualsize", "--name", "--addtag", "--activate", "--setactivationskip", "--wipesignatures",
                    "--type", "--size", "--zero", "--config", "--chunksize", "--poolmetadatasize",
                    "--poolmetadataspare", "--discards", "--permission", "--metadataprofile", "--monitor",
                ]
            ) { lvm, options, positional throws(CommandRefusal) in try lvm.create(options, positional) }
        case "pvcreate":
            return change(arguments, flags: ["-qq", "--yes", "--norestorefile"], valued: ["--uuid", "--metadatasize"]) {
                lvm, options, positional throws(CommandRefusal) in try lvm.makePhysicalVolume(options, positional)
            }
        case "vgcreate":
            return change(arguments, flags: ["-qq", "--yes"], valued: ["--physicalextentsize", "--addtag"]) {
                lvm, options, positional throws(CommandRefusal) in try lvm.makeGroup(options, positional)
            }
        case "vgchange":
            return change(arguments, flags: ["-qq"], valued: ["--addtag", "--deltag"]) {
                lvm, options, positional throws(CommandRefusal) in try lvm.relabelGroup(options, positional)
            }
        case "lvextend":
            return change(arguments, flags: ["-qq"], valued: ["--size"]) {
                lvm, options, positional throws(CommandRefusal) in try lvm.extend(options, positional)
            }
        case "lvchange":
            return change(
                arguments, flags: ["-qq", "-K", "--detachprofile"],
                valued: [
                    "--activate", "-S", "--addtag", "--deltag", "--setactivationskip", "--metadataprofile", "--monitor",
                ]
            ) { lvm, options, positional throws(CommandRefusal) in
                if ["--metadataprofile", "--monitor", "--detachprofile"].contains(where: { options[$0] != nil }) {
                    return try lvm.watch(options, positional)
                }
                if options["--activate"] == ["y"] { return try lvm.activate(options, positional) }
                try lvm.relabel(options, positional, isOpen: isOpen)
            }
        case "lvrename":
            return change(arguments, flags: ["-qq"], valued: []) {
                lvm, _, positional throws(CommandRefusal) in try lvm.rename(positional)
            }
        case "lvremove":
            return change(arguments, flags: ["-qq", "--yes"], valued: ["-S", "--config"]) {
                lvm, options, positional throws(CommandRefusal) in try lvm.remove(options, positional, isOpen: isOpen)
            }
        default: preconditionFailure("FakeLVM does not know: lvm \(arguments)")
        }
    }

    struct CommandRefusal: Error {
        var status: Int32
        var sentence: String
    }

    typealias Options = [String: [String]]

    /// Parses as getopt_long does, and carries the command out.
    mutating func change(
        _ arguments: [String], flags: Set<String>, valued: Set<String>,
        _ body: (inout FakeLVM, Options, [String]) throws(CommandRefusal) -> Void
    ) -> FakeResponse {
        var options: Options = [:]
        var rest = arguments.dropFirst()
        while let word = rest.first, word != "--" {
            rest = rest.dropFirst()
            if flags.contains(word) {
                options[word] = []
            } else {
                precondition(valued.contains(word), "FakeLVM does not know \(word) in: lvm \(arguments)")
                options[word, default: []].append(rest.popFirst() ?? "")
            }
        }
        precondition(rest.first == "--", "operands must follow '--': lvm \(arguments)")
        let positional = Array(rest.dropFirst())
        if positional.contains(where: { self[Self.split($0).group]?.isLocked == true }) { return .hangs }
        do throws(CommandRefusal) {
            try body(&self, options, positional)
            return .output(CommandOutput(status: 0, standardOutput: []))
        } catch {
            return .output(CommandOutput(status: error.status, standardOutput: [], standardError: error.sentence))
        }
    }

    static func split(_ operand: String) -> (group: String, name: String) {
        let parts = operand.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
    }

    /// A group that may be changed.
    func writable(_ group: String) throws(CommandRefusal) -> Group {
        let found = groups.filter { $0.name == group }
        guard let first = found.first else {
            throw CommandRefusal(status: Self.refused, sentence: "Volume group \"\(group)\" not found")
        }
        guard found.count == 1 else {
            throw CommandRefusal(
                status: Self.refused, sentence: "Multiple VGs found with the same name: skipping \(group)")
        }
        guard ["", "none"].contains(first.lockType) else {
            throw CommandRefusal(
                status: Self.refused,
                sentence: "Cannot access VG \(group) with lock type \(first.lockType) that requires lvmlockd.")
        }
        guard first.systemID.isEmpty || first.systemID == systemID else {
            throw CommandRefusal(
                status: Self.refused,
                sentence: "Cannot access VG \(group) with system ID \(first.systemID) with local system ID \(systemID)."
            )
        }
        guard !first.exported else {
            throw CommandRefusal(status: Self.refused, sentence: "Volume group \(group) is exported")
        }
        return first
    }

    func complete(_ group: Group) throws(CommandRefusal) {
        guard group.missingDevices == 0 else {
            throw CommandRefusal(
                status: Self.refused, sentence: "Cannot change VG \(group.name) while PVs are missing.")
        }
    }

    /// `-V`, `-L`: a number of bytes that is a multiple of the sector.
    static func size(_ text: String) throws(CommandRefusal) -> ByteCount {
        guard text.hasSuffix("b"), let bytes = Int64(text.dropLast()), bytes > 0, bytes % 512 == 0 else {
            throw CommandRefusal(status: badArguments, sentence: "Size is not a multiple of 512.")
        }
        return ByteCount(bytes)
    }

    private mutating func create(_ options: Options, _ operands: [String]) throws(CommandRefusal) {
        let name = options["--name"]?.last ?? ""
        try Self.check(name: name, tags: options["--addtag"] ?? [])
        if options["--snapshot"] != nil { return try copy(name, options: options, operands: operands) }
        if options["--type"] == ["thin-pool"] { return try makeThinPool(name, options: options, operands: operands) }
        if options["--type"] == ["linear"] { return try createLinear(name, options: options, operands: operands) }
        precondition(
            options["--thin"] != nil && options["--activate"] == ["n"] && options["--wipesignatures"] == ["n"]
                && operands.count == 1, "FakeLVM only knows inactive thin volumes: \(options) \(operands)")
        let size = try Self.size(options["--virtualsize"]?.last ?? "")
        let (groupName, poolName) = Self.split(operands[0])
        let group = try writable(groupName)
        try complete(group)
        guard case .thinPool? = group.volumes[poolName]?.kind else {
            throw CommandRefusal(
                status: Self.refused, sentence: "Pool \(poolName) not found in Volume group \(groupName).")
        }
        try demandRoom(in: poolName, groupName)
        do {
            try add(name, to: groupName, size: size, kind: .thin(pool: poolName, origin: nil))
        } catch {
            throw CommandRefusal(status: Self.refused, sentence: error.sentence)
        }
        self[groupName, name]?.tags = options["--addtag"] ?? []
        self[groupName, name]?.skipsActivation = options["--setactivationskip"] == ["y"]
    }

    /// `pool_below_threshold` of LVM, whatever room the group has (measured).
    private func demandRoom(in pool: String, _ group: String) throws(CommandRefusal) {
        guard let found = self[group, pool],
            max(found.dataPercent, found.metadataPercent) > Double(autoextendThreshold)
        else { return }
        throw CommandRefusal(
            status: Self.refused,
            sentence: "Cannot create new thin volume, free space in thin pool \(group)/\(pool) reached threshold.")
    }

    /// Its extents hold what they held: it is neither zeroed nor looked at.
    private mutating func createLinear(
        _ name: String, options: Options, operands: [String]
    ) throws(CommandRefusal) {
        precondition(
            options["--activate"] == ["n"] && options["--zero"] == ["n"] && options["--wipesignatures"] == ["n"]
                && operands.count == 1, "FakeLVM only knows inactive linear volumes: \(options) \(operands)")
        let size = try Self.size(options["--size"]?.last ?? "")
        try complete(try writable(operands[0]))
        do {
            try add(name, to: operands[0], size: size, kind: .linear)
        } catch {
            throw CommandRefusal(status: Self.refused, sentence: error.sentence)
        }
        self[operands[0], name]?.tags = options["--addtag"] ?? []
        self[operands[0], name]?.skipsActivation = options["--setactivationskip"] == ["y"]
    }

    /// A thin snapshot: content and size of its origin at that moment, and none of its tags.
    private mutating func copy(_ name: String, options: Options, operands: [String]) throws(CommandRefusal) {
        precondition(
            options["--thin"] == nil && operands.count == 1
                && (options["--activate"] == ["n"] || options["--activate"] == ["y"] && options["-K"] != nil),
            "FakeLVM only knows snapshots of which it is said whether they are active: \(options) \(operands)")
        let (groupName, originName) = Self.split(operands[0])
        try complete(try writable(groupName))
        var room: ByteCount?
        if let text = options["--size"]?.last { room = try Self.size(text) }
        if room == nil, let pool = self[groupName, originName]?.pool { try demandRoom(in: pool, groupName) }
        do {
            if let room {
                try snapshot(name, of: originName, in: groupName, room: room)
            } else {
                try snapshot(name, of: originName, in: groupName)
            }
        } catch {
            throw CommandRefusal(status: Self.refused, sentence: error.sentence)
        }
        self[groupName, name]?.tags = options["--addtag"] ?? []
        self[groupName, name]?.skipsActivation = options["--setactivationskip"] != ["n"]
        self[groupName, name]?.isReadOnly = options["--permission"] == ["r"]
        if options["--activate"] == ["y"] { switchOn(name, in: groupName) }
    }

    /// Rules of lvm(8), VALID NAMES.
    static func check(name: String, tags: [String]) throws(CommandRefusal) {
        let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-")
        guard !name.isEmpty, !name.hasPrefix("-"), name.allSatisfy(letters.contains), name.utf8.count <= 127,
            !name.hasPrefix("snapshot"), !name.hasPrefix("pvmove"), name != ".", name != "..",
            !["_cdata", "_cmeta", "_corig", "_mlog", "_mimage", "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta"]
                .contains(where: name.contains)
        else { throw CommandRefusal(status: badArguments, sentence: "Logical volume name \"\(name)\" is invalid.") }
        let tagLetters = letters.union("/=!:#&")
        guard
            tags.allSatisfy({
                !$0.isEmpty && !$0.hasPrefix("-") && $0.utf8.count <= 1024
                    && $0.allSatisfy(tagLetters.contains)
            })
        else { throw CommandRefusal(status: badArguments, sentence: "Invalid argument for --addtag") }
    }

    private mutating func extend(_ options: Options, _ operands: [String]) throws(CommandRefusal) {
        precondition(operands.count == 1, "FakeLVM extends one volume at a time: \(operands)")
        let size = try Self.size(options["--size"]?.last ?? "")
        let (groupName, name) = Self.split(operands[0])
        try complete(try writable(groupName))
        do {
            try extend(name, in: groupName, to: size)
        } catch {
            throw CommandRefusal(status: Self.refused, sentence: error.sentence)
        }
    }

    /// Nobody is there to say yes (measured).
    static func refuseSnapshot(_ volume: Volume, _ operand: String) throws(CommandRefusal) {
        guard case .copyOnWrite(let origin) = volume.kind else { return }
        throw CommandRefusal(
            status: refused,
            sentence: "Change of snapshot \(operand) will also change its origin \(origin). Proceed? [y/n]: [n]")
    }

    /// Passes over what is not selected, silently. Goes on after a volume that is missing, as LVM was seen to.
    private mutating func activate(_ options: Options, _ operands: [String]) throws(CommandRefusal) {
        let selection = options["-S"].map { FakeSelection($0[0]) }
        var refusal: CommandRefusal?
        for operand in operands {
            let (groupName, name) = Self.split(operand)
            let group = try writable(groupName)
            guard let volume = group.volumes[name] else {
                refusal = CommandRefusal(
                    status: Self.refused, sentence: "Failed to find logical volume \"\(operand)\"")
                continue
            }
            guard group.missingDevices == 0 else {
                refusal = CommandRefusal(
                    status: Self.refused, sentence: "Refusing activation of partial LV \(operand).")
                continue
            }
            if let selection, !selection.matches(volume) { continue }
            try Self.refuseSnapshot(volume, operand)
            if volume.skipsActivation, options["-K"] == nil { continue }
            guard !volume.isLost else {
                refusal = CommandRefusal(
                    status: Self.refused, sentence: "device-mapper: reload ioctl on  (254:5) failed: No data available")
                continue
            }
            switchOn(name, in: groupName)
        }
        if let refusal { throw refusal }
    }
}
