import Synchronization

/// The levels above the leaves of a volume's tree, made while its leaves come in any order; shared by the threads of a backup.
///
/// Only nodes that wait for some of their children are in memory: a few for each thread, however large the volume.
final class TreeBuilder: Sendable {
    /// A node whose last child has come.
    struct Complete {
        let node: Node
        let index: Int
    }

    private struct Waiting {
        var children: [ContentName?]
        var missing: Int
    }

    private struct State {
        /// By level, those of level 0 being the leaves, which do not wait here.
        var waiting: [[Int: Waiting]]
        var root: ContentName?
    }

    private let shape: TreeShape
    private let state: Mutex<State>

    init(_ shape: TreeShape) {
        self.shape = shape
        state = Mutex(State(waiting: Array(repeating: [:], count: shape.nodes.count)))
    }

    /// Name of the root, nil if all is zero; to be asked when every leaf has come.
    var root: ContentName? { state.withLock { $0.root } }

    /// Takes the name of a node, nil if all beneath it is zero; gives back the node above it if it is complete now. The caller
    /// stores that one, and comes again with its name.
    func add(_ name: ContentName?, level: Int, index: Int) -> Complete? {
        state.withLock { state in
            let above = level + 1, place = index / Format.fanOut
            guard above < shape.nodes.count else {
                state.root = name
                return nil
            }
            let count = shape.children(level: above, index: place)
            var waiting =
                state.waiting[above].removeValue(forKey: place)
                ?? Waiting(children: Array(repeating: nil, count: count), missing: count)
            waiting.children[index % Format.fanOut] = name
            waiting.missing -= 1
            if waiting.missing == 0 {
                return Complete(node: Node(level: above, children: waiting.children), index: place)
            }
            state.waiting[above][place] = waiting
            return nil
        }
    }
}
