import FoundationEssentials
import Glibc
import Synchronization
import Testing
import TuffController
import TuffHost
import TuffModel
import TuffPlanning
import TuffReconcile

/// Whole passes, as a daemon drives them: one controller, no terminal, no command.
@Suite struct ControllerTests {
    let host: ControlledHost

    init() throws { host = try ControlledHost() }

    private func apply(
        _ controller: Controller, _ state: DesiredState, prune: Bool = false, _ witness: Witness = Witness()
    ) async throws -> ApplyReport {
        let pass = try await controller.begin(under: host.config, overseer: witness)
        defer { pass.end() }
        var consent = Consent()
        consent.prune = prune
        consent.allowRemovals = prune ? 1 : nil
        return try await pass.apply(state, context: pass.view.newContext(stack: "default", consent: consent))
    }

    @Test func oneControllerCarriesOutPassAfterPass() async throws {
        let controller = host.controller()
        let witness = Witness()
        let first = try await apply(controller, try host.documents("db", "web"), witness)
        #expect(first.outcome == .converged, "\(first.changes)")
        #expect(witness.report.questions == 1 && witness.report.finished == 2)
        #expect(try host.files() == ["v-db", "v-web"])
        let second = try await apply(controller, try host.documents("db", "web"))
        #expect(second.plan.isEmpty && second.outcome == .converged)
        let third = try await apply(controller, try host.documents("db"), prune: true)
        #expect(third.outcome == .converged && third.plan.counts.remove == 1, "\(third.changes)")
        #expect(try host.files().count == 2 && !host.files().contains("v-web"))
        #expect(controller.leftBehind.isEmpty)
    }

    @Test func nothingHappensWithoutApproval() async throws {
        let witness = Witness(.failure(PassError("not approved; nothing was changed")))
        let state = try host.documents("db")
        await #expect(throws: PassError("not approved; nothing was changed")) {
            _ = try await apply(host.controller(), state, witness)
        }
        #expect(witness.report.plans.count == 1)
        #expect(try host.files() == [])
    }

    /// The plan is made again where a person thought for a while.
    @Test func aHostThatChangedWhileAPersonThoughtIsNotTouched() async throws {
        let state = try host.documents("db")
        final class Slow: Overseer {
            let meanwhile: @Sendable () -> Void
            init(_ meanwhile: @escaping @Sendable () -> Void) { self.meanwhile = meanwhile }
            var asksToStop: Bool { false }
            func tell(_ remark: Remark) {}
            func show(_ plan: Plan, elsewhere: [String: Int]) {}
            func approve(_ plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval {
                meanwhile()
                return .givenLate
            }
            func listener(to plan: Plan) -> any ExecutionListener { preconditionFailure("nothing is carried out") }
        }
        let file = "\(host.path)/pool/v-db"
        let slow = Slow { _ = FileManager.default.createFile(atPath: file, contents: Data("theirs".utf8)) }
        let pass = try await host.controller().begin(under: host.config, overseer: slow)
        defer { pass.end() }
        do {
            _ = try await pass.apply(state, context: pass.view.newContext(stack: "default"))
            Issue.record("it was carried out")
        } catch {
            #expect(error.sentence.contains("the host has changed since the plan was shown"))
        }
        #expect(FileManager.default.contents(atPath: file) == Data("theirs".utf8))
    }

    /// A question may stand on a screen for hours.
    @Test func whileAPersonIsAskedOthersHaveTheHost() async throws {
        final class Asking: Overseer {
            let others: @Sendable () async throws -> Void
            let error = Mutex<String?>(nil)
            init(_ others: @escaping @Sendable () async throws -> Void) { self.others = others }
            var asksToStop: Bool { false }
            var asksPeople: Bool { true }
            func tell(_ remark: Remark) {}
            func show(_ plan: Plan, elsewhere: [String: Int]) {}
            func approve(_ plan: Plan, for occasion: Occasion) async throws(PassError) -> Approval {
                do { try await others() } catch { self.error.withLock { $0 = "\(error)" } }
                return .givenLate
            }
            func listener(to plan: Plan) -> any ExecutionListener { Witness().listener(to: plan) }
        }
        let state = try host.documents("db"), config = host.config
        let controller = host.controller(), other = host.controller()
        let asking = Asking { try await other.begin(under: config, overseer: Witness()).end() }
        let pass = try await controller.begin(under: config, overseer: asking)
        let report = try await pass.apply(state, context: pass.view.newContext(stack: "default"))
        #expect(report.outcome == .converged, "\(report.changes)")
        #expect(asking.error.withLock { $0 } == nil)
        // From the answer on it is held again.
        await #expect(throws: PassError.self) { _ = try await other.begin(under: config, overseer: Witness()) }
        pass.end()
    }

    @Test func twoControllersNeverChangeTheHostAtOnce() async throws {
        let pass = try await host.controller().begin(under: host.config, overseer: Witness())
        do {
            _ = try await host.controller().begin(under: host.config, overseer: Witness())
            Issue.record("both began")
        } catch {
            #expect(error.sort == .locked && error.sentence.contains("command: a test"))
        }
        pass.end()
        try await host.controller().begin(under: host.config, overseer: Witness()).end()
    }

    @Test func aPlanFileIsCarriedOutOnlyWhileItsPlanIsTheRightOne() async throws {
        let state = try host.documents("db")
        let controller = host.controller()
        let view = controller.view(under: host.config)
        let context = view.newContext(stack: "default")
        let plan = Planner.plan(
            desired: state, observed: try await view.observe(state, context: context), context: context)
        let file = PlanFile(plan: plan, sources: [], summary: "what was shown")
        #expect(try await apply(controller, state).outcome == .converged)
        let witness = Witness()
        let pass = try await controller.begin(under: host.config, overseer: witness)
        defer { pass.end() }
        do {
            _ = try await pass.apply(state, planned: file, context: file.context)
            Issue.record("another plan was carried out")
        } catch {
            #expect(error.sentence.contains("the host has changed since the plan was made"))
        }
        guard case .plansDiffer("what was shown", let now)? = witness.report.remarks.last else {
            Issue.record("\(witness.report.remarks)")
            return
        }
        #expect(now.isEmpty)
    }

    @Test func whatOnlyLooksTellsOfALedgerThatCannotBeRead() async throws {
        try FileManager.default.createDirectory(
            atPath: "\(host.path)/run/state", withIntermediateDirectories: true)
        chmod("\(host.path)/run/state", 0o700)
        try Data("{".utf8).write(to: URL(filePath: "\(host.path)/run/state/ledger.json"))
        chmod("\(host.path)/run/state/ledger.json", 0o600)
        let witness = Witness()
        let survey = await host.controller().survey(
            try host.documents("db"), of: "default", under: host.config, listener: witness)
        #expect(survey.ledgerError?.code == .malformed)
        #expect(survey.records.first { $0.id == ResourceID(.volume, "db") }?.ready.status == .no)
        guard case .warning(let sentence)? = witness.report.remarks.first else {
            Issue.record("\(witness.report.remarks)")
            return
        }
        #expect(sentence.contains("what was lost cannot be told"))
    }
}
