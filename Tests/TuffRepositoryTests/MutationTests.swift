import Testing
import TuffRepository
import TuffTestSupport

/// A repository after each of several backups, prunes and key changes, and what its points hold.
private struct Past {
    let states: [[String: [UInt8]]]
    let volumes: [FileID: [UInt8]]
    let isEncrypted: Bool

    var newest: [String: [UInt8]] { states.last ?? [:] }

    init(isEncrypted: Bool, _ random: inout SeededGenerator) throws {
        let store = MemoryStore()
        let repository = isEncrypted ? try Scene.encrypted(store) : try Scene.repository(store)
        var states: [[String: [UInt8]]] = []
        var volumes: [FileID: [UInt8]] = [:]
        var bytes = Scene.volume(&random, blocks: 12)
        for round in 0..<4 {
            bytes.replaceSubrange(0..<Format.block, with: Scene.noise(&random))
            let point = try Scene.backUp(bytes, to: repository, name: round % 2 == 0 ? "v" : "w")
            volumes[point.id] = bytes
            states.append(store.files)
            let removed = try repository.points().points.prefix(round == 2 ? 1 : 0)
            _ = try Prune(repository, lease: nil).run(removing: Array(removed))
            states.append(store.files)
        }
        self.states = states
        self.volumes = volumes
        self.isEncrypted = isEncrypted
    }

    func open(_ files: [String: [UInt8]]) throws(RepositoryError) -> Repository {
        try Repository.open(MemoryStore(files), secret: isEncrypted ? Scene.secret : nil)
    }
}

/// One thing done to the files of a repository.
private struct Mutation {
    var description: String
    var files: [String: [UInt8]]

    init(of past: Past, _ random: inout SeededGenerator) {
        files = past.newest
        // Nothing reads the reserve, and it says nothing.
        let paths = files.keys.filter { $0 != "reserve" }.sorted()
        func any() -> String { paths[Int(random.next() % UInt64(paths.count))] }
        let path = any()
        var content = files[path] ?? []
        let at = Int(random.next() % UInt64(max(1, content.count)))
        switch random.next() % 8 {
        case 0, 1:
            content[at] ^= UInt8(1) << UInt8(random.next() % 8)
            description = "flip \(path) at \(at)"
        case 2:
            content = Array(content[..<at])
            description = "cut \(path) at \(at)"
        case 3:
            let end = min(content.count, at + 1 + Int(random.next() % 4_096))
            content.replaceSubrange(at..<end, with: [UInt8](repeating: 0, count: end - at))
            description = "zero \(path) from \(at) to \(end)"
        case 4:
            content += [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: 1 + at % 64)
            description = "lengthen \(path)"
        case 5:
            let other = any()
            content = files[other] ?? []
            files[other] = files[path]
            description = "exchange \(path) and \(other)"
        case 6:
            files[path] = nil
            description = "remove \(path)"
            return
        default:
            // One file, or all of one directory, as they were at an earlier time: a copy put back by hand.
            let number = Int(random.next() % UInt64(past.states.count))
            let directory = String(path.prefix { $0 != "/" }) + "/"
            files = files.filter { !$0.key.hasPrefix(directory) && $0.key != path }
            for (path, old) in past.states[number] where path.hasPrefix(directory) { files[path] = old }
            description = "age \(directory) to state \(number)"
            return
        }
        files[path] = content
    }
}

@Suite(
    "Whatever is done to a repository's files, nothing wrong comes back, nothing crashes, and repair makes it no worse"
)
struct MutationTests {
    /// The points that come back as they were; those that are refused are left out, and what comes back wrong is told.
    private func sound(
        _ repository: Repository, volumes: [FileID: [UInt8]], violations: inout [String]
    ) throws(RepositoryError) -> Set<FileID> {
        var sound: Set<FileID> = []
        for point in try repository.points().points {
            do throws(RepositoryError) {
                let bytes = try Scene.restoring(point, of: repository)
                guard let known = volumes[point.id], bytes == known else {
                    violations.append("\(point.id) came back wrong and nobody said so")
                    continue
                }
                sound.insert(point.id)
            } catch { judge(error, &violations) }
        }
        return sound
    }

