import TuffModel

/// The one place that decides whether a set of documents may reach something on this host. What lies outside is left as
/// it is and goes on being served: it is blocked, and never an orphan, lost or removed. Paths are judged by their
/// texts; the worker judges once more what it opens (`HostRoots`).
struct ReachDoor {
    /// Why something is out of reach, and at which field of its document.
    struct Refusal: Error {
        var obstacle: Obstacle
        var field: String

        init(_ sentence: String, at field: String) {
            obstacle = Obstacle(
                .notAllowed,
                "\(sentence) in the controller's configuration; it is left as it is, and what is in use stays in use")
            self.field = field
        }
    }

    private let reach: Reach
    /// Directories of volumes and backups, of whatever stack: what is in them is no image.
    private let stores: Set<String>
    /// Directories of pools and of repositories that this host remembers, of whatever stack.
    private let pools: Set<String>
    private let repositories: Set<String>

    init(_ reach: Reach, stores: Set<String> = [], pools: Set<String> = [], repositories: Set<String> = []) {
        self.reach = reach
        self.stores = stores
        self.pools = pools
        self.repositories = repositories
    }

    /// - Parameter ledger: names pools of all stacks of this host.
    init(_ config: ControllerConfig, desired: DesiredState, ledger: Ledger) {
        let pools = Set(ledger.entries.filter { $0.resource.kind == .pool && $0.place.hasPrefix("/") }.map(\.place))
        var stores = pools
        for pool in desired.pools.values where pool.spec.node ?? config.node == config.node {
            if case .directory(let directory) = pool.spec.backend { stores.insert(directory.path) }
        }
        for repository in desired.backupRepositories.values {
            if case .directory(let path) = repository.spec.site { stores.insert(path) }
        }
        let repositories = (ledger.repositories ?? []).map(\.place).filter { $0.hasPrefix("/") }
        self.init(config.allow, stores: stores, pools: pools, repositories: Set(repositories))
    }

    // MARK: Documents

    func refusal(of pool: PoolSpec) -> Refusal? {
        switch pool.backend {
        case .lvm(let lvm): return refusal(ofGroup: lvm.volumeGroup, at: "spec.lvm.volumeGroup") ?? refusal(ofWipe: lvm)
        case .directory(let directory):
            return refusal(of: directory.path, .directories, at: "spec.directory.path")
                ?? directory.nfs.flatMap { refusal(of: $0, at: "spec.directory.nfs") }
        }
    }

    /// A pool that shows what earlier volumes left. What is in it stays in use; nothing new is made in it.
    func refusal(ofWipe lvm: LVMPoolSpec) -> Refusal? {
        guard lvm.thinPool == nil, lvm.wipe == .none, !reach.unwiped else { return nil }
        return Refusal(
            "wipe: none shows new volumes what earlier ones left, and there is no allow.unwiped: true",
            at: "spec.lvm.wipe")
    }

    func refusal(of repository: BackupRepositorySpec) -> Refusal? {
        let place: Refusal? =
            switch repository.site {
            case .directory(let path):
                refusal(of: path, .directories, at: "spec.directory.path") ?? refusal(ofNested: path)
            case .nfs(let share): refusal(of: share, at: "spec.nfs")
            }
        return place ?? repository.key.flatMap { refusal(of: $0, at: "spec.encryption.keyFrom.file") }
    }

    /// Documents of one set are compared with each other before; here it is about those of other sets.
    private func refusal(ofNested path: String) -> Refusal? {
        let others = pools.sorted() + repositories.sorted().filter { $0 != path }
        guard let other = others.first(where: { Reach.holds($0, path) || Reach.holds(path, $0) }) else { return nil }
        return Refusal(
            "directory \(path) and \(other), where this host has volumes or other backups, lie within one another",
            at: "spec.directory.path")
    }

    func refusal(of secret: SecretReference, at field: String) -> Refusal? {
        refusal(of: secret.file, .secrets, at: field)
    }

    func refusal(of image: ImageSource) -> Refusal? {
        let field = "spec.source.image.path"
        if let refusal = refusal(of: image.path, .images, at: field) { return refusal }
        guard let store = stores.first(where: { Reach.holds($0, image.path) }) else { return nil }
        return Refusal(
            "image \(image.path) lies in \(store), where volumes or backups are, which is no place for images",
            at: field)
    }

    // MARK: What is there

    /// Obstacle to anything that is stored out of reach.
    func obstacle(to backend: StorageBackend) -> Obstacle? {
        switch backend {
        case .thinPool(let group, _), .thick(let group): refusal(ofGroup: group, at: "")?.obstacle
        case .directory(let path): refusal(of: path, .directories, at: "")?.obstacle
        }
    }

    /// True if access may be granted that needs these secrets, to a volume there.
    func admits(_ chap: CHAPSpec?, _ backend: StorageBackend?) -> Bool {
        let secrets = [chap?.initiator.password, chap?.mutual?.password].compactMap { $0 }
        return secrets.allSatisfy { refusal(of: $0, at: "") == nil } && backend.flatMap { obstacle(to: $0) } == nil
    }

    /// The same of a volume's place as the ledger has it: `vg0/v-db` or `/srv/tuff/pools/a/v-db`.
    func obstacle(toPlace place: String) -> Obstacle? {
        guard let slash = place.lastIndex(of: "/"), slash > place.startIndex else { return nil }
        let home = String(place[..<slash])
        return obstacle(to: home.hasPrefix("/") ? .directory(path: home) : .thick(group: home))
    }

    // MARK: Rules

    private func refusal(ofGroup name: String, at field: String) -> Refusal? {
        guard !reach.allows(volumeGroup: name) else { return nil }
        return Refusal(
            "volume group \(name) is none of allow.volumeGroups (\(Self.list(reach.volumeGroups)))", at: field)
    }

    private func refusal(of path: String, _ sort: Reach.Sort, at field: String) -> Refusal? {
        guard reach.root(of: path, sort) == nil else { return nil }
        return Refusal(
            "\(sort.noun) \(path) lies beneath none of allow.\(sort.rawValue) (\(Self.list(reach[sort])))", at: field)
    }

    func refusal(of share: NFSShare, at field: String) -> Refusal? {
        guard !reach.permits(nfs: share) else { return nil }
        return Refusal("\(share.source) is none of allow.nfs (\(Self.list(reach.nfs)))", at: field)
    }

    private static func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
}
