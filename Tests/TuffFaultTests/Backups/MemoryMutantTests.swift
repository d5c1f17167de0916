import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Planners that forget which repositories and Backups there were, or who has a volume. Each is found out in a world in
/// which the real one does nothing wrong.
@Suite struct MemoryMutantTests {
    /// A fault in what a plan is made from, or in the plan.
    struct MemoryMutant: Sendable, CustomStringConvertible {
        var description: String
        var observed: @Sendable (ObservedState) -> ObservedState = { $0 }
        var desired: @Sendable (DesiredState) -> DesiredState = { $0 }
        var steps: @Sendable ([Step]) -> [Step] = { $0 }
    }

    static let mutants = [
        MemoryMutant(
            description: "makes a lost repository again",
            observed: { observed in
                var observed = observed
                observed.ledger.repositories = nil
                return observed
            }),
        MemoryMutant(
            description: "makes a removed backup again",
            observed: { observed in
                var observed = observed
                observed.ledger.backups = nil
                return observed
            }),
        MemoryMutant(
            description: "restores into an attached volume",
            observed: { observed in
                var observed = observed
                observed.targets = .known(TargetInventory())
                return observed
            },
            desired: { desired in
                var desired = desired
                desired.attachments = [:]
                return desired
            }),
        MemoryMutant(
            description: "calls a volume rolled back before it is",
            steps: { $0.filter { if case .volume(.fillFromBackup) = $0 { false } else { true } } }),
    ]

    private static let context = Sample.context("00112233445566778899aabbccddeeff") {
        $0.allowRepositoryCreate = true
        $0.runDue = true
    }

    private static let documents: DesiredState = {
        var desired = Sample.desired(volumes: ["db", "log"], attached: ["db"])
        var spec = BackupRepositorySpec(site: .directory("/srv/backups/nas"))
        spec.creates = true
        desired.backupRepositories["nas"] = Sample.declared("nas", spec)
        desired.backups["kept"] = Sample.declared("kept", BackupSpec(volume: "log", repository: "nas"))
        for (name, uid) in [("db", Sample.uid), ("log", Sample.uid(2))] {
            desired.restores["undo-\(name)"] = Sample.declared(
                "undo-\(name)", RestoreSpec(volume: name, volumeUID: uid, from: .backup(repository: "nas", at: .latest))
            )
        }
        return desired
    }()

    private static func point(_ id: String, of volume: String, _ uid: UID, backup: String? = nil) -> ObservedPoint {
        ObservedPoint(
            id: id, volume: volume, stack: "default", node: "storage1", uid: uid,
            time: Instant(secondsSince1970: 1_795_000_000), size: Sample.gibi(10), content: Sample.gibi(1),
            backup: backup)
    }

    /// After a pass that saw everything: as it was, with the Backup's point removed, and without the repository.
    private static let worlds: [ObservedState] = {
        let points = [
            point("aaaaaaaa", of: "db", Sample.uid), point("bbbbbbbb", of: "log", Sample.uid(2)),
            point("cccccccc", of: "log", Sample.uid(2), backup: "kept"),
        ]
        var whole = Sample.observed(
            [Sample.volume(active: true), Sample.volume("log", uid: Sample.uid(2))], targets: Sample.export())
        whole.repositories = ObservationMap(["nas": .known(ObservedRepository(id: "first", points: points))])
        whole.ledger = whole.ledger.after(whole, desired: documents, context: context)
        var removed = whole, lost = whole
        let rest = ObservedRepository(id: "first", points: Array(points.prefix(2)))
        removed.repositories = ObservationMap(["nas": .known(rest)])
        lost.repositories = ObservationMap()
        return [whole, removed, lost]
    }()

    /// What is wrong with the plans of all worlds.
    private static func violations(_ mutant: MemoryMutant?) -> [String] {
        var found: [String] = []
        for world in worlds {
            let plan = Planner.plan(
                desired: mutant?.desired(documents) ?? documents, observed: mutant?.observed(world) ?? world,
                context: context)
            let steps = mutant?.steps(plan.steps.map(\.step)) ?? plan.steps.map(\.step)
            var filled: Set<UID> = []
            for step in steps {
                switch step {
                case .backup(.makeRepository): found.append("a repository is made where one was")
                case .backup(.backUp(_, let task)) where task.backup == "kept": found.append("'kept' is made twice")
                case .volume(.fillFromBackup(let volume, _, _)):
                    filled.insert(volume.uid)
                    if volume.uid == Sample.uid { found.append("'db' is rolled back while an initiator has it") }
                case .lvm(.complete(let volume, _, _)) where !filled.contains(volume.uid):
                    found.append("a volume is called complete that nothing was written to")
                default: break
                }
            }
        }
        return found
    }

    @Test func theRealOneDoesNothingWrong() {
        #expect(Self.violations(nil) == [])
    }

    @Test(arguments: mutants) func everyMutantIsCaught(_ mutant: MemoryMutant) {
        #expect(Self.violations(mutant) != [], "\(mutant)")
    }
}
