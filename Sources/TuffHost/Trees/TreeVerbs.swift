import CTuffHost
import Glibc
import TuffModel

/// The verbs of a tree of objects: configfs makes an object with mkdir(2), sets it with one write(2) per attribute
/// and relates two with symlink(2). All are found again rather than made twice.
struct TreeVerbs {
    let roots: OpenRoots

    func makeDirectory(_ path: HostPath) throws(HostError) {
        // Adapters and the fabric, which many targets share.
        if roots.holds(path) { return }
        let place = try TreePlace(path, in: roots)
        if mkdirat(place.parent.raw, place.name, 0o700) == 0 { return roots.noteFresh(path) }
        let number = errno
        if number == EEXIST, place.status()?.kind == .directory { return }
        throw .system(number, "Cannot make the directory \(place.path)", subject: place.path)
    }

    func removeDirectory(_ path: HostPath) throws(HostError) {
        try absentIsDone { () throws(HostError) in
            let place = try TreePlace(path, in: roots)
            roots.forgetDirectories()
            guard unlinkat(place.parent.raw, place.name, AT_REMOVEDIR) == 0 else {
                throw .system(errno, "Cannot remove the directory \(place.path)", subject: place.path)
            }
        }
    }

    func removeIfEmpty(_ path: HostPath) throws(HostError) {
        try absentIsDone { () throws(HostError) in
            let place = try TreePlace(path, in: roots)
            roots.forgetDirectories()
            guard unlinkat(place.parent.raw, place.name, AT_REMOVEDIR) != 0, errno != ENOTEMPTY else { return }
            throw .system(errno, "Cannot remove the directory \(place.path)", subject: place.path)
        }
    }

    func removeDirectories(in path: HostPath) throws(HostError) {
        try absentIsDone { () throws(HostError) in
            let place = try TreePlace(HostPath(path.root, path.relative + "/x"), in: roots)
            guard let entries = listDirectory(place.parent.raw) else {
                throw .system(errno, "Cannot list \(roots.path(of: path))", subject: roots.path(of: path))
            }
            roots.forgetDirectories()
            for (name, kind) in entries.sorted(by: { $0.name < $1.name }) where kind == .directory || kind == nil {
                if unlinkat(place.parent.raw, name, AT_REMOVEDIR) == 0 { continue }
                guard [EPERM, ENOENT, ENOTDIR].contains(errno) else {
                    let found = "\(roots.path(of: path))/\(name)"
                    throw .system(errno, "Cannot remove the directory \(found)", subject: found)
                }
            }
        }
    }

    func writeAttribute(_ path: HostPath, _ value: String, verify: Bool) throws(HostError) {
        let place = try TreePlace(attribute: path, in: roots)
        // configfs ignores a write of no bytes, so nothing is said with a newline.
        let bytes = value.isEmpty ? [0x0a] : Array(value.utf8)
        let text = try bytes.withUnsafeBytes { buffer in
            Result { () throws(HostError) in try write(buffer, to: place, readingBack: verify) }
        }.get()
        if let text, text != value {
            throw HostError(
                .failed, "\(place.path) reads '\(text)' after '\(value)' was written", subject: place.path)
        }
    }

    func writeSecret(_ path: HostPath, _ reference: SecretReference) throws(HostError) {
        let place = try TreePlace(attribute: path, in: roots)
        let secret = try SecretBuffer(reading: reference, in: roots.roots)
        try secret.withBytes { (buffer) throws(HostError) in _ = try write(buffer, to: place) }
    }

    func setMode(_ path: HostPath, _ mode: UInt16) throws(HostError) {
        let place = try TreePlace(attribute: path, in: roots)
        guard let descriptor = place.open(tuff_o_path) else {
            throw .system(errno, "Cannot open \(place.path)", subject: place.path)
        }
        guard tuff_change_mode(descriptor.raw, UInt32(mode)) == 0 else {
            throw .system(
                errno, "Cannot set the mode of \(place.path) to 0\(String(mode, radix: 8))", subject: place.path)
        }
    }

    func link(_ path: HostPath, to target: HostPath) throws(HostError) {
        let place = try TreePlace(path, in: roots)
        guard path.root == target.root else {
            throw HostError(.refused, "The link \(place.path) would leave its root", subject: place.path)
        }
        // configfs looks the target up itself and accepts absolute paths only (configfs_symlink in fs/configfs).
        let destination = roots.path(of: target)
        roots.noteFresh(nil)
        if symlinkat(destination, place.parent.raw, place.name) == 0 { return }
        let number = errno
        guard number == EEXIST, let text = linkText(place.parent.raw, place.name) else {
            throw .system(number, "Cannot make the link \(place.path) to \(destination)", subject: place.path)
        }
        // configfs shows the link it keeps as `../../..` text, whatever was written.
        guard Self.resolve(text, from: place.path) == Self.resolve(destination, from: "/") else {
            throw HostError(.failed, "\(place.path) already leads to \(text), not to \(destination)")
        }
    }

