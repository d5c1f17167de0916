import CTuffHost
import Glibc
package import TuffModel

/// A volume that a job's handler reads or writes through a descriptor, under the rules of `DeviceBytes`: a device is
/// opened for us alone and is the one that was identified; a file is ours, and nobody has one open that is written.
package struct VolumeAccess: ~Copyable {
    /// Name of the device or file, for sentences.
    package let path: String
    /// Bytes.
    package let size: UInt64
    private let bytes: DeviceBytes

    /// The descriptor of a block device or regular file, which is closed with this value.
    package var descriptor: Int32 { bytes.file.raw }

    fileprivate init(_ bytes: consuming DeviceBytes) {
        path = bytes.path
        size = bytes.size
        self.bytes = bytes
    }

    /// Makes all bytes from `offset` on read zero, where they do not.
    /// - Parameter progress: called before each piece; false: it ends with `interrupted`.
    package func clear(from offset: UInt64, _ progress: () -> Bool) throws(HostError) {
        try bytes.clear(from: offset, progress)
    }

    /// To be called before a source is read of which it is to be told later whether it changed meanwhile.
    package func settle() { bytes.settle() }
}

extension JobControl {
    /// Opens the bytes of a volume.
    package func open(_ place: BytesPlace, writable: Bool) throws(HostError) -> VolumeAccess {
        VolumeAccess(try DeviceBytes(place, in: OpenRoots(roots), writable: writable))
    }

    /// Opens a directory that a document named, beneath a root of directories. The path leads to that directory and to
    /// no other one, as long as the value lives.
    ///
    /// - Parameter making: its last component is made (0700) where it is missing.
    /// - Throws: `notFound` where it is not there.
    package func open(directory path: String, making: Bool = false) throws(HostError) -> DirectoryAccess {
        do throws(HostError) {
            return DirectoryAccess(try roots.open(.directory(path)))
        } catch {
            guard making, error.code == .notFound, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
                throw error
            }
            // Beneath a root of directories, whose components are checked as those of the directory itself.
            let parent = try roots.open(String(path[..<slash]), .directories, flags: tuff_o_path | O_DIRECTORY)
            guard mkdirat(parent.raw, String(path[path.index(after: slash)...]), 0o700) == 0 || errno == EEXIST else {
                throw .system(errno, "Cannot make the directory \(path)", subject: path)
            }
            return DirectoryAccess(try roots.open(.directory(path)))
        }
    }

    /// The content of a secret file, for one call.
    package func withSecret<Value>(
        _ secret: SecretReference, _ body: (UnsafeRawBufferPointer) throws(HostError) -> Value
    ) throws(HostError) -> Value {
        try SecretBuffer(reading: secret, in: roots).withBytes(body)
    }
}

/// A directory that was opened and checked.
package struct DirectoryAccess: ~Copyable {
    private let descriptor: OwnedDescriptor

    fileprivate init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

    /// Leads to the directory whatever becomes of its name (proc(5), `/proc/self/fd`).
    package var path: String { "/proc/self/fd/\(descriptor.raw)" }
}
