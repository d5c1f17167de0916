import Synchronization

/// Place of a block or node: its pack, and the record in it.
package struct Location: Hashable, Sendable {
    let pack: FileID
    let entry: PackEntry

    var isNode: Bool { entry.coding == .node }
}

/// Numbers of an index file's layout that follow from how much is in it (docs/repository-format.md, "Index files").
struct IndexLayout: Equatable {
    static let content = Format.page - Format.proof
    static let entry = PackEntry.byteCount + 4
    static let entriesPerPage = content / entry
    static let packsPerPage = content / FileID.byteCount
    static let fencesPerPage = content / 8
    static let footer = 48
    /// Most entries of one index file; more than 100 TiB of distinct blocks.
    static let mostEntries: UInt64 = 1 << 31

    let entries: Int
    let packs: Int

    var entryPages: Int { (entries + Self.entriesPerPage - 1) / Self.entriesPerPage }
    var packPages: Int { (packs + Self.packsPerPage - 1) / Self.packsPerPage }
    var fencePages: Int { (entryPages + Self.fencesPerPage - 1) / Self.fencesPerPage }
    /// Number of the first page of each kind; the header is page 0.
    var firstPackPage: Int { 1 + entryPages }
    var firstFencePage: Int { firstPackPage + packPages }
    var size: UInt64 {
        UInt64(firstFencePage + fencePages) * UInt64(Format.page) + UInt64(Self.footer + Format.proof)
    }
}

/// One index file, looked up on disk: of its pages only fences, packs and those last asked for are in memory.
final class IndexFile: Sendable {
    let id: FileID
    let layout: IndexLayout
    /// The packs that entries refer to by number.
    let packs: [FileID]
    private let fences: [UInt64]
    private let reader: any StoreReader
    private let seal: FileSeal
    /// A filter of its names, where this process wrote the file.
    private let filter: NameFilter?
    /// Pages that proved themselves, each at a place of its own, which it takes from the one before: names are asked
    /// for at random, so that no page is worth more than another.
    private let cache = Mutex<[(page: Int, content: [UInt8])?]>(Array(repeating: nil, count: cached))
    private static let cached = 512
    /// Entries of one name in one file after which no further page is looked at: backups that were cut off or at work
    /// together leave a few, and a file of nothing else would cost all of itself for each look-up.
    private static let mostCopies = 256

    static func path(_ id: FileID) -> String { "index/\(id)" }

