import Glibc
import Testing
import TuffRepository
import TuffSystem
import TuffTestSupport

@Suite("Leases: of the dead they free themselves, of the living never")
struct LeaseTests {
    private static let minute: Int64 = 60 * 1_000_000_000

    /// A holder on this machine's boot; by default one that is nobody.
    private func holder(
        _ kind: Lease.Kind, host: String = "here", pid: Int32 = 0, started: UInt64 = 0, boot: String? = nil
    ) -> Lease.Holder {
        Lease.Holder(
            kind: kind, host: host, boot: boot ?? ProcessTable.space, pid: pid, started: started,
            command: "tuff backup run --name v", since: Scene.time)
    }

    private func own(_ kind: Lease.Kind) -> Lease.Holder {
        holder(kind, pid: getpid(), started: ProcessTable.start(of: getpid()) ?? 0)
    }

    private func isLocked(_ body: () throws -> Void) -> Bool {
        do { try body() } catch let error as RepositoryError { return error.code == .locked } catch { return false }
        return false
    }

    @Test("Shared ones go together, an exclusive one with none, and who is in the way is named")
    func kinds() throws {
        let store = MemoryStore()
        let one = try Lease.take(own(.shared), in: store)
        let two = try Lease.take(holder(.shared, host: "elsewhere", pid: 7), in: store)
        do {
            _ = try Lease.take(own(.exclusive), in: store)
            Issue.record("two backups are at work")
        } catch {
            #expect(error.sentence.contains("tuff backup run --name v (process "), "\(error)")
        }
        #expect(store.files.count == 2, "who did not get it leaves nothing")
        one.giveBack()
        #expect(isLocked { _ = try Lease.take(own(.exclusive), in: store) })
        two.giveBack()
        let three = try Lease.take(own(.exclusive), in: store)
        #expect(isLocked { _ = try Lease.take(own(.shared), in: store) })
        three.giveBack()
        #expect(store.files.isEmpty)
    }

    @Test("A process of this host that was killed, is a zombie or whose number was given anew holds nothing")
    func dead() throws {
        let store = MemoryStore()
        let pid = try Processes.start(["sleep", "60"])
        let started = try #require(ProcessTable.start(of: pid))
        _ = try Lease.take(holder(.shared, pid: pid, started: started), in: store)
        store.passTime(1_000 * Self.minute)
        #expect(isLocked { _ = try Lease.take(own(.exclusive), in: store) }, "it lives, however long it was silent")
        kill(pid, SIGKILL)
        while isLocked({ try Lease.take(own(.exclusive), in: store).giveBack() }) { usleep(1_000) }
        #expect(Processes.wait(pid) == 137, "until here it was a zombie")
        _ = try Lease.take(holder(.exclusive, pid: getpid(), started: 1), in: store)
        try Lease.take(own(.exclusive), in: store).giveBack()
        #expect(store.files.isEmpty, "this process is not the one that started then")
    }

    @Test("One of another host or boot is held until it was silent for 30 minutes by the file system's clock")
    func elsewhere() throws {
        for (host, boot) in [("elsewhere", "another"), ("here", "before"), ("elsewhere", ProcessTable.space)] {
            let store = MemoryStore()
            // A process number that is not there on this host says nothing of another.
            let lease = try Lease.take(holder(.shared, host: host, pid: 4_000_000, boot: boot), in: store)
            store.passTime(29 * Self.minute)
            #expect(isLocked { _ = try Lease.take(own(.exclusive), in: store) })
            store.passTime(2 * Self.minute)
            let taken = try Lease.take(own(.exclusive), in: store)
            taken.giveBack()
            lease.giveBack()
            #expect(store.files.isEmpty)
        }
    }

