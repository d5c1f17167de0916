/// Marks: packs on their way out (docs/repository-format.md, "Marks").
struct PackMark: Hashable {
    let id: FileID
    let packs: [FileID]
    /// Time of making, by the clock of the file system, in nanoseconds.
    let made: Int64

    static let largest = 16 << 20
    /// Packs that one mark names at most, which is 16 TiB of them.
    static let most = 1_000_000
    /// Bytes of all marks that are read: all that they name is held in memory. 64 TiB of packs.
    static let mostBytes: UInt64 = 64 << 20

    static func path(_ id: FileID) -> String { "marks/\(id)" }

    /// Lists all marks; throws if one is damaged, since new restore points must not rely on packs that it may name.
    static func list(_ store: any Store, _ sealing: Sealing) throws(RepositoryError) -> [PackMark] {
        let (marks, damaged) = try listReadable(store, sealing)
        if let error = damaged.first?.error {
            throw RepositoryError(.damaged, "\(error); 'tuff backup check --repair' removes it")
        }
        return marks
    }

    /// Lists the readable marks, and the damaged ones.
    static func listReadable(
        _ store: any Store, _ sealing: Sealing
    ) throws(RepositoryError) -> (marks: [PackMark], damaged: [(id: FileID, error: RepositoryError)]) {
        var marks: [PackMark] = []
        var damaged: [(FileID, RepositoryError)] = []
        var bytes: UInt64 = 0
        for file in try store.list("marks") {
            guard let id = FileID(file.name) else { continue }
            do throws(RepositoryError) {
                bytes += min(file.size, mostBytes)
                guard bytes <= mostBytes else {
                    throw RepositoryError(
                        .damaged, "\(path(id)) is one more than the \(mostBytes >> 20) MiB of marks that are read")
                }
                marks.append(PackMark(id: id, packs: try packs(of: id, store, sealing), made: file.modified))
            } catch  where error.code == .notFound {
                continue  // Removed since it was listed.
            } catch  where error.isDamage {
                damaged.append((id, error))
            }
        }
        return (marks, damaged)
    }

    private static func packs(
        of id: FileID, _ store: any Store, _ sealing: Sealing
    ) throws(RepositoryError) -> [FileID] {
        let bytes = try store.contents(path(id), limit: largest)
        try FileHeader(kind: .marks, id: id).verify(bytes, path: path(id))
        let piece = Array(bytes.dropFirst(Format.header))
        guard let content = piece.withUnsafeBytes({ sealing.seal(.marks, id).open($0, at: 0) }),
            content.count.isMultiple(of: FileID.byteCount)
        else { throw RepositoryError(.damaged, "\(path(id)) does not prove itself") }
        return stride(from: 0, to: content.count, by: FileID.byteCount).map { offset in
            content[offset...].withUnsafeBytes { FileID($0) }
        }
    }

    /// Marks packs, durably.
    static func write(_ packs: [FileID], to store: any Store, sealing: Sealing) throws(RepositoryError) -> FileID {
        let id = FileID()
        let content = packs.flatMap(\.bytes)
        let piece = sealing.seal(.marks, id).close(content, at: 0)
        try store.place(FileHeader(kind: .marks, id: id).bytes + piece, at: path(id))
        return id
    }
}
