import Testing
import TuffModel
import TuffPlanning
import TuffTestSupport

/// Several initiators of one volume.
@Suite struct SharingPlanTests {
    static let web2 = "iqn.2004-10.com.example:web2"
    static let web3 = "iqn.2004-10.com.example:web3"
    let target = TargetRef(iqn: "\(Sample.iqnBase):db", place: "")

    /// Volume `db` with an attachment for each initiator, named by its last part: `db-on-web1`.
    static func desired(
        _ sharing: VolumeSpec.Sharing, _ initiators: [String], readOnly: Set<String> = []
    ) -> DesiredState {
        var state = Sample.desired()
        state.volumes["db"]?.spec.sharing = sharing
        for initiator in initiators {
            var spec = AttachmentSpec(volume: "db", initiator: initiator)
            spec.readOnly = readOnly.contains(initiator)
            state.attachments[attachment(initiator)] = Sample.declared(attachment(initiator), spec)
        }
        return state
    }

    static func attachment(_ initiator: String) -> String { "db-on-\(initiator.split(separator: ":")[1])" }

    /// `db` exported to these, by attachments of those names, with live sessions of `loggedIn`.
    static func export(
        _ initiators: [String], readOnly: Set<String> = [], loggedIn: Set<String> = []
    ) -> TargetInventory {
        Sample.export { target, _ in
            target.acls = initiators.map { initiator in
                ObservedACL(
                    initiator: initiator,
                    mappedLUNs: [ObservedMappedLUN(number: 0, lun: 0, readOnly: readOnly.contains(initiator))],
                    sessions: loggedIn.contains(initiator) ? [ObservedSession(state: "LOGGED_IN")] : [],
                    mark: AccessMark(attachment: attachment(initiator), onRemove: .waitForLogout))
            }
        }
    }

    func plan(
        _ desired: DesiredState, _ targets: TargetInventory = TargetInventory(), prune: Bool = false,
        driver: TargetDriver = .lio
    ) -> Plan {
        var context = Sample.context { $0.prune = prune }
        context.config.targetDriver = driver
        return Planner.plan(
            desired: desired, observed: Sample.observed([Sample.volume(active: true)], targets: targets),
            context: context)
    }

    func change(_ plan: Plan, _ initiator: String) throws -> PlannedChange {
        try #require(plan.changes.first { $0.resource == ResourceID(.attachment, Self.attachment(initiator)) })
    }

    func exports(_ plan: Plan) -> [ExportStep] {
        plan.steps.compactMap { if case .export(let step) = $0.step { step } else { nil } }
    }

    func granting(_ initiator: String, readOnly: Bool = false) -> [ExportStep] {
        [
            .createACL(target, initiator: initiator),
            .markACL(
                target, initiator: initiator,
                AccessMark(attachment: Self.attachment(initiator), onRemove: .waitForLogout)),
            .mapLUN(target, initiator: initiator, number: 0, lun: 0, readOnly: readOnly),
        ]
    }

    @Test func aNewExportForTwoIsBuiltOnceAndTheSecondOnlyAddsItsAccess() throws {
        let plan = plan(Self.desired(.handover, [Sample.initiator, Self.web2]))
        let steps = exports(plan)
        #expect(steps.suffix(3) == granting(Self.web2)[...])
        #expect(steps.count { if case .createTarget = $0 { true } else { false } } == 1)
        #expect(steps.count { if case .enable = $0 { true } else { false } } == 1)
        for (step, next) in zip(plan.steps, plan.steps.dropFirst()) { #expect(next.after == [step.id]) }
        #expect(plan.counts.add == 2)
    }

    @Test func theSecondInitiatorOfAHandoverLeavesTheFirstOnesSessionAlone() throws {
        let plan = plan(
            Self.desired(.handover, [Sample.initiator, Self.web2]),
            Self.export([Sample.initiator], loggedIn: [Sample.initiator]))
        #expect(exports(plan) == granting(Self.web2))
        #expect(try change(plan, Sample.initiator).action == .unchanged)
        #expect(try change(plan, Self.web2).risk == .online)
    }

    /// With the sharing as it was, and narrowed in the same set of documents.
    @Test(arguments: [VolumeSpec.Sharing.handover, .none])
    func oneOfTwoIsWithdrawnAloneOnceItIsLoggedOut(sharing: VolumeSpec.Sharing) throws {
        let desired = Self.desired(sharing, [Self.web2])
        let both = [Sample.initiator, Self.web2]
        let waiting = plan(desired, Self.export(both, loggedIn: Set(both)), prune: true)
        #expect(waiting.isEmpty)
        #expect(try change(waiting, Sample.initiator).reason == .inUse)
        #expect(try change(waiting, Self.web2).action == .unchanged)
        let plan = plan(desired, Self.export(both, loggedIn: [Self.web2]), prune: true)
        #expect(
            exports(plan) == [.removeACL(target, initiator: Sample.initiator, mapped: [0], disconnecting: false)])
        #expect(plan.refusal == nil)
        #expect(try change(plan, Self.web2).action == .unchanged)
    }

