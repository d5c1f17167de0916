import TuffHost
package import TuffModel
package import TuffRepository

/// Asks for the key slots of a repository.
package struct KeyListing: RepositoryLook {
    package static let kind = "keys-by-hand"

    package struct Outcome: Codable, Sendable {
        package let slots: [KeySlot]
        package let isEncrypted: Bool
    }

    package var repository: RepositoryPlace

    package init(of repository: RepositoryPlace) { self.repository = repository }

    package var summary: String { "listing the keys of \(repository.shown)" }

    package func look(at repository: Repository, listener: any Listener) throws(BackupError) -> Outcome {
        try inRepository { () throws(RepositoryError) in
            Outcome(slots: try repository.keySlots(), isEncrypted: repository.description.encryption != .none)
        }
    }
}

/// Lets another key open a repository.
package struct KeyAddition: RepositoryOrder {
    package static let kind = "add-key-by-hand"

    package var repository: RepositoryPlace
    /// File of the other key.
    package var keyFile: String
    /// For people: whose key it is.
    package var label: String

    package init(to repository: RepositoryPlace, keyFile: String, label: String) {
        self.repository = repository
        self.keyFile = keyFile
        self.label = label
    }

    package var summary: String { "adding a key to \(repository.shown) by hand" }
    package var announced: [String] { [] }
    package var servers: [String] { repository.servers }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> KeySlot {
        try work.with(repository) { repository throws(BackupError) in
            try KeySlots.add(keyFile, label: label, in: repository, listener: work.listener)
        }
    }
}

/// Takes a key slot away.
package struct KeyRemoval: RepositoryOrder {
    package static let kind = "remove-key-by-hand"

    package struct Outcome: Codable, Sendable {}

    package var repository: RepositoryPlace
    package var slot: FileID
    /// The command as others are told of it.
    package var purpose: String
    /// The wait for the end of others' work in the repository; nil: none.
    package var patience: TimeSpan?

    package init(of slot: FileID, from repository: RepositoryPlace, purpose: String, patience: TimeSpan?) {
        self.slot = slot
        self.repository = repository
        self.purpose = purpose
        self.patience = patience
    }

    package var summary: String { "taking a key from \(repository.shown) by hand" }
    package var announced: [String] { AnnouncedKeys.repository(repository) }
    package var servers: [String] { repository.servers }

    package func carryOut(_ work: OrderedWork) throws(BackupError) -> Outcome {
        try work.with(repository) { repository throws(BackupError) in
            try KeySlots.remove(
                slot, in: repository, purpose: purpose, patience: patience, progress: work.progress)
            return Outcome()
        }
    }
}
