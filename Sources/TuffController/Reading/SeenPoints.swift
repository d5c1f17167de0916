import TuffHost
import TuffModel
import TuffRepository

/// The restore points of a repository as plans see them, of which those that this host knows are not read again.
///
/// A point is known by its name and by number, size and last change of its file: one that somebody wrote to, or put in
/// its place, is read.
struct SeenPoints {
    /// Oldest first.
    let entries: [PointMemory.Entry]
    /// Number of points that cannot be read.
    let damaged: Int
    /// Something was read or is gone: what is remembered is no longer what there is.
    let isNew: Bool

    /// - Parameter memory: what this host saw before; nil: all of it is read.
    init(of repository: Repository, known memory: PointMemory?) throws(RepositoryError) {
        let files = try repository.pointFiles()
        let marks = Dictionary(files.map { ($0.name, PointMemory.FileMark($0)) }) { first, _ in first }
        func entries(_ points: [RestorePoint]) -> [PointMemory.Entry] {
            points.map {
                PointMemory.Entry(
                    ObservedPoint($0, isSetAside: false), marks[$0.id.description] ?? PointMemory.FileMark())
            }
        }
        if let memory {
            let kept = memory.entries.filter { $0.mark.isKnown && marks[$0.point.id] == $0.mark }
            let isWhole = kept.count == memory.entries.count
            if isWhole, kept.count == files.count {
                (self.entries, damaged, isNew) = (kept, 0, false)
                return
            }
            let known = Set(kept.map(\.point.id))
            let rest = try repository.points(in: files.filter { !known.contains($0.name) })
            let fresh = entries(rest.points)
            if Self.canBeMerged(kept, with: fresh, of: memory) {
                self.entries = Self.merged(kept, fresh)
                (damaged, isNew) = (rest.damaged.count, !isWhole || !fresh.isEmpty)
                return
            }
        }
        let all = try repository.points(in: files)
        (self.entries, damaged, isNew) = (entries(all.points), all.damaged.count, true)
    }

    /// The order of points of one second follows from all of them. So nothing that is fresh, or is gone, may be of the
    /// second of a point that is kept. Days that no calendar has are ordered by their text, which is not known here.
    private static func canBeMerged(
        _ kept: [PointMemory.Entry], with fresh: [PointMemory.Entry], of memory: PointMemory
    ) -> Bool {
        let seconds = Set(kept.map(\.point.time.secondsSince1970)), unknown: Int64 = 0
        guard !seconds.contains(unknown), fresh.allSatisfy({ $0.point.time.secondsSince1970 != unknown }) else {
            return false
        }
        guard fresh.allSatisfy({ !seconds.contains($0.point.time.secondsSince1970) }) else { return false }
        guard kept.count < memory.entries.count else { return true }
        let ids = Set(kept.map(\.point.id))
        return memory.entries.allSatisfy {
            ids.contains($0.point.id) || !seconds.contains($0.point.time.secondsSince1970)
        }
    }

    /// Two lists in order as one. A backup of hours has the time of its begin, so what is fresh may be of any time.
    private static func merged(_ kept: [PointMemory.Entry], _ fresh: [PointMemory.Entry]) -> [PointMemory.Entry] {
        var result: [PointMemory.Entry] = [], rest = fresh[...]
        result.reserveCapacity(kept.count + fresh.count)
        for entry in kept {
            while let next = rest.first, next.point.time < entry.point.time {
                result.append(next)
                rest.removeFirst()
            }
            result.append(entry)
        }
        return result + rest
    }

    /// With what is said of some of them, which may change.
    func points(hurt: Set<FileID>, aside: Set<FileID>) -> [ObservedPoint] {
        var points = entries.map(\.point)
        guard !hurt.isEmpty || !aside.isEmpty else { return points }
        let hurt = Set(hurt.map(\.description)), aside = Set(aside.map(\.description))
        for index in points.indices {
            if hurt.contains(points[index].id) { points[index].isHurt = true }
            if aside.contains(points[index].id) { points[index].isSetAside = true }
        }
        return points
    }
}

extension PointMemory.FileMark {
    fileprivate init(_ file: StoredFile) {
        self.init(number: file.number, size: file.size, changed: file.changed)
    }
}
