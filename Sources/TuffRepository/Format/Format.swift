/// Numbers of docs/repository-format.md that several files need.
package enum Format {
    package static let version: UInt16 = 1
    /// Bytes of a block.
    package static let block = 65_536
    /// Children of a node.
    static let fanOut = 32
    /// Bytes of the volume beneath one node of level 0.
    package static let leaf = block * fanOut
    /// Bytes that prove a piece.
    static let proof = 16
    static let header = 32
    static let page = 4_096
    /// Position of a file's last piece: no offset or number of a page is that high.
    static let lastPosition: UInt64 = 1 << 63

    enum Kind: UInt8 {
        case blockPack = 1
        case nodePack = 2
        case index = 3
        case point = 4
        case marks = 5
        case receipt = 6
    }

    /// The form in which a record is stored, and whether it is a block or a node.
    enum Coding: UInt8 {
        case block = 0
        case compressedBlock = 1
        case node = 2
    }
}

/// The first bytes of packs, index files, restore points, marks and receipts.
struct FileHeader {
    private static let magic = Array("TUFFREPO".utf8)

    let kind: Format.Kind
    let id: FileID

    var bytes: [UInt8] {
        Self.magic + [UInt8(Format.version & 0xff), UInt8(Format.version >> 8), kind.rawValue, 0, 0, 0, 0, 0] + id.bytes
    }

    /// Demands that `bytes`, read from the begin of `path`, are this header.
    func verify(_ bytes: UnsafeRawBufferPointer, path: String) throws(RepositoryError) {
        guard bytes.count >= Format.header, bytes.prefix(8).elementsEqual(Self.magic) else {
            throw RepositoryError(.damaged, "\(path) does not begin as a file of a repository does")
        }
        let version = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        guard version <= Format.version else {
            throw RepositoryError(.newer, "\(path) has format \(version), written by a newer program")
        }
        guard bytes.prefix(Format.header).elementsEqual(self.bytes) else {
            throw RepositoryError(.damaged, "\(path) has the header of another file")
        }
    }
}

extension FileHeader {
    func verify(_ bytes: [UInt8], path: String) throws(RepositoryError) {
        var failure: RepositoryError?
        bytes.withUnsafeBytes { bytes in
            do throws(RepositoryError) { try verify(bytes, path: path) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
