package import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// Directory pools: a sparse file per volume and a sidecar with its marks.
///
/// A volume is made in three acts: the sidecar with the mark `tuff:op=create`, the data file, the sidecar without that
/// mark. A crash between two of them leaves an object that says of itself that it is unfinished, and lowering the same
/// creation again completes it from wherever it stopped. While the mark is there nobody uses the file, hence it is
/// blank.
///
/// A file gets another name in three acts too: the sidecar with the new marks, `tuff:op=move` and the old name; the
/// rename; the sidecar with the new name and without that mark. Marks say which name comes next, so a sidecar whose
/// move was cut short finds its file under either.
package struct DirectoryPoolDriver: DirectoryDriver {
    package init() {}

    package func observe(
        _ paths: [String], on machine: any Machine, key: FingerprintKey
    ) async -> ObservationMap<DirectoryPool> {
        var map = ObservationMap<DirectoryPool>()
        // One after the other: each has its own worker and deadline, and pools are few.
        for path in Set(paths).sorted() {
            do throws(HostError) {
                let entries = try await machine.readTree(
                    .directory(path),
                    [
                        TreeQuery("*", .status), TreeQuery("\(Sidecar.folder)/*", .text),
                        TreeQuery("\(Sidecar.folder)/*", .status),
                    ], key: key)
                let space = try await machine.space(of: path)
                map.entries[path] = .known(
                    DirectoryPool(
                        path: path, size: space.size, free: space.free,
                        files: try Self.files(entries, in: path),
                        exposure: Self.exposure(space, entries: entries, path: path),
                        sharesBlocks: space.sharesBlocks))
            } catch {
                // The protocol of `Machine` has `notFound` for a missing root: known to be absent, hence no entry.
                if error.code != .notFound { map.entries[path] = .unknown(error) }
            }
        }
        return map
    }

    private static func exposure(_ space: FileSystemSpace, entries: [TreeEntry], path: String) -> String? {
        if let fault = space.exposure { return "directory \(path) \(fault)" }
        return entries.first { $0.path == Sidecar.folder }?.exposure.map { "\(path)/\(Sidecar.folder) \($0)" }
    }

    /// Joins sidecars and files. A sidecar that cannot be understood becomes an entry of its own whose marks read as
    /// damaged, so that it is reported; its data file then counts as somebody else's and keeps its name taken.
    /// Files that cannot be read at all make the pool unknown.
    static func files(_ entries: [TreeEntry], in path: String) throws(HostError) -> [DirectoryFile] {
        // Volumes whose marks nobody may read are not absent, and their files not somebody else's.
        for entry in entries where ["", Sidecar.folder].contains(entry.path) {
            guard let error = entry.error else { continue }
            let what = entry.path.isEmpty ? "directory \(path)" : "the sidecars in \(path)/\(Sidecar.folder)"
            throw HostError(
                error.code, "\(what) cannot be read", cause: error.cause ?? error.sentence, subject: error.subject)
        }
        var found: [String: TreeEntry] = [:]
        for entry in entries where entry.path != Sidecar.folder && !entry.path.hasPrefix("\(Sidecar.folder)/") {
            found[entry.path] = entry
        }
        var files: [DirectoryFile] = []
        var sidecars: [(entry: TreeEntry, sidecar: Sidecar, marks: Marks)] = []
        for entry in entries {
            guard let uid = Sidecar.uid(ofPath: entry.path) else { continue }
            if let error = entry.error { throw error }
            guard entry.kind == .file, let text = entry.text, let sidecar = Sidecar(text: text),
                case .ours(let marks) = Marks.read(sidecar.tags), marks.uid == uid
            else {
                files.append(
                    DirectoryFile(
                        name: entry.path, tags: ["tuff:uid=\(uid)"], size: nil, fault: fault(of: entry, uid)))
                continue
            }
            sidecars.append((entry, sidecar, marks))
        }
        let settled = Set(sidecars.filter { !$0.marks.isMoving }.map(\.sidecar.file))
        var claimed: [String: String] = [:]
        for (sidecarEntry, sidecar, marks) in sidecars {
            let name =
                marks.isMoving
                ? whereabouts(sidecar.file, marks, others: settled) { found[$0] != nil } : sidecar.file
            if let other = claimed.updateValue(sidecarEntry.path, forKey: name) {
                throw HostError(
                    .malformed, "in \(path) two sidecars claim the file \(name)",
                    cause: "\(other) and \(sidecarEntry.path)")
            }
            let data = found[name]
            if let error = data?.error { throw error }
            let exposed = [data, sidecarEntry].lazy.compactMap { $0 }.first { $0.exposure != nil }
            files.append(
                DirectoryFile(
                    name: name, tags: sidecar.tags, size: data?.kind == .file ? data?.size : nil,
                    allocated: data?.allocated ?? .zero,
                    exposure: exposed.flatMap { entry in entry.exposure.map { "\(path)/\(entry.path) \($0)" } }))
        }
        // Whatever else is there (files, folders, links) is somebody else's; what counts is that its name is taken.
        for (name, entry) in found where claimed[name] == nil {
            files.append(
                DirectoryFile(name: name, tags: [], size: entry.size ?? .zero, allocated: entry.allocated ?? .zero))
        }
        return files.sorted { $0.name < $1.name }
    }

    /// Why a sidecar is none, and what to do about it.
    private static func fault(of entry: TreeEntry, _ uid: UID) -> String {
        let what: String
        if entry.kind != .file {
            what = "it is not a plain file"
        } else if let text = entry.text, !text.allSatisfy(\.isWhitespace) {
            if let sidecar = Sidecar(text: text) {
                switch Marks.read(sidecar.tags) {
                case .foreign: what = "it holds no marks"
                case .damaged(let sentence): what = sentence
                case .ours(let marks): what = "its marks are those of uid \(marks.uid)"
                }
            } else {
                what = Sidecar.fault(in: text)
            }
        } else {
            what = "it is empty"
        }
        return "\(what); put a copy of it back as it was, or, if its volume is given up, move it away"
    }

    /// The name of a file that was on its way to the name of its marks: the old one if it is there, else the new one.
    /// One that another sidecar has is not it.
    private static func whereabouts(
        _ old: String, _ marks: Marks, others: Set<String>, isThere: (String) -> Bool
    ) -> String {
        if !others.contains(old), isThere(old) { return old }
        let new = marks.until != nil ? "t-\(marks.uid)" : marks.objectName
        return others.contains(old) || (isThere(new) && !others.contains(new)) ? new : old
    }

    package func lower(_ steps: [VolumeStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in LoweredBatch(steps: [index], actions: Self.actions(step)) }
    }

    package func reading(_ volume: VolumeRef) -> ContentReading { ContentSource(volume).reading }

    private static func actions(_ step: VolumeStep) -> [HostAction] {
        let name = step.location.objectName, file = HostPath(.directory(step.location.home), name)
        switch step {
        case .create(_, _, let size, let marks):
            return create(file, size: size, marks: marks)
        case .copy(let source, _, let marks): return clone(source, to: file, marks)
        case .fill(let volume, let source, let operation):
            let source = ContentSource(source)
            return source.conditions
                + [
                    .require(.file(file, size: nil)),
                    .require(
                        .text(
                            HostPath(file.root, Sidecar.path(of: volume.uid)),
                            containing: marks(name, uid: volume.uid, operation: operation))),
                    .copyBytes(from: source.place, to: .file(file)),
                ]
        case .extend(let volume, let from, let to):
            return [
                .require(.file(HostPath(file.root, Sidecar.path(of: volume.uid)), size: nil)),
                .require(.file(file, size: from)),
                .growFile(file, to: to),
            ]
        case .fillFromImage(let volume, let image):
            let sidecar = HostPath(file.root, Sidecar.path(of: volume.uid))
            return [
                .require(.file(sidecar, size: nil)),
                .require(.text(sidecar, containing: marks(name, uid: volume.uid, operation: Marks.copying))),
                .copyImage(image, to: .file(file)),
            ]
        case .fillFromBackup(let volume, let content, let operation):
            let sidecar = HostPath(file.root, Sidecar.path(of: volume.uid))
            return [
                .require(.file(sidecar, size: nil)),
                .require(.text(sidecar, containing: marks(name, uid: volume.uid, operation: operation))),
                .restore(content, to: .file(file)),
            ]
        case .drill(let volume, let task):
            let sidecar = HostPath(file.root, Sidecar.path(of: volume.uid))
            return [
                .require(.file(sidecar, size: nil)),
                .require(.text(sidecar, containing: marks(name, uid: volume.uid, operation: Marks.drilling))),
                .drill(task, on: .file(file)),
            ]
        case .dropScratch(let volume, let marks, let isMade): return drop(volume, marks, isMade: isMade)
        case .confirmMade: return [.require(.file(file, size: nil))]
        case .relabel(let change): return relabel(change, file)
        case .purge(let volume, let until):
            let sidecar = HostPath(file.root, Sidecar.path(of: volume.uid))
            let marks = ["tuff:uid=\(volume.uid)", "tuff:until=\(until)"].map { "\"\($0)\"" }
            return [
                .require(.file(sidecar, size: nil)),
                .require(.text(sidecar, containing: [Sidecar.beginning(of: name)] + marks)),
                .removeFile(file), .removeFile(sidecar),
            ]
        }
    }

    /// The sidecar must be the one that a drill wrote, letter by letter; it goes last, so that a file which is left
    /// still says what it is.
    private static func drop(_ scratch: VolumeRef, _ marks: Marks, isMade: Bool) -> [HostAction] {
        let file = HostPath(.directory(scratch.location.home), scratch.location.objectName)
        let sidecar = HostPath(file.root, Sidecar.path(of: scratch.uid))
        return [
            .require(.file(sidecar, size: nil)),
            // A file is read without the line end that it ends with.
            .require(
                .text(sidecar, containing: [String(Sidecar(file: file.relative, tags: marks.tags).text.dropLast())])),
        ] + (isMade ? [.require(.unopened(file)), .removeFile(file)] : []) + [.removeFile(sidecar)]
    }

    /// The tags in the sidecar of a file with unfinished work.
    private static func marks(_ name: String, uid: UID, operation: String) -> [String] {
        [Sidecar.beginning(of: name)] + ["tuff:uid=\(uid)", "tuff:op=\(operation)"].map { "\"\($0)\"" }
    }

    /// A file that shares the blocks of another. Its sidecar says from the first moment that it is not complete; marks
    /// that say so are those of one that was begun before, and is begun anew.
    private static func clone(_ source: VolumeRef, to file: HostPath, _ marks: Marks) -> [HostAction] {
        // In one directory, or its conditions do not hold.
        let path = HostPath(file.root, source.location.objectName)
        let folder = HostPath(file.root, Sidecar.folder)
        let sidecar = HostPath(file.root, Sidecar.path(of: marks.uid))
        var begun = marks, finished = marks
        begun.operation = Marks.copying
        finished.operation = nil
        let claim: [HostAction] =
            marks.operation == Marks.copying
            ? [
                .require(.file(sidecar, size: nil)),
                .require(
                    .text(sidecar, containing: self.marks(file.relative, uid: marks.uid, operation: Marks.copying))),
            ]
            : [
                .makeDirectory(folder), .setMode(folder, 0o700), .require(.vacant(file)),
                .replaceFile(sidecar, Sidecar(file: file.relative, tags: begun.tags).text),
            ]
        // What is kept of a file that is not rolled back then would be one more snapshot with every attempt.
        let unused: [HostAction] = marks.safety == nil ? [] : [.require(.unopened(path))]
        return ContentSource.conditions(of: path, source.uid) + unused + claim + [
            .cloneFile(path, to: file),
            .replaceFile(sidecar, Sidecar(file: file.relative, tags: finished.tags).text),
        ]
    }

    /// Any file name in the sidecar will do, since an interrupted move left the old one; its marks must be as observed.
    private static func relabel(_ change: Relabelling, _ file: HostPath) -> [HostAction] {
        let sidecar = HostPath(file.root, Sidecar.path(of: change.uid))
        let target = HostPath(file.root, change.to.objectName)
        let finished = HostAction.replaceFile(
            sidecar, Sidecar(file: target.relative, tags: change.after.tags).text)
        let observed = Sidecar(file: file.relative, tags: change.before.tags)
        let conditions: [HostAction] = [
            .require(.file(sidecar, size: nil)), .require(.text(sidecar, containing: [observed.ending])),
        ]
        // Marks change in place even where their data is gone or was never made.
        guard target != file else {
            // What is shown from now on is looked at once more: a file of ours, not one that somebody put in its place.
            let completes = change.before.lastingOperation != nil && change.after.lastingOperation == nil
            let begins = change.before.restoration == nil && change.after.restoration != nil
            return conditions + (completes ? [.require(.file(file, size: nil))] : [])
                + (begins ? [.require(.unopened(file))] : []) + [finished]
        }
        var moving = change.after
        moving.operation = change.after.lastingOperation == nil ? Marks.moving : Marks.movingUnfilled
        return conditions + [
            .require(.file(file, size: nil)), .require(.vacant(target)),
            .replaceFile(sidecar, Sidecar(file: file.relative, tags: moving.tags).text),
            .renameFile(file, to: target),
            finished,
        ]
    }

    /// `vacant` comes right before the sidecar, so that a file somebody put there since the plan was made is never
    /// claimed.
    private static func create(_ file: HostPath, size: ByteCount, marks: Marks) -> [HostAction] {
        let folder = HostPath(file.root, Sidecar.folder)
        let sidecar = HostPath(file.root, Sidecar.path(of: marks.uid))
        var unfinished = marks
        // What is to be filled says so from the first moment, and goes on saying so.
        unfinished.operation = marks.lastingOperation ?? Marks.creating
        var finished = marks
        finished.operation = marks.lastingOperation
        return [
            .makeDirectory(folder),
            .setMode(folder, 0o700),
            .require(.vacant(file)),
            .replaceFile(sidecar, Sidecar(file: file.relative, tags: unfinished.tags).text),
            .createFile(file, size: size),
        ]
            + (finished == unfinished
                ? [] : [.replaceFile(sidecar, Sidecar(file: file.relative, tags: finished.tags).text)])
    }
}
