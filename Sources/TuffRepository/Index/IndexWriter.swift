/// Writes one index file from entries that come in the order of their names.
final class IndexWriter {
    let id = FileID()
    private let store: any Store
    private let lease: Lease?
    private let writer: any StoreWriter
    private let seal: FileSeal
    private var page: [UInt8] = []
    private var pages: UInt64 = 1
    private var entries = 0
    private var fences: [UInt64] = []
    private var packs: [FileID] = []
    private var numbers: [FileID: UInt32] = [:]
    private var last: ContentName?
    private var filter: NameFilter?

    /// - Parameters:
    ///   - filtering: largest number of names to come, where a filter of them is wanted; nil: no filter.
    ///   - lease: the lease that keeps the named packs; nil only where nobody else can reach the repository.
    init(
        store: any Store, sealing: Sealing, lease: Lease?, filtering names: Int? = nil
    ) throws(RepositoryError) {
        filter = names.flatMap { NameFilter(names: $0) }
        self.store = store
        self.lease = lease
        writer = try store.create()
        seal = sealing.seal(.index, id)
        let header = FileHeader(kind: .index, id: id).bytes
        try writer.write(header + [UInt8](repeating: 0, count: Format.page - header.count))
    }

    func append(_ location: Location) throws(RepositoryError) {
        let name = location.entry.name
        guard last.map({ $0 <= name }) ?? true else {
            throw RepositoryError(
                .brokenIndex, "entries of the index are in disorder; 'tuff backup check --repair' makes it anew")
        }
        try lease?.keep()
        last = name
        filter?.insert(name)
        if page.isEmpty { fences.append(name.prefix) }
        page += location.entry.bytes + littleEndian(number(of: location.pack))
        entries += 1
        if page.count == IndexLayout.entriesPerPage * IndexLayout.entry { try endPage() }
    }

    /// Writes the rest of the file and gives it its name, durably. Removes it again where our lease was taken away.
    func finish() throws(RepositoryError) -> FileID {
        if !page.isEmpty { try endPage() }
        let layout = IndexLayout(entries: entries, packs: packs.count)
        for pack in packs { try add(pack.bytes) }
        if !page.isEmpty { try endPage() }
        for fence in fences { try add(withUnsafeBytes(of: fence.bigEndian) { Array($0) }) }
        if !page.isEmpty { try endPage() }
        let footer = littleEndian(UInt64(layout.entries)) + littleEndian(UInt32(layout.packs))
        let padding = [UInt8](repeating: 0, count: IndexLayout.footer - footer.count)
        try writer.write(seal.close(footer + padding, at: Format.lastPosition))
        try writer.place(at: IndexFile.path(id))
        do throws(RepositoryError) {
            try lease?.demand()
        } catch {
            // A process that took the lease away may have destroyed these packs, so nobody may take them for stored.
            try store.remove(IndexFile.path(id))
            throw error
        }
        return id
    }

    /// Ends the file and opens it.
    func reopened(_ sealing: Sealing) throws(RepositoryError) -> IndexFile {
        try IndexFile(finish(), store: store, sealing: sealing, filter: filter)
    }

    private func number(of pack: FileID) -> UInt32 {
        if let number = numbers[pack] { return number }
        let number = UInt32(packs.count)
        packs.append(pack)
        numbers[pack] = number
        return number
    }

    /// Items of packs and fences divide a page's content without rest.
    private func add(_ item: [UInt8]) throws(RepositoryError) {
        page += item
        if page.count + item.count > IndexLayout.content { try endPage() }
    }

    private func endPage() throws(RepositoryError) {
        page += [UInt8](repeating: 0, count: IndexLayout.content - page.count)
        try writer.write(seal.close(page, at: pages))
        page.removeAll(keepingCapacity: true)
        pages += 1
    }
}