    init(
        _ id: FileID, store: any Store, sealing: Sealing, filter: NameFilter? = nil
    ) throws(RepositoryError) {
        self.id = id
        self.filter = filter
        reader = try store.open(Self.path(id))
        seal = sealing.seal(.index, id)
        do throws(RepositoryError) {
            layout = try Self.layout(reader, id: id, seal: seal)
        } catch  where error.isLoss { throw Self.damaged(id, error.description) }
        packs = try Self.items(
            from: layout.firstPackPage, pages: layout.packPages, of: id, reader: reader, seal: seal,
            width: FileID.byteCount, count: layout.packs
        ) { FileID($0) }
        fences = try Self.items(
            from: layout.firstFencePage, pages: layout.fencePages, of: id, reader: reader, seal: seal, width: 8,
            count: layout.entryPages
        ) { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard zip(fences, fences.dropFirst()).allSatisfy({ $0 <= $1 }) else {
            throw Self.damaged(id, "its fences are in disorder")
        }
    }

    /// Every place where the block or node of this name is.
    func find(_ name: ContentName, node: Bool) throws(RepositoryError) -> [Location] {
        try findNumbered(name, node: node).map(\.location)
    }

    /// Every place of the block or node of this name, with the number of each entry in the file.
    func findNumbered(
        _ name: ContentName, node: Bool
    ) throws(RepositoryError) -> [(number: Int, location: Location)] {
        if let filter, !filter.mayHold(name) { return [] }
        // The first page that may hold it is the one before the first whose fence is no less.
        var page = max(0, fences.partitioningIndex { $0 >= name.prefix } - 1)
        var found: [(number: Int, location: Location)] = []
        var looks = 0
        while page < fences.count, page == 0 || fences[page] <= name.prefix, looks < Self.mostCopies {
            let matches = try matches(name, inPage: page)
            looks += max(1, matches.count)
            for match in matches where (match.entry.coding == .node) == node {
                let number = page * IndexLayout.entriesPerPage + match.slot
                found.append((number, Location(pack: packs[match.pack], entry: match.entry)))
            }
            page += 1
        }
        return found
    }

    /// The entries of a page, in order, with their packs' numbers.
    func entries(ofPage index: Int) throws(RepositoryError) -> [(pack: Int, entry: PackEntry)] {
        let bytes = try page(index)
        let count = min(IndexLayout.entriesPerPage, layout.entries - index * IndexLayout.entriesPerPage)
        var entries: [(pack: Int, entry: PackEntry)] = []
        entries.reserveCapacity(count)
        for slot in 0..<count { entries.append(try entry(slot, of: bytes)) }
        // A file that proves itself may have been written by anybody where nothing is encrypted.
        guard zip(entries, entries.dropFirst()).allSatisfy({ $0.entry.name <= $1.entry.name }),
            entries.first.map({ $0.entry.name.prefix == fences[index] }) ?? true
        else { throw Self.damaged(id, "its entries are in disorder") }
        return entries
    }

    /// Bytes of the records that it names, of each pack.
    func bytesOfPacks() throws(RepositoryError) -> [FileID: UInt64] {
        var bytes: [UInt64] = Array(repeating: 0, count: packs.count)
        for page in 0..<layout.entryPages {
            for item in try entries(ofPage: page) { bytes[item.pack] += UInt64(item.entry.stored) }
        }
        return Dictionary(zip(packs, bytes), uniquingKeysWith: +)
    }

    /// Reads the whole file and returns a tally of its entries for each pack. Throws if a piece does not prove itself.
    func verify() throws(RepositoryError) -> [FileID: EntryTally] {
        var tallies: [EntryTally] = Array(repeating: EntryTally(), count: packs.count)
        for page in 0..<layout.entryPages {
            for item in try entries(ofPage: page) { tallies[item.pack].add(item.entry) }
        }
        return Dictionary(zip(packs, tallies).filter { $0.1.count > 0 }, uniquingKeysWith: +)
    }

    private func matches(
        _ name: ContentName, inPage index: Int
    ) throws(RepositoryError) -> [(slot: Int, pack: Int, entry: PackEntry)] {
        let bytes = try page(index)
        let count = min(IndexLayout.entriesPerPage, layout.entries - index * IndexLayout.entriesPerPage)
        func nameAt(_ slot: Int) -> ContentName {
            bytes.withUnsafeBytes { ContentName(UnsafeRawBufferPointer(rebasing: $0[(slot * IndexLayout.entry)...])) }
        }
        var slot = (0..<count).partitioningIndex { nameAt($0) >= name }
        var found: [(slot: Int, pack: Int, entry: PackEntry)] = []
        while slot < count, nameAt(slot) == name {
            let (pack, entry) = try entry(slot, of: bytes)
            found.append((slot, pack, entry))
            slot += 1
        }
        return found
    }

    private func entry(_ slot: Int, of page: [UInt8]) throws(RepositoryError) -> (pack: Int, entry: PackEntry) {
        let (entry, number) = page.withUnsafeBytes { bytes in
            let slot = UnsafeRawBufferPointer(rebasing: bytes[(slot * IndexLayout.entry)...])
            return (
                PackEntry(slot),
                UInt32(littleEndian: slot.loadUnaligned(fromByteOffset: PackEntry.byteCount, as: UInt32.self))
            )
        }
        guard let entry, Int(number) < packs.count else { throw Self.damaged(id, "an entry is impossible") }
        return (Int(number), entry)
    }

    /// The content of an entry page, numbered from 0.
    private func page(_ index: Int) throws(RepositoryError) -> [UInt8] {
        let place = index % Self.cached
        if let kept = cache.withLock({ $0[place] }), kept.page == index { return kept.content }
        let content = try Self.page(1 + index, of: id, reader: reader, seal: seal)
        cache.withLock { $0[place] = (index, content) }
        return content
    }

    private static func page(
        _ number: Int, of id: FileID, reader: any StoreReader, seal: FileSeal
    ) throws(RepositoryError) -> [UInt8] {
        let piece: [UInt8]
        do throws(RepositoryError) {
            piece = try reader.read(at: UInt64(number * Format.page), count: Format.page)
        } catch  where error.isDamage { throw damaged(id, error.description) }
        guard let content = piece.withUnsafeBytes({ seal.open($0, at: UInt64(number)) }) else {
            throw damaged(id, "page \(number) does not prove itself")
        }
        return content
    }

    /// The first `count` items of `width` bytes of consecutive pages. No memory is reserved by a footer's counts before
    /// the pages were read: the file may be one hole.
    private static func items<Item>(
        from first: Int, pages: Int, of id: FileID, reader: any StoreReader, seal: FileSeal, width: Int, count: Int,
        _ make: (UnsafeRawBufferPointer) -> Item
    ) throws(RepositoryError) -> [Item] {
        var items: [Item] = []
        for number in first..<(first + pages) {
            let content = try page(number, of: id, reader: reader, seal: seal)
            content.withUnsafeBytes { bytes in
                for offset in stride(from: 0, to: bytes.count - width + 1, by: width) where items.count < count {
                    items.append(make(UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + width)])))
                }
            }
        }
        return items
    }

    private static func layout(
        _ reader: any StoreReader, id: FileID, seal: FileSeal
    ) throws(RepositoryError) -> IndexLayout {
        let footer = IndexLayout.footer + Format.proof
        guard reader.size >= UInt64(Format.page + footer) else { throw damaged(id, "it is too short") }
        let begin = try reader.read(at: 0, count: Format.page)
        try FileHeader(kind: .index, id: id).verify(begin, path: path(id))
        guard begin[Format.header...].allSatisfy({ $0 == 0 }) else { throw damaged(id, "its first page is not empty") }
        let piece = try reader.read(at: reader.size - UInt64(footer), count: footer)
        guard let content = piece.withUnsafeBytes({ seal.open($0, at: Format.lastPosition) }) else {
            throw damaged(id, "its footer does not prove itself")
        }
        let (entries, packs) = content.withUnsafeBytes {
            (
                UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)),
                UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
            )
        }
        guard entries <= IndexLayout.mostEntries else { throw damaged(id, "it claims \(entries) entries") }
        guard packs <= entries else { throw damaged(id, "it claims \(packs) packs for \(entries) entries") }
        let layout = IndexLayout(entries: Int(entries), packs: Int(packs))
        guard layout.size == reader.size else {
            throw damaged(id, "it has \(reader.size) bytes instead of \(layout.size)")
        }
        return layout
    }

    fileprivate static func damaged(_ id: FileID, _ what: String) -> RepositoryError {
        RepositoryError(
            .brokenIndex,
            "\(path(id)) is damaged: \(what). What it tells of may be whole: 'tuff backup check --repair' makes the "
                + "index anew"
        )
    }
}

extension RandomAccessCollection {
    /// The first index whose element satisfies a condition that all behind it satisfy, too.
    func partitioningIndex(_ belongs: (Element) throws -> Bool) rethrows -> Index {
        var low = startIndex
        var count = distance(from: low, to: endIndex)
        while count > 0 {
            let half = count / 2
            let middle = index(low, offsetBy: half)
            if try belongs(self[middle]) {
                count = half
            } else {
                low = index(after: middle)
                count -= half + 1
            }
        }
        return low
    }
}
