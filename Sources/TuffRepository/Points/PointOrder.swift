extension [RestorePoint] {
    /// The points, oldest first. Of those of one second a point comes after the one that it was compared with.
    func ordered() -> [RestorePoint] {
        let ranks = ranks()
        return sorted { one, other in
            (one.record.time, ranks[one.id] ?? 0, one.id) < (other.record.time, ranks[other.id] ?? 0, other.id)
        }
    }

    /// Number of points of the same second before each, in the chain of points that it was compared with. Each link is
    /// followed once, however long a chain somebody writes. Points whose chain is a circle, or leads into one, come
    /// behind all others.
    private func ranks() -> [FileID: Int] {
        let byID = Dictionary(map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var ranks: [FileID: Int] = [:]
        for point in self where ranks[point.id] == nil {
            var way = [point.id]
            var met: Set<FileID> = [point.id]
            var last = point, base = -1
            while let parent = last.record.parent.flatMap({ FileID($0) }).flatMap({ byID[$0] }),
                parent.record.time == last.record.time
            {
                if let known = ranks[parent.id] {
                    base = known
                    break
                }
                guard met.insert(parent.id).inserted else {
                    base = count
                    break
                }
                way.append(parent.id)
                last = parent
            }
            for (distance, id) in way.reversed().enumerated() { ranks[id] = Swift.min(count, base + 1 + distance) }
        }
        return ranks
    }
}
