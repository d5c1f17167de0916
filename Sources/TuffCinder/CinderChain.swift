import TuffModel
package import TuffRepository

/// One backup of Cinder's, as far as it can be told from names and metadata.
package struct CinderBackup: Sendable {
    package enum State: Hashable, Sendable {
        /// All of the chain is there by name and length; the content is checked when it is restored.
        case complete
        /// There is no metadata, which Cinder writes last: it failed, or is still at work.
        case incomplete
        /// It cannot be restored, with the reason.
        case damaged(String)
    }

    package let id: CinderID
    package let volume: CinderID
    package internal(set) var state: State
    /// The rest is known where there is readable metadata. RFC 3339 where Cinder's form was understood.
    package internal(set) var created: String?
    package internal(set) var name: String?
    package internal(set) var volumeName: String?
    /// The volume's metadata as users of OpenStack set it.
    package internal(set) var userMetadata: [String: String] = [:]
    package internal(set) var parent: CinderID?
    /// Bytes of the volume; nil where the chain is broken and the metadata does not say.
    package internal(set) var size: UInt64?
    /// Bytes of the volume that lie in its own objects, uncompressed.
    package internal(set) var own: UInt64?
}

/// The backups beneath a directory.
package struct CinderBackups: Sendable {
    package let directory: CinderDirectory
    private let listings: [CinderID: [CinderDirectory.Listing]]
    /// Directories that could not be read, as sentences. Their backups are missing here.
    package let unread: [String]

    package init(_ directory: CinderDirectory) throws(RepositoryError) {
        self.directory = directory
        let scan = try directory.scan()
        unread = scan.unread
        listings = Dictionary(grouping: scan.listings, by: \.prefix.backup)
    }

    /// All backups, oldest first; those without a readable time come before all others.
    package func list() -> [CinderBackup] {
        var layers: [CinderID: Result<CinderLayer, RepositoryError>] = [:]
        for id in listings.keys {
            layers[id] = Result { () throws(RepositoryError) in
                let found = try layer(id)
                return CinderLayer(listing: found.listing, metadata: found.metadata.withoutObjects())
            }
        }
        var grounds: [CinderID: Result<CinderGround, RepositoryError>] = [:]
        return listings.map { id, found in
            var backup = CinderBackup(
                id: id, volume: found[0].prefix.volume, state: isUnfinished(id) ? .incomplete : .complete)
            guard backup.state == .complete else { return backup }
            do throws(RepositoryError) {
                let layer = try layers[id].unwrapped()
                backup.describe(layer.metadata)
                let ground = try ground(of: id, layers, &grounds).get()
                backup.size = max(layer.metadata.size ?? 0, ground.covered)
            } catch {
                backup.state = .damaged(error.description)
            }
            return backup
        }.sorted { ($0.created ?? "", $0.id) < ($1.created ?? "", $1.id) }
    }

    /// A backup and those it builds on, all read and checked but for the objects' content.
    package func chain(_ id: CinderID) throws(RepositoryError) -> CinderChain {
        guard listings[id] != nil else {
            throw RepositoryError(.notFound, "there is no backup \(id) beneath \(directory.path)")
        }
        return try chain(id) { id throws(RepositoryError) in try layer(id) }
    }

    /// The backups that a backup stands on. Each link between backups is followed once for all of them, however long a
    /// chain somebody writes.
    private func ground(
        of id: CinderID, _ layers: [CinderID: Result<CinderLayer, RepositoryError>],
        _ grounds: inout [CinderID: Result<CinderGround, RepositoryError>]
    ) -> Result<CinderGround, RepositoryError> {
        var way: [CinderLayer] = []
        var met: Set<CinderID> = []
        var next = id
        var found: Result<CinderGround, RepositoryError>?
        while found == nil {
            found = grounds[next]
            if found != nil { break }
            if !met.insert(next).inserted {
                found = .failure(Self.circular(next))
            } else if let child = way.last?.metadata.backup, listings[next] == nil {
                found = .failure(lost(next, below: child))
            } else {
                do throws(RepositoryError) {
                    let layer = try layers[next].unwrapped()
                    if let parent = layer.metadata.parent {
                        way.append(layer)
                        next = parent
                    } else {
                        found = .success(try CinderGround(layer))
                    }
                } catch { found = .failure(error) }
                if let found { grounds[next] = found }
            }
        }
        var result = found ?? .failure(Self.circular(id))
        for layer in way.reversed() {
            if case .success(let ground) = result {
                do throws(RepositoryError) { try ground.demand(layer) } catch { result = .failure(error) }
            }
            grounds[layer.metadata.backup] = result
        }
        return result
    }

    private static func circular(_ id: CinderID) -> RepositoryError {
        RepositoryError(.damaged, "backup \(id) is its own parent or grandparent")
    }

    private func lost(_ id: CinderID, below child: CinderID) -> RepositoryError {
        RepositoryError(
            .damaged,
            "backup \(child) builds on \(id), which is not beneath \(directory.path); give the root of Cinder's "
                + "backups rather than one container")
    }

    /// Objects of a chain that are held in memory, a GiB of it: a full backup of a TiB has some 20,000.
    private static let mostObjects = 16 << 20

    private func chain(
        _ id: CinderID, layer: (CinderID) throws(RepositoryError) -> CinderLayer
    ) throws(RepositoryError) -> CinderChain {
        var objects = 0
        var layers: [CinderLayer] = []
        var seen: Set<CinderID> = []
        var next: CinderID? = id
        while let id = next {
            guard seen.insert(id).inserted else { throw Self.circular(id) }
            if let child = layers.last?.metadata.backup, listings[id] == nil { throw lost(id, below: child) }
            let found = try layer(id)
            objects += found.metadata.count
            guard objects <= Self.mostObjects else {
                throw RepositoryError(
                    .refused,
                    "the chain of backup \(layers.first?.metadata.backup ?? id) has more than \(Self.mostObjects) "
                        + "objects"
                )
            }
            layers.append(found)
            next = found.metadata.parent
        }
        return try CinderChain(layers.reversed(), in: directory)
    }

    private func isUnfinished(_ id: CinderID) -> Bool {
        guard let found = listings[id], found.count == 1 else { return false }
        return !found[0].hasMetadata && found[0].odd == nil
    }

    /// Reads one backup's metadata and compares it with the names of the files.
    private func layer(_ id: CinderID) throws(RepositoryError) -> CinderLayer {
        let found = listings[id] ?? []
        guard found.count == 1, let listing = found.first else {
            let places = found.prefix(5).map { directory.described($0.directory) }.joined(separator: ", ")
            throw RepositoryError(.damaged, "backup \(id) is there \(found.count) times: \(places)")
        }
        let prefix = listing.prefix, place = directory.described(listing.directory)
        if let odd = listing.odd { throw RepositoryError(.damaged, "backup \(id) in \(place): \(odd)") }
        guard listing.hasMetadata else {
            throw RepositoryError(
                .damaged, "backup \(id) in \(place) has no metadata: Cinder failed to finish it, or is still at work")
        }
        let path = listing.path(prefix.metadata)
        let bytes = try directory.open(path).contents(limit: CinderMetadata.limit)
        let metadata = try CinderMetadata(bytes, prefix: prefix, file: directory.described(path))
        let count = metadata.count
        guard listing.highest <= count else {
            throw RepositoryError(
                .damaged,
                "\(directory.described(listing.path(prefix.object(listing.highest)))) is not in the backup's metadata")
        }
        if listing.objects != count {
            for number in 1...max(count, 1) { _ = try directory.size(listing.path(prefix.object(number))) }
            throw RepositoryError(.damaged, "the files of backup \(id) in \(place) changed while they were looked at")
        }
        return CinderLayer(listing: listing, metadata: metadata)
    }
}

