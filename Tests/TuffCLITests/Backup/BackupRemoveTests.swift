import FoundationEssentials
import Glibc
import Testing

/// `tuff backup rm`: restore points go by name, after a look, and the last one not by accident.
struct BackupRemoveTests {
    private let folder: TestFolder

    /// Two restore points of `db` and one of `web`.
    init() throws {
        folder = try TestFolder()
        try expect("init --repository r", 0)
        for (text, name) in [("one", "db"), ("two", "db"), ("three", "web")] {
            try folder.write("disk", String(repeating: text, count: 30_000))
            try expect("run --repository r --source disk --name \(name)", 0)
        }
    }

    @discardableResult
    private func expect(
        _ command: String, _ code: Int32, location: SourceLocation = #_sourceLocation
    ) throws -> Ended {
        let ended = try folder.run(["backup"] + command.split(separator: " ").map(String.init))
        #expect(ended.code == code, "\(command): \(ended.out)\(ended.err)", sourceLocation: location)
        return ended
    }

    /// IDs by age, of all points of a name.
    private func ids(_ name: String) throws -> [String] {
        try expect("ls --repository r --name \(name)", 0).out.split(separator: "\n").dropFirst()
            .map { String($0.prefix(8)) }
    }

    @Test func aPointGoesThatWasNamedAndTheOthersStay() throws {
        let (first, second) = (try ids("db")[0], try ids("db")[1])
        let refused = try expect("rm --repository r \(first)", 1)
        #expect(refused.out.contains("To be removed:\n") && refused.out.contains(first), "\(refused.out)")
        #expect(refused.err.contains("nothing was removed") && refused.err.contains("--allow-destroy"))
        #expect(try ids("db") == [first, second])
        let removed = try expect("rm --repository r \(first) --allow-destroy", 0)
        #expect(removed.out.hasSuffix("Removed 1 restore point.\n") && removed.err.isEmpty, "\(removed)")
        #expect(try ids("db") == [second] && ids("web").count == 1)
        try expect("restore --repository r --name db --to back", 0)
        #expect(folder.text("back") == String(repeating: "two", count: 30_000))
        try expect("check --repository r --read-data", 0)
        try expect("rm --repository r \(first) --allow-destroy", 10)
    }

    @Test func theLastWholePointOfASeriesNeedsForce() throws {
        let points = try ids("db")
        for target in [points.joined(separator: " "), "--series db"] {
            let refused = try expect("rm --repository r \(target) --allow-destroy", 1)
            #expect(refused.err.contains("\(points[1]) of ") && refused.err.contains("is the last whole restore point"))
            #expect(refused.err.contains("--force"))
        }
        #expect(try ids("db") == points)
        let removed = try expect("rm --repository r --series db --allow-destroy --force", 0)
        #expect(removed.out.hasSuffix("Removed 2 restore points.\n"))
        #expect(removed.err.contains("tuff forget BackupRepository/NAME"), "\(removed.err)")
        #expect(try ids("db") == [] && ids("web").count == 1)
        try expect("rm --repository r --series db --allow-destroy --force", 10)
    }

    @Test func aPointThatCannotBeReadGoesByForceAndPruningGoesOn() throws {
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/r/points").sorted().first)
        #expect(truncate("\(folder.path)/r/points/\(name)", 100) == 0)
        let told = try expect("prune --repository r --keep-last 1", 1).err
        let command = try #require(told.split(separator: "\n").first { $0.contains("tuff backup rm") })
        try expect("rm --repository r \(name.prefix(8)) --allow-destroy", 1)
        // As it was told, and without a question.
        let typed = try #require(command.components(separatedBy: "tuff backup ").last)
        let removed = try expect("\(typed) --allow-destroy -o json", 0)
        #expect(removed.out.contains("\"RemovedPoints\"") && removed.out.contains("\"\(name)\""), "\(removed.out)")
        try expect("prune --repository r --keep-last 1", 0)
        try expect("check --repository r --read-data", 0)
    }

    @Test(arguments: [
        ("rm --repository r", "which ones?"),
        ("rm --repository r --series a@b --allow-destroy", "there is no restore point of the series 'a@b'"),
        ("rm --repository r xyz --allow-destroy", "is no ID of a restore point"),
        ("rm --repository r --series db@n/s/u --allow-destroy", "there is no restore point of the series 'db@n/s/u'"),
    ])
    func whatMeansNothingRemovesNothing(_ command: String, _ sentence: String) throws {
        let ended = try folder.run(["backup"] + command.split(separator: " ").map(String.init))
        #expect(ended.code != 0 && ended.err.contains(sentence), "\(ended.err)")
        #expect(try ids("db").count == 2)
    }
}
