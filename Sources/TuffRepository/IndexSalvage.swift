extension RepositoryIndex {
    /// What the index files say of one pack: the only word on it where its own table is damaged. At most twice as much as a pack can
    /// have: the rest of it would be lies.
    func entries(ofPack id: FileID) throws(RepositoryError) -> [Location] {
        var locations: Set<Location> = []
        files: for file in files {
            guard let number = file.packs.firstIndex(of: id) else { continue }
            for page in 0..<file.layout.entryPages {
                do throws(RepositoryError) {
                    for item in try file.entries(ofPage: page) where item.pack == number {
                        locations.insert(Location(pack: id, entry: item.entry))
                    }
                    if locations.count > 2 * Pack.mostRecords { break files }
                } catch  where error.isDamage { continue }
            }
        }
        return locations.sorted { $0.entry.offset < $1.entry.offset }
    }
}

extension RepositoryError {
    /// Whether a file other than `repository` is of no use. That one says the version; another's is damage.
    var isDamage: Bool { [.damaged, .newer, .unreadable, .brokenIndex].contains(code) }
}
