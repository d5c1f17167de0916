import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// A volume that is shorter than it was is damaged, and no growth brings its end back.
@Suite struct TruncationTests {
    private let files = FileCopyPlanTests()

    /// A file of 4 GiB whose marks say 10 GiB, unless a test says otherwise.
    private func file(_ size: ByteCount = Sample.gibi(4), recorded: ByteCount? = Sample.gibi(10)) -> ObservedState {
        var marks = Sample.marks()
        marks.size = recorded
        var observed = Sample.observed()
        observed.directories = ObservationMap([
            FileCopyPlanTests.path: .known(
                DirectoryPool(
                    path: FileCopyPlanTests.path, size: Sample.gibi(100), free: Sample.gibi(90),
                    files: [files.entry(marks, size: size)], sharesBlocks: true))
        ])
        return observed
    }

    /// The ledger of a pass that saw `observed`.
    private func ledger(_ observed: ObservedState, _ desired: DesiredState) -> Ledger {
        Ledger().after(observed, desired: desired, context: Sample.context())
    }

    private func plan(_ desired: DesiredState, _ observed: ObservedState, prune: Bool = false) -> Plan {
        Planner.plan(desired: desired, observed: observed, context: Sample.context("00") { $0.prune = prune })
    }

    @Test func aFileShorterThanItsMarksSayIsDamagedAndNotGrown() throws {
        let plan = plan(files.desired(attached: true), file())
        let line = try #require(files.line(plan, .volume, "db"))
        #expect(plan.steps.isEmpty && line.action == .blocked && line.reason == .truncated)
        #expect(line.summary.contains("/srv/p/v-db has 4 GiB, and had 10 GiB"), "\(line.summary)")
        // What the sentence names helps.
        let command = "truncate -s \(Sample.gibi(10).bytes) /srv/p/v-db"
        #expect(line.summary.contains(command))
        #expect(self.plan(files.desired(), file(Sample.gibi(10))).isEmpty)
        let access = try #require(files.line(plan, .attachment, "db-on-web1"))
        #expect(access.action == .blocked, "nobody is given it: \(access.summary)")
    }

    @Test func aSidecarThatDoesNotSayIsBelievedUntilTheLedgerKnows() throws {
        let desired = files.desired()
        #expect(files.line(plan(desired, file(recorded: nil)), .volume, "db")?.action == .update)
        var cut = file(recorded: nil)
        cut.ledger = ledger(file(Sample.gibi(10), recorded: nil), desired)
        #expect(files.line(plan(desired, cut), .volume, "db")?.reason == .truncated)
        // Another pass that saw it cut off forgets nothing.
        cut.ledger = cut.ledger.after(cut, desired: desired, context: Sample.context())
        #expect(files.line(plan(desired, cut), .volume, "db")?.reason == .truncated)
    }

    @Test func aLogicalVolumeShorterThanTheLedgerRemembersIsDamagedUntilSomebodyForgets() throws {
        let desired = Sample.desired(attached: ["db"])
        var cut = Sample.observed([Sample.volume(size: Sample.gibi(4))])
        cut.ledger = ledger(Sample.observed([Sample.volume()]), desired)
        let stopped = plan(desired, cut)
        let line = try #require(files.line(stopped, .volume, "db"))
        #expect(stopped.steps.isEmpty && line.reason == .truncated && line.summary.contains("tuff forget Volume/db"))
        #expect(files.line(stopped, .attachment, "db-on-web1")?.action == .blocked)
        cut.ledger.forget(ResourceID(.volume, "db"), stack: "default")
        #expect(files.line(plan(desired, cut), .volume, "db")?.action == .update)
    }

    @Test func aSnapshotThatWasCutOffIsNoSource() throws {
        let marks = files.snapshotMarks()
        var observed = file(Sample.gibi(10))
        var pool = try #require(observed.directories.entries[FileCopyPlanTests.path]?.value)
        var cut = marks
        cut.size = Sample.gibi(10)
        pool.files.append(files.entry(cut, size: Sample.gibi(4)))
        observed.directories = ObservationMap([FileCopyPlanTests.path: .known(pool)])
        let plan = plan(files.withClone("dir", .snapshot("before")), observed)
        #expect(plan.steps.isEmpty)
        #expect(files.line(plan, .snapshot, "before")?.reason == .truncated)
        #expect(files.line(plan, .volume, "copy")?.action == .blocked)
    }

    @Test func itCanBePutInTheTrashAndABootHandsItToNobody() throws {
        var none = files.desired()
        none.volumes = [:]
        let gone = plan(none, file(), prune: true)
        #expect(files.line(gone, .volume, "db")?.action == .trash, "\(gone.changes)")
        let accepted = AcceptedExports(
            files.desired(attached: true), context: Sample.context(), former: nil)
        let boot = try Planner.plan(.restoreExports(accepted), observed: file(), context: Sample.context())
        #expect(boot.steps.isEmpty && boot.changes.contains { $0.reason == .truncated }, "\(boot.changes)")
    }

    @Test func whatIsBeingMadeHasNoEndYet() {
        var begun = Sample.marks()
        (begun.size, begun.operation) = (Sample.gibi(10), Marks.creating)
        var observed = file()
        observed.directories = ObservationMap([
            FileCopyPlanTests.path: .known(
                DirectoryPool(
                    path: FileCopyPlanTests.path, size: Sample.gibi(100), free: Sample.gibi(90),
                    files: [files.entry(begun, size: .zero)]))
        ])
        #expect(files.line(plan(files.desired(), observed), .volume, "db")?.action == .create)
    }

    @Test func whatIsMadeAndGrownSaysHowLongItIs() throws {
        var empty = file()
        empty.directories = ObservationMap([
            FileCopyPlanTests.path: .known(
                DirectoryPool(path: FileCopyPlanTests.path, size: Sample.gibi(100), free: Sample.gibi(90)))
        ])
        guard case .volume(.create(_, _, _, let marks))? = files.steps(plan(files.desired(), empty)).first else {
            Issue.record("nothing is made")
            return
        }
        #expect(marks.size == Sample.gibi(10) && marks.tags.contains("tuff:size=10737418240"))
        #expect(Marks.read(marks.tags) == .ours(marks))
        var larger = files.desired()
        larger.volumes["db"]?.spec.size = Sample.gibi(12)
        let steps = files.steps(plan(larger, file(Sample.gibi(10))))
        guard case .volume(.extend)? = steps.first, case .volume(.relabel(let change))? = steps.last, steps.count == 2
        else {
            Issue.record("\(steps)")
            return
        }
        // The file first: marks that come too early would call it damaged.
        #expect(change.before.size == Sample.gibi(10) && change.after.size == Sample.gibi(12))
        // Between the two somebody died.
        let rest = files.steps(plan(larger, file(Sample.gibi(12))))
        #expect(rest == [.volume(.relabel(change))])
    }
}
