import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@testable import TuffDrivers

@Suite struct LVMScriptTests {
    private func creation(_ name: String, tags: [String] = ["tuff:uid=\(Sample.uid)"]) -> HostAction {
        .makeVolume(
            Command(
                "lvm",
                ["lvcreate", "-qq", "--yes", "--thin", "--virtualsize", "512b", "--name", name, "--activate", "n"]
                    + tags.flatMap { ["--addtag", $0] } + ["--", "vg0/tp0"], effect: .mutates),
            group: "vg0", uid: Sample.uid)
    }

    @Test func aLineLeavesCopiesOfTheMetadataToThoseAroundIt() throws {
        let creations = try #require(VolumeCreation.all([[creation("v-a")], [creation("v-b")]]))
        #expect(
            creations[0].line
                == "lvcreate -An -qq -y -T -V 512b -n v-a -a n --addtag tuff:uid=\(Sample.uid) vg0/tp0")
    }

    @Test func whatLVMWouldRefuseOrMisreadIsNoLine() throws {
        let names = [String(repeating: "x", count: 200), "a b", "a\nb", "a\"b", "a\\b", "#a", ""]
        for name in names {
            let creations = try #require(VolumeCreation.all([[creation(name)], [creation("v-b")]]))
            #expect(creations[0].line == nil, "\(name)")
        }
    }

    @Test func onlySequencesThatMakeVolumesOfOneGroupGoTogether() {
        #expect(VolumeCreation.all([[creation("v-a")]]) == nil)
        let other = HostAction.run(Command("lvm", ["lvextend"], effect: .mutates))
        #expect(VolumeCreation.all([[creation("v-a")], [other]]) == nil)
        #expect(VolumeCreation.all([[creation("v-a"), creation("v-b")], [creation("v-c")]]) == nil)
    }

    /// A process that dies between making volumes and the copy of the metadata leaves the note of it, too.
    @Test func aCopyOfTheMetadataThatWasNotMadeIsMadeUpFor() async throws {
        let folder = try Folder()
        let count = folder.at("count")
        try folder.tool(
            "lvm",
            """
            echo "$*" >>\(folder.at("log"))
            [ "$1" != vgcfgbackup ] || { echo x >>\(count); [ $(wc -l <\(count)) != 2 ]; }
            """)
        let outcomes = await folder.machine(tools: .real(stateDirectory: folder.at("state"))).performEach([
            [creation("v-a")], [creation("v-b")],
        ])
        #expect(outcomes.allSatisfy { if case .performed = $0 { true } else { false } })
        let log = (folder.read("log") ?? "").split(separator: "\n").map { $0.split(separator: " ")[0] }
        #expect(log.count == 3 && log.first == "vgcfgbackup" && log.last == "vgcfgbackup")
        #expect(log[1].hasPrefix("/proc/"))
        #expect(folder.status("state/metadata-backup-owed.vg0") != nil)
        await folder.machine(tools: .real(stateDirectory: folder.at("state"))).settleDebts()
        #expect((folder.read("log") ?? "").hasSuffix(" -qq -- vg0\n"))
        #expect((folder.read("log") ?? "").split(separator: "\n").count == 4)
        #expect(folder.status("state/metadata-backup-owed.vg0") == nil)
        await folder.machine(tools: .real(stateDirectory: folder.at("state"))).settleDebts()
        #expect((folder.read("log") ?? "").split(separator: "\n").count == 4)
    }
}
