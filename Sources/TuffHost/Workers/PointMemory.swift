package import TuffModel

/// The restore points of a repository as this host saw them, so that a pass reads those alone that it does not know: a
/// point is written once and never changes. It lies beside the files of jobs, in root's own directory, and is gone with
/// the next boot.
///
/// It may be removed at any time. It is believed of points alone that the repository lists now, and says nothing of
/// what may change: whether a point is set aside, or lacks something. A medium says itself which id it has, so what was
/// seen at one place is believed of no other.
package struct PointMemory: Sendable {
    /// By which the file of a point is known again.
    package struct FileMark: Equatable, Sendable {
        /// Of the inode; 0: not known.
        package var number: UInt64
        /// Bytes.
        package var size: UInt64
        /// Time of the inode's last change, in nanoseconds.
        package var changed: Int64

        package init(number: UInt64 = 0, size: UInt64 = 0, changed: Int64 = 0) {
            self.number = number
            self.size = size
            self.changed = changed
        }

        package var isKnown: Bool { number != 0 }
    }

    package struct Entry: Sendable {
        package var point: ObservedPoint
        package var mark: FileMark

        package init(_ point: ObservedPoint, _ mark: FileMark) {
            self.point = point
            self.mark = mark
        }
    }

    private static let begin = Array("tuff points 1\n".utf8)

    /// Oldest first, as the listing has them.
    package var entries: [Entry]

    package init(_ entries: [Entry]) { self.entries = entries }

    private static func place(_ access: RepositoryAccess) -> [String?] {
        [access.site.description, access.key?.file]
    }

    /// One file for each place, however often a medium changes its id. Nil where nothing is to be remembered.
    private static func file(of access: RepositoryAccess, _ control: JobControl) -> StateFile? {
        // FNV-1a, 64 bits. Two places of one number take turns, since each is written in its file.
        var number: UInt64 = 0xcbf2_9ce4_8422_2325
        for text in place(access) {
            for byte in Array((text ?? "").utf8) + [0xff] { number = (number ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return control.pointsDirectory.map {
            StateFile("\($0)/\(String(number, radix: 16))", what: "list of restore points")
        }
    }

    /// Nil where there is none that this program wrote: then everything is read.
    /// - Parameters:
    ///   - repository: its own id.
    ///   - access: where it was read, and with which key.
    ///   - program: version of this program, since another may know other things of a point.
    package init?(of repository: String, _ access: RepositoryAccess, program: String, for control: JobControl) {
        guard let bytes = try? Self.file(of: access, control)?.read(), bytes.starts(with: Self.begin) else {
            return nil
        }
        var rest = bytes.dropFirst(Self.begin.count)
        let origin = Self.origin(of: repository, access, program: program)
        guard PointCoding.list(&rest, { PointCoding.optionalText(&$0) }) == origin,
            let marks = PointCoding.list(&rest, { Self.mark(&$0) }), let points = PointCoding.decode(&rest),
            rest.isEmpty, points.count == marks.count
        else { return nil }
        entries = zip(points, marks).map { Entry($0, $1) }
    }

    private static func origin(of repository: String, _ access: RepositoryAccess, program: String) -> [String?] {
        [program, repository] + place(access)
    }

    private static func mark(_ rest: inout ArraySlice<UInt8>) -> FileMark? {
        guard let number = PointCoding.number(&rest), let size = PointCoding.number(&rest),
            let changed = PointCoding.number(&rest)
        else { return nil }
        return FileMark(number: UInt64(bitPattern: number), size: UInt64(bitPattern: size), changed: changed)
    }

    /// A memory that cannot be kept costs time, and nothing else: no lock is held, so of two that write at once one may
    /// put half of the other's in place, which is not understood. More than `StateFile.limit`, some 70,000 points, is
    /// not kept.
    package func keep(of repository: String, _ access: RepositoryAccess, program: String, for control: JobControl) {
        var bytes = Self.begin
        let origin = Self.origin(of: repository, access, program: program)
        PointCoding.put(Int64(origin.count), &bytes)
        for text in origin { PointCoding.put(optional: text, &bytes) }
        PointCoding.put(Int64(entries.count), &bytes)
        for mark in entries.map(\.mark) {
            for number in [Int64(bitPattern: mark.number), Int64(bitPattern: mark.size), mark.changed] {
                PointCoding.put(number, &bytes)
            }
        }
        try? Self.file(of: access, control)?.write(bytes + PointCoding.encode(entries.map(\.point)))
    }
}
