import TuffModel
import TuffTestSupport

/// What people do about images.
extension Simulation {
    mutating func editImage(_ edit: Edit, _ name: String, _ backend: Backend) -> Bool {
        guard edit == .declareFromImage else {
            meddle { world in
                switch edit {
                case .changeImage:
                    // Another one is put in its place, or the one that was taken away comes back.
                    let last = world.images[Self.image]?.stamp ?? 1000
                    world.images[Self.image] = FakeImage(format: .qcow2, size: ByteCount(8 << 20), stamp: last + 1)
                default: world.images[Self.image] = nil
                }
            }
            return true
        }
        guard self.edit(.declareAttached, name, backend) else { return false }
        desired.volumes[name]?.spec.source = .image(ImageSource(path: Self.image, format: .qcow2))
        return true
    }
}

extension VolumeSpec {
    var imagePath: String? { if case .image(let image)? = source { image.path } else { nil } }
}