extension Result<CinderLayer, RepositoryError>? {
    fileprivate func unwrapped() throws(RepositoryError) -> CinderLayer {
        guard let self else { throw RepositoryError(.damaged, "the backup is gone") }
        return try self.get()
    }
}

extension CinderBackup {
    fileprivate mutating func describe(_ metadata: CinderMetadata) {
        created = metadata.created
        name = metadata.name
        volumeName = metadata.volumeName
        userMetadata = metadata.userMetadata
        parent = metadata.parent
        size = metadata.size
        own = metadata.own
    }
}

/// One backup of a chain.
struct CinderLayer: Sendable {
    let listing: CinderDirectory.Listing
    let metadata: CinderMetadata

    /// Relative to the root; `number` from 1.
    func path(ofObject number: Int) -> String { listing.path(listing.prefix.object(number)) }
}

/// The facts about the full backup at the begin of a chain that the backups upon it must fit.
struct CinderGround: Sendable {
    /// Bytes of the volume that it has: all, unless the volume grew after the snapshot it was made from.
    let covered: UInt64
    private let backup: CinderID
    private let volume: CinderID

    init(_ full: CinderLayer) throws(RepositoryError) {
        covered = full.metadata.end
        backup = full.metadata.backup
        volume = full.metadata.volume
        guard covered > 0 else { throw RepositoryError(.damaged, "full backup \(backup) has no objects") }
        // A full backup has every byte of the volume.
        if let gap = full.metadata.firstGap {
            throw RepositoryError(
                .damaged, "full backup \(backup) lacks the bytes from \(gap.offset) on before object \(gap.object)")
        }
    }

