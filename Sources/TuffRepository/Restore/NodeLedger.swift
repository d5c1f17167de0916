/// A walk's knowledge of the nodes that it met, so that none is walked twice however often trees name it.
///
/// A node is known by its level and the place of its first entry in the index. That is a bit for each entry that is
/// there, so that the memory is bounded by what the medium holds, and so is the work: a tree of 2^45 places may be made
/// of nine nodes.
struct NodeLedger {
    enum State: Equatable {
        case unknown
        /// Everything beneath is there.
        case whole
        /// So many bytes of the volume beneath are not.
        case hurt(UInt64)
    }

    struct Place: Hashable {
        fileprivate let level: Int
        fileprivate let file: Int
        fileprivate let entry: Int
    }

    private let files: [IndexFile]
    /// Bits of whole nodes, by level and file. Levels are added when they are met: most have few nodes, and most trees
    /// few levels.
    private var whole: [[[UInt64]]] = []
    private var hurt: [Place: UInt64] = [:]

    init(_ index: RepositoryIndex) { files = index.files }

    /// - Parameter level: the level at which the node stands. At another level the same bytes are no node.
    /// - Returns: nil for a node that is in no index.
    func place(of name: ContentName, level: Int) throws(RepositoryError) -> Place? {
        for (number, file) in files.enumerated() {
            if let entry = try file.findNumbered(name, node: true).first?.number {
                return Place(level: level, file: number, entry: entry)
            }
        }
        return nil
    }

    subscript(place: Place) -> State {
        get {
            if place.level < whole.count,
                whole[place.level][place.file][place.entry / 64] & (1 << UInt64(place.entry % 64)) != 0
            {
                return .whole
            }
            return hurt[place].map { .hurt($0) } ?? .unknown
        }
        set {
            switch newValue {
            case .unknown: hurt[place] = nil
            case .whole:
                while whole.count <= place.level {
                    whole.append(files.map { Array(repeating: 0, count: ($0.layout.entries + 63) / 64) })
                }
                whole[place.level][place.file][place.entry / 64] |= 1 << UInt64(place.entry % 64)
            case .hurt(let bytes): hurt[place] = bytes
            }
        }
    }
}