    @Test("One of this machine and an earlier boot is dead at once, and one of a machine that is like it is not")
    func earlierBoot() throws {
        let others: [(host: String, machine: String?, boot: String, isDead: Bool)] = [
            ("here", "m1", "before", true), ("here", "m1", "before pid:[7]", true), ("here", "m2", "before", false),
            ("elsewhere", "m1", "before", false), ("here", nil, "before", false), ("here", "m1", "", false),
            ("here", "m1", "\(ProcessTable.boot(of: ProcessTable.space)) pid:[7]", false),
        ]
        for other in others {
            let store = MemoryStore()
            var dead = holder(.exclusive, host: other.host, pid: 4_000_000, boot: other.boot)
            dead.machine = other.machine
            _ = try Lease.take(dead, in: store)
            var mine = own(.shared)
            mine.machine = "m1"
            #expect(isLocked { try Lease.take(mine, in: store).giveBack() } == !other.isDead, "\(other)")
        }
    }

    @Test(
        "What a holder's own clock says does not matter", arguments: ["1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z"])
    func skew(since: String) throws {
        let store = MemoryStore()
        var other = holder(.exclusive, host: "elsewhere", pid: 7)
        other.since = since
        _ = try Lease.take(other, in: store)
        #expect(isLocked { _ = try Lease.take(own(.shared), in: store) })
        store.passTime(31 * Self.minute)
        _ = try Lease.take(own(.shared), in: store)
    }

    @Test("One that nobody can read holds for 30 minutes, and then no more")
    func damaged() throws {
        let store = MemoryStore()
        store.replace("leases/\(FileID())", with: Array("not a lease\n".utf8))
        store.passTime(29 * Self.minute)
        #expect(isLocked { _ = try Lease.take(own(.shared), in: store) })
        store.passTime(2 * Self.minute)
        _ = try Lease.take(own(.exclusive), in: store)
    }

    @Test("Waiting ends when the other gives back, or when the time is over; meanwhile no new backup begins")
    func waits() async throws {
        let store = MemoryStore()
        let backup = try Lease.take(own(.shared), in: store)
        let before = ContinuousClock.now
        #expect(isLocked { _ = try Lease.take(own(.exclusive), in: store, waiting: .milliseconds(300)) })
        #expect(ContinuousClock.now - before >= .milliseconds(300))
        #expect(store.files.count == 1)
        let prune = own(.exclusive)
        // Longer than a busy machine keeps a test from its turn.
        let waiting = Beside { _ in Result { try Lease.take(prune, in: store, waiting: .seconds(600)) } }
        while store.files.count < 2 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(isLocked { _ = try Lease.take(own(.shared), in: store) }, "prune is next")
        backup.giveBack()
        try await waiting.value.get().giveBack()
        #expect(store.files.isEmpty)
    }

    @Test("A prune that stood still while its lease was taken away removes nothing")
    func stoodStill() throws {
        var random = SeededGenerator(seed: 4)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let point = try Scene.backUp(Scene.volume(&random, blocks: 30), to: repository)
        let lease = try Lease.take(own(.exclusive), in: store)
        for path in store.files.keys where path.hasPrefix("leases/") { try store.remove(path) }
        let files = store.files
        #expect(isLocked { _ = try Prune(repository, lease: lease, atOnce: true).run(removing: [point]) })
        #expect(store.files == files)
    }

    @Test("A pack that was marked while somebody came to need it is spared, and is as good as any afterwards")
    func spared() throws {
        var random = SeededGenerator(seed: 5)
        let store = MemoryStore()
        let repository = try Scene.repository(store)
        let bytes = Scene.volume(&random, blocks: 30)
        let point = try Scene.backUp(bytes, to: repository)
        let file = try #require(store.files["points/\(point.id)"])
        _ = try Prune(repository, lease: nil).run(removing: [point])
        // As if it had been made by one who did not see the mark.
        store.replace("points/\(point.id)", with: file)
        store.passTime(25 * 60 * Self.minute)
        let report = try Prune(repository, lease: nil).run(removing: [])
        #expect(report.destroyed == 0)
        #expect(try Scene.restore(point, of: repository) == bytes)
        #expect(store.files.keys.allSatisfy { !$0.hasPrefix("marks/") })
        #expect(try Prune(repository, lease: nil).run(removing: []) == Prune.Report())
    }
}
