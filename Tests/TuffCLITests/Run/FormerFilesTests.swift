import FoundationEssentials
import Testing
import TuffController
import TuffModel
import TuffPlanning

@testable import TuffCLI

/// Inventories and plans that an earlier version wrote.
@Suite struct FormerFilesTests {
    private struct FormerConfig: Encodable {
        var node = "storage1"
        var portals: [Portal] = []
        var iqnBase = "iqn.2026-01.dev.tuff"
        var allowedRoots: [String]?
        var targetDriver = TargetDriver.lio
        var tgtControlPort = 0
        var guardLimits = GuardLimits()
    }

    private struct FormerInventory: Encodable {
        var format = 1
        var kind = "Inventory"
        var tuff = "0.1.0"
        var config: FormerConfig
        var observed: ObservedState
    }

    private struct FormerConsent: Encodable {
        var prune = true
        var allowDestroy = false
        var runDue = false
        var recreate: [ResourceID] = []
        var allowPoolCreate = false
    }

    @Test(arguments: [nil, ["/srv"]]) func anInventoryWithoutAReachIsRead(_ roots: [String]?) throws {
        let former = FormerInventory(config: FormerConfig(allowedRoots: roots), observed: World.observed())
        let file = try InventoryFile.decode(try JSONEncoder().encode(former), name: "former.json")
        #expect(file.config.allow == roots.map(Reach.init(everythingBeneath:)) ?? Reach())
        let current = try InventoryFile.decode(Data(try file.text.utf8), name: "current.json")
        #expect(current.config == file.config)
    }

    @Test func aPlanThatKnowsNoBlanksIsRead() throws {
        var expected = Consent()
        expected.prune = true
        let read = try JSONDecoder().decode(Consent.self, from: JSONEncoder().encode(FormerConsent()))
        #expect(read == expected)
    }

    @Test func everyFieldOfAConsentIsReadAsItWasWritten() throws {
        var consent = Consent()
        (consent.prune, consent.allowDestroy, consent.runDue, consent.allowPoolCreate) = (true, true, true, true)
        consent.allowRemovals = 3
        (consent.recreate, consent.allowBlank) = ([ResourceID(.volume, "a")], [ResourceID(.volume, "b")])
        #expect(try JSONDecoder().decode(Consent.self, from: JSONEncoder().encode(consent)) == consent)
    }
}
