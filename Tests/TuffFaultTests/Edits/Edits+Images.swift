import TuffModel
import TuffTestSupport

/// Acts of people on images.
extension Simulation {
    static let image = "/srv/images/debian.qcow2"
    static let rawImage = "/srv/images/debian.raw"
    private static let size = ByteCount(8 << 20)

    static func addImages(_ world: inout FakeWorld) { putImages(&world, stamp: 1) }

    private static func putImages(_ world: inout FakeWorld, stamp: UInt64) {
        world.images[image] = FakeImage(format: .qcow2, size: size, stamp: stamp, sha256: digest(stamp))
        world.images[rawImage] = FakeImage(format: .raw, size: size, stamp: stamp + 1, sha256: digest(stamp + 1))
    }

    /// As long as a SHA-256, and another one for each content.
    private static func digest(_ stamp: UInt64) -> String {
        let number = String(stamp, radix: 16)
        return String(repeating: "0", count: 64 - number.count) + number
    }

    mutating func editImage(_ edit: Edit, _ name: String, _ backend: Backend) -> Bool {
        guard ![.changeImage, .loseImage].contains(edit) else {
            meddle { world in
                // Others are put in their place, or those that were taken away come back.
                let last = world.images[Self.rawImage]?.stamp ?? 1000
                world.images = [:]
                if edit == .changeImage { Self.putImages(&world, stamp: last + 1) }
            }
            return true
        }
        // Of an image that is not there, whoever wrote the document has its digest from elsewhere.
        let digest = machine.world.images[Self.rawImage]?.sha256 ?? Self.digest(2)
        guard self.edit(.declareAttached, name, backend) else { return false }
        var source = ImageSource(path: Self.image, format: .qcow2)
        if edit != .declareFromImage { source = ImageSource(path: Self.rawImage, format: .raw) }
        if edit == .declareFromDigest { source.sha256 = digest }
        desired.volumes[name]?.spec.source = .image(source)
        return true
    }
}

extension VolumeSpec {
    var image: ImageSource? { if case .image(let image)? = source { image } else { nil } }
}
