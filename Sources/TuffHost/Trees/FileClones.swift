import CTuffHost
import Glibc
import TuffModel

/// Files that share their blocks with others.
extension FileVerbs {
    /// FICLONE writes what of the source waits in memory and holds its lock meanwhile
    /// (`__generic_remap_file_range_prep` in fs/remap_range.c of Linux 6.1, called with both inodes locked), and LIO
    /// and tgtd write to files through that memory: the new file holds what the source held at one moment, writes that
    /// were acknowledged by then included.
    ///
    /// The kernel may do it extent by extent, so that what a crash leaves is begun anew, from an empty file.
    func clone(_ path: HostPath, to target: HostPath, _ progress: () -> Bool) throws(HostError) {
        let source = try TreePlace(path, in: roots, access: O_RDONLY)
        let place = try TreePlace(target, in: roots, access: O_RDONLY)
        guard let from = source.open(O_RDONLY | O_NONBLOCK) else {
            throw .system(errno, "Cannot open \(source.path)", subject: source.path)
        }
        let size = try requireOurs(from.raw, source.path).st_size
        // What waits in memory is written in pieces, each a sign of life; FICLONE itself is silent until it is done.
        for offset in stride(from: 0, to: Int64(size), by: 64 << 20) {
            guard progress() else { throw HostError(.interrupted, "Stopped before \(place.path) was made") }
            _ = tuff_write_back(from.raw, offset, 64 << 20)
        }
        let file = try openAnew(place)
        _ = try requireOurs(file.raw, place.path)
        guard fchmod(file.raw, 0o600) == 0 else {
            throw .system(errno, "Cannot make \(place.path) readable by us alone", subject: place.path)
        }
        if tuff_is_open_elsewhere(file.raw) == 1 {
            throw HostError(.preconditionFailed, "Nothing was written: \(place.path) is in use", subject: place.path)
        }
        guard ftruncate(file.raw, 0) == 0 else {
            throw .system(errno, "Cannot begin \(place.path) anew", subject: place.path)
        }
        guard tuff_clone_file(file.raw, from.raw) == 0 else {
            throw .system(errno, "\(place.path) cannot share the blocks of \(source.path)", subject: place.path)
        }
        guard fsync(file.raw) == 0, fsync(place.parent.raw) == 0 else {
            throw .system(errno, "Cannot bring \(place.path) to the disk", subject: place.path)
        }
    }

    private func openAnew(_ place: borrowing TreePlace) throws(HostError) -> SharedDescriptor {
        if let file = place.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600) { return SharedDescriptor(file) }
        guard errno == EEXIST, let file = place.open(O_WRONLY | O_NONBLOCK) else {
            throw .system(errno, "Cannot open \(place.path)", subject: place.path)
        }
        return SharedDescriptor(file)
    }

    private func requireOurs(_ file: Int32, _ path: String) throws(HostError) -> stat {
        var status = stat()
        guard fstat(file, &status) == 0, status.kind == .file, Exposure.isOurs(status, file) else {
            throw HostError(.refused, "\(path) is not a plain file of ours and is left alone", subject: path)
        }
        return status
    }
}

extension stat {
    /// The same size and times as then: nobody has written to it since, as far as those tell.
    func hasContent(of earlier: stat) -> Bool {
        func same(_ one: timespec, _ other: timespec) -> Bool {
            one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec
        }
        return st_size == earlier.st_size && same(st_mtim, earlier.st_mtim) && same(st_ctim, earlier.st_ctim)
    }
}
