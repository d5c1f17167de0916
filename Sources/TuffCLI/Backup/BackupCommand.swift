import ArgumentParser
import Glibc
import SystemPackage
import TuffModel
import TuffRepository

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Back up devices and images to a repository, and get them back.",
        discussion: "A repository is a directory; docs/repository-format.md describes it. Exit code 10: there is none.",
        subcommands: [
            BackupInit.self, BackupRun.self, BackupList.self, BackupRestore.self, BackupCheck.self, BackupPrune.self,
            BackupKey.self,
        ])
}

struct RepositoryOption: ParsableArguments {
    @Option(
        name: .customLong("repository"), help: ArgumentHelp("The repository.", valueName: "dir"), completion: .directory
    )
    var path: String

    @Option(
        help: ArgumentHelp(
            "Opens an encrypted repository: a file of at most 1 KiB that nobody else may read.", valueName: "file"),
        completion: .file())
    var keyFile: String?

    func open() throws(Failure) -> Repository { try Self.open(path, keyFile: keyFile) }

    static func open(_ path: String, keyFile: String?) throws(Failure) -> Repository {
        let secret = try keyFile.map { path throws(Failure) in try KeyFile.read(path) }
        return try failing { () throws(RepositoryError) in
            try Repository.open(try DirectoryStore(path), secret: secret)
        }
    }
}

/// Turns what a repository throws into the end of a command.
func failing<Value>(_ body: () throws(RepositoryError) -> Value) throws(Failure) -> Value {
    do throws(RepositoryError) { return try body() } catch { throw Failure(error) }
}

extension Failure {
    init(_ error: RepositoryError) {
        let code =
            switch error.code {
            case .notFound: ExitStatus.repositoryMissing
            case .locked: ExitStatus.locked
            case .wrongKey: ExitStatus.wrongKey
            case .damaged, .newer, .full, .refused, .failed: ExitStatus.failed
            }
        self.init(error.description, code: code)
    }
}

/// The time of day in the form of restore points.
func currentTime() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Instant(secondsSince1970: Int64(now.tv_sec)).description
}

struct BackupInit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a repository in a directory, which is made if it is not there.",
        discussion: "With --key-file it is encrypted, for ever; without, never.")

    @OptionGroup var repository: RepositoryOption
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let secret = try repository.keyFile.map { path throws(Failure) in try KeyFile.read(path) }
        try failing { () throws(RepositoryError) in
            let store = try DirectoryStore(repository.path, making: true)
            _ = try Repository.create(in: store, secret: secret, now: currentTime())
        }
        Console.talk("Made \(secret == nil ? "a" : "an encrypted") repository in \(repository.path).\n")
    }
}

struct BackupRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Back up a device or file as it is now.",
        discussion: "It must not change meanwhile: give a snapshot, or what nobody has open.")

    @OptionGroup var repository: RepositoryOption
    @Option(help: ArgumentHelp("The block device or regular file.", valueName: "path"), completion: .file())
    var source: String
    @Option(help: ArgumentHelp("Restore points of one name belong together.", valueName: "name"))
    var name: String
    @Option(
        help: ArgumentHelp(
            "Read only these: 'offset length' a line, in bytes, what may differ from the last restore point of the name.",
            valueName: "file"), completion: .file())
    var changedRanges: String?
    @OptionGroup var wait: LockOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let repository = try repository.open()
        let path = source
        let source = try failing { () throws(RepositoryError) in try DeviceSource(path) }
        // Before a point is chosen to compare with: a prune could take it away, and mark what only it needs.
        let lease = try repository.lease(.shared, command: "tuff backup run --name \(name)", wait)
        defer { lease.giveBack() }
        var request = Backup.Request(
            series: Series(name: name), time: currentTime(), program: "tuff \(TuffVersion.current)")
        let (last, isHurt) = try failing { () throws(RepositoryError) in
            let last = try repository.points().points.last { $0.record.series == request.series }
            return (
                last, try last.map { point throws(RepositoryError) in try repository.hurtPoints().contains(point.id) }
            )
        }
        request.parent = isHurt == true ? nil : last
        if let changedRanges {
            guard isHurt != true else {
                throw Failure(
                    "the last restore point of '\(name)' is damaged, and what did not change may be lost in it",
                    help: "back up once without --changed-ranges, which stores anew what is lost")
            }
            let text = String(decoding: try Files.read(changedRanges), as: UTF8.self)
            request.changed = try failing { () throws(RepositoryError) in
                try ChangedRanges.parse(text, size: source.size)
            }
        }
        let progress = JobProgress()
        let wanted = request
        let point = try await Job(total: source.size, progress: progress, json: form.format == .json).run {
            () throws(RepositoryError) in
            try Backup(of: source, to: repository, wanted, lease: lease, progress: progress)
                .run(threads: SystemThreads.natural, finished: currentTime)
        }
        try form.show(PointsView([point], heading: "Backed up"), global.output)
    }
}

