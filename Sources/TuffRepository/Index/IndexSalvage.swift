extension RepositoryIndex {
    /// Entries that are held in memory at a time: some 100 MiB.
    private static let portion = 1 << 20

    /// These packs in portions, of each of which the index has no more than memory holds: as many passes through the
    /// index as it has millions of entries, whatever it says of how many packs.
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

    /// Reads what the index files say of some packs, in one pass: the only word on those whose own table is damaged. Of
    /// each at most twice as much as a pack can have: the rest of it would be lies.
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
