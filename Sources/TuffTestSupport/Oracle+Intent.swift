extension Oracle {
    /// What people said: the documents and the consent of one pass, in the oracle's own words.
    package struct Intent: Sendable {
        package struct Volume: Sendable {
            package var home: String
            package var formerName: String?
            /// `protect: false` was written out.
            package var endsProtection: Bool
            /// How many initiators may use it at once.
            package var mostInitiators: Int
            /// Path of the image it is made from.
            package var image: String?

            package init(
                home: String, formerName: String? = nil, endsProtection: Bool = false, mostInitiators: Int = 1,
                image: String? = nil
            ) {
                self.image = image
                self.home = home
                self.formerName = formerName
                self.endsProtection = endsProtection
                self.mostInitiators = mostInitiators
            }
        }

        package struct Attachment: Sendable {
            package var volume: String
            package var initiator: String
            package var demandsCHAP: Bool

            package init(volume: String, initiator: String, demandsCHAP: Bool) {
                self.volume = volume
                self.initiator = initiator
                self.demandsCHAP = demandsCHAP
            }
        }

        /// Rolls a volume back once.
        package struct Restore: Sendable {
            package var name: String
            package var volume: String
            package var uid: String
            package var snapshot: String

            package init(name: String, volume: String, uid: String, snapshot: String) {
                self.name = name
                self.volume = volume
                self.uid = uid
                self.snapshot = snapshot
            }
        }

        /// Takes snapshots of these volumes by itself.
        package struct Policy: Sendable {
            package var volumes: Set<String>
            /// How many it keeps of each; nil: all.
            package var keep: Int?

            package init(volumes: Set<String>, keep: Int?) {
                self.volumes = volumes
                self.keep = keep
            }
        }

        package var policies: [String: Policy] = [:]
        package var runDue = false
        package var restores: [Restore] = []
        package var stack = "default"
        /// Groups and directories of this node's pools.
        package var homes: Set<String> = []
        package var now: Int64 = 0
        package var volumes: [String: Volume] = [:]
        package var attachments: [String: Attachment] = [:]
        package var prune = false
        package var destroy = false
        package var removals: Int?
        package var recreate: Set<String> = []
        /// Devices that declared pools may be made of, by the name of the volume group; empty without consent.
        package var newGroups: [String: Set<String>] = [:]
        /// Uids that an order by hand is about: purge, restore, release or unprotect.
        package var ordered: Set<String> = []
        /// Uuids of logical volumes that an order adopts.
        package var adopted: Set<String> = []
        /// Attachments that `detach --force` cuts off, and that `detach` takes away.
        package var forced: Set<String> = []
        package var detached: Set<String> = []

        package init() {}
    }
}
