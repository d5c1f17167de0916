/// A plan that was proven to fit fits: one that was not refused has room for every one of its steps, as long as nobody
/// else takes any between the look at the host and the act.
extension Oracle {
    /// Something that a pass did and that failed for lack of room.
    package struct Shortage: Sendable {
        package var home: String
        /// Name of what was written to; nil: it was something that is made or grown.
        package var name: String?
        package var sentence: String

        package init(home: String, name: String?, sentence: String) {
            self.home = home
            self.name = name
            self.sentence = sentence
        }
    }

    /// Work that an earlier pass began goes on with whatever room there is by now, since giving it up would leave it
    /// half done.
    package func overcommitted(_ shortages: [Shortage], _ before: OracleView) -> [Violation] {
        shortages.filter { shortage in
            let begun = before.objects.first { $0.home == shortage.home && $0.name == shortage.name }
            return begun.map { !$0.isIncomplete && !$0.isHalfRestored } ?? true
        }.map { Violation(.room, "\($0.home) was to have room: \($0.sentence)") }
    }

    /// A size only ever grows, so that a byte too many is there for ever: a pass grows a volume to what its document
    /// says, in LVM rounded up to whole extents of 4 MiB.
    func outgrown(_ old: OracleObject, to new: OracleObject, intent: Intent) -> String? {
        guard new.content != nil, let declared = intent.volumes[new.label]?.size else { return nil }
        let extent: Int64 = 4 << 20
        let most = max((declared + extent - 1) / extent * extent, old.size)
        return new.size > most ? "it grew to \(new.size) bytes, and \(declared) are declared" : nil
    }
}
