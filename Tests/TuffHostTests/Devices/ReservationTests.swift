import Glibc
import Testing
import TuffModel
import TuffTestSupport

@testable import TuffHost

@Suite("Persistent reservations that are kept", .serialized)
struct ReservationTests {
    let folder: Folder
    let machine: LinuxMachine
    let backstore = HostPath.target("core/iblock_7/tuff-a")

    /// As Linux 6.1 writes it, for a holder of a reservation of type 8, which C reads as no number.
    static let kept = """
        PR_REG_START: 0
        initiator_fabric=iSCSI
        initiator_node=iqn.2004-10.com.example:web1
        initiator_sid=0x00023d000001
        sa_res_key=43981
        res_holder=1
        res_type=08
        res_scope=00
        res_all_tg_pt=0
        mapped_lun=0
        target_fabric=iSCSI
        target_node=iqn.2026-01.dev.tuff:db
        tpgt=1
        port_rtpi=1
        target_lun=0
        PR_REG_END: 0

        """

    init() throws {
        folder = try Folder()
        folder.directory("target/core/iblock_7/tuff-a/pr")
        try folder.write("target/dbroot", folder.at("var/target") + "\n")
        try folder.write("target/core/iblock_7/tuff-a/pr/res_aptpl_metadata", "Ready to process PR APTPL metadata..\n")
        folder.directory("var")
        machine = folder.machine()
    }

    private func keep(restoring: Bool) async -> HostError? {
        await failure { () throws(HostError) in
            try await machine.perform([.keepReservations(backstore, serial: "abc", restoring: restoring)])
        }
    }

    private var metadata: String? { folder.read("target/core/iblock_7/tuff-a/pr/res_aptpl_metadata") }

    @Test("The directory is made for root alone, and where nothing was kept nothing is read back")
    func directory() async throws {
        for restoring in [false, true] {
            #expect(await keep(restoring: restoring) == nil)
            #expect(folder.mode("var/target/pr") == 0o700)
            #expect(metadata?.hasPrefix("Ready") == true)
        }
    }

    @Test("What was kept is written as the kernel reads it, with its type as a number")
    func restore() async throws {
        folder.directory("var/target/pr")
        try folder.write("var/target/pr/aptpl_abc", Self.kept + "\0", mode: 0o600)
        try folder.write("var/target/pr/aptpl_abd", Self.kept, mode: 0o600)
        #expect(await keep(restoring: false) == nil)
        #expect(metadata?.hasPrefix("Ready") == true)
        #expect(await keep(restoring: true) == nil)
        #expect(
            metadata
                == "initiator_fabric=iSCSI,initiator_node=iqn.2004-10.com.example:web1,initiator_sid=0x00023d000001,"
                + "sa_res_key=43981,res_holder=1,res_type=8,res_scope=0,res_all_tg_pt=0,mapped_lun=0,"
                + "target_fabric=iSCSI,target_node=iqn.2026-01.dev.tuff:db,tpgt=1,port_rtpi=1,target_lun=0")
    }

    @Test("Several registrations are several writes, none is none, and everything else is refused")
    func decoding() throws {
        #expect(try Reservations.registrations(Array((Self.kept + Self.kept).utf8), "f").count == 2)
        #expect(try Reservations.registrations(Array("No Registrations or Reservations".utf8) + [0], "f") == [])
        #expect(try Reservations.registrations([], "f") == [])
        let lines = Self.kept.split(separator: "\n").map(String.init)
        var damaged = [
            "x", "\u{1}", Self.kept + "x", "PR_REG_START: 0\nPR_REG_END: 0", Self.kept.replacing("08", with: "xx"),
        ]
        // Without its first or last line, or with either twice.
        damaged += [lines.dropFirst(), lines.dropLast(), lines[...0] + lines, lines + lines.suffix(1)].map {
            $0.joined(separator: "\n")
        }
        damaged.append(Self.kept.replacing("tpgt=1", with: "tpgt=1,res_holder=1"))
        for text in damaged {
            #expect(throws: HostError.self, "\(text.prefix(40))") {
                try Reservations.registrations(Array(text.utf8), "f")
            }
        }
    }

    @Test("What others may write is not believed, nor a link followed")
    func exposure() async throws {
        folder.directory("var/target/pr")
        try folder.write("var/target/pr/aptpl_abc", Self.kept, mode: 0o622)
        #expect(await keep(restoring: true)?.code == .refused)
        try folder.write("elsewhere", Self.kept, mode: 0o600)
        unlink(folder.at("var/target/pr/aptpl_abc"))
        symlink(folder.at("elsewhere"), folder.at("var/target/pr/aptpl_abc"))
        #expect(await keep(restoring: true) != nil)
        unlink(folder.at("var/target/pr/aptpl_abc"))
        chmod(folder.at("var/target/pr"), 0o777)
        #expect(await keep(restoring: true)?.code == .refused)
        #expect(metadata?.hasPrefix("Ready") == true)
    }
}
