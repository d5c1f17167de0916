import TuffHost
import TuffModel

/// Reads the target configuration object by object, where reading it whole hung: a rmdir(2) that waits for a suspended
/// device holds the locks of the directories around it, and whoever lists one of them waits too, in uninterruptible
/// sleep. Each reading that hangs costs a worker, so they are few.
struct LIOPieces {
    let machine: any Machine
    let key: FingerprintKey

    /// Pieces read at once.
    private static let width = 2
    /// Readings that may hang before no more are begun; what was not read then is unknown.
    private static let patience = 3

    private enum Piece: Sendable {
        /// A directory beneath `core`, with its backstores.
        case adapter(String)
        case target(String)

        var path: String {
            switch self {
            case .adapter(let name): "core/\(name)"
            case .target(let iqn): "iscsi/\(iqn)"
            }
        }

        var queries: [TreeQuery] {
            switch self {
            case .adapter(let name): LIODriver.backstoreQueries(adapter: name)
            case .target(let iqn): LIODriver.targetQueries(iqn)
            }
        }
    }

    func observe() async -> Observation<TargetInventory> {
        do throws(HostError) {
            let names = try await read([TreeQuery("core/*", .presence), TreeQuery("iscsi/*", .presence)])
            let tree = LIOTree(names)
            let adapters = tree.directories("core").filter(LIODecoder.isAdapter).sorted()
            let targets = tree.directories("iscsi").filter(LIODecoder.isTarget).sorted()
            let pieces = targets.map { Piece.target($0) } + adapters.map { Piece.adapter($0) }
            return .known(try LIODecoder.inventory(names + (await entries(of: pieces))))
        } catch {
            return .unknown(error)
        }
    }

    private func read(_ queries: [TreeQuery]) async throws(HostError) -> [TreeEntry] {
        try await machine.readTree(.targetConfiguration, queries, key: key)
    }

    /// The entries of all pieces; of one that cannot be read the entry of its directory, with the error.
    private func entries(of pieces: [Piece]) async -> [TreeEntry] {
        await withTaskGroup(of: (Piece, Result<[TreeEntry], HostError>).self) { tasks in
            var waiting = pieces[...]
            var found: [TreeEntry] = []
            var hanging = 0
            func fault(_ piece: Piece, _ error: HostError) -> TreeEntry {
                TreeEntry(path: piece.path, kind: .directory, error: error)
            }
            for piece in waiting.prefix(Self.width) { tasks.addTask { await read(piece) } }
            waiting = waiting.dropFirst(Self.width)
            for await (piece, result) in tasks {
                switch result {
                case .success(let entries): found += entries
                case .failure(let error):
                    found.append(fault(piece, error))
                    if error.code == .timeout { hanging += 1 }
                }
                guard hanging < Self.patience, let next = waiting.popFirst() else { continue }
                tasks.addTask { await read(next) }
            }
            let notRead = HostError(.exhausted, "Not read, since \(hanging) other objects of the target stack hang")
            return found + waiting.map { fault($0, notRead) }
        }
    }

    private func read(_ piece: Piece) async -> (Piece, Result<[TreeEntry], HostError>) {
        // A name that ends so is a pattern to the reader; nothing of ours has one.
        guard !piece.path.hasSuffix("*") else {
            return (piece, .failure(HostError(.refused, "'\(piece.path)' has a name that Tuff does not read")))
        }
        do throws(HostError) {
            return (piece, .success(try await read(piece.queries)))
        } catch {
            return (piece, .failure(error))
        }
    }
}
