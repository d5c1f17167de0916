/// Limits of what documents may name on this host: `allow` of the controller's configuration. Paths are absolute,
/// without a slash at the end, without `.` and `..`.
package struct Reach: Hashable, Codable, Sendable {
    /// A sort of paths, each with roots of its own.
    package enum Sort: String, CaseIterable, Codable, Sendable {
        case secrets, images, directories

        /// One path of the sort, for messages.
        package var noun: String {
            switch self {
            case .secrets: "secret file"
            case .images: "image"
            case .directories: "directory"
            }
        }
    }

    package var secrets: [String]
    package var images: [String]
    /// Roots of directory pools and of backup repositories.
    package var directories: [String]
    /// Names or globs.
    package var volumeGroups: [String]
    /// `SERVER:/EXPORT`, names or globs: see `NFSPattern`.
    package var nfs: [String]
    /// Whether `wipe: none` may be asked for.
    package var unwiped: Bool
    /// `NODE/STACK`, names or globs: hosts and stacks, besides this host and the documents' own stack, of whose restore
    /// points documents may make volumes. Nil: none, and in inventories of versions that did not ask.
    package var series: [String]?

    package init(
        secrets: [String] = ["/etc/tuff/secrets"], images: [String] = ["/srv/tuff/images"],
        directories: [String] = ["/srv/tuff/pools", "/srv/tuff/backups"], volumeGroups: [String] = ["*"],
        nfs: [String] = [], unwiped: Bool = false
    ) {
        self.secrets = secrets
        self.images = images
        self.directories = directories
        self.volumeGroups = volumeGroups
        self.nfs = nfs
        self.unwiped = unwiped
    }

    /// Roots that hold paths of all sorts. No configuration can ask for that; configurations of earlier versions meant
    /// it.
    package init(everythingBeneath roots: [String]) {
        self.init(secrets: roots, images: roots, directories: roots, unwiped: true)
    }

    package subscript(sort: Sort) -> [String] {
        get {
            switch sort {
            case .secrets: secrets
            case .images: images
            case .directories: directories
            }
        }
        set {
            switch sort {
            case .secrets: secrets = newValue
            case .images: images = newValue
            case .directories: directories = newValue
            }
        }
    }

    /// The root of `sort` that holds `path`, of several the longest.
    package func root(of path: String, _ sort: Sort) -> String? {
        self[sort].filter { Self.holds($0, path) }.max { $0.utf8.count < $1.utf8.count }
    }

    /// Whether `path` is `root` or lies beneath it, by their bytes: to the kernel a slash before a combining character
    /// is a slash, and texts that look alike are different names.
    package static func holds(_ root: String, _ path: String) -> Bool {
        guard path.utf8.starts(with: root.utf8) else { return false }
        let rest = path.utf8.dropFirst(root.utf8.count)
        return root.utf8.count == 1 || rest.isEmpty || rest.first == UInt8(ascii: "/")
    }

    /// The names in a path as the kernel divides it; empty ones are left out.
    package static func names(in path: some StringProtocol) -> [String] {
        path.utf8.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
    }

    package func allows(volumeGroup name: String) -> Bool {
        // Asked for every volume of a plan.
        volumeGroups.contains { $0 == "*" || Glob($0).matches(name) }
    }

    /// True where the server and the export of `share` are named, however they are written. A path upwards, and a
    /// server that is neither a name nor an address, is never permitted.
    package func permits(nfs share: NFSShare) -> Bool {
        guard let server = NFSServer(share.server), let export = NFSShare.normalizedExport(share.export),
            share.path.map(Self.isRelativePath) ?? true
        else { return false }
        return nfs.contains { NFSPattern($0)?.matches(server, export: export) ?? false }
    }

    /// True where documents of other stacks and hosts may make volumes of restore points of this one's.
    package func permits(seriesOf node: String, stack: String) -> Bool {
        series?.contains { Glob($0).matches("\(node)/\(stack)") } ?? false
    }

    /// True where a repository may be there.
    package func permits(_ site: BackupRepositorySpec.Site) -> Bool {
        switch site {
        case .directory(let path): root(of: path, .directories) != nil
        case .nfs(let share): permits(nfs: share)
        }
    }

    /// True where `path` lies beneath whatever it is joined to: no slash at its beginning or end, no empty part, no `.`
    /// and `..`, and nothing that a terminal reads as more than a character.
    package static func isRelativePath(_ path: String) -> Bool {
        // By bytes, as the kernel divides it: a combining character after a slash makes no name of it.
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
            && path.unicodeScalars.allSatisfy { scalar in
                switch scalar.value {
                case 0...0x1f, 0x7f...0x9f, 0x2028...0x202e, 0x2066...0x2069: false
                default: true
                }
            }
    }

    package struct Root: Hashable, Sendable {
        package var sort: Sort
        package var path: String

        package init(sort: Sort, path: String) {
            self.sort = sort
            self.path = path
        }
    }

    /// Two roots of different sorts, of which one holds the other.
    package struct Overlap: Hashable, Sendable {
        package var first: Root
        package var second: Root

        package init(first: Root, second: Root) {
            self.first = first
            self.second = second
        }
    }

    /// All overlaps, by the roots' texts.
    package var overlaps: [Overlap] {
        var found: [Overlap] = []
        for (position, sort) in Sort.allCases.enumerated() {
            for other in Sort.allCases[(position + 1)...] {
                for root in self[sort] {
                    for that in self[other] where Self.holds(root, that) || Self.holds(that, root) {
                        found.append(
                            Overlap(first: Root(sort: sort, path: root), second: Root(sort: other, path: that)))
                    }
                }
            }
        }
        return found
    }
}