    func unlink(_ path: HostPath) throws(HostError) {
        if roots.isFresh(path) { return }
        try absentIsDone { () throws(HostError) in
            let place = try TreePlace(path, in: roots)
            guard place.name != "*" else { return try unlinkAll(in: place) }
            guard let status = place.status() else {
                throw .system(errno, "Cannot look at \(place.path)", subject: place.path)
            }
            guard status.kind == .link else {
                throw HostError(
                    .refused, "\(place.path) is not a symbolic link and is left alone", subject: place.path)
            }
            guard unlinkat(place.parent.raw, place.name, 0) == 0 else {
                throw .system(errno, "Cannot remove the link \(place.path)", subject: place.path)
            }
        }
    }

    /// Every symbolic link of the directory, and nothing else in it.
    private func unlinkAll(in place: borrowing TreePlace) throws(HostError) {
        guard let entries = listDirectory(place.parent.raw) else {
            throw .system(errno, "Cannot list the directory of \(place.path)", subject: place.path)
        }
        for (name, kind) in entries.sorted(by: { $0.name < $1.name }) {
            // readlinkat(2) fails on anything else, for file systems that do not tell kinds when listing.
            guard kind == .link || kind == nil && linkText(place.parent.raw, name) != nil else { continue }
            guard unlinkat(place.parent.raw, name, 0) == 0 || errno == ENOENT else {
                throw .system(errno, "Cannot remove the link \(name) of \(place.path)", subject: place.path)
            }
        }
    }

    /// The text of an attribute, one trailing newline removed, at most 64 KiB.
    func readText(of place: borrowing TreePlace) throws(HostError) -> String {
        guard let descriptor = place.open(O_RDONLY | O_NONBLOCK) else {
            throw .system(errno, "Cannot open \(place.path)", subject: place.path)
        }
        return try text(of: descriptor.raw, place)
    }

    private func text(of descriptor: Int32, _ place: borrowing TreePlace) throws(HostError) -> String {
        let buffer = ReadBuffer()
        let count = buffer.fill(from: descriptor, at: 0)
        guard count >= 0 else { throw .system(errno, "Cannot read \(place.path)", subject: place.path) }
        guard let text = buffer.text(count) else {
            throw HostError(.malformed, "\(place.path) holds no text of at most 64 KiB", subject: place.path)
        }
        return text
    }

    /// One write(2): an attribute takes its value whole or not at all. `O_TRUNC`, as a shell's redirection, means
    /// nothing to configfs and makes an ordinary file behave like an attribute.
    ///
    /// - Returns: what the attribute reads afterwards, where that was asked for. Through the same descriptor: configfs
    ///   asks the object anew after a write (`needs_read_fill` in fs/configfs/file.c).
    private func write(
        _ bytes: UnsafeRawBufferPointer, to place: borrowing TreePlace, readingBack: Bool = false
    ) throws(HostError) -> String? {
        guard let descriptor = place.open((readingBack ? O_RDWR : O_WRONLY) | O_TRUNC) else {
            throw .system(errno, "Cannot open \(place.path) for writing", subject: place.path)
        }
        var count: Int
        repeat { count = Glibc.write(descriptor.raw, bytes.baseAddress, bytes.count) } while count < 0 && errno == EINTR
        guard count >= 0 else { throw .system(errno, "Cannot write \(place.path)", subject: place.path) }
        guard count == bytes.count else {
            throw HostError(.failed, "Only part of the value was written to \(place.path)", subject: place.path)
        }
        return readingBack ? try text(of: descriptor.raw, place) : nil
    }

    private func absentIsDone(_ body: () throws(HostError) -> Void) throws(HostError) {
        do throws(HostError) { try body() } catch {
            guard error.code == .notFound else { throw error }
        }
    }

    /// An absolute path without `.` and `..`, by its text alone.
    private static func resolve(_ text: String, from link: String) -> [Substring] {
        var result: [Substring] = text.hasPrefix("/") ? [] : link.split(separator: "/").dropLast()
        for word in text.split(separator: "/") where word != "." {
            if word == ".." { _ = result.popLast() } else { result.append(word) }
        }
        return result
    }
}
