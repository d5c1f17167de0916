import TuffHost
import TuffModel

/// Files that get their content from others.
extension FakeFiles {
    /// Clones a file as `FileVerbs.clone` does.
    mutating func clone(_ path: HostPath, to target: HostPath) throws(HostError) {
        guard path.root == target.root, try directory(path).1.sharesBlocks else {
            throw HostError(.failed, "\(target) cannot share the blocks of \(path)", cause: "EOPNOTSUPP")
        }
        guard case .file(let source)? = try entry(path), !source.isForeign, source.text == nil else {
            throw HostError(.refused, "\(path) is no plain file of ours")
        }
        minted += 1
        var file = File(size: source.size, content: source.content, birth: minted)
        if let found = try entry(target) {
            guard case .file(let begun) = found, !begun.isForeign, begun.text == nil else {
                throw HostError(.refused, "\(target) is no plain file of ours")
            }
            file.birth = begun.birth
        }
        file.image = source.image
        file.allocated = source.allocated
        file.blocks = source.blocks
        try set(target, .file(file))
    }

    /// Fills a file with the bytes of something else, as `DeviceBytes.copy` does.
    mutating func fill(
        _ target: HostPath, with content: UInt64, image: UInt64?, size: ByteCount, allocated: ByteCount
    ) throws(HostError) {
        guard case .file(var file)? = try entry(target), !file.isForeign, file.text == nil, size <= file.size else {
            throw HostError(.preconditionFailed, "\(target) is not to be filled")
        }
        guard case .directory(let name) = target.root else { return }
        try make(room: max(file.allocated, allocated), for: target.relative, in: name)
        minted += 1
        file.content = content
        file.image = image
        file.allocated = max(file.allocated, allocated)
        file.blocks = minted
        try set(target, .file(file))
    }

    /// Before a file gets blocks of its own for all that it is to have; what it had may be somebody else's as well.
    func make(room: ByteCount, for name: String, in directory: String) throws(HostError) {
        guard var found = directories[directory], let file = self[directory, name] else { return }
        found.entries[name] = nil
        // Its own come free as they are written over.
        guard found.free >= room else {
            throw HostError(
                .exhausted, "Cannot write to \(directory)/\(name) (\(file.size))", cause: HostError.noBlocks)
        }
    }

    /// Somebody died while the file was filled: it holds neither what it held nor what it was to hold.
    mutating func leaveHalfDone(_ target: HostPath) {
        guard case .directory(let directory) = target.root else { return }
        write(to: target.relative, in: directory)
    }
}

extension FakeWorld {
    /// The thing that `DeviceBytes` opens to read: its content, the image it holds, its size and what it has blocks
    /// for.
    private func readable(
        _ place: BytesPlace
    ) throws(HostError) -> (content: UInt64, image: UInt64?, size: ByteCount, allocated: ByteCount) {
        switch place {
        case .device(let device):
            try requireAlone(device)
            guard let volume = lvm[device.group, device.name] else {
                throw HostError(.notFound, "\(device.group)/\(device.name) does not exist")
            }
            if case .copyOnWrite(let origin) = volume.kind {
                guard volume.dataPercent != 100 else {
                    throw HostError(.failed, "Cannot read \(device.group)/\(device.name)")
                }
                let size = lvm[device.group, origin]?.size ?? volume.size
                return (volume.content, volume.image, size, size)
            }
            return (volume.content, volume.image, volume.size, lvm.written(volume))
        case .file(let path):
            guard case .file(let file)? = try files.entry(path), !file.isForeign, file.text == nil else {
                throw HostError(.preconditionFailed, "\(path) is no plain file of ours")
            }
            return (file.content, file.image, file.size, file.allocated)
        }
    }

    /// Opened for us alone, and asked for its uuid.
    func requireAlone(_ device: DevicePlace) throws(HostError) {
        guard let uuid = device.uuid, deviceUUID("/dev/\(device.group)/\(device.name)") == uuid,
            let volume = lvm[device.group, device.name], !isOpen(device.group, volume), !volume.suspended
        else { throw HostError(.preconditionFailed, "\(device.group)/\(device.name) is not ours alone") }
    }

    mutating func copyBytes(from source: BytesPlace, to target: BytesPlace) throws(HostError) {
        let read = try readable(source)
        switch target {
        case .device(let device):
            try requireAlone(device)
            guard let target = lvm[device.group, device.name], target.size >= read.size else {
                throw HostError(.preconditionFailed, "the source is larger than \(device.name)")
            }
            guard lvm.occupy(device.name, in: device.group, first: max(read.allocated, target.mapped)) else {
                lvm.spoil(device.name, in: device.group)
                throw Self.noRoom(device)
            }
            lvm[device.group, device.name]?.content = read.content
            lvm[device.group, device.name]?.showsEarlierData = false
        case .file(let path):
            guard !isOpen(path) else { throw HostError(.preconditionFailed, "\(path) is in use") }
            try files.fill(
                path, with: read.content, image: read.image, size: read.size, allocated: read.allocated)
        }
    }

    /// A thin pool without blocks fails writes, at once or after it has waited for some.
    static func noRoom(_ device: DevicePlace) -> HostError {
        HostError(
            .exhausted, "Cannot write to /dev/\(device.group)/\(device.name)", cause: HostError.noBlocks,
            subject: "/dev/\(device.group)/\(device.name)")
    }

    /// True if a target stack hands the file out.
    func isOpen(_ path: HostPath) -> Bool {
        guard case .directory(let directory) = path.root else { return false }
        return targets.openPaths.contains("\(directory)/\(path.relative)")
    }
}
