extension RepositoryIndex {
    /// Entries that are held in memory at a time: some 100 MiB.
    private static let portion = 1 << 20

    /// These packs in portions, each with no more entries in the index than memory holds. So there are as many passes
    /// through the index as it has millions of entries, however many packs it names.
    func portions(of packs: [FileID]) -> [[FileID]] {
        var portions: [[FileID]] = []
        var entries = 0
        for pack in packs {
            let own = (tallies[pack] ?? []).reduce(0) { $0 + $1.count }
            if portions.isEmpty || entries + own > Self.portion {
                portions.append([])
                entries = 0
            }
            portions[portions.count - 1].append(pack)
            entries += own
        }
        return portions
    }

    /// Reads the entries of some packs from the index files, in one pass. For packs whose own table is damaged there is
    /// no other source. At most twice as many entries as a pack can have are read of each: more would be forged.
    func entries(of packs: Set<FileID>) throws(RepositoryError) -> [FileID: [Location]] {
        var locations: [FileID: Set<Location>] = [:]
        for file in files {
            let wanted = file.packs.map(packs.contains)
            guard wanted.contains(true) else { continue }
            for page in 0..<file.layout.entryPages {
                do throws(RepositoryError) {
                    for item in try file.entries(ofPage: page) where wanted[item.pack] {
                        let pack = file.packs[item.pack]
                        guard (locations[pack]?.count ?? 0) <= 2 * Pack.mostRecords else { continue }
                        locations[pack, default: []].insert(Location(pack: pack, entry: item.entry))
                    }
                } catch  where error.isDamage { continue }
            }
        }
        return locations.mapValues { $0.sorted { $0.entry.offset < $1.entry.offset } }
    }
}

extension RepositoryError {
    /// Whether a file other than `repository` is of no use. That one says the version; another's is damage.
    var isDamage: Bool { [.damaged, .newer, .unreadable, .brokenIndex].contains(code) }
}
