/// Marks on a volume group that Tuff makes for a pool. They say who made it, and that it is not complete yet.
///
/// Only a group with these marks is finished or found to have lost its thin pool. They are no claim on anything in it.
package struct PoolMarks: Hashable, Codable, Sendable {
    package var pool: String
    package var stack: String
    /// Set by the command that makes the group and taken off when the pool is as declared.
    package var isBegun: Bool

    package init(pool: String, stack: String, isBegun: Bool) {
        self.pool = pool
        self.stack = stack
        self.isBegun = isBegun
    }

    package static let begun = "tuff:op=create"

    package var tags: [String] {
        (["tuff:pool=\(pool)", "tuff:stack=\(stack)"] + (isBegun ? [Self.begun] : [])).sorted()
    }

    /// Nil where one of these tags is missing: the group is somebody else's.
    package init?(_ tags: [String]) {
        func values(_ key: String) -> [String] {
            tags.filter { $0.hasPrefix("tuff:\(key)=") }.map { String($0.dropFirst("tuff:\(key)=".count)) }
        }
        let pools = values("pool"), stacks = values("stack")
        guard pools.count == 1, stacks.count == 1, NameRule.isLabel(pools[0]), NameRule.isLabel(stacks[0]) else {
            return nil
        }
        self.init(pool: pools[0], stack: stacks[0], isBegun: tags.contains(Self.begun))
    }
}

/// The uuids of physical volumes that Tuff makes. Nothing but its uuid can be written on a physical volume that is in
/// no group yet, so the uuid says to which pool it belongs when an interrupted creation left it: `tuff`, 12 characters
/// that stand for the pool, and 16 that no other device ever gets.
package enum PhysicalVolumeMark {
    /// In LVM's form: groups of 6, 4, 4, 4, 4, 4 and 6 of its 32 characters.
    package static func uuid(owner: UID, unique: UID) -> String {
        var rest = Substring("tuff" + owner.description.prefix(12) + unique.description)
        return [6, 4, 4, 4, 4, 4, 6].map { length in
            defer { rest = rest.dropFirst(length) }
            return String(rest.prefix(length))
        }.joined(separator: "-")
    }

    package static func isOurs(_ uuid: String, owner: UID) -> Bool {
        uuid.filter { $0 != "-" }.hasPrefix("tuff" + owner.description.prefix(12))
    }
}
