import CTuffHost
import Crypto
import FoundationEssentials
package import Glibc
import TuffModel
import TuffSystem

/// A secret in memory: read from its file under the rules below, zeroed when it goes, never printable and never sent
/// anywhere but into one write(2).
///
/// The rules: the path lies beneath a root of secrets and is reached as `PathWalk` says; a plain file of root or of
/// the user we run as, which nobody else may read; 1 to 4096 bytes, one trailing newline aside; no NUL and no newline
/// within. No error ever quotes the content.
struct SecretBuffer: ~Copyable {
    /// Longest secret, in bytes. LIO takes at most 255 (`SecretFingerprint.Trait.tooLong`), which the plan says.
    static let limit = 4096

    private let storage: UnsafeMutableRawBufferPointer
    private let count: Int

    init(reading reference: SecretReference, in roots: HostRoots) throws(HostError) {
        let path = reference.file
        // Not blocking, so that a FIFO is refused below rather than waited for.
        let file = try roots.open(path, .secrets, flags: O_RDONLY | O_NONBLOCK, isChecked: false)
        try Self.check(file.raw, path)
        let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.limit + 2, alignment: 1)
        let outcome = DescriptorIO.read(file.raw, into: storage)
        if let number = outcome.failure {
            Self.destroy(storage)
            throw .system(number, "Cannot read the secret file \(path)", subject: path)
        }
        var length = outcome.count
        if length > 0, storage[length - 1] == 0x0a { length -= 1 }
        if let fault = Self.fault(UnsafeRawBufferPointer(rebasing: storage[..<length])) {
            Self.destroy(storage)
            throw HostError(.refused, "The secret file \(path) \(fault)", subject: path)
        }
        self.storage = storage
        self.count = length
    }

    deinit { Self.destroy(storage) }

    func withBytes<Value>(_ body: (UnsafeRawBufferPointer) throws(HostError) -> Value) throws(HostError) -> Value {
        try body(UnsafeRawBufferPointer(rebasing: storage[..<count]))
    }

    func fingerprint(_ key: FingerprintKey) -> SecretFingerprint {
        SecretFingerprint(of: UnsafeRawBufferPointer(rebasing: storage[..<count]), key: key)
    }

    private static func check(_ file: Int32, _ path: String) throws(HostError) {
        var status = stat()
        guard fstat(file, &status) == 0 else {
            throw .system(errno, "Cannot look at the secret file \(path)", subject: path)
        }
        guard status.kind == .file else {
            throw HostError(.refused, "The secret file \(path) is not a plain file", subject: path)
        }
        if let exposure = SecretFile.exposure(of: path, file, status) {
            throw HostError(
                .refused, "The secret file \(path) \(exposure.sentence)", cause: exposure.remedy, subject: path)
        }
    }

    private static func fault(_ bytes: UnsafeRawBufferPointer) -> String? {
        if bytes.isEmpty { return "is empty" }
        if bytes.count > limit { return "is longer than \(limit) bytes" }
        if bytes.contains(0) { return "holds a NUL byte" }
        if bytes.contains(0x0a) { return "holds more than one line" }
        // No initiator can be given one by hand; most often a carriage return of a file made elsewhere.
        if bytes.contains(where: { $0 < 0x20 || $0 == 0x7f }) { return "holds a control character" }
        // LIO takes such a text for no secret at all (iscsi_target_nodeattrib.c).
        if bytes.starts(with: "NULL".utf8) { return "begins with NULL, which means no secret to the kernel" }
        return nil
    }

    private static func destroy(_ storage: UnsafeMutableRawBufferPointer) {
        // Never nil: the buffer is allocated with a fixed, positive size.
        tuff_zero(storage.baseAddress!, storage.count)
        storage.deallocate()
    }
}

/// The rule for every file that holds a secret: root's or that of the user we run as, and closed to all others, as
/// ssh(1) has it for its keys. Whoever else owns it may know the secret, or choose it.
package enum SecretFile {
    /// The end of a sentence about the file, and the command that mends it; nil where the rule is kept.
    ///
    /// - Parameters:
    ///   - file: its descriptor. On NFS the server says whose it is, and only its mode counts.
    package static func exposure(
        of path: String, _ file: Int32, _ status: stat
    ) -> (sentence: String, remedy: String)? {
        exposure(of: path, owner: Exposure.isServers(file) ? 0 : status.st_uid, mode: status.st_mode)
    }

    static func exposure(
        of path: String, owner: UInt32, mode: UInt32
    ) -> (sentence: String, remedy: String)? {
        guard owner == 0 || owner == geteuid() else {
            return (
                "belongs to user \(owner), not to root or the user Tuff runs as",
                "chown root \(Command.quoted(path))"
            )
        }
        guard mode & 0o077 == 0 else {
            return (
                "is open to other users (mode 0\(String(mode & 0o7777, radix: 8)))",
                "type: chmod 600 \(Command.quoted(path))"
            )
        }
        return nil
    }
}

extension SecretFingerprint {
    /// The first 16 hexadecimal digits of HMAC-SHA-256 (RFC 2104) under the key.
    init(of bytes: UnsafeRawBufferPointer, key: FingerprintKey) {
        var code = HMAC<SHA256>(key: SymmetricKey(data: key.bytes))
        code.update(data: bytes)
        self.init(digits: Hex.text(code.finalize().prefix(8)), of: bytes)
    }
}