    private func judge(_ error: RepositoryError, _ violations: inout [String]) {
        if ![.damaged, .newer, .notFound, .wrongKey, .brokenIndex].contains(error.code) {
            violations.append("refused with \(error)")
        }
    }

    /// Looks and checks, as its owner would.
    private func violations(_ mutation: Mutation, _ past: Past, mends: Bool) -> [String] {
        var violations: [String] = []
        do throws(RepositoryError) {
            let repository = try past.open(mutation.files)
            let before = try sound(repository, volumes: past.volumes, violations: &violations)
            let check: Check.Report
            do throws(RepositoryError) {
                check = try Check(of: repository).run(readShare: 100, seed: 0, progress: JobProgress())
            } catch {
                // Whatever else is damaged, a repository that opens can be checked.
                violations.append("check ended with \(error)")
                return violations
            }
            let hurt = Set(check.hurt.map(\.point.id))
            let listed = Set(try repository.points().points.map(\.id))
            if check.isWhole, before != listed { violations.append("check finds nothing, and not all came back") }
            if !before.isDisjoint(with: hurt) { violations.append("check calls hurt what came back") }
            if mends {
                try mend(repository, known: past.volumes, check: check, before: before, violations: &violations)
            }
        } catch { judge(error, &violations) }
        return violations
    }

    /// Repairs, backs up and prunes, and looks each time whether what came back before still does.
    private func mend(
        _ repository: Repository, known: [FileID: [UInt8]], check: Check.Report, before: Set<FileID>,
        violations: inout [String]
    ) throws(RepositoryError) {
        let left = try IndexRepair(repository, lease: nil).run(after: check)
        let repaired = try sound(repository, volumes: known, violations: &violations)
        let hurt = Set(left.hurt.map(\.point.id))
        if Set(try repository.points().points.map(\.id)) != repaired.union(hurt) || !repaired.isDisjoint(with: hurt) {
            violations.append("after the repair not all comes back, and what does not is not called hurt")
        }
        if !before.isSubset(of: repaired) { violations.append("repair lost a point") }
        // It shares most blocks with the others.
        var volumes = known
        let bytes = known.values.max { $0.count < $1.count } ?? []
        guard let point = try? Scene.backUp(bytes, to: repository, name: "x") else {
            violations.append("no backup after repair")
            return
        }
        volumes[point.id] = bytes
        let mended = try sound(repository, volumes: volumes, violations: &violations)
        if !mended.contains(point.id) { violations.append("a backup after repair does not come back") }
        if !repaired.isSubset(of: mended) { violations.append("a backup lost a point") }
        do throws(RepositoryError) {
            _ = try Prune(repository, lease: nil, atOnce: true).run(removing: [])
        } catch { judge(error, &violations) }
        if !mended.isSubset(of: try sound(repository, volumes: volumes, violations: &violations)) {
            violations.append("prune lost a point")
        }
    }

    @Test("Flipped, cut, zeroed, lengthened, exchanged, removed and aged", arguments: [false, true])
    func mutations(isEncrypted: Bool) throws {
        var random = SeededGenerator(seed: FaultBudget.seed)
        let past = try Past(isEncrypted: isEncrypted, &random)
        #expect(violations(Mutation(untouched: past), past, mends: true).isEmpty)
        let deadline = FaultBudget.deadline()
        var kinds: [String: Int] = [:]
        for round in 0... {
            // Opening an encrypted one derives a key each time, which is slow on purpose.
            guard ContinuousClock.now < deadline || round < (isEncrypted ? 5 : 100) else { break }
            let mutation = Mutation(of: past, &random)
            kinds[String(mutation.description.prefix { $0 != " " }), default: 0] += 1
            FaultBudget.record(
                "backup-mutation/\(round)", level: "L0", op: isEncrypted ? "encrypted" : "plain",
                position: mutation.description, violations(mutation, past, mends: round % 4 == 0))
        }
        #expect(kinds.count == 7 || isEncrypted, "\(kinds)")
    }
}

extension Mutation {
    /// None: what the oracle must find nothing wrong with.
    init(untouched past: Past) { (description, files) = ("nothing", past.newest) }
}
