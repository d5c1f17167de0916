/// Reads single records and checks that they agree with their entry.
final class RecordChecker {
    private let repository: Repository
    private let decompressor = Decompressor()
    private let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Format.block + Format.proof, alignment: 4_096)
    private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: Format.block, alignment: 4_096)
    private var pack: PackReader?

    init(_ repository: Repository) { self.repository = repository }

    deinit {
        room.deallocate()
        block.deallocate()
    }

    /// The content of a record, opened but not decompressed, valid until the next call; nil if it is damaged.
    func stored(_ location: Location) throws(RepositoryError) -> UnsafeRawBufferPointer? {
        let pack: PackReader
        if let open = self.pack, open.id == location.pack {
            pack = open
        } else {
            pack = try PackReader(location.pack, store: repository.store, sealing: repository.sealing)
            self.pack = pack
        }
        let count = Int(location.entry.stored)
        do throws(RepositoryError) {
            try pack.read(location.entry.offset, count: count, into: room)
        } catch  where error.code == .damaged || error.code == .unreadable { return nil }
        var stored = UnsafeRawBufferPointer(rebasing: room[..<count])
        if repository.sealing.isEncrypted {
            let seal = pack.seal(location.entry.coding == .node ? .nodePack : .blockPack)
            guard let content = seal.open(stored, at: UInt64(location.entry.offset)) else { return nil }
            room.copyBytes(from: content)
            stored = UnsafeRawBufferPointer(rebasing: room[..<content.count])
        }
        return isSound(stored, location.entry) ? stored : nil
    }

    func isSound(_ location: Location) throws(RepositoryError) -> Bool { try stored(location) != nil }

    private func isSound(_ stored: UnsafeRawBufferPointer, _ entry: PackEntry) -> Bool {
        switch entry.coding {
        case .node:
            return stored.count == entry.length && repository.sealing.name(ofNode: Array(stored)) == entry.name
        case .block:
            return stored.count == entry.length && repository.sealing.name(ofBlock: stored) == entry.name
        case .compressedBlock:
            let content = UnsafeMutableRawBufferPointer(rebasing: block[..<entry.length])
            return decompressor.decompress(stored, into: content)
                && repository.sealing.name(ofBlock: UnsafeRawBufferPointer(content)) == entry.name
        }
    }
}
