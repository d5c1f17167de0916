extension Oracle {
    /// The intent of people: the documents and the consent of one pass, in the oracle's own words.
    package struct Intent: Sendable {
        package struct Volume: Sendable {
            package var home: String
            /// The labels that the pool of one that names none must have.
            package var poolLabels: [String: String]?
            package var formerName: String?
            /// `protect: false` was written out.
            package var endsProtection: Bool
            /// The limit of initiators that may use it at once.
            package var limit: Limit
            /// The source it is made from.
            package var image: Image?
            /// The name of its target; nil for what has none.
            package var iqn: String?
            /// Bytes; nil for what has the size of something else.
            package var size: Int64?
            /// The volume whose blocks it is to have, where its pool is named; nil: none, or one of several.
            package var thinPool: String?

            package init(
                home: String, poolLabels: [String: String]? = nil, formerName: String? = nil,
                endsProtection: Bool = false, limit: Limit = Limit(),
                image: Image? = nil
            ) {
                self.image = image
                self.home = home
                self.poolLabels = poolLabels
                self.formerName = formerName
                self.endsProtection = endsProtection
                self.limit = limit
            }
        }

        /// A place where volumes may be, with its labels.
        package struct Pool: Sendable {
            package var home: String
            package var thinPool: String?
            package var labels: [String: String]

            package init(home: String, thinPool: String? = nil, labels: [String: String]) {
                self.home = home
                self.thinPool = thinPool
                self.labels = labels
            }
        }

        /// An image, and what it must be where a digest is given.
        package struct Image: Sendable {
            package var path: String
            package var digest: String?

            package init(path: String, digest: String?) {
                self.path = path
                self.digest = digest
            }
        }

        /// The number of initiators that may use a volume at once, and of those that write.
        package struct Limit: Sendable {
            package var initiators: Int
            package var writers: Int

            package init(initiators: Int = 1, writers: Int = 1) {
                self.initiators = initiators
                self.writers = writers
            }
        }

        package struct Attachment: Sendable {
            package var volume: String
            package var initiator: String
            package var demandsCHAP: Bool
            package var isReadOnly: Bool

            package init(volume: String, initiator: String, demandsCHAP: Bool, isReadOnly: Bool = false) {
                self.isReadOnly = isReadOnly
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
            /// The contents of the restore points that may be meant; nil: a snapshot is.
            package var stamps: Set<UInt64>?

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
            /// The number it keeps of each; nil: all.
            package var keep: Int?
            /// Seconds by which its midnight comes before that of UTC, and by which it may be late.
            package var offset: Int64 = 0
            package var jitter: Int64 = 0

            package init(volumes: Set<String>, keep: Int?) {
                self.volumes = volumes
                self.keep = keep
            }
        }

        package var policies: [String: Policy] = [:]
        /// Names of BackupPolicies that ask for drills.
        package var drills: Set<String> = []
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
        /// Groups of thick pools whose documents say that new extents show what they hold.
        package var unwiped: Set<String> = []
        package var recreate: Set<String> = []
        /// Volumes that the documents of another stack declare and that were not there in its last pass.
        package var elsewhere: Set<String> = []
        /// Of which somebody said that nothing which is there is meant by it.
        package var blank: Set<String> = []
        /// Devices that declared pools may be made of, by the name of the volume group; empty without consent.
        package var newGroups: [String: Set<String>] = [:]
        /// Uids that an order by hand is about: purge, restore, release or unprotect.
        package var ordered: Set<String> = []
        /// Uuids of logical volumes that an order adopts, and what initiators know each by: IQN, serial and LUN.
        package var adopted: [String: [String]] = [:]
        package var pools: [Pool] = []
        /// Attachments that `detach --force` cuts off, and that `detach` takes away.
        package var forced: Set<String> = []
        package var detached: Set<String> = []

        package init() {}
    }
}
