/// Place of a block or node in a pack: an entry of the pack's table.
struct PackEntry: Hashable, Sendable {
    static let byteCount = 44

    let name: ContentName
    /// Offset of the record in the file, and the length of its stored form.
    let offset: UInt32
    let stored: UInt32
    /// Length of the block or node.
    let length: Int
    let coding: Format.Coding

    init(name: ContentName, offset: UInt32, stored: UInt32, length: Int, coding: Format.Coding) {
        self.name = name
        self.offset = offset
        self.stored = stored
        self.length = length
        self.coding = coding
    }

    var bytes: [UInt8] {
        name.bytes + littleEndian(offset) + littleEndian(stored)
            + littleEndian(UInt32(length) | UInt32(coding.rawValue) << 24)
    }

    /// Reads the first 44 bytes; nil if no such record can be.
    init?(_ bytes: UnsafeRawBufferPointer) {
        name = ContentName(bytes)
        offset = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 32, as: UInt32.self))
        stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 36, as: UInt32.self))
        let word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 40, as: UInt32.self))
        guard let coding = Format.Coding(rawValue: UInt8(word >> 24)) else { return nil }
        self.coding = coding
        length = Int(word & 0xff_ffff)
        guard (1...Format.block).contains(length), offset >= Format.header,
            UInt64(offset) + UInt64(stored) <= Pack.largest, stored <= length + Format.proof
        else { return nil }
    }
}

/// A pack that is there, and its bytes.
struct PackFile: Hashable, Sendable {
    let id: FileID
    let size: UInt64
}

package enum Pack {
    /// Bytes of the largest pack that is read, and of those that are written before a new one is begun.
    static let largest: UInt64 = 64 << 20
    static let target = 16 << 20
    static let mostRecords = 65_536
    static let trailer = Array("TUFFPACKEND.".utf8)

    static func path(_ id: FileID) -> String {
        let name = id.description
        return "packs/\(name.prefix(2))/\(name)"
    }

    /// The directory to which a file with the name of a pack belongs; nil if it has no such name.
    package static func place(of path: String) -> String? {
        path.split(separator: "/").last.flatMap { FileID($0) }.map { Self.path($0) }
    }
}

/// Writes one pack: records, then the table. Nothing of it can be seen before `finish`.
final class PackWriter {
    let id = FileID()
    private(set) var entries: [PackEntry] = []
    private let writer: any StoreWriter
    private let seal: FileSeal
    private let isEncrypted: Bool
    private var offset = Format.header
    /// Bytes that were not given to the writer yet: records come in pieces too small for a system call each.
    private var pending: [UInt8]
    private static let portion = 1 << 20

    init(_ kind: Format.Kind, store: any Store, sealing: Sealing) throws(RepositoryError) {
        writer = try store.create()
        seal = sealing.seal(kind, id)
        isEncrypted = sealing.isEncrypted
        pending = FileHeader(kind: kind, id: id).bytes
        pending.reserveCapacity(Self.portion + Format.block + Format.proof)
    }

    var isFull: Bool { offset >= Pack.target || entries.count >= Pack.mostRecords }

    /// Bytes so far.
    var size: Int { offset }

    func append(
        _ stored: UnsafeRawBufferPointer, name: ContentName, length: Int, coding: Format.Coding
    ) throws(RepositoryError) {
        let before = pending.count
        if isEncrypted {
            seal.close(stored, at: UInt64(offset), onto: &pending)
        } else {
            pending.append(contentsOf: stored)
        }
        let count = pending.count - before
        entries.append(
            PackEntry(name: name, offset: UInt32(offset), stored: UInt32(count), length: length, coding: coding))
        offset += count
        if pending.count >= Self.portion { try flush() }
    }

    /// Writes the table and gives the pack its name, durably.
    func finish() throws(RepositoryError) {
        var table: [UInt8] = []
        table.reserveCapacity(entries.count * PackEntry.byteCount)
        for entry in entries { table += entry.bytes }
        let piece = seal.close(table, at: Format.lastPosition)
        pending += piece + littleEndian(UInt32(piece.count)) + Pack.trailer
        try flush()
        try writer.place(at: Pack.path(id))
    }

