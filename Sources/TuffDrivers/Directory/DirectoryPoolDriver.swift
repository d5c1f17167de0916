package import TuffHost
package import TuffModel
package import TuffPlanning
package import TuffReconcile

/// Directory pools: a sparse file per volume and a sidecar with its marks.
///
/// A volume is made in three acts: the sidecar with the mark `tuff:op=create`, the data file, the sidecar without that
/// mark. A crash between two of them leaves an object that says of itself that it is unfinished, and lowering the same
/// creation again completes it from wherever it stopped. While the mark is there nobody uses the file, hence it is blank.
package struct DirectoryPoolDriver: DirectoryDriver {
    /// Value of the mark `tuff:op=` while a volume is being made.
    package static let creating = "create"

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
                        files: try Self.files(entries, in: path), exposure: Self.exposure(space, entries, path)))
            } catch {
                // The protocol of `Machine` has `notFound` for a missing root: known to be absent, hence no entry.
                if error.code != .notFound { map.entries[path] = .unknown(error) }
            }
        }
        return map
    }

    private static func exposure(_ space: FileSystemSpace, _ entries: [TreeEntry], _ path: String) -> String? {
        if let fault = space.exposure { return "directory \(path) \(fault)" }
        return entries.first { $0.path == Sidecar.folder }?.exposure.map { "\(path)/\(Sidecar.folder) \($0)" }
    }

    /// Joins sidecars and files. A sidecar that cannot be understood becomes an entry of its own whose marks read as
    /// damaged, so that it is reported; its data file then counts as somebody else's and keeps its name taken.
    /// What cannot be read at all makes the pool unknown.
    static func files(_ entries: [TreeEntry], in path: String) throws(HostError) -> [DirectoryFile] {
        var found: [String: TreeEntry] = [:]
        for entry in entries where entry.path != Sidecar.folder && !entry.path.hasPrefix("\(Sidecar.folder)/") {
            found[entry.path] = entry
        }
        var files: [DirectoryFile] = []
        var claimed: [String: String] = [:]
        for sidecarEntry in entries {
            guard let uid = Sidecar.uid(ofPath: sidecarEntry.path) else { continue }
            if let error = sidecarEntry.error { throw error }
            guard sidecarEntry.kind == .file, let text = sidecarEntry.text, let sidecar = Sidecar(text: text),
                case .ours(let marks) = Marks.read(sidecar.tags), marks.uid == uid
            else {
                files.append(DirectoryFile(name: sidecarEntry.path, tags: ["tuff:uid=\(uid)"], size: nil))
                continue
            }
            if let other = claimed.updateValue(sidecarEntry.path, forKey: sidecar.file) {
                throw HostError(
                    .malformed, "in \(path) two sidecars claim the file \(sidecar.file)",
                    cause: "\(other) and \(sidecarEntry.path)")
            }
            let data = found[sidecar.file]
            if let error = data?.error { throw error }
            let exposed = [data, sidecarEntry].lazy.compactMap { $0 }.first { $0.exposure != nil }
            files.append(
                DirectoryFile(
                    name: sidecar.file, tags: sidecar.tags, size: data?.kind == .file ? data?.size : nil,
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

    package func lower(_ steps: [VolumeStep]) -> [LoweredBatch] {
        steps.enumerated().map { index, step in LoweredBatch(steps: [index], actions: Self.actions(step)) }
    }

    private static func actions(_ step: VolumeStep) -> [HostAction] {
        guard case .file(let directory, let name) = step.location else {
            // The executor hands each step to the driver of its location.
            preconditionFailure("\(step.location) is no file of a directory pool")
        }
        let file = HostPath(.directory(directory), name)
        switch step {
        case .create(_, _, let size, let marks):
            return create(file, size, marks)
        case .extend(_, let uid, _, let from, let to):
            return [
                .require(.file(HostPath(file.root, Sidecar.path(of: uid)), size: nil)),
                .require(.file(file, size: from)),
                .growFile(file, to: to),
            ]
        case .activate: return []
        }
    }

    /// `vacant` comes first, so that a file somebody put there since the plan was made is never claimed by a sidecar.
    private static func create(_ file: HostPath, _ size: ByteCount, _ marks: Marks) -> [HostAction] {
        let folder = HostPath(file.root, Sidecar.folder)
        let sidecar = HostPath(file.root, Sidecar.path(of: marks.uid))
        var unfinished = marks
        unfinished.operation = creating
        var finished = marks
        finished.operation = nil
        return [
            .require(.vacant(file)),
            .makeDirectory(folder),
            .setMode(folder, 0o700),
            .replaceFile(sidecar, Sidecar(file: file.relative, tags: unfinished.tags).text),
            .createFile(file, size: size),
            .replaceFile(sidecar, Sidecar(file: file.relative, tags: finished.tags).text),
        ]
    }
}
