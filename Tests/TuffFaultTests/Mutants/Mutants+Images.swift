import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps a volume that is not filled from its image from being shown.
    static let images: [Mutant] = [
        Mutant(
            "takes any image for the one that was declared", shownBy: [.loseImage, .declareFromDigest, .changeImage]
        ) { mutant in
            mutant.documents = { desired in
                var desired = desired
                for (name, volume) in desired.volumes {
                    guard case .image(var image)? = volume.spec.source else { continue }
                    image.sha256 = nil
                    desired.volumes[name]?.spec.source = .image(image)
                }
                return desired
            }
        },
        Mutant("calls a volume complete before it is filled from its image") {
            $0.volumeSteps = { steps in steps.filter { if case .volume(.fillFromImage) = $0 { false } else { true } } }
        },
        Mutant("makes volumes from images without the mark of unfinished work") {
            $0.volumeSteps = { steps in
                steps.map { step in
                    guard case .volume(.create(let backend, let location, let size, var marks)) = step,
                        marks.operation == Marks.copying
                    else { return step }
                    marks.operation = nil
                    return .volume(.create(backend: backend, location: location, size: size, marks: marks))
                }
            }
        },
    ]
}