    @Test func narrowingTheSharingOfAVolumeWithOneInitiatorChangesNothing() throws {
        for sharing in VolumeSpec.Sharing.allCases {
            let plan = plan(Self.desired(sharing, [Self.web2]), Self.export([Self.web2], loggedIn: [Self.web2]))
            #expect(plan.isEmpty, "\(sharing)")
            #expect(try change(plan, Self.web2).action == .unchanged)
        }
    }

    @Test func aHandoverLetsTheNextOneInWhileTheFormerOneIsStillThereAndNoThird() throws {
        let next = plan(Self.desired(.handover, [Self.web2]), Self.export([Sample.initiator]))
        #expect(exports(next) == granting(Self.web2))
        let third = plan(
            Self.desired(.handover, [Self.web2, Self.web3]), Self.export([Sample.initiator, Self.web2]))
        #expect(third.isEmpty)
        let blocked = try change(third, Self.web3)
        #expect(blocked.reason == .inUse)
        #expect(blocked.summary.contains("db-on-web1"))
        #expect(blocked.summary.contains("two initiators at once"))
    }

    @Test func anUnsharedVolumeIsNeverShownToTwoEvenIfDocumentsSaySo() throws {
        let plan = plan(Self.desired(.none, [Sample.initiator, Self.web2]))
        #expect(try change(plan, Sample.initiator).action == .create)
        #expect(try change(plan, Self.web2).reason == .inUse)
    }

    @Test func readersAreMappedReadOnlyBesideTheirWriter() throws {
        let all = [Sample.initiator, Self.web2, Self.web3]
        let plan = plan(
            Self.desired(.readers, all, readOnly: [Self.web2, Self.web3]),
            Self.export([Sample.initiator], loggedIn: [Sample.initiator]))
        #expect(exports(plan) == granting(Self.web2, readOnly: true) + granting(Self.web3, readOnly: true))
    }

