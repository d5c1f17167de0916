import FoundationEssentials
import Glibc
import Testing
import TuffModel

@testable import TuffHost

/// Directories in which an NFS share belongs, without a server: what is done where none is mounted.
@Suite struct PoolMountTests {
    static let share = NFSShare(server: "nas.example.com", export: "/pool")

    private func inFolder(_ body: (String, LinuxMachine) async throws -> Void) async throws {
        var template = Array("/tmp/tuff-mounts-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!).map { String(cString: $0) } }
        let folder = try #require(made)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let reach = Reach(everythingBeneath: [folder])
        try await body(folder, LinuxMachine(configuration: .init(workerCommand: [], reach: reach)))
    }

    private func code(_ work: () async throws -> Void) async -> HostError.Code? {
        do {
            try await work()
            return nil
        } catch { return (error as? HostError)?.code }
    }

    @Test func nothingIsReadOrWrittenBeneathAMountThatIsAway() async throws {
        try await inFolder { folder, machine in
            let root = HostPath.Root.directory(folder), file = HostPath(root, "v-db")
            let key = FingerprintKey(bytes: [1])
            machine.expect([folder: Self.share])
            let codes = [
                await code { _ = try await machine.readTree(root, [TreeQuery("*")], key: key) },
                await code { _ = try await machine.space(of: folder) },
                await code { try await machine.perform([.createFile(file, size: ByteCount(4096))]) },
                await code { try await machine.perform([.require(.vacant(file))]) },
            ]
            #expect(codes == Array(repeating: .preconditionFailed, count: 4))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
            // Another directory is none of its business, nor is this one for who expects nothing there.
            machine.expect(["\(folder)/other": Self.share])
            try await machine.perform([.createFile(file, size: ByteCount(4096))])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["v-db"])
        }
    }

    @Test func theTableTellsWhatIsThereAndNoServerIsAsked() async throws {
        try await inFolder { folder, machine in
            func state(_ path: String) async throws -> ObservedMount.State {
                try await machine.mount(of: Self.share, at: path).state
            }
            let empty = "\(folder)/empty"
            try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
            #expect(try await state(empty) == .absent(.empty))
            #expect(try await state("\(folder)/none/deeper") == .absent(.missing))
            #expect(try await state(folder) == .absent(.filled))
            guard case .foreign(let sentence) = try await state("/proc") else {
                Issue.record("/proc is no share")
                return
            }
            #expect(sentence.contains("proc"))
        }
    }

    @Test func aServerThatTheAdministratorDoesNotNameIsNotAskedWhateverAPlanSays() async throws {
        try await inFolder { folder, machine in
            let mounting = HostAction.mountShare(Self.share, at: "\(folder)/new", anew: false)
            let code = await code { try await machine.perform([mounting]) }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(code == .refused && left == [])
        }
    }

    @Test func theCommandIsShownAsItIsTyped() {
        let action = HostAction.mountShare(Self.share, at: "/srv/pool", anew: true)
        #expect(
            "\(action)" == "umount /srv/pool && mount.nfs4 nas.example.com:/pool /srv/pool -o "
                + "nosuid,nodev,noexec,nosharecache,hard,fg,retry=0,rw")
        #expect("\(HostAction.unmountShare(Self.share, at: "/srv/pool"))" == "umount /srv/pool")
    }
}
