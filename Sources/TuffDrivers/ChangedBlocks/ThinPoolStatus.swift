package import TuffModel

/// One line of `dmsetup status` of a thin pool's device (`-tpool`), Documentation/admin-guide/device-mapper/
/// thin-provisioning.rst of Linux.
package struct ThinPoolStatus: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable {
        case writable = "rw"
        case readOnly = "ro"
        case full = "out_of_data_space"
    }

    package var transaction: UInt64
    /// Block of the reserved metadata snapshot; nil where there is none.
    package var held: UInt64?
    package var mode: Mode
    /// The kernel lets nothing be written to the metadata before somebody ran `thin_check`.
    package var needsCheck: Bool

    package init(transaction: UInt64, held: UInt64?, mode: Mode = .writable, needsCheck: Bool = false) {
        self.transaction = transaction
        self.held = held
        self.mode = mode
        self.needsCheck = needsCheck
    }

    /// The reason why nothing is reserved in such a pool; nil: it can be.
    package var obstacle: String? {
        if needsCheck { return "its metadata need thin_check" }
        switch mode {
        case .writable: return nil
        case .readOnly: return "its metadata cannot be written"
        case .full: return "it is full"
        }
    }

    /// Reads `START LENGTH thin-pool TRANSACTION USED/TOTAL USED/TOTAL HELD MODE DISCARDS WHENFULL NEEDS_CHECK …`,
    /// where HELD is `-` or a number of a block.
    /// - Throws: `failed` for a pool that the kernel gave up (`Fail`, `Error`), `malformed` for anything else.
    package static func decode(_ bytes: [UInt8]) throws(HostError) -> ThinPoolStatus {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard lines.count == 1, let words = lines.first?.split(separator: " "), words.count > 3,
            words[2] == "thin-pool", bytes.last == 0x0a
        else { throw malformed("it is not one line of a thin pool") }
        if ["Fail", "Error"].contains(words[3]) {
            throw HostError(.failed, "the kernel gave the thin pool up (\(words[3]))")
        }
        guard words.count >= 11, let transaction = UInt64(plain: words[3]), words[4].contains("/"),
            words[5].contains("/"), let mode = Mode(rawValue: String(words[7])),
            ["-", "needs_check"].contains(words[10])
        else { throw malformed("its words are not those that are known") }
        let held = UInt64(plain: words[6])
        // Block 0 is the superblock.
        guard words[6] == "-" || (held ?? 0) > 0 else { throw malformed("'\(words[6])' is no number of a block") }
        return ThinPoolStatus(
            transaction: transaction, held: held, mode: mode, needsCheck: words[10] == "needs_check")
    }

    private static func malformed(_ sentence: String) -> HostError {
        HostError(.malformed, "the status of the thin pool cannot be read: \(sentence)")
    }

    /// Chunks that a pool can have: 64 KiB to 1 GiB in steps of 64 KiB (`DATA_DEV_BLOCK_SIZE_MIN_SECTORS` in
    /// dm-thin.c).
    static func isChunk(sectors: UInt64) -> Bool {
        (128...2_097_152).contains(sectors) && sectors.isMultiple(of: 128)
    }
}

/// A thin volume as the kernel has it in a pool's metadata: a line of `thin_ls`.
package struct ThinDevice: Hashable, Sendable {
    /// Chunks that it has blocks for.
    package var mappedChunks: UInt64
    /// The pool's transaction at which it was made. The kernel gives numbers of devices again, and this never.
    package var transaction: UInt64

    package init(mappedChunks: UInt64, transaction: UInt64) {
        self.mappedChunks = mappedChunks
        self.transaction = transaction
    }

    /// Columns of `thin_ls --no-headers -o`, as `decode` expects them.
    static let columns = "DEV,MAPPED_BLOCKS,TRANSACTION"

    /// All devices by their numbers.
    /// - Throws: `malformed` at the first line that is not three numbers, or for a number that is there twice.
    package static func decode(_ bytes: [UInt8]) throws(HostError) -> [UInt32: ThinDevice] {
        guard bytes.isEmpty || bytes.last == 0x0a else { throw malformed("its last line is cut off") }
        var devices: [UInt32: ThinDevice] = [:]
        for line in bytes.split(separator: 0x0a) {
            let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            // dm-thin numbers devices with 24 bits.
            guard words.count == 3, let number = UInt32(plain: words[0]), number < 1 << 24,
                let mapped = UInt64(plain: words[1]), let transaction = UInt64(plain: words[2]),
                devices.updateValue(ThinDevice(mappedChunks: mapped, transaction: transaction), forKey: number) == nil
            else { throw malformed("a line is '\(String(decoding: line.prefix(80), as: UTF8.self))'") }
        }
        return devices
    }

    private static func malformed(_ sentence: String) -> HostError {
        HostError(.malformed, "the list of thin_ls cannot be believed: \(sentence)")
    }
}

/// Versions of thin-provisioning-tools.
package enum ThinTools {
    /// True where `thin_delta` of this version says all that differs.
    ///
    /// Those of 1.0.0 to 1.0.5 take neighbouring chunks for one run wherever their blocks are (`RunBuilder` in
    /// src/thin/delta.rs, mended by "[thin_delta] Fix range mappings construction", July 2023). A chunk that was
    /// written in the middle of others then counts as the same: its change would be missing in the backup. Versions
    /// before 0.9 were not looked at.
    /// - Parameter output: of `thin_delta --version`.
    package static func isTrusted(_ output: [UInt8]) -> Bool {
        let text = String(decoding: output, as: UTF8.self).filter { $0 != "\n" }
        let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt32(plain: $0) }
        guard numbers.count == 3, let major = numbers[0], let minor = numbers[1], let patch = numbers[2] else {
            return false
        }
        if major == 0 { return minor == 9 }
        return major > 1 || minor > 0 || patch >= 6
    }
}