    @Test func aWriterBecomesAReaderBeforeAReaderBecomesTheWriter() throws {
        // By name the new writer would come first.
        let desired = Self.desired(.readers, [Sample.initiator, Self.web2], readOnly: [Self.web2])
        let swap = plan(desired, Self.export([Sample.initiator, Self.web2], readOnly: [Sample.initiator]))
        #expect(
            exports(swap) == [
                .setReadOnly(target, initiator: Self.web2, number: 0, readOnly: true),
                .setReadOnly(target, initiator: Sample.initiator, number: 0, readOnly: false),
            ])
        #expect(swap.steps[1].after == [swap.steps[0].id])
        // While the former writer's access cannot be withdrawn, there is no other.
        let waiting = plan(
            Self.desired(.readers, [Sample.initiator]),
            Self.export([Sample.initiator, Self.web2], readOnly: [Sample.initiator], loggedIn: [Self.web2]), prune: true
        )
        #expect(waiting.isEmpty)
        #expect(try change(waiting, Sample.initiator).reason == .inUse)
    }

    @Test func writersHaveNoLimit() throws {
        let all = [Sample.initiator, Self.web2, Self.web3]
        let plan = plan(Self.desired(.writers, all), Self.export([Sample.initiator]))
        #expect(exports(plan).filter { !isKeeping($0) } == granting(Self.web2) + granting(Self.web3))
        #expect(exports(plan).first.map(isKeeping) == true)
    }

    func isKeeping(_ step: ExportStep) -> Bool { if case .keepReservations = step { true } else { false } }

    /// Indices of the steps that make the backstore, read reservations back, and hand the disk out.
    func restoring(_ steps: [ExportStep]) -> [Int?] {
        [
            steps.firstIndex { if case .createBackstore = $0 { true } else { false } },
            steps.firstIndex { if case .keepReservations(_, restoring: true) = $0 { true } else { false } },
            steps.firstIndex { if case .addLUN = $0 { true } else { false } },
        ]
    }

    @Test func keptReservationsAreReadBackOnceBeforeTheDiskIsHandedOut() throws {
        let both = Self.desired(.writers, [Sample.initiator, Self.web2])
        let order = try restoring(exports(plan(both))).map { try #require($0) }
        #expect(order == order.sorted())
        let restored = try restoring(exports(restore(accepted(both)))).map { try #require($0) }
        #expect(restored == restored.sorted())
        // Nobody can tell whether a backstore that is not handed out yet has them.
        var halfway = Self.export([Sample.initiator, Self.web2])
        halfway.targets[0].luns = []
        let mended = try restoring(exports(plan(both, halfway))).map { try #require($0) }
        #expect(mended == mended.sorted())
        halfway = Self.export([Sample.initiator, Self.web2], loggedIn: [Self.web2])
        halfway.targets[0].luns = []
        #expect(!exports(plan(both, halfway)).contains(where: isKeeping))
        #expect(!exports(plan(Self.desired(.handover, [Sample.initiator, Self.web2]))).contains(where: isKeeping))
        let tgt = plan(both, driver: .tgt)
        #expect(!exports(tgt).contains(where: isKeeping))
        #expect(try change(tgt, Self.web2).notes.contains { $0.contains("persistent reservations") })
    }

    @Test func oneOfTwoThatIsBlockedDoesNotHoldUpTheExportOfTheOther() throws {
        var desired = Self.desired(.handover, [Sample.initiator, Self.web2])
        // Its former initiator is still logged in.
        desired.attachments["db-on-web1"]?.spec.initiator = Self.web3
        var targets = Self.export([Sample.initiator, Self.web2], loggedIn: [Sample.initiator])
        targets.targets[0].enabled = false
        let plan = plan(desired, targets)
        #expect(try change(plan, Sample.initiator).reason == .inUse)
        #expect(exports(plan) == [.enable(target)])
        #expect(try change(plan, Self.web2).action == .update)
    }

    @Test func attachmentsThatExchangeInitiatorsOnlyExchangeTheirMarks() throws {
        var desired = Self.desired(.handover, [Sample.initiator, Self.web2])
        desired.attachments["db-on-web1"]?.spec.initiator = Self.web2
        desired.attachments["db-on-web2"]?.spec.initiator = Sample.initiator
        let both = [Sample.initiator, Self.web2]
        let plan = plan(desired, Self.export(both, loggedIn: Set(both)))
        #expect(exports(plan).allSatisfy { if case .markACL = $0 { true } else { false } })
        #expect(exports(plan).count == 2)
    }

    @Test func aBackstoreThatIsMadeAnewIsMappedForBothAgain() throws {
        let desired = Self.desired(.readers, [Sample.initiator, Self.web2], readOnly: [Self.web2])
        var targets = Self.export([Sample.initiator, Self.web2], readOnly: [Self.web2])
        targets.backstores[0].identity?.serial = "another"
        let steps = exports(plan(desired, targets))
        for (initiator, readOnly) in [(Sample.initiator, false), (Self.web2, true)] {
            #expect(
                steps.filter {
                    $0 == .mapLUN(target, initiator: initiator, number: 0, lun: 0, readOnly: readOnly)
                }.count == 1)
        }
        targets = Self.export([Sample.initiator, Self.web2], readOnly: [Self.web2], loggedIn: [Self.web2])
        targets.backstores[0].identity?.serial = "another"
        #expect(plan(desired, targets).isEmpty)
    }

    // MARK: tgt

    @Test func readersBesideAWriterAreBlockedWhereReadOnlyIsForAll() throws {
        let mixed = Self.desired(.readers, [Sample.initiator, Self.web2], readOnly: [Self.web2])
        let plan = plan(mixed, driver: .tgt)
        #expect(try change(plan, Self.web2).reason == .driverCannot)
        #expect(try change(plan, Sample.initiator).action == .create)
        let both: Set = [Sample.initiator, Self.web2]
        let readers = self.plan(Self.desired(.readers, both.sorted(), readOnly: both), driver: .tgt)
        #expect(readers.counts.add == 2)
    }

    @Test func withoutMarksAnInitiatorThatNoDocumentNamesIsWithdrawnOnceEveryDeclaredOneIsThere() throws {
        func unmarked(_ initiators: [String], loggedIn: Set<String> = []) -> TargetInventory {
            var targets = Self.export(initiators, loggedIn: loggedIn)
            for index in targets.targets[0].acls.indices { targets.targets[0].acls[index].mark = nil }
            return targets
        }
        let both = [Sample.initiator, Self.web2]
        let added = plan(Self.desired(.handover, both), unmarked([Sample.initiator]), prune: true, driver: .tgt)
        #expect(!exports(added).contains { if case .removeACL = $0 { true } else { false } })
        #expect(exports(added).contains(.mapLUN(target, initiator: Self.web2, number: 0, lun: 0, readOnly: false)))
        let ended = plan(Self.desired(.handover, [Self.web2]), unmarked(both), prune: true, driver: .tgt)
        #expect(
            exports(ended).contains(
                .removeACL(target, initiator: Sample.initiator, mapped: [0], disconnecting: false)))
        let listed = plan(Self.desired(.handover, [Self.web2]), unmarked(both), driver: .tgt)
        #expect(!exports(listed).contains { if case .removeACL = $0 { true } else { false } })
    }

    @Test func withoutMarksOneOfTwoIsDetachedByVolumeAndInitiator() throws {
        var targets = Self.export([Sample.initiator, Self.web2])
        for index in targets.targets[0].acls.indices { targets.targets[0].acls[index].mark = nil }
        var context = Sample.context()
        context.config.targetDriver = .tgt
        let observed = Sample.observed([Sample.volume(active: true)], targets: targets)
        #expect(throws: OrderError.self) {
            try Planner.plan(.detach(attachment: "db", force: false), observed: observed, context: context)
        }
        let name = "db@\(Self.web2)"
        let plan = try Planner.plan(.detach(attachment: name, force: false), observed: observed, context: context)
        #expect(exports(plan) == [.removeACL(target, initiator: Self.web2, mapped: [0], disconnecting: false)])
        var record = accepted(Self.desired(.handover, [Sample.initiator, Self.web2]))
        record.strike(name, volumes: true)
        #expect(record.access.map(\.initiator) == [Sample.initiator])
    }

    // MARK: After a reboot

    func restore(_ accepted: AcceptedExports) throws -> Plan {
        try Planner.plan(
            .restoreExports(accepted), observed: Sample.observed([Sample.volume()]), context: Sample.context())
    }

    func accepted(_ desired: DesiredState, former: AcceptedExports? = nil) -> AcceptedExports {
        AcceptedExports(desired, context: Sample.context(), former: former)
    }

    @Test func bothSidesOfAHandoverComeBackAfterAReboot() throws {
        let desired = Self.desired(.handover, [Sample.initiator, Self.web2])
        let restored = try restore(accepted(desired))
        let applied = Planner.plan(
            desired: desired, observed: Sample.observed([Sample.volume()]), context: Sample.context())
        #expect(restored.steps.map(\.step) == applied.steps.map(\.step))
    }

    @Test func whatWasInUseTogetherComesBackTogetherUntilItIsWithdrawn() throws {
        let both = accepted(Self.desired(.handover, [Sample.initiator, Self.web2]))
        // The migration is over, the first one's document and the sharing are gone, and nobody has pruned yet.
        let after = accepted(Self.desired(.none, [Self.web2]), former: both)
        for record in [after, accepted(Self.desired(.none, [Self.web2]), former: after)] {
            let plan = try restore(record)
            #expect(try change(plan, Sample.initiator).action == .create)
            #expect(try change(plan, Self.web2).action == .create)
        }
        // One that was never let in beside it waits.
        let third = try restore(accepted(Self.desired(.none, [Self.web3]), former: both))
        #expect(try change(third, Self.web3).reason == .inUse)
        #expect(third.counts.add == 2)
    }

    @Test func whatAnEarlierVersionAcceptedIsUnshared() throws {
        var record = accepted(Self.desired(.none, [Sample.initiator]))
        record.access[0].sharing = nil
        #expect(try change(restore(record), Sample.initiator).action == .create)
    }
}
