package import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// tgtd, the user-space iSCSI target, through `tgtadm` (tgtadm(8) of tgt 1.0.85). For machines whose kernel has no
/// target: demonstrations, tests, containers.
///
/// One target per volume. tgtd keeps nothing across a restart and has no names of our choosing for LUNs, so ours are
/// known by their SCSI ID: `tuff-<uid>`, which `show` prints and initiators see as the T10 designator. LUN 0 is
/// tgtd's own controller; volume number n is LUN n + 1 here and n everywhere else in Tuff.
///
/// tgtd cannot do: CHAP without secrets in argv, portals per target, read-only per initiator (it is the LUN's),
/// growing under an export, telling vendor and product again (they are set and never compared), telling sizes more
/// finely than in decimal megabytes.
package struct TgtDriver: ExportDriver {
    /// `tgtadm -C`: which of several daemons.
    package var controlPort: Int

    package init(controlPort: Int = 0) { self.controlPort = controlPort }

    package func observe(_ machine: any Machine, key: FingerprintKey) async -> Observation<TargetInventory> {
        do {
            let portals = try TgtDecoder.portals(try await show("portal", machine))
            var targets = try TgtDecoder.targets(try await show("target", machine))
            try await measure(&targets, machine: machine, key: key)
            return .known(TgtDecoder.inventory(targets, portals: portals))
        } catch {
            return .unknown(error)
        }
    }

    private func show(_ mode: String, _ machine: any Machine) async throws(HostError) -> [UInt8] {
        let command = Command(
            "tgtadm", base + ["--op", "show", "--mode", mode], effect: .reads, deadline: 20, outputLimit: 16 << 20)
        let output = try await machine.read(command)
        guard output.status == 0 else {
            throw HostError(
                .failed, "tgtd does not answer on control port \(controlPort)", cause: output.standardError,
                subject: command.description)
        }
        return output.standardOutput
    }

    /// Gives LUNs the exact size of the file behind them where that agrees with the megabytes that tgtd tells. After
    /// a file has grown they disagree, and tgtd's figure is what initiators have.
    private func measure(
        _ targets: inout [TgtTarget], machine: any Machine, key: FingerprintKey
    ) async throws(HostError) {
        var names: [String: Set<String>] = [:]
        for unit in targets.flatMap(\.units) where unit.uid != nil && !unit.path.hasPrefix("/dev/") {
            guard let slash = unit.path.lastIndex(of: "/") else { continue }
            names[String(unit.path[..<slash]), default: []].insert(
                String(unit.path[unit.path.index(after: slash)...]))
        }
        var sizes: [String: ByteCount] = [:]
        for (directory, files) in names.inKeyOrder {
            let queries = files.sorted().map { TreeQuery($0, .status) }
            // A directory that is gone or not ours to look into leaves tgtd's own figure.
            guard let entries = try? await machine.readTree(.directory(directory), queries, key: key) else { continue }
            for entry in entries { sizes["\(directory)/\(entry.path)"] = entry.size }
        }
        for index in targets.indices {
            for unit in targets[index].units.indices {
                targets[index].units[unit].measure(sizes[targets[index].units[unit].path])
            }
        }
    }

    /// The number a new target of this name gets.
    package static func tid(of iqn: String) -> Int { TgtNames.tid(iqn) }

    var base: [String] { ["-C", "\(controlPort)", "--lld", "iscsi"] }

    package func lower(_ steps: [ExportStep]) -> [LoweredBatch] {
        steps.enumerated().map {
            LoweredBatch(steps: [$0.offset], actions: TgtLowering(driver: self).actions($0.element))
        }
    }
}

/// Numbers and words that both directions use.
enum TgtNames {
    /// The number of a new target: tgtd leaves it to the caller, and one that follows from the IQN needs no search for
    /// a free one that two runs could disagree about. Above 16 bits, so that numbers chosen by hand stay clear of it;
    /// tgtd takes 31 (measured) and builds the NAA designator of it, which thereby is the same after every restart.
    static func tid(_ iqn: String) -> Int {
        // FNV-1a, 32 bits.
        let hash = iqn.utf8.reduce(UInt32(0x811c_9dc5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
        return Int(hash & 0x7fff_ffff | 0x1_0000)
    }

    /// The tid, and the accounts that the observer found bound to it, which a step may have to unbind.
    static func place(tid: Int, accounts: [String]) -> String {
        ([String(tid)] + accounts).joined(separator: " ")
    }

    static func tid(of target: TargetRef) -> Int {
        target.place.split(separator: " ").first.flatMap { Int($0) } ?? tid(target.iqn)
    }

    static func accounts(of target: TargetRef) -> [String] {
        target.place.split(separator: " ").dropFirst().map(String.init)
    }

    /// The SCSI ID that tgtd gives a LUN (`_spc_lu_init` in usr/spc.c of tgt).
    static func defaultID(tid: Int, lun: Int) -> String {
        "IET     \(Hex.digits(tid, width: 4))\(Hex.digits(lun, width: 4))"
    }

    /// Where a backstore is, for messages and for finding it again.
    static func place(tid: Int, lun: Int) -> String { "tid \(tid) lun \(lun)" }

    static func address(_ place: String) -> (tid: Int, lun: Int)? {
        let words = place.split(separator: " ")
        guard words.count == 4, words[0] == "tid", words[2] == "lun", let tid = Int(words[1]), let lun = Int(words[3])
        else { return nil }
        return (tid, lun)
    }
}
