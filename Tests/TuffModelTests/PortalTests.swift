import Testing
import TuffModel
import TuffTestSupport

@Suite struct PortalTests {
    /// Pairs of RFC 5952 sections 1 to 5, and of RFC 4291 2.2.
    @Test(arguments: [
        ("[2001:0db8::0001]:3260", "[2001:db8::1]:3260"),
        ("[2001:db8:0:0:0:0:2:1]:3260", "[2001:db8::2:1]:3260"),
        ("[2001:db8:0:1:1:1:1:1]:3260", "[2001:db8:0:1:1:1:1:1]:3260"),
        ("[2001:0:0:1:0:0:0:1]:3260", "[2001:0:0:1::1]:3260"),
        ("[2001:db8:0:0:1:0:0:1]:3260", "[2001:db8::1:0:0:1]:3260"),
        ("[2001:DB8::ABCD]:3260", "[2001:db8::abcd]:3260"),
        ("[FD00:0::10]", "[fd00::10]:3260"), ("[::0]:3261", "[::]:3261"), ("[0:0:0:0:0:0:0:0]", "[::]:3260"),
        ("[1:0:0:0:0:0:0:0]", "[1::]:3260"), ("[::ffff:192.0.2.10]:3260", "192.0.2.10:3260"),
        ("[::FFFF:c000:20a]:3260", "192.0.2.10:3260"), ("[::ffff:0.0.0.0]:3260", "0.0.0.0:3260"),
        ("[64:ff9b::192.0.2.33]:3260", "[64:ff9b::c000:221]:3260"), ("[FE80::1%eth0]:3260", "[fe80::1%eth0]:3260"),
        ("192.0.2.10", "192.0.2.10:3260"),
    ])
    func anAddressHasOneText(written: String, canonical: String) throws {
        let portal = try #require(Portal(text: written))
        #expect(portal.description == canonical)
        #expect(portal == Portal(text: canonical))
        #expect(Set([portal]).contains(try #require(Portal(text: canonical))))
        let found = try #require(Portal(objectName: written))
        #expect(found == portal && found.objectName == written && found.description == canonical)
    }

    @Test(arguments: [
        "", "[", "[]", "[:]", "[:::]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[12345::]", "[g::]",
        "[::1.2.3]", "[1.2.3.4::]", "[2001:db8::1%eth0]", "[fe80::1%]", "[fe80::1%eth/0]", "[::ffff:1.2.3.4%eth0]",
        "192.0.2.256", "192.0.2", "192.0.02.1", "1.2.3.4:0", "1.2.3.4:65536", "[::1]3260", "nas.example.com:3260",
    ])
    func whatIsNoAddressIsRefused(text: String) {
        #expect(Portal(text: text) == nil)
    }

    @Test func everySpellingOfAnAddressIsThatAddress() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let groups = (0..<8).map { _ in
                Bool.random(using: &random) ? 0 : UInt16.random(in: 0...UInt16.max, using: &random)
            }
            let plain = groups.map { String($0, radix: 16, uppercase: Bool.random(using: &random)) }
            let padded = plain.map { String(repeating: "0", count: 4 - $0.count) + $0 }
            let one = try #require(Portal(text: "[\(plain.joined(separator: ":"))]"))
            #expect(one == Portal(text: "[\(padded.joined(separator: ":"))]"), "seed \(seed), \(groups)")
            #expect(Portal(text: one.description)?.description == one.description, "seed \(seed), \(groups)")
        }
    }

    @Test func wildcardsAreKnownAndExcludeTheirKind() throws {
        func portal(_ text: String) -> Portal { Portal(text: text)! }
        #expect(portal("[::0]").isWildcard && portal("0.0.0.0").isWildcard && portal("[::ffff:0:0]").isWildcard)
        let excluding = [("0.0.0.0", "192.0.2.1"), ("0.0.0.0", "[::]"), ("[::]", "192.0.2.1"), ("[::]", "[fd00::1]")]
        for (one, other) in excluding {
            #expect(portal(one).excludes(portal(other)) && portal(other).excludes(portal(one)), "\(one) \(other)")
            #expect(!portal(one + ":3261").excludes(portal(other)))
        }
        #expect(!portal("0.0.0.0").excludes(portal("[fd00::1]")))
        #expect(!portal("192.0.2.1").excludes(portal("192.0.2.2")) && !portal("0.0.0.0").excludes(portal("0.0.0.0")))
    }

    @Test func whereNobodyCanListenIsSaid() throws {
        for text in ["224.0.0.1", "239.255.255.255", "255.255.255.255", "[ff02::1]", "[fe80::1]", "[febf::1]"] {
            #expect(Portal(text: text)?.fault != nil, "\(text)")
        }
        for text in ["192.0.2.255", "223.0.0.1", "[fd00::1]", "[fe80::1%eth0]", "[fec0::1]", "[ff::1]", "[::]"] {
            #expect(Portal(text: text)?.fault == nil, "\(text)")
        }
    }
}
