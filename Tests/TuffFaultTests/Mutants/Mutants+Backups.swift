import TuffModel
import TuffPlanning

extension Mutant {
    /// These forget which repositories and backups there were, and roll back what is in use.
    static let backups: [Mutant] = [
        Mutant("makes a lost repository again", shownBy: [.declare, .declareBackup, .loseRepository]) { mutant in
            mutant.ledgerRead = { ledger in
                var ledger = ledger
                ledger.repositories = nil
                return ledger
            }
        },
        Mutant("makes a removed backup again", shownBy: [.declare, .declareBackup, .dropPoint]) { mutant in
            mutant.ledgerRead = { ledger in
                var ledger = ledger
                ledger.backups = nil
                return ledger
            }
        },
        Mutant("restores a backup into an attached volume") { mutant in
            mutant.documents = { desired in
                var desired = desired
                let restored = Set(
                    desired.restores.values.filter { if case .backup = $0.spec.from { true } else { false } }.map(
                        \.spec.volume))
                desired.attachments = desired.attachments.filter { !restored.contains($0.value.spec.volume) }
                return desired
            }
            mutant.targets = { found in
                found.map { inventory in
                    var inventory = inventory
                    inventory.targets.removeAll { $0.iqn.hasSuffix(":a") || $0.iqn.contains(":v") }
                    inventory.backstores = []
                    return inventory
                }
            }
        },
        Mutant(
            "calls a volume restored from a backup before it is",
            shownBy: [.declare, .declareBackup, .write, .restoreBackup]
        ) {
            $0.volumeSteps = { steps in
                steps.filter { if case .volume(.fillFromBackup) = $0 { false } else { true } }
            }
        },
    ]
}
