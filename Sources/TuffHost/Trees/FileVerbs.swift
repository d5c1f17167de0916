import CTuffHost
import Glibc
import TuffModel
import TuffSystem

/// The verbs of ordinary files: what they did is on the disk, directory entry included, when they return.
struct FileVerbs {
    let roots: OpenRoots

    func create(_ path: HostPath, size: ByteCount) throws(HostError) {
        let place = try TreePlace(path, in: roots, access: O_RDONLY)
        let (file, isNew) = try openBlank(place)
        do throws(HostError) {
            guard fchmod(file.raw, 0o600) == 0 else {
                throw .system(errno, "Cannot make \(place.path) readable by us alone", subject: place.path)
            }
            guard ftruncate(file.raw, off_t(size.bytes)) == 0 else {
                throw .system(errno, "Cannot make \(place.path) \(size.bytes) bytes long", subject: place.path)
            }
            try makeDurable(file.raw, in: place)
        } catch {
            // A file of this attempt is certainly ours (O_EXCL) and holds nothing yet.
            if isNew { unlinkat(place.parent.raw, place.name, 0) }
            throw error
        }
    }

    /// A new file, or the blank one of an interrupted attempt.
    private func openBlank(_ place: borrowing TreePlace) throws(HostError) -> (SharedDescriptor, isNew: Bool) {
        if let file = place.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600) { return (SharedDescriptor(file), true) }
        guard errno == EEXIST else { throw .system(errno, "Cannot create \(place.path)", subject: place.path) }
        guard let file = place.open(O_WRONLY | O_NONBLOCK) else {
            throw .system(errno, "Cannot open \(place.path), which exists already", subject: place.path)
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0, status.isBlankFile, Exposure.isOurs(status, file.raw) else {
            throw HostError(
                .failed, "\(place.path) exists already and is not a blank file of ours", subject: place.path)
        }
        return (SharedDescriptor(file), false)
    }

    func grow(_ path: HostPath, to size: ByteCount) throws(HostError) {
        let place = try TreePlace(path, in: roots, access: O_RDONLY)
        guard let file = place.open(O_WRONLY | O_NONBLOCK) else {
            throw .system(errno, "Cannot open \(place.path) to grow it", subject: place.path)
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0 else {
            throw .system(errno, "Cannot look at \(place.path)", subject: place.path)
        }
        guard status.kind == .file else {
            throw HostError(.refused, "\(place.path) is not a plain file and is left alone", subject: place.path)
        }
        guard Int64(status.st_size) <= size.bytes else {
            throw HostError(
                .preconditionFailed,
                "\(place.path) has \(status.st_size) bytes, more than the \(size.bytes) it was to grow to",
                subject: place.path)
        }
        guard ftruncate(file.raw, off_t(size.bytes)) == 0 else {
            throw .system(errno, "Cannot grow \(place.path) to \(size.bytes) bytes", subject: place.path)
        }
        try makeDurable(file.raw, in: place)
    }

    /// By a temporary file of a fixed name, so that what a crash leaves behind is replaced by the next attempt.
    func replace(_ path: HostPath, with text: String) throws(HostError) {
        let place = try TreePlace(path, in: roots, access: O_RDONLY)
        let parent = place.parent.raw, temporary = ".\(place.name).tuff-new"
        do throws(DurableFile.Failure) {
            try DurableFile.replace(place.name, in: parent, temporary: temporary, with: Array(text.utf8))
        } catch {
            let sentence =
                switch error.stage {
                case .create: "Cannot create the temporary file \(temporary) for \(place.path)"
                case .protect: "Cannot make \(place.path) readable by us alone"
                case .write: "Cannot write \(place.path)"
                case .sync: "Cannot bring \(place.path) to the disk"
                case .rename: "Cannot put \(place.path) in its place"
                case .syncDirectory: "Cannot bring the directory of \(place.path) to the disk"
                }
            throw .system(error.number, sentence, subject: place.path)
        }
    }

    /// Never onto another file. File systems that cannot promise that of a rename (NFS: EINVAL) get link(2), which
    /// every one refuses where the name is taken, and unlink(2) of the old name; what a crash leaves between the two is
    /// one file with both names, and is finished here.
    func rename(_ path: HostPath, to target: HostPath) throws(HostError) {
        guard path.root == target.root else {
            throw HostError(.refused, "\(roots.path(of: path)) would leave its directory", subject: "\(path)")
        }
        let old = try TreePlace(path, in: roots, access: O_RDONLY)
        let new = try TreePlace(target, in: roots, access: O_RDONLY)
        guard let source = try plainFile(old) else {
            guard try plainFile(new) != nil else {
                throw HostError(.notFound, "Neither \(old.path) nor \(new.path) exists", subject: old.path)
            }
            return try makeDurable(old, new)
        }
        if tuff_rename_new(old.parent.raw, old.name, new.parent.raw, new.name) != 0 {
            let number = errno
            guard number == EINVAL || number == ENOSYS || number == EEXIST else {
                throw .system(number, "Cannot rename \(old.path) to \(new.path)", subject: old.path)
            }
            if number != EEXIST { _ = linkat(old.parent.raw, old.name, new.parent.raw, new.name, 0) }
            let linked = errno
            guard let found = new.status(), found.st_dev == source.st_dev, found.st_ino == source.st_ino else {
                throw .system(
                    number == EEXIST ? number : linked, "Cannot rename \(old.path) to \(new.path)", subject: new.path)
            }
            guard unlinkat(old.parent.raw, old.name, 0) == 0 else {
                throw .system(errno, "Cannot take the old name \(old.path) away", subject: old.path)
            }
        }
        try makeDurable(old, new)
    }

    func remove(_ path: HostPath) throws(HostError) {
        let place = try TreePlace(path, in: roots, access: O_RDONLY)
        guard try plainFile(place) != nil else { return }
        guard unlinkat(place.parent.raw, place.name, 0) == 0 else {
            throw .system(errno, "Cannot remove \(place.path)", subject: place.path)
        }
        guard fsync(place.parent.raw) == 0 else {
            throw .system(errno, "Cannot bring the directory of \(place.path) to the disk", subject: place.path)
        }
    }

    /// The status of what stands there, nil when nothing does. Anything but a plain file of ours is refused.
    private func plainFile(_ place: borrowing TreePlace) throws(HostError) -> stat? {
        guard let status = place.status() else {
            let number = errno
            if number == ENOENT { return nil }
            throw .system(number, "Cannot look at \(place.path)", subject: place.path)
        }
        guard status.kind == .file, Exposure.isOurs(status, in: place.parent.raw) else {
            throw HostError(
                .refused, "\(place.path) is not a plain file of ours and is left alone", subject: place.path)
        }
        return status
    }

    private func makeDurable(
        _ old: borrowing TreePlace, _ new: borrowing TreePlace
    ) throws(HostError) {
        guard fsync(new.parent.raw) == 0, fsync(old.parent.raw) == 0 else {
            throw .system(errno, "Cannot bring the new name \(new.path) to the disk", subject: new.path)
        }
    }

    private func makeDurable(_ file: Int32, in place: borrowing TreePlace) throws(HostError) {
        guard fsync(file) == 0, fsync(place.parent.raw) == 0 else {
            throw .system(errno, "Cannot bring \(place.path) to the disk", subject: place.path)
        }
    }
}
