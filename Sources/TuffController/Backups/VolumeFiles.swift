import Glibc
import TuffDrivers
package import TuffModel
import TuffPlanning
import TuffSystem

/// The owner of an object of Tuff's, by its marks.
package struct Owner: Equatable {
    package let resource: ResourceID
    let stack: String
    package var name: String { resource.name }

    /// Nil for what is somebody else's, or was let go.
    init?(_ tags: [String]) {
        if case .base(let base) = BackupBase.read(tags) {
            self.init(resource: ResourceID(.volume, base.objectName), stack: base.stack)
            return
        }
        switch Marks.read(tags) {
        case .foreign: return nil
        case .ours(let marks):
            guard !marks.released else { return nil }
            self.init(resource: marks.role.resource, stack: marks.stack)
        // Damaged marks are reported and never touched.
        case .damaged: self.init(resource: ResourceID(.volume, "unknown"), stack: "unknown")
        }
    }

    init(resource: ResourceID, stack: String) {
        self.resource = resource
        self.stack = stack
    }
}

/// Which files are volumes of directory pools: those that a sidecar beside them names.
package enum VolumeFiles {
    /// Most bytes of a sidecar, as pools read it (`ReadBuffer`).
    private static let largest = 64 << 10

    /// - Throws: where a sidecar cannot be read, and so may name the file.
    package static func owner(ofFile path: String) throws(BackupError) -> Owner? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let name = String(parts.last ?? "")
        let folder =
            parts.count < 2
            ? "." : parts.count == 2 && path.hasPrefix("/") ? "/" : parts.dropLast().joined(separator: "/")
        let sidecars = "\(folder)/\(Sidecar.folder)"
        let opened = open(sidecars, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        // No directory is no folder of sidecars, and a link is somebody else's.
        if opened < 0, [ENOENT, ENOTDIR, ELOOP].contains(errno) { return nil }
        guard opened >= 0 else { throw unreadable(sidecars) }
        guard let directory = fdopendir(opened) else {
            close(opened)
            throw unreadable(sidecars)
        }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let file = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let uid = Sidecar.uid(ofPath: "\(Sidecar.folder)/\(file)") else { continue }
            guard let text = text(of: file, in: opened), let sidecar = Sidecar(text: text),
                case .ours(let marks) = Marks.read(sidecar.tags)
            else { throw unreadable("\(sidecars)/\(file)") }
            // A move that was cut off left the file under one of these names.
            guard [sidecar.file, marks.objectName, "t-\(uid)"].contains(name) else { continue }
            return Owner(sidecar.tags)
        }
        return nil
    }

    /// Of a plain file, through no link. Whatever else stands there is neither waited for nor read to its end.
    private static func text(of name: String, in directory: Int32) -> String? {
        let file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let (bytes, failure) = DescriptorIO.readToEnd(file, limit: largest)
        guard failure == nil, bytes.count <= largest else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func unreadable(_ path: String) -> BackupError {
        BackupError(
            "\(PrintedText.oneLine(path)) cannot be read, and may say that the target is a volume of Tuff's; nothing "
                + "was written",
            help: "look at it as root, or restore to another directory")
    }
}
