import FoundationEssentials
import Testing
import TuffHost
import TuffModel
import TuffTestSupport

/// The contract suites of storage on a real kernel: real LVM on a real disk, real files.
///
/// Only in the guest (`Tests/Lab/run-suite`), which has the disks these tests use up.
@Suite(.enabled(if: Lab.isGuest, "needs the guest of Tests/Lab/run-suite"), .serialized)
struct StorageLabTests {
    @Test func logicalVolumesKeepTheContract() async throws {
        let machine = Lab.machine(beneath: [])
        let disk = try #require(Lab.disks.first)
        try await machine.perform([
            .run(Lab.lvm(["vgcreate", "-qq", "--yes", "--metadatasize", "16m", "contract", disk])),
            .run(
                Lab.lvm([
                    "lvcreate", "-qq", "--yes", "--type", "thin-pool", "--size", "1g", "--chunksize", "64k", "--name",
                    "pool", "contract",
                ])),
        ])
        let contract = VolumeContract(machine, group: "contract", pool: "pool")
        for rule in VolumeContract.Rule.allCases {
            do {
                try await contract.check(rule)
            } catch {
                Issue.record("\(rule): \(error)")
            }
        }
        try await machine.perform([
            .run(Lab.lvm(["vgremove", "-qq", "--yes", "contract"])), .run(Lab.lvm(["pvremove", "-qq", disk])),
        ])
    }

    /// On tmpfs; the guest's own root is another machine's file system (hostfs).
    @Test func directoriesKeepTheContract() async throws {
        let directory = "/run/tuff-contract"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let contract = DirectoryContract(Lab.machine(beneath: ["/run"]), directory: directory)
        for rule in DirectoryContract.Rule.allCases {
            do {
                try await contract.check(rule)
            } catch {
                Issue.record("\(rule): \(error)")
            }
        }
    }
}

/// Things that the guest gives its tests.
enum Lab {
    static let isGuest = ProcessInfo.processInfo.environment["TUFF_LAB"] == "1"

    /// Blank disks, `/dev/ubda` and on.
    static var disks: [String] {
        (ProcessInfo.processInfo.environment["TUFF_LAB_DISKS"] ?? "").split(separator: " ").map(String.init)
    }

    static func machine(beneath roots: [String]) -> LinuxMachine {
        LinuxMachine(
            configuration: LinuxMachine.Configuration(
                workerCommand: [], reach: Reach(everythingBeneath: roots), tools: .real()))
    }

    /// A command that a person prepares a disk with; the product never runs one.
    static func lvm(_ arguments: [String]) -> Command { Command("lvm", arguments, effect: .mutates) }
}
