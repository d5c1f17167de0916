import FoundationEssentials
import Testing
import TuffTestSupport

@testable import TuffCLI

/// The message to a person whose volume's name is taken.
@Suite struct NameTakenTests {
    let folder: TestFolder

    init() throws {
        folder = try TestFolder()
        try folder.writeVolume()
        let applied = try folder.run(["apply", "-f", "volumes.yaml", "--auto-approve"] + folder.host)
        #expect(applied.code == 0, "\(applied.err)")
    }

    /// The plan with each summary on one line.
    private func plan(_ more: [String] = []) throws -> String {
        try folder.run(["plan", "-f", "volumes.yaml", "-o", "json"] + more + folder.host).out
    }

    private var sidecar: String {
        get throws {
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/pool/.tuff")
            return "pool/.tuff/\(try #require(names.first))"
        }
    }

    @Test func anotherStackIsNamed() throws {
        let text = try plan(["--stack", "other"])
        #expect(text.contains("belongs to stack default; plan with --stack default"), "\(text)")
    }

    @Test func aDamagedSidecarIsSaidToBeDamaged() throws {
        let sidecar = try sidecar
        try folder.write(sidecar, "{\"file\":")
        let text = try plan()
        #expect(text.contains("it is not valid JSON of Tuff's; put a copy of it back as it was"), "\(text)")
        #expect(text.contains("\(folder.path)/\(sidecar) is missing or damaged"), "\(text)")
    }

    @Test func aDeletedSidecarIsSaidToBeMissing() throws {
        let sidecar = try sidecar
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(sidecar)")
        #expect(try plan().contains("\(folder.path)/\(sidecar) is missing or damaged. Put a copy of it back"))
        try FileManager.default.removeItem(atPath: "\(folder.path)/run/state/ledger.json")
        let text = try plan()
        #expect(text.contains("exists and has no sidecar of Tuff's: it is somebody else's, or its marks were lost"))
    }
}
