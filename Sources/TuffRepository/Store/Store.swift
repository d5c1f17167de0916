/// The place of a repository's files, as the engine needs it. Paths are relative to it, such as `points/ID`.
///
/// Every call may block, and may be made from several threads at once.
package protocol Store: Sendable {
    /// The regular files of a directory, in no order, and other entries that have the name of a repository's file; none
    /// if there is no such directory of packs.
    func list(_ directory: String) throws(RepositoryError) -> [StoredFile]
    /// Opens a regular file for reading.
    func open(_ path: String) throws(RepositoryError) -> any StoreReader
    /// Begins a file that nobody sees before it is placed.
    func create() throws(RepositoryError) -> any StoreWriter
    /// Removes a file; its being gone already is no error.
    func remove(_ path: String) throws(RepositoryError)
    /// Makes the changes of a directory durable.
    func sync(directory: String) throws(RepositoryError)
    /// Sets a file's modification time to now by the clock of the file system; false if it is gone.
    func touch(_ path: String) throws(RepositoryError) -> Bool
    /// Now by the clock of the file system, nanoseconds of the Unix epoch.
    func now() throws(RepositoryError) -> Int64
}

package struct StoredFile: Hashable, Sendable {
    package let name: String
    /// Bytes.
    package let size: UInt64
    /// Modification time by the clock of the file system, nanoseconds of the Unix epoch.
    package let modified: Int64
    /// Inode number and time of the last change of the inode (nanoseconds), by which a file is known again: whoever
    /// writes to it, or puts another in its place, changes one of them. 0: not known.
    package let number: UInt64
    package let changed: Int64

    package init(name: String, size: UInt64, modified: Int64, number: UInt64 = 0, changed: Int64 = 0) {
        self.name = name
        self.size = size
        self.modified = modified
        self.number = number
        self.changed = changed
    }
}

/// A file that is open for reading.
package protocol StoreReader: Sendable {
    /// Bytes.
    var size: UInt64 { get }
    /// Fills all of `buffer` from `offset`; throws `damaged` if the file ends before.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(RepositoryError)
}

/// A file that is being written. One that is not placed is removed when its writer goes.
package protocol StoreWriter: AnyObject {
    /// Appends.
    func write(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError)
    /// Makes the content durable and gives the file its name, durably. The name must be free.
    func place(at path: String) throws(RepositoryError)
}

extension StoreReader {
    func read(at offset: UInt64, count: Int) throws(RepositoryError) -> [UInt8] {
        var failure: RepositoryError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(RepositoryError) {
                try read(
                    at: offset,
                    into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
                initialized = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}

extension StoreWriter {
    func write(_ bytes: [UInt8]) throws(RepositoryError) {
        var failure: RepositoryError?
        bytes.withUnsafeBytes { bytes in
            do throws(RepositoryError) { try write(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

extension Store {
    /// Whether a directory that every repository has is there.
    func has(_ directory: String) throws(RepositoryError) -> Bool {
        do throws(RepositoryError) {
            _ = try list(directory)
            return true
        } catch  where error.code == .damaged { return false }
    }

    /// Reads a small file as a whole.
    func contents(_ path: String, limit: Int) throws(RepositoryError) -> [UInt8] {
        let reader = try open(path)
        guard reader.size <= UInt64(limit) else {
            throw RepositoryError(.damaged, "\(path) has \(reader.size) bytes, more than the \(limit) that it may have")
        }
        return try reader.read(at: 0, count: Int(reader.size))
    }

    func place(_ bytes: [UInt8], at path: String) throws(RepositoryError) {
        let writer = try create()
        try writer.write(bytes)
        try writer.place(at: path)
    }
}
