import TuffHost
package import TuffModel

/// A disk image as a file somewhere: no bytes, but a number that stands for them.
package struct FakeImage: Equatable, Sendable {
    package var format: ImageSource.Format
    /// Of the disk in it.
    package var size: ByteCount
    /// Stands for the content of the disk: another one after each change.
    package var stamp: UInt64
    package var sha256: String
    /// Why it is not read.
    package var fault: String?

    package init(
        format: ImageSource.Format, size: ByteCount, stamp: UInt64, sha256: String = "", fault: String? = nil
    ) {
        self.format = format
        self.size = size
        self.stamp = stamp
        self.sha256 = sha256
        self.fault = fault
    }
}

extension FakeWorld {
    func image(_ source: ImageSource) throws(HostError) -> ObservedImage {
        guard let image = images[source.path] else {
            throw HostError(.notFound, "\(source.path) does not exist", subject: source.path)
        }
        if let fault = image.fault { return .unusable(fault) }
        guard image.format == source.format else {
            return .unusable("is declared \(source.format.rawValue) and is not")
        }
        return .usable(size: image.size)
    }

    /// Copies an image as `DeviceBytes.copy` does: refused before anything is written, or all of it.
    mutating func copy(_ source: ImageSource, to place: BytesPlace) throws(HostError) {
        guard case .usable(let size, _) = try image(source), let image = images[source.path] else {
            throw HostError(.refused, "the image \(source.path) cannot be read", subject: source.path)
        }
        guard source.sha256 == nil || source.sha256 == image.sha256 else {
            throw HostError(.refused, "the image \(source.path) has another SHA-256", subject: source.path)
        }
        try fill(place, with: image, size: size)
    }

    /// Makes a volume hold what an image stands for.
    /// - Parameter size: of the disk in it.
    mutating func fill(_ place: BytesPlace, with image: FakeImage, size: ByteCount) throws(HostError) {
        switch place {
        case .device(let device):
            guard let uuid = device.uuid, deviceUUID("/dev/\(device.group)/\(device.name)") == uuid,
                let volume = lvm[device.group, device.name], !isOpen(device.group, volume), !volume.suspended,
                size <= volume.size
            else { throw HostError(.preconditionFailed, "\(device.name) is not to be filled") }
            lvm.fill(device.name, in: device.group, from: image.stamp)
            guard lvm.occupy(device.name, in: device.group, first: max(image.size, volume.mapped)) else {
                lvm.spoil(device.name, in: device.group)
                throw Self.noRoom(device)
            }
        case .file(let path):
            guard case .directory(let directory) = path.root else {
                throw HostError(.refused, "\(path) is in no directory pool")
            }
            try files.fill(path.relative, in: directory, from: image)
        }
    }
}

extension FakeLVM {
    fileprivate mutating func fill(_ name: String, in group: String, from stamp: UInt64) {
        guard self[group, name]?.image != stamp || self[group, name]?.showsEarlierData == true else { return }
        wipe(name, in: group)
        self[group, name]?.image = stamp
    }
}

extension FakeFiles {
    fileprivate mutating func fill(_ name: String, in directory: String, from image: FakeImage) throws(HostError) {
        if let failure = directories[directory]?.failure { throw failure }
        guard var file = self[directory, name], !file.isForeign, image.size <= file.size else {
            throw HostError(.preconditionFailed, "\(directory)/\(name) is not to be filled")
        }
        guard file.image != image.stamp else { return }
        try make(room: max(file.allocated, image.size), for: name, in: directory)
        minted += 1
        file.content = minted
        file.image = image.stamp
        file.allocated = max(file.allocated, image.size)
        file.blocks = minted
        self[directory, name] = file
    }
}