struct BackupList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List restore points, oldest first.",
        discussion: "With --cinder the backups of OpenStack Cinder in a directory (posix and NFS drivers).")

    @OptionGroup var place: BackupPlace
    @Option(help: ArgumentHelp("Only those of this name.", valueName: "name"))
    var name: String?
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        try place.validate(onlyRepository: ["--name": name, "--key-file": place.keyFile])
    }

    func run() async throws {
        if let cinder = place.cinder { return try CinderJob(path: cinder, form: form, global: global).list() }
        let repository = try place.open()
        let found = try failing { () throws(RepositoryError) in try repository.points() }
        let points = found.points.filter { name == nil || $0.record.series.name == name }
        try form.show(PointsView(points), global.output)
        for damage in found.damaged { Console.talk(Failure(damage).text(global.errors)) }
        if !found.damaged.isEmpty { throw Failure(nil) }
    }
}

struct BackupRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Write a restore point to a device or file.",
        discussion: """
            A file that is not there is made, sparse; one that is there, or a device, is compared with the restore point, \
            and only what differs is written. With --cinder a backup of OpenStack Cinder and what it builds on, oldest \
            first, every object proven by its length and MD5 digest; a file that is made has its name only when that is \
            done, while a device or file that is there is written meanwhile.
            """)

    @OptionGroup var place: BackupPlace
    @Option(help: ArgumentHelp("Whose restore point.", valueName: "name"))
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
            "What is damaged becomes zeros, and is listed in the end; exit code 3 then. Without it the first damage is the end."
    )
    var keepGoing = false
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        try place.validate(
            onlyRepository: [
                "--name": name, "--at": at, "--key-file": place.keyFile, "--keep-going": keepGoing ? "" : nil,
                "--to -": to == "-" ? "" : nil,
            ], onlyCinder: ["--backup": backup])
        if to == "-", form.format == .json {
            throw ValidationError("standard output is the volume; give --to PATH to have a report in JSON")
        }
        if place.cinder != nil, backup == nil { throw ValidationError("which backup? Give --backup UUID") }
    }

    func run() async throws {
        if let cinder = place.cinder, let backup {
            return try await CinderJob(path: cinder, form: form, global: global).restore(backup, to: to)
        }
        let repository = try place.open()
        let at = at ?? "latest"
        let choice: PointChoice =
            if at == "latest" {
                .latest
            } else if let time = Instant(text: at) {
                .notAfter(time.description)
            } else {
                .id(at)
            }
        guard name != nil || choice != .latest else {
            throw Failure.usage("whose latest restore point? Give --name NAME, or --at ID")
        }
        if to == "-", Console.isTerminal(.standardOutput) {
            throw Failure.usage("standard output is a terminal; pipe it into what takes the volume, or give --to PATH")
        }
        let (point, target) = try failing { () throws(RepositoryError) -> (RestorePoint, any BlockTarget) in
            let point = try choice.choose(among: repository.points().points, series: name)
            return (point, to == "-" ? StreamTarget(STDOUT_FILENO) : try DeviceTarget(to, size: point.record.size))
        }
        let progress = JobProgress(), keepsGoing = keepGoing
        let threads = target.isStream ? SystemThreads(count: 1) : .natural
        let job = Job(total: point.record.size, progress: progress, json: form.format == .json)
        let outcome = try await job.run { () throws(RepositoryError) in
            try Restore(point, of: repository, to: target, progress: progress, keepingGoing: keepsGoing)
                .run(threads: threads)
        } explaining: { error in
            guard error.isLoss else { return Failure(error) }
            return Failure(
                "\(error). The target is not complete",
                help:
                    "--keep-going restores all that is left and lists what is not; 'tuff backup check --read-data' tells "
                    + "which restore points are hurt")
        }
        let view = RestoredView(point, to: to == "-" ? "Standard output" : to, outcome)
        if target.isStream { Console.talk(view.text(global.errors)) } else { try form.show(view, global.output) }
        if !outcome.lost.isEmpty { throw Failure(nil, code: ExitStatus.partly) }
    }
}