extension Reach {
    /// The reach that equals `allowedRoots`, which earlier versions had: each root is given to one sort, by its name. A
    /// root that holds one of another sort is left out, since roots of different sorts must not overlap.
    package static func replacing(allowedRoots: [String]) -> (reach: Reach, leftOut: [String]) {
        var reach = Reach(secrets: [], images: [], directories: [], unwiped: true)
        for root in allowedRoots { reach[sort(byName: root)].append(root) }
        var leftOut: Set<String> = []
        for overlap in reach.overlaps {
            let (first, second) = (overlap.first.path, overlap.second.path)
            leftOut.insert(holds(first, second) ? first : second)
        }
        for sort in Sort.allCases { reach[sort].removeAll(where: leftOut.contains) }
        return (reach, leftOut.sorted())
    }

    private static func sort(byName root: String) -> Sort {
        let words = names(in: root).map { $0.lowercased() }
        if words.first == "etc" || words.contains(where: { $0.contains("secret") || $0 == "key" || $0 == "keys" }) {
            return .secrets
        }
        return words.contains { $0.contains("image") || $0 == "iso" || $0 == "isos" } ? .images : .directories
    }

    /// The part of `accepted` that this reach does not allow. It was allowed when it was accepted, so a boot brings it
    /// back.
    package func lacking(for accepted: AcceptedExports) -> Reach {
        var lacking = Reach(secrets: [], images: [], directories: [], volumeGroups: [])
        for pool in accepted.pools {
            switch pool.backend {
            case .directory(let path):
                if root(of: path, .directories) == nil { lacking.directories.append(path) }
            case .thick(let group), .thinPool(let group, _):
                // No name of a volume group has a character that a glob gives a meaning.
                if !allows(volumeGroup: group) { lacking.volumeGroups.append(group) }
            }
        }
        lacking.secrets = Set(accepted.access.flatMap(\.secretFiles)).filter { root(of: $0, .secrets) == nil }.sorted()
        return lacking
    }

    /// The union of both.
    package func and(_ other: Reach) -> Reach {
        var both = self
        for sort in Sort.allCases { both[sort] += other[sort].filter { !self[sort].contains($0) } }
        both.volumeGroups += other.volumeGroups.filter { !volumeGroups.contains($0) }
        both.nfs += other.nfs.filter { !nfs.contains($0) }
        both.unwiped = unwiped || other.unwiped
        if let more = other.series { both.series = (series ?? []) + more.filter { series?.contains($0) != true } }
        return both
    }
}

extension AcceptedExports.Access {
    package var secretFiles: [String] {
        [chap?.initiator.password.file, chap?.mutual?.password.file].compactMap { $0 }
    }
}

/// A name in which `*` stands for any characters but a divider, and `?` for one.
package struct Glob: Hashable, Sendable {
    private let pattern: [UInt8]
    private let dividers: [UInt8]

    /// - Parameter dividers: ASCII characters that only themselves stand for.
    package init(_ pattern: String, dividers: String = "/") {
        self.pattern = Array(pattern.utf8)
        self.dividers = Array(dividers.utf8)
    }

    /// Whether all of `text` matches. Takes at most the product of both lengths.
    package func matches(_ text: String) -> Bool {
        let text = Array(text.utf8)
        var position = 0, place = 0
        // Where the last star stands, and how much of the text it has taken.
        var star: (position: Int, place: Int)?
        while place < text.count {
            if position < pattern.count, pattern[position] == UInt8(ascii: "*") {
                star = (position, place)
                position += 1
            } else if position < pattern.count,
                pattern[position] == text[place]
                    || pattern[position] == UInt8(ascii: "?") && !dividers.contains(text[place])
            {
                position += 1
                place += 1
            } else if let last = star, !dividers.contains(text[last.place]) {
                star = (last.position, last.place + 1)
                position = last.position + 1
                place = last.place + 1
            } else {
                return false
            }
        }
        return pattern[position...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