    func demand(_ layer: CinderLayer) throws(RepositoryError) {
        guard layer.metadata.volume == volume else {
            throw RepositoryError(
                .damaged, "backup \(layer.metadata.backup) builds on one of another volume, \(backup)")
        }
        // Cinder compares with the parent's list block by block, and asks for a full backup of a volume that grew.
        guard layer.metadata.end <= covered else {
            throw RepositoryError(
                .damaged,
                "backup \(layer.metadata.backup) writes at \(layer.metadata.end), behind the "
                    + "\(covered) bytes of the full backup it builds on")
        }
    }
}

/// A backup and the backups it builds on, oldest first, proven to fit together.
package struct CinderChain: Sendable {
    let directory: CinderDirectory
    let layers: [CinderLayer]
    /// Bytes of the volume that the full backup has: all, unless the volume grew after the snapshot it was made from.
    package let covered: UInt64

    /// Number of backups in the chain; 1 for a full one.
    package var count: Int { layers.count }
    /// Bytes that are read of all objects, uncompressed.
    package let total: UInt64

    /// Whether the newest backup has its list of digests, by which the whole result is proven.
    package var hasDigests: Bool { newest.listing.hasHashes }

    var newest: CinderLayer { layers[layers.count - 1] }
    package var backup: CinderID { newest.metadata.backup }
    package var volume: CinderID { newest.metadata.volume }
    package var created: String { newest.metadata.created }

    /// Warnings that a person should know before relying on it, as sentences.
    package var doubts: [String] {
        layers.compactMap { layer in layer.metadata.doubt.map { "backup \(layer.metadata.backup): \($0)" } }
    }

    /// - Parameter layers: at least one, oldest first.
    init(_ layers: [CinderLayer], in directory: CinderDirectory) throws(RepositoryError) {
        self.layers = layers
        self.directory = directory
        let ground = try CinderGround(layers[0])
        covered = ground.covered
        var total = covered
        for layer in layers.dropFirst() {
            try ground.demand(layer)
            let (sum, overflow) = total.addingReportingOverflow(layer.metadata.own)
            total = overflow ? .max : sum
        }
        self.total = total
    }

    /// The volume's size without a look at the list of digests. A device may be larger than the size that Cinder
    /// knows, and has been read to its end.
    var leastSize: UInt64 { max(newest.metadata.size ?? 0, covered) }

    /// The volume's size in bytes, and so of the target of a restore.
    package func size() throws(RepositoryError) -> UInt64 {
        // Where the record and the objects agree, nothing is left to ask. Otherwise the list of digests tells up to
        // where the volume was read. Missing bytes before that are damage, and bytes that the record counts beyond it
        // are zeros: a snapshot that is older than the volume's last growth.
        let listing = newest.listing
        guard newest.metadata.size != covered else { return covered }
        guard listing.hasHashes else {
            guard leastSize == covered else {
                throw RepositoryError(
                    .damaged,
                    "the objects of backup \(layers[0].metadata.backup) end at \(covered), but its volume has "
                        + "\(leastSize) bytes, and there is no "
                        + "\(directory.described(listing.path(listing.prefix.hashes))) to tell whether some are lost")
            }
            return covered
        }
        let extent = try DigestList(listing, in: directory).read { _, _, _ in }
        try expect(extent)
        return leastSize
    }

    /// Checks that the objects reach as far as the list of digests. They may reach further: Cinder makes an increment
    /// of a snapshot that is older than the volume's growth upon a full backup that is younger.
    func expect(_ extent: DigestList.Extent) throws(RepositoryError) {
        guard covered >= extent.sizes.lowerBound else {
            throw RepositoryError(
                .damaged,
                "the objects of backup \(layers[0].metadata.backup) end at \(covered), but backup \(backup) has "
                    + "digests up to \(extent.sizes.upperBound)")
        }
    }

    /// Looks at the file of every object, so that a missing or shortened one is reported before the first byte is
    /// written.
    package func checkFiles() throws(RepositoryError) {
        for layer in layers {
            for (index, object) in layer.metadata.objects.enumerated() {
                let path = layer.path(ofObject: index + 1)
                // Opened, since an unreadable file must be reported before anything is written, too.
                let size = try directory.open(path).size
                let isRight =
                    object.compression == .none ? size == UInt64(object.range.count) : size > 0
                guard isRight else {
                    throw RepositoryError(
                        .damaged, "\(directory.described(path)) has \(size) bytes, which is not its length")
                }
            }
        }
    }
}