    private func flush() throws(RepositoryError) {
        try writer.write(pending)
        pending.removeAll(keepingCapacity: true)
    }
}

/// Reads records of one pack whose entries an index gave, and its own table.
struct PackReader: Sendable {
    let id: FileID
    private let path: String
    private let reader: any StoreReader
    private let sealing: Sealing
    private let blockSeal: FileSeal
    private let nodeSeal: FileSeal

    init(_ id: FileID, store: any Store, sealing: Sealing) throws(RepositoryError) {
        self.id = id
        path = Pack.path(id)
        reader = try store.open(path)
        self.sealing = sealing
        blockSeal = sealing.seal(.blockPack, id)
        nodeSeal = sealing.seal(.nodePack, id)
    }

    /// The seal that opens the records of the pack, if it is of this kind.
    func seal(_ kind: Format.Kind) -> FileSeal { kind == .nodePack ? nodeSeal : blockSeal }

    /// The stored bytes of records that lie one behind the other.
    func read(_ offset: UInt32, count: Int, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError) {
        try reader.read(at: UInt64(offset), into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
    }

    /// The entries of the table and the pack's kind, after all that the format demands of them was checked.
    func table() throws(RepositoryError) -> (Format.Kind, [PackEntry]) {
        let trailer = 4 + Pack.trailer.count
        guard reader.size >= UInt64(Format.header + Format.proof + trailer), reader.size <= Pack.largest + (4 << 20)
        else {
            throw RepositoryError(.damaged, "\(path) has \(reader.size) bytes, which no pack has")
        }
        let end = try reader.read(at: reader.size - UInt64(trailer), count: trailer)
        let count = end.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))) }
        guard end.dropFirst(4).elementsEqual(Pack.trailer), count >= Format.proof,
            (count - Format.proof).isMultiple(of: PackEntry.byteCount),
            (count - Format.proof) / PackEntry.byteCount <= Pack.mostRecords,
            UInt64(count + trailer + Format.header) <= reader.size
        else { throw RepositoryError(.damaged, "\(path) does not end as a pack does") }
        let begin = try reader.read(at: 0, count: Format.header)
        guard let kind = Format.Kind(rawValue: begin[10]), [.blockPack, .nodePack].contains(kind) else {
            throw RepositoryError(.damaged, "\(path) does not begin as a pack does")
        }
        try FileHeader(kind: kind, id: id).verify(begin, path: path)
        let start = reader.size - UInt64(trailer + count)
        let piece = try reader.read(at: start, count: count)
        guard let table = piece.withUnsafeBytes({ sealing.seal(kind, id).open($0, at: Format.lastPosition) }) else {
            throw RepositoryError(.damaged, "the table of \(path) is damaged")
        }
        return (kind, try entries(table, kind, end: start))
    }

    private func entries(
        _ table: [UInt8], _ kind: Format.Kind, end: UInt64
    ) throws(RepositoryError) -> [PackEntry] {
        var next = UInt64(Format.header)
        var entries: [PackEntry] = []
        for offset in stride(from: 0, to: table.count, by: PackEntry.byteCount) {
            let entry = table[offset...].withUnsafeBytes { PackEntry($0) }
            guard let entry, UInt64(entry.offset) == next else {
                throw RepositoryError(.damaged, "the table of \(path) is impossible at entry \(entries.count)")
            }
            guard (entry.coding == .node) == (kind == .nodePack) else {
                let (own, other) = kind == .nodePack ? ("nodes", "a block") : ("blocks", "a node")
                throw RepositoryError(
                    .damaged,
                    "\(path) is a pack of \(own), and its table says that \(entry.name) in it is \(other); "
                        + "'tuff backup check --repair' copies what proves itself")
            }
            entries.append(entry)
            next += UInt64(entry.stored)
        }
        guard next == end else { throw RepositoryError(.damaged, "\(path) has bytes that its table does not name") }
        return entries
    }
}
