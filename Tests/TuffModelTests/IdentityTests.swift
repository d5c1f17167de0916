import Testing
import TuffModel

@Suite struct IdentityTests {
    /// RFC 7143 section 4.2.7: `eui.` and 16 hexadecimal digits, `naa.` and 16 or 32, besides `iqn.`.
    @Test func initiatorsHaveNamesOfThreeKinds() {
        #expect(NameRule.initiator("eui.02004567A425678D") == "eui.02004567a425678d")
        #expect(NameRule.initiator("naa.52004567BA64678D") == "naa.52004567ba64678d")
        let long = "naa.62004567BA64678D0123456789ABCDEF"
        #expect(NameRule.initiator(long) == long.lowercased())
        for name in [
            "iqn.2004-10.com.example:web1", "iqn.2001-04.com.example:diskarrays-sn-a8675309",
            "iqn.2004-10.com.example:x-",
        ] {
            #expect(NameRule.initiator(name) == name)
        }
        for name in [
            "eui.02004567A425678", "eui.02004567A425678DD", "eui.02004567A425678G", "naa.52004567BA64678D0", "naa.",
            "EUI.02004567A425678D", "iqn.2004-10.com.Example:web1", "iqn.2004-13.com.example",
            "iqn.2004-10.com.example:my_host",
            "iqn.2004-10." + String(repeating: "a", count: 220), "web1", "",
        ] { #expect(NameRule.initiator(name) == nil, "\(name)") }
        #expect(!NameRule.isIQN("iqn.2004-10.com.example:x-"))
    }

    @Test func uidsHoldEightyBitsBothWays() {
        let bytes: [UInt8] = [0, 1, 2, 253, 254, 255, 127, 128, 16, 8]
        let uid = UID(bytes: bytes)
        #expect(uid.bytes == bytes)
        #expect(uid.serial == "000102fdfeff7f801008")
        #expect(UID(uid.description) == uid)
        #expect(UID(backstoreName: uid.backstoreName) == uid)
    }

    @Test(arguments: [
        "", "aaaabbbbccccddd", "aaaabbbbccccddddd", "AAAABBBBCCCCDDDD", "aaaabbbbccccddd1", "aaaabbbbccccddé",
    ])
    func otherTextsAreNoUID(text: String) {
        #expect(UID(text) == nil)
    }

    @Test(arguments: ["a", "db-data", "0", String(repeating: "a", count: 63)])
    func dnsLabelsAreNames(name: String) {
        #expect(NameRule.isLabel(name))
    }

    @Test(arguments: [
        "", "-a", "a-", "A", "a.b", "a/b", "../x", "a;rm", "a b", "a\n", "é", "-f", String(repeating: "a", count: 64),
    ])
    func nothingElseIsAName(name: String) {
        #expect(!NameRule.isLabel(name))
    }

    @Test func iqnsFollowTheRFC() {
        for name in ["iqn.2004-10.com.example:web1", "iqn.1994-05.com.redhat:a.b-c:d", "iqn.2026-01.dev.tuff"] {
            #expect(NameRule.isIQN(name))
        }
        for name in [
            "iqn.2004-13.com.example", "iqn.04-10.com.example", "eui.02004567a425678d", "iqn.2004-10.com/../x",
            "iqn.2004-10.Com.example", "iqn.2004-10.", "iqn.2004-10.com example", "iqn.2004-10.com\n",
            "iqn.2004-10." + String(repeating: "a", count: 220),
        ] {
            #expect(!NameRule.isIQN(name), "\(name)")
        }
    }

    @Test func portalsAreAddressesNeverNames() {
        #expect(Portal(text: "192.0.2.10:3260")?.description == "192.0.2.10:3260")
        #expect(Portal(text: "192.0.2.10")?.port == 3260)
        #expect(Portal(text: "[2001:db8::1]:860")?.description == "[2001:db8::1]:860")
        for text in [
            "", "host:3260", "192.0.2.256", "192.0.2.10:0", "192.0.2.10:65536", "192.0.2", "2001:db8::1", "[::1",
            "[1::2::3]", "192.0.2.10:32 60", "192.0.2.010", "[192.0.2.1]:1",
        ] {
            #expect(Portal(text: text) == nil, "\(text)")
        }
    }
}

@Suite struct MarksTests {
    let marks = Marks(
        uid: UID("aaaabbbbccccdddd")!, role: .volume("db"), stack: "default", iqn: "iqn.2026-01.dev.tuff:db", lun: 3,
        protect: true, operation: "create", other: ["tuff:future=1"])

    @Test func tagsReadBackAsWritten() {
        #expect(Marks.read(marks.tags + ["somebody", "else=1"]) == .ours(marks))
    }

    @Test func theTagsOfAVolumeFitTheirBudget() {
        let marks = Marks(
            uid: UID("aaaabbbbccccdddd")!, role: .volume("db-data"), stack: "default",
            iqn: "iqn.2026-01.dev.tuff:db-data")
        #expect(marks.tags.joined().utf8.count <= 160)
    }

    @Test func tagsHoldOnlyCharactersThatLVMTakes() {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-/=!:#&")
        #expect(marks.tags.joined().allSatisfy(allowed.contains))
    }

    @Test func objectsWithoutOurPrefixAreForeign() {
        #expect(Marks.read([]) == .foreign)
        #expect(Marks.read(["tuffy", "x=tuff:uid=1"]) == .foreign)
    }

    @Test(
        arguments: [
            ["tuff:uid=aaaabbbbccccdddd", "tuff:uid=bbbbbbbbccccdddd", "tuff:vol=a", "tuff:stack=default"],
            ["tuff:vol=a", "tuff:stack=default"],
            ["tuff:uid=short", "tuff:vol=a", "tuff:stack=default"],
            ["tuff:uid=aaaabbbbccccdddd", "tuff:stack=default"],
            ["tuff:uid=aaaabbbbccccdddd", "tuff:vol=a", "tuff:snap=b", "tuff:stack=default"],
            ["tuff:uid=aaaabbbbccccdddd", "tuff:vol=a"],
        ]
            + [
                "tuff:lun=x", "tuff:lun=9223372036854775807", "tuff:lun=-1", "tuff:iqn=iqn.2026-01.dev/../x",
                "tuff:iqn=",
                "tuff:serial=a,path=/dev/sda", "tuff:serial=",
            ].map { ["tuff:uid=aaaabbbbccccdddd", "tuff:vol=a", "tuff:stack=default", $0] } + [
                ["tuff:uid=aaaabbbbccccdddd", "tuff:vol=../a", "tuff:stack=default"],
                ["tuff:uid=aaaabbbbccccdddd", "tuff:vol=a", "tuff:stack=a/b"],
            ])
    func contradictionsAreDamageNeverOurs(tags: [String]) {
        guard case .damaged = Marks.read(tags) else {
            Issue.record("\(tags) read as \(Marks.read(tags))")
            return
        }
    }
}
