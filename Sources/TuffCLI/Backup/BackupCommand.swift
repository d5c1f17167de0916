import ArgumentParser
import SystemPackage
import TuffController
import TuffModel
import TuffRepository

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Back up devices and images to a repository, and get them back.",
        discussion: "A repository is a directory; docs/repository-format.md describes it. Exit code 10: there is none.",
        subcommands: [
            BackupInit.self, BackupRunCommand.self, BackupList.self, BackupRestore.self, BackupCheck.self,
            BackupRemove.self, BackupPrune.self, BackupKey.self,
        ])
}

struct BackupInit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a repository in a directory, which is made if it is not there.",
        discussion: "With --key-file it is encrypted, for ever; without, never.")

    @Option(help: ArgumentHelp("The repository.", valueName: "dir"), completion: .directory)
    var repository: String
    @Option(
        help: ArgumentHelp(
            "Opens an encrypted repository: a file of at most 1 KiB that nobody else may read.", valueName: "file"),
        completion: .file())
    var keyFile: String?
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try failing { () throws(BackupError) in
            try RepositoryPlace(repository, keyFile: keyFile).make(listener: global.listener)
        }
        Console.talk("Made \(keyFile == nil ? "a" : "an encrypted") repository in \(repository).\n")
    }
}

struct BackupRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Back up a device or file as it is now.",
        discussion: "The source must not change meanwhile: give a snapshot, or a device or file that nobody has open.")

    @OptionGroup var repository: RepositoryOption
    @Option(help: ArgumentHelp("The block device or regular file.", valueName: "path"), completion: .file())
    var source: String
    @Option(help: ArgumentHelp("Restore points of one name belong together.", valueName: "name"))
    var name: String
    @Option(
        help: ArgumentHelp(
            "Read only these ranges, 'offset length' a line, in bytes: all that may differ from the last restore "
                + "point of the name.",
            valueName: "file"), completion: .file())
    var changedRanges: String?
    @Option(
        help: ArgumentHelp(
            "The restore point that --changed-ranges is relative to, where it is not the last of the name.",
            valueName: "id"))
    var changedSince: String?
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        guard (1...255).contains(name.utf8.count),
            !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
        else { throw ValidationError("--name takes 1 to 255 bytes without control characters") }
        guard changedSince == nil || changedRanges != nil else {
            throw ValidationError("--changed-since says what --changed-ranges is relative to; give both")
        }
    }

    func run() async throws {
        let address = try repository.address(global)
        let outcome = try await Job(global: global, host: host, json: form.format == .json)
            .carryOut(request(to: address.place), at: address)
        global.warn(outcome.warnings)
        try form.show(PointsView([outcome.point], heading: "Backed up"), global.output)
    }

    private func request(to place: RepositoryPlace) -> BackupRun.Request {
        var request = BackupRun.Request(
            source, to: place, series: Series(name: name), purpose: "tuff backup run")
        request.changes = changedRanges.map { BackupRun.Changes(.file($0), since: changedSince) }
        request.patience = wait.timeout
        return request
    }
}

struct BackupList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List restore points, oldest first.",
        discussion: """
            With --cinder the backups of OpenStack Cinder in a directory (posix and NFS drivers). --print-yaml prints \
            the volumes of the newest restore points as documents that bring them back, each with the labels and \
            fields that its document had.
            """)

    @OptionGroup var place: BackupPlace
    @Option(help: ArgumentHelp("Only those of this name.", valueName: "name"))
    var name: String?
    @OptionGroup var documents: PointDocumentOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func validate() throws {
        try place.validate(onlyRepository: ["--name": name])
        try documents.validate(beside: form.format, hasSet: !place.naming.documents.paths.isEmpty)
    }

    func run() async throws {
        if let cinder = place.cinder {
            return try CinderJob(path: cinder, form: form, global: global).list(as: documents.printed(of: nil))
        }
        let address = try place.address(global)
        let found = try await list(address), aside = Set(found.aside)
        let points = found.points.filter { name == nil || $0.record.series.name == name }
        if let printed = documents.printed(of: address.place) {
            try Console.data(printed.text(points, passingOver: aside.union(found.hurt)))
        } else {
            let none = "There is no restore point\(name.map { " of '\(PrintedText.oneLine($0))'" } ?? "").\n"
            try form.show(PointsView(points, aside: aside, none: none), global.output)
        }
        let future = points.filter { !aside.contains($0.id) }.compactMap { FuturePoint($0) }
        global.warn(future.map { $0.warning(in: address.place) })
        try found.damaged.report(in: address.place, global)
    }

    /// In this process where that will do, so that a signal ends it at once.
    private func list(_ address: RepositoryAddress) async throws(Failure) -> PointListing.Outcome {
        let listing = PointListing(of: address.place)
        if address.needsWorker {
            return try await Job(global: global, host: host, json: false).carryOut(listing, at: address)
        }
        return try failing { () throws(BackupError) in
            try listing.look(
                at: try address.place.open(PointListing.keyFile, listener: global.listener), listener: global.listener)
        }
    }
}

