import Synchronization

/// The levels above the leaves of a volume's tree, made while its leaves come in any order; shared by the threads of a
/// backup.
///
/// Only nodes that wait for some of their children are in memory: a few for each thread, however large the volume.
final class TreeBuilder: Sendable {
    /// A node whose last child has come.
    struct Complete {
        let node: TreeNode
        let index: Int
    }

    private struct Waiting {
        var children: [ContentName?]
        var missing: Int
    }

    private struct State {
        /// Waiting nodes by level. Level 0 has the leaves, which never wait here.
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

    /// Takes the name of a node, nil if all beneath it is zero; returns the node above it if that is complete now. The
    /// caller stores that node, and calls again with its name.
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
                return Complete(node: TreeNode(level: above, children: waiting.children), index: place)
            }
            state.waiting[above][place] = waiting
            return nil
        }
    }
}
