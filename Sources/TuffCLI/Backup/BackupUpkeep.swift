import ArgumentParser
import TuffController
import TuffModel
import TuffRepository

struct BackupCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check whether every restore point can be restored.",
        discussion: "Exit 1 if not; then each restore point that is hurt is named, with the bytes that are lost.")

    @OptionGroup var repository: RepositoryOption
    // A text: of what does not decode the parser makes the default, and `.scanningForValue` drops a value before
    // another option.
    @Option(
        defaultAsFlag: "100%", parsing: .next,
        help: ArgumentHelp(
            "Read and check all data, or with =5% that share of it, a different one each time. Without it only the "
                + "places of all data are checked.",
            valueName: "share"))
    var readData: String? = nil
    @Flag(
        help: ArgumentHelp(
            "Read all data, and afterwards make the index anew, without damaged and missing data.",
            discussion:
                "The next backups store such data again where they have it, which heals earlier restore points."))
    var repair = false
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        let share = try share
        // A repair that had not read everything would take back into the index what an earlier one left out of it.
        guard !repair || readData == nil || share == 100 else {
            throw ValidationError("--repair reads all data; give --read-data without a share, or leave it out")
        }
    }

    /// Per cent of the data that is read.
    private var share: Int {
        get throws {
            guard let readData else { return repair ? 100 : 0 }
            guard let share = Percentage(text: readData), share.percent > 0 else {
                throw ValidationError("--read-data takes a share from 1% to 100%, as in =5%, and no '\(readData)'")
            }
            return share.percent
        }
    }

    func run() async throws {
        let address = try repository.address(global)
        var request = CheckRun.Request(of: address.place, share: try share, purpose: "tuff backup check --repair")
        request.repairs = repair
        request.patience = wait.timeout
        let outcome = try await Job(global: global, host: host, json: form.format == .json)
            .carryOut(request, at: address)
        try form.show(CheckView(outcome.left ?? outcome.report, isRepaired: outcome.left != nil), global.output)
        if !outcome.report.isWhole { throw Failure(nil) }
    }
}

struct BackupPrune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove restore points by keep rules, and the data that nothing needs then.",
        discussion: """
            The rules hold for each name apart; hours, days and so on are of UTC. Without any rule no restore point is \
            removed, and only data that nothing needs is marked. The first prune after a day destroys marked data, so \
            that no running restore loses data.
            """)

    @OptionGroup var repository: RepositoryOption
    @Option(help: ArgumentHelp("Only restore points of this name.", valueName: "name")) var name: String?
    @Option(help: ArgumentHelp("Keep the newest so many.", valueName: "count")) var keepLast: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many hours.", valueName: "count")) var keepHourly: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many days.", valueName: "count")) var keepDaily: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many weeks.", valueName: "count")) var keepWeekly: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many months.", valueName: "count")) var keepMonthly: Int?
    @Option(help: ArgumentHelp("Keep the newest of so many years.", valueName: "count")) var keepYearly: Int?
    @Option(
        help: ArgumentHelp(
            "Set this restore point aside, whose time is later than the clock: it stays, and only its ID restores it. "
                + "May be given more than once.",
            valueName: "id"))
    var setAside: [String] = []
    @Flag(name: [.customShort("n"), .long], help: "Show what would be removed, and change nothing.") var dryRun =
        false
    @Flag(help: "Destroy marked packs without waiting for a day. Only when nobody restores.") var atOnce = false
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        let counts = [keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly].compactMap(\.self)
        guard counts.allSatisfy({ $0 > 0 }) else { throw ValidationError("keep rules count from 1 on") }
    }

    func run() async throws {
        let address = try repository.address(global), request = request(in: address.place)
        let job = Job(global: global, host: host, json: form.format == .json)
        if dryRun {
            return try show(try await job.carryOut(PruneForecast(of: request), at: address), in: address.place)
        }
        try form.show(PruneView(try await job.carryOut(request, at: address)), global.output)
    }

    private func request(in place: RepositoryPlace) -> PruneRun.Request {
        var request = PruneRun.Request(of: place, purpose: "tuff backup prune")
        request.name = name
        (request.rule.last, request.rule.hourly, request.rule.daily) = (keepLast, keepHourly, keepDaily)
        (request.rule.weekly, request.rule.monthly, request.rule.yearly) = (keepWeekly, keepMonthly, keepYearly)
        request.setAside = setAside
        request.isAtOnce = atOnce
        request.patience = wait.timeout
        return request
    }

    private func show(_ forecast: PruneRun.Forecast, in place: RepositoryPlace) throws {
        let none = "No restore point would be taken away, of \(forecast.points).\n"
        try form.show(
            PointsView(forecast.leaving, forecast: forecast.report, heading: "Would be taken away", none: none),
            global.output)
        try forecast.damaged.report(in: place, global)
    }
}
