import ArgumentParser
import TuffController
import TuffHost
import TuffModel
import TuffRepository

struct BackupRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove restore points for ever.",
        discussion: """
            Shows the points that go, and asks. The last restore point of a series goes only with --force, and so do \
            the last whole one, the last one that a drill proved, and one that cannot be read. The next prunes free \
            the room: 'tuff backup prune', or those of the hosts that use the repository.
            """)

    @Argument(help: ArgumentHelp("IDs of restore points, of which four digits will do.", valueName: "point"))
    var points: [String] = []
    @OptionGroup var repository: RepositoryOption
    @Option(
        help: ArgumentHelp(
            "All restore points of this name, which one series must have; NAME@NODE/STACK/UID names one of several. "
                + "May be given more than once.", valueName: "series"))
    var series: [String] = []
    @Flag(help: "Remove also the last, whole or proven point of a series, and what cannot be read.") var force = false
    @Flag(help: "Do not ask.") var allowDestroy = false
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        guard !points.isEmpty || !series.isEmpty else {
            throw ValidationError("which ones? Give IDs, as 'tuff backup ls' shows them, or --series NAME")
        }
    }

    func run() async throws {
        let address = try repository.address(global)
        let job = Job(global: global, host: host, json: form.format == .json)
        var request = PointRemoval.Request(in: address.place, purpose: "tuff backup rm")
        request.points = points
        request.series = series.map { PointRemoval.SeriesName(text: $0) }
        request.overrides = force
        request.patience = wait.timeout
        let forecast = try await job.carryOut(RemovalForecast(of: request), at: address)
        let shown = RemovedPointsView(forecast, heading: "To be removed").text(global.output)
        if form.format == .json { Console.talk(shown) } else { try Console.data(shown) }
        global.warn(forecast.warnings)
        try await ask(forecast.points.count + forecast.damaged.count)
        // Those that were shown, and no others.
        request.points = (forecast.points.map(\.id) + forecast.damaged).map(\.description)
        request.series = []
        let outcome = try await job.carryOut(request, at: address)
        switch form.format {
        case .text:
            let count = PrintedText.count(outcome.points.count + outcome.damaged.count, "restore point")
            try Console.data("Removed \(count).\n")
        case .json: try Console.data(RemovedPointsView(outcome).document.json)
        }
    }

    private func ask(_ count: Int) async throws {
        guard !allowDestroy else { return }
        let interrupts: Interrupts
        do { interrupts = try Interrupts.install() } catch { throw Failure(error.description) }
        let question = "Remove \(count == 1 ? "this restore point" : "these \(count) restore points") for ever?"
        switch await Console.ask(question, orInterruptedBy: interrupts) {
        case .yes: return
        case .no: throw Failure("not approved; nothing was removed")
        case .interrupted: throw Failure("interrupted; nothing was removed", code: ExitStatus.interrupted)
        case .unasked:
            throw Failure(
                "there is no terminal to ask on; nothing was removed",
                help: "read the list above, then give --allow-destroy")
        }
    }
}

/// Restore points that go, or went.
private struct RemovedPointsView: View {
    private let outcome: PointRemoval.Outcome
    private let heading: String?

    init(_ outcome: PointRemoval.Outcome, heading: String? = nil) {
        self.outcome = outcome
        self.heading = heading
    }

    var kind: String { "RemovedPoints" }

    func text(_ style: Style) -> String {
        let unread = outcome.damaged.map { "\($0.description.prefix(8)), which cannot be read\n" }.joined()
        return PointsView(outcome.points, heading: heading, none: "").text(style) + unread
    }

    var body: [String: Tree] {
        PointsView(outcome.points).body.merging(["unread": .list(outcome.damaged.map { .text($0) })]) { own, _ in own }
    }
}