struct BackupRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Write a restore point to a device or file.",
        discussion: """
            A missing file is made, sparse. A device, or a file that exists, is compared with the restore point, and \
            only different blocks are written. --cinder restores a backup of OpenStack Cinder and the backups it \
            builds on, oldest first, and proves every object by its length and MD5 digest. A new file has its name \
            only when that is done; an existing device or file is written meanwhile.
            """)

    @OptionGroup var place: BackupPlace
    @Option(help: ArgumentHelp("Name of the restore points to choose from.", valueName: "name"))
    var name: String?
    @Option(
        help: ArgumentHelp("latest (the default), a time such as 2026-11-22T03:00:00Z, or an ID.", valueName: "which"))
    var at: String?
    @Option(help: ArgumentHelp("With --cinder: Cinder's id of the backup.", valueName: "uuid"))
    var backup: String?
    @Option(
        help: ArgumentHelp("The block device or file to write; - is standard output.", valueName: "path"),
        completion: .file())
    var to: String
    @Flag(
        help:
            "Write zeros for damaged data, and list it at the end (exit code 3). Otherwise the first damage ends the restore."
    )
    var keepGoing = false
    @OptionGroup var overwrite: OverwriteOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        try place.validate(
            onlyRepository: [
                "--name": name, "--at": at, "--keep-going": keepGoing ? "" : nil, "--to -": to == "-" ? "" : nil,
            ], onlyCinder: ["--backup": backup])
        if to == "-", form.format == .json {
            throw ValidationError("standard output is the volume; give --to PATH to have a report in JSON")
        }
        if to.isEmpty { throw ValidationError("--to takes the path of a device or file, or -") }
        if place.cinder != nil, backup == nil { throw ValidationError("which backup? Give --backup UUID") }
    }

    func run() async throws {
        if let cinder = place.cinder, let backup {
            return try await CinderJob(path: cinder, form: form, global: global)
                .restore(backup, to: to, overwrite: overwrite)
        }
        if to == "-", Console.isTerminal(.standardOutput) {
            throw Failure.usage("standard output is a terminal; pipe it into what takes the volume, or give --to PATH")
        }
        let address = try place.address(global)
        let order = RestoreOrder(request(from: address.place), on: overwrite.surroundings(global))
        let outcome = try await Job(global: global, host: overwrite.host, json: form.format == .json)
            .carryOut(order, at: address, output: to == "-" ? .standardOutput : nil)
        global.warn(outcome.warnings)
        let view = RestoredView(outcome, to: to == "-" ? "Standard output" : to)
        if to == "-" { Console.talk(view.text(global.errors)) } else { try form.show(view, global.output) }
        if !outcome.restored.lost.isEmpty { throw Failure(nil, code: ExitStatus.partly) }
    }

    private func request(from place: RepositoryPlace) -> RestoreRun.Request {
        var request = RestoreRun.Request(from: place, to: to == "-" ? .standardOutput : .path(to))
        request.name = name
        if let at { request.choice = PointChoice(text: at) }
        request.overwrites = overwrite.force
        request.keepsGoing = keepGoing
        return request
    }
}

/// Decides how far `backup restore` may go with a target that is there.
struct OverwriteOptions: ParsableArguments {
    @Flag(
        help: """
            Write over a target that holds a file system, a partition table or the like, and shorten a file that is larger. \
            Neither what somebody has open nor what Tuff manages is written even then.
            """)
    var force = false
    @OptionGroup var host: HostOptions

    func surroundings(_ global: GlobalOptions) -> RestoreSurroundings {
        RestoreSurroundings(host.places, configFile: global.config)
    }
}
