/// The entries of several index files as one sequence in the order of their names, equal ones once. Holds one page of
/// each.
struct IndexMerge {
    private struct Cursor {
        let file: IndexFile
        var page = 0
        var entries: [(pack: Int, entry: PackEntry)] = []
        var slot = 0

        var current: Location? {
            guard slot < entries.count else { return nil }
            return Location(pack: file.packs[entries[slot].pack], entry: entries[slot].entry)
        }

        mutating func advance() throws(RepositoryError) {
            slot += 1
            while slot >= entries.count, page < file.layout.entryPages {
                entries = try file.entries(ofPage: page)
                page += 1
                slot = 0
            }
        }
    }

    private var cursors: [Cursor] = []
    private var last: Location?

    init(_ files: [IndexFile]) throws(RepositoryError) {
        for file in files {
            var cursor = Cursor(file: file)
            try cursor.advance()
            cursors.append(cursor)
        }
    }

    mutating func next() throws(RepositoryError) -> Location? {
        while true {
            var best: (index: Int, location: Location)?
            for (index, cursor) in cursors.enumerated() {
                guard let location = cursor.current else { continue }
                if best.map({ location.order < $0.location.order }) ?? true { best = (index, location) }
            }
            guard let best else { return nil }
            try cursors[best.index].advance()
            guard best.location != last else { continue }
            guard last.map({ $0.order < best.location.order }) ?? true else {
                throw RepositoryError(
                    .brokenIndex, "entries of the index are in disorder; 'tuff backup check --repair' makes it anew")
            }
            last = best.location
            return best.location
        }
    }
}

extension Location {
    /// Equal locations must meet when files are merged.
    fileprivate var order: (ContentName, FileID, UInt32) { (entry.name, pack, entry.offset) }
}
