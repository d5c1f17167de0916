import ArgumentParser
import Glibc
import SystemPackage
import TuffController
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

    /// - Parameter rule: for the key file.
    func open(_ rule: KeyFile.Rule = .demanded) throws(Failure) -> Repository {
        try Self.open(path, keyFile: keyFile, rule)
    }

    static func open(_ path: String, keyFile: String?, _ rule: KeyFile.Rule) throws(Failure) -> Repository {
        let secret = try keyFile.map { path throws(Failure) in try KeyFile.read(path, rule) }
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
    init(_ error: RepositoryError, help: String? = nil) {
        let code =
            switch error.code {
            case .notFound: ExitStatus.repositoryMissing
            case .locked: ExitStatus.locked
            case .wrongKey: ExitStatus.wrongKey
            case .interrupted: ExitStatus.interrupted
            case .damaged, .unreadable, .brokenIndex, .newer, .full, .refused, .failed: ExitStatus.failed
            }
        // Names and leases come from a medium that others may write.
        self.init(PrintedText.oneLine(error.description), help: help, code: code)
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
        let secret = try repository.keyFile.map { path throws(Failure) in try KeyFile.forNewSlot(path) }
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

    func validate() throws {
        guard (1...255).contains(name.utf8.count),
            !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
        else { throw ValidationError("--name takes 1 to 255 bytes without control characters") }
        guard changedSince == nil || changedRanges != nil else {
            throw ValidationError("--changed-since says what --changed-ranges is relative to; give both")
        }
    }

    func run() async throws {
        let repository = try repository.open()
        let path = source
        let source = try self.device()
        // Before a point is chosen to compare with: a prune could take it away, and mark what only it needs. The name stays out of
        // it: a lease is not encrypted.
        let lease = try repository.lease(.shared, command: "tuff backup run", wait)
        defer { lease.giveBack() }
        var request = Backup.Request(
            series: Series(name: name), time: currentTime(), program: "tuff \(TuffVersion.current)")
        let list = try changedRanges.map { file in [UInt8](try Files.read(file)) }
        try failing { () throws(RepositoryError) in try choose(&request, list, repository, size: source.size) }
        let progress = JobProgress()
        let wanted = request
        let point = try await Job(total: source.size, progress: progress, json: form.format == .json).run {
            () throws(RepositoryError) in
            try Backup(of: source, to: repository, wanted, lease: lease, progress: progress)
                .run(threads: SystemThreads.natural, finished: currentTime)
        } explaining: { error in
            let help: String? =
                switch error.code {
                case .interrupted: "run it again: what is stored by now is not stored again"
                case .full: Self.roomHelp
                case _ where error.isLoss && list != nil:
                    "the restore point that the changes are relative to is damaged; back up once without --changed-ranges"
                default: nil
                }
            return Failure(error, help: help)
        }
        if source.wasWritten { warn("\(path) was written to while it was read") }
        try form.show(PointsView([point], heading: "Backed up"), global.output)
    }

    private func device() throws(Failure) -> DeviceSource {
        do throws(RepositoryError) {
            let device = try DeviceSource(source)
            if device.isInUse { warn("\(source) is in use on this host, mounted or part of another device") }
            return device
        } catch {
            let isDevice = source.hasPrefix("/dev/") && access(source, F_OK) != 0
            throw Failure(
                error,
                help: isDevice
                    ? "a snapshot that Tuff took has a device only after 'lvchange -ay -K GROUP/NAME'; '-an' takes it away again"
                    : nil)
        }
    }

    /// Of a source that may change while it is read.
    private func warn(_ what: String) {
        Console.talk(
            "warning: \(PrintedText.oneLine(what)): what is backed up may be of no single moment, as after a power cut or worse. "
                + "A snapshot does not change\n")
    }

    private static let roomHelp =
        "earlier restore points are whole, and what is stored by now spares the next run's work. 'tuff backup prune' with keep "
        + "rules makes room, a day later, or with --at-once when nobody restores"

    /// What the backup is compared with, and what is read of the source.
    private func choose(
        _ request: inout Backup.Request, _ list: [UInt8]?, _ repository: Repository, size: UInt64
    ) throws(RepositoryError) {
        let (points, damaged) = try repository.points()
        let hurt = try repository.hurtPoints()
        let aside = try repository.setAside().points
        // Points of a name are in the order of their seconds, and this one is to be the latest. A clock that stands still is not
        // waited for: then their parents tell the order.
        for _ in 0..<40
        where points.contains(where: { $0.record.series == request.series && $0.record.time == request.time }) {
            usleep(50_000)
            request.time = currentTime()
        }
        if let list {
            request.parent =
                if let changedSince {
                    try RestorePoint.baseOfChanges(
                        changedSince, of: request.series, size: size, among: points, damaged: damaged, hurt: hurt,
                        aside: Set(aside.keys), now: request.time)
                } else {
                    try RestorePoint.baseOfChanges(
                        request.series, among: points, damaged: damaged, hurt: hurt, aside: aside, now: request.time)
                }
            request.changed = try ChangedRanges.parse(list, size: size)
            return
        }
        // All is read: an older one to compare with only means more to look up.
        request.parent = points.last {
            $0.record.series == request.series && !hurt.contains($0.id) && aside[$0.id] == nil
        }
        for point in damaged { Console.talk("warning: \(PrintedText.oneLine(point.description))\n") }
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
        let (found, aside) = try failing { () throws(RepositoryError) in
            (try repository.points(), try repository.setAside().points)
        }
        let points = found.points.filter { name == nil || $0.record.series.name == name }
        let none = "There is no restore point\(name.map { " of '\(PrintedText.oneLine($0))'" } ?? "").\n"
        try form.show(PointsView(points, aside: Set(aside.keys), none: none), global.output)
        for point in points where aside[point.id] == nil {
            FuturePoint(point)?.warn(place.repository ?? "", keyFile: place.keyFile)
        }
        try found.damaged.report(global)
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
                "--name": name, "--at": at, "--key-file": place.keyFile, "--keep-going": keepGoing ? "" : nil,
                "--to -": to == "-" ? "" : nil,
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
        let progress = JobProgress(), keepsGoing = keepGoing
        // What is wrong with the repository is told before anything is done to the target.
        let restore = try failing { () throws(RepositoryError) in
            let (points, damaged) = try repository.points()
            let aside = try repository.setAside().points
            let point = try choice.choose(
                among: points, damaged: damaged, series: name, passingOver: Set(aside.keys))
            return try Restore(point, of: repository, progress: progress, keepingGoing: keepsGoing)
        }
        let point = restore.point
        if case .latest = choice { FuturePoint(point)?.warn(place.repository ?? "", keyFile: place.keyFile) }
        let opened = try await target(of: point, in: repository)
        let target: any BlockTarget = opened?.target ?? StreamTarget(STDOUT_FILENO)
        let threads = target.isStream ? SystemThreads(count: 1) : .natural
        let job = Job(total: point.record.size, progress: progress, json: form.format == .json)
        let outcome = try await job.run { () throws(RepositoryError) in
            try restore.run(to: target, threads: threads)
        } explaining: { error in
            guard error.isLoss else {
                return Failure(
                    error,
                    help: error.code == .interrupted
                        ? "the target is not complete; run it again, and only what differs is written" : nil)
            }
            return Failure(
                "\(PrintedText.oneLine(error.description)). The target is not complete",
                help:
                    "--keep-going restores all that is left and lists what is not; 'tuff backup check --read-data' tells "
                    + "which restore points are hurt")
        }
        opened?.conclude()
        let view = RestoredView(point, to: to == "-" ? "Standard output" : to, outcome)
        if target.isStream { Console.talk(view.text(global.errors)) } else { try form.show(view, global.output) }
        if !outcome.lost.isEmpty { throw Failure(nil, code: ExitStatus.partly) }
    }

    /// Nil: standard output.
    private func target(
        of point: RestorePoint, in repository: Repository
    ) async throws(Failure) -> RestoreTarget.Opened? {
        if to == "-" { return nil }
        guard !RealPath.lies(to, beneath: place.repository ?? "") else {
            throw Failure.usage("\(to) is in the repository itself, which a restore must not change")
        }
        guard access(to, F_OK) == 0 || !RealPath.lies(to, beneath: "/dev") || RealPath.lies(to, beneath: "/dev/shm")
        else {
            throw Failure.usage("there is no device \(to), and no file is made beneath /dev")
        }
        return try await RestoreTarget(
            path: to, size: point.record.size, source: (repository.description.id, point.id.description),
            options: overwrite, global: global
        ).open()
    }
}
