import Crypto
import FoundationEssentials

/// Computes names, and proves pieces; where the repository is encrypted, it encrypts pieces, too
/// (docs/repository-format.md, "Blocks, nodes and names" and "Header and pieces").
package struct Sealing: Sendable {
    /// ID of the repository; part of the proof of every piece.
    let id: FileID
    private let repositoryKey: SymmetricKey?
    private let nameKey: SymmetricKey?

    /// A repository that is not encrypted.
    init(plain id: FileID) {
        self.id = id
        repositoryKey = nil
        nameKey = nil
    }

    /// An encrypted one, whose key a slot gave.
    init(_ id: FileID, key: SymmetricKey) {
        self.id = id
        repositoryKey = key
        nameKey = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, salt: id.bytes, info: Array("tuff names".utf8), outputByteCount: 32)
    }

    var isEncrypted: Bool { repositoryKey != nil }

    /// The key that key slots wrap.
    var key: SymmetricKey? { repositoryKey }

    func name(ofBlock bytes: UnsafeRawBufferPointer) -> ContentName {
        guard let nameKey else {
            var hash = SHA256()
            hash.update(bufferPointer: bytes)
            return hash.finalize().withUnsafeBytes { ContentName($0) }
        }
        var code = HMAC<SHA256>(key: nameKey)
        code.update(data: bytes)
        return code.finalize().withUnsafeBytes { ContentName($0) }
    }

    func name(ofNode bytes: [UInt8]) -> ContentName {
        (Array("tuff node\0".utf8) + bytes).withUnsafeBytes { name(ofBlock: $0) }
    }

    /// The seal that closes and opens the pieces of one file.
    func seal(_ kind: Format.Kind, _ file: FileID) -> FileSeal {
        let context = id.bytes + [kind.rawValue] + file.bytes
        let key = repositoryKey.map {
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: $0, salt: id.bytes + file.bytes, info: Array("tuff piece".utf8) + [kind.rawValue],
                outputByteCount: 32)
        }
        return FileSeal(context: context, key: key)
    }
}

/// Closes and opens the pieces of one file. A position may be used once in the life of a file.
struct FileSeal: Sendable {
    fileprivate let context: [UInt8]
    fileprivate let key: SymmetricKey?

    /// Appends the piece of `content`: as long as it and `Format.proof`.
    func close(_ content: UnsafeRawBufferPointer, at position: UInt64, onto bytes: inout [UInt8]) {
        guard let key else {
            bytes.append(contentsOf: content)
            bytes += proof(of: content, at: position)
            return
        }
        // Sealing fails for contents beyond 2^36 bytes only; the largest piece has 16 MiB.
        guard let box = try? AES.GCM.seal(content, using: key, nonce: nonce(position)) else {
            preconditionFailure("AES-GCM refused \(content.count) bytes")
        }
        // The nonce, which the position says, and then the piece, in one buffer: taken from there, it is copied once.
        box.combined?.withUnsafeBytes { bytes.append(contentsOf: $0.dropFirst(AES.GCM.Nonce.byteCount)) }
    }

    func close(_ content: [UInt8], at position: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(content.count + Format.proof)
        content.withUnsafeBytes { close($0, at: position, onto: &bytes) }
        return bytes
    }

    /// The content of a piece; nil if it does not prove itself.
    func open(_ piece: UnsafeRawBufferPointer, at position: UInt64) -> [UInt8]? {
        withContent(of: piece, at: position) { Array($0) }
    }

    /// Passes the content of a piece to `body` and returns its result; nil if the piece does not prove itself.
    func withContent<Value>(
        of piece: UnsafeRawBufferPointer, at position: UInt64, _ body: (UnsafeRawBufferPointer) -> Value
    ) -> Value? {
        guard piece.count >= Format.proof else { return nil }
        let content = UnsafeRawBufferPointer(rebasing: piece.dropLast(Format.proof))
        let proof = UnsafeRawBufferPointer(rebasing: piece.suffix(Format.proof))
        guard let key else {
            return proof.elementsEqual(self.proof(of: content, at: position)) ? body(content) : nil
        }
        guard let box = try? AES.GCM.SealedBox(nonce: nonce(position), ciphertext: content, tag: proof),
            let opened = try? AES.GCM.open(box, using: key)
        else { return nil }
        return opened.withUnsafeBytes(body)
    }

    /// The same for a piece at `offset` of a buffer whose `headroom` bytes before it may be written over. It spares a
    /// copy, which is a tenth of all the work where a piece is opened for each block of a volume.
    func withContent<Value>(
        of count: Int, at offset: Int, in buffer: UnsafeMutableRawBufferPointer, position: UInt64,
        _ body: (UnsafeRawBufferPointer) -> Value
    ) -> Value? {
        let piece = UnsafeRawBufferPointer(rebasing: buffer[offset..<(offset + count)])
        guard let key else { return withContent(of: piece, at: position, body) }
        let box = UnsafeMutableRawBufferPointer(rebasing: buffer[(offset - Self.headroom)..<(offset + count)])
        box.copyBytes(from: nonceBytes(position))
        guard let start = box.baseAddress,
            let sealed = try? AES.GCM.SealedBox(
                combined: Data(bytesNoCopy: start, count: box.count, deallocator: .none)),
            let opened = try? AES.GCM.open(sealed, using: key)
        else { return nil }
        return opened.withUnsafeBytes(body)
    }

    /// Room for the nonce, which is not stored, since it follows from the position.
    static let headroom = AES.GCM.Nonce.byteCount

    private func proof(of content: UnsafeRawBufferPointer, at position: UInt64) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: context + littleEndian(position))
        hash.update(bufferPointer: content)
        return Array(hash.finalize().prefix(Format.proof))
    }

    private func nonce(_ position: UInt64) -> AES.GCM.Nonce {
        guard let nonce = try? AES.GCM.Nonce(data: nonceBytes(position)) else {
            preconditionFailure("12 bytes are a nonce")
        }
        return nonce
    }

    private func nonceBytes(_ position: UInt64) -> [UInt8] { littleEndian(position) + [0, 0, 0, 0] }
}

extension AES.GCM.Nonce {
    fileprivate static let byteCount = 12
}

/// The bytes of a number as the format writes them.
func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}
