import Testing
import TuffHost
import TuffModel
import TuffTestSupport

@testable import TuffDrivers

/// The patterns that keep LVM from looking into volumes: which names they match, and in which list they stand.
@Suite struct LVMFilterTests {
    // MARK: Patterns

    @Test(arguments: [
        ([1], "/dev/dm-1"),
        ([1, 2], "/dev/dm-[12]"),
        ([1, 10, 11, 12, 2], "/dev/dm-(1[012]?|2)"),
        ([0, 1, 2, 3, 7, 30], "/dev/dm-([0127]|30?)"),
        ([4, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49], "/dev/dm-4[0-9]?"),
        (Array(0..<1_000), "/dev/dm-(0|[1-9]([0-9][0-9]?)?)"),
    ])
    func numbersBecomeATreeOfDigits(_ numbers: [Int], _ pattern: String) {
        #expect(LVMPattern(numbers.map { "/dev/dm-\($0)" }).text == pattern)
    }

    @Test(arguments: UInt64(1)...20)
    func aPatternMatchesItsNumbersAndNoOthers(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let end = [12, 120, 1_100, 3_000].randomElement(using: &random)!
        let count = Int.random(in: 1...300, using: &random)
        let numbers = Set((0..<count).map { _ in Int.random(in: 0..<end, using: &random) })
        let pattern = try Regex(LVMPattern(numbers.map { "/dev/dm-\($0)" }).text)
        let matched = (0..<end * 2).filter { "/dev/dm-\($0)".wholeMatch(of: pattern) != nil }
        #expect(Set(matched) == numbers)
    }

    /// Of every character that may stand in names of volumes and groups, and one that LVM's dialect has no place for.
    @Test func aPatternMatchesItsNamesAndNoOthers() throws {
        let names = [
            "/dev/vg.0/a", "/dev/vg.0/a+b", "/dev/vg.0/a-b", "/dev/vg.0/a_B", "/dev/mapper/vg.0-a--b", "/dev/x=1:2@3,4",
        ]
        let others = [
            "/dev/vgx0/a", "/dev/vg.0/", "/dev/vg.0/aab", "/dev/vg.0/ab", "/dev/vg.0/a+", "/dev/vg.0/a+bb",
            "/dev/vg.0/a_b",
            "/dev/mapper/vg.0-a-b", "/dev/x=1:2@3,", "dev/vg.0/a",
        ]
        let pattern = LVMPattern(names).text
        let regex = try Regex(pattern)
        #expect((names + others).filter { $0.wholeMatch(of: regex) != nil } == names, "\(pattern)")
        #expect(LVMPattern(["/dev/a\\x20b|", "/dev/é"]).text == "/dev/(a.x20b.|..)")
    }

    // MARK: Lists

    private static let known = [volume(7, "a"), volume(12, "b")]
    private static let numbers = #""r|^/dev/dm-(12|7)$|""#

    /// As it is with udev: its node, and three or more links.
    private static func volume(_ minor: Int, _ name: String, isNode: Bool = true) -> LogicalVolumeDevice {
        LogicalVolumeDevice(
            number: "254:\(minor)",
            paths: (isNode ? ["/dev/dm-\(minor)"] : []) + ["/dev/mapper/vg0-\(name)", "/dev/vg0/\(name)"])
    }

    private func settings(_ global: String?, _ local: String?) throws -> String {
        try LVMFilter(global: global, local: local).settings(passingOver: Self.known)
    }

    /// `/dev/dm-N` is enough where no pattern of the same list accepts another name of the device.
    @Test(
        arguments: [
            (nil, nil, "global_filter=[\(numbers)]"),
            (#"["r|^/dev/x|","r|y|"]"#, nil, #"global_filter=[\#(numbers),"r|^/dev/x|","r|y|"]"#),
            (#""r|^/dev/x|""#, #"["a|/dev/sd|","r|.*|"]"#, #"global_filter=[\#(numbers),"r|^/dev/x|"]"#),
            (#"["a|/dev/sd|","r|.*|"]"#, nil, "filter=[\(numbers)]"),
            (#"["a|/dev/sd|","r|.*|"]"#, #"["r|\"a|"]"#, #"filter=[\#(numbers),"r|\"a|"]"#),
            // What only accepts takes every device.
            (#"["a|.*|"]"#, nil, "filter=[\(numbers)]"),
            (#""a|.*|""#, #"["a|.*|","a|x|"]"#, "global_filter=[\(numbers)]"),
            (#"["r|x|","a|.*|"]"#, #""a|.*|""#, "filter=[\(numbers)]"),
            ("[]", nil, "global_filter=[\(numbers)]"),
        ] as [(String?, String?, String)])
    func ourPatternStandsWhereNothingAccepts(_ global: String?, _ local: String?, _ list: String) throws {
        #expect(try settings(global, local) == "devices{scan_lvs=1 \(list)}")
    }

    @Test(arguments: [
        (#"["r|x|","a|.*|"]"#, #"["a|sd|","r|.*|"]"#),
        // What a later LVM may print, and Tuff does not know, may accept.
        ("[@x]", #"["a|sd|","r|.*|"]"#),
    ])
    func whereBothListsAcceptEveryNameIsRejectedFirst(_ global: String, _ local: String) throws {
        let names = "(dm-(12|7)|mapper/vg0-[ab]|vg0/[ab])"
        #expect(
            try settings(global, local)
                == #"devices{scan_lvs=1 global_filter=["r|^/dev/\#(names)$|",\#(global.dropFirst().dropLast())]}"#)
    }

    /// Machines without udev may have no node of that name.
    @Test func aVolumeThatHasNoNodeByItsNumberIsRejectedByItsOtherNames() throws {
        let found = try LVMFilter(global: nil, local: nil).settings(
            passingOver: [Self.volume(7, "a"), Self.volume(8, "b", isNode: false)])
        #expect(found == #"devices{scan_lvs=1 global_filter=["r|^/dev/(dm-[78]|mapper/vg0-b|vg0/b)$|"]}"#)
    }

    @Test func whereNoVolumeIsPassedOverTheMachinesListsStand() throws {
        #expect(
            try LVMFilter(global: #"["r|x|"]"#, local: nil).settings(passingOver: []) == "devices/scan_lvs=1")
    }

    // MARK: Length

    /// Numbers and names as LVM and udev give them, in no order.
    private static func many(_ count: Int) -> [LogicalVolumeDevice] {
        var random = SeededGenerator(seed: 5)
        let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        func identifier() -> String { String((0..<32).map { _ in letters.randomElement(using: &random)! }) }
        let group = identifier()
        var minors: Set<Int> = []
        while minors.count < count { minors.insert(Int.random(in: 0..<1 << 20, using: &random)) }
        return minors.sorted().enumerated().map { index, minor in
            LogicalVolumeDevice(
                number: "254:\(minor)",
                paths: [
                    "/dev/dm-\(minor)", "/dev/fast/v-vm\(index)", "/dev/mapper/fast-v--vm\(index)",
                    "/dev/disk/by-id/dm-name-fast-v--vm\(index)", "/dev/disk/by-id/dm-uuid-LVM-\(group)\(identifier())",
                ])
        }
    }

    private static let accepting = #"["a|^/dev/sd|","r|.*|"]"#

    @Test func aThousandVolumesFit() throws {
        for (global, local) in [(nil, nil), (Self.accepting, nil)] as [(String?, String?)] {
            let found = try LVMFilter(global: global, local: local).settings(passingOver: Self.many(1_000))
            #expect(found.utf8.count < 8 << 10)
        }
    }

    @Test func threeHundredFitByAllTheirNames() throws {
        let filter = LVMFilter(global: Self.accepting, local: Self.accepting)
        #expect(try filter.settings(passingOver: Self.many(300)).utf8.count < LVMFilter.limit)
    }

    /// LVM would run out of memory over it, or not be started at all (E2BIG).
    @Test func whatIsTooLongIsSaidWithWhatToDo() throws {
        let filter = LVMFilter(global: Self.accepting, local: Self.accepting)
        let error = try #require(throws: HostError.self) { try filter.settings(passingOver: Self.many(1_000)) }
        #expect(error.code == .failed && error.subject == "devices/global_filter")
        #expect(
            error.sentence.contains("LVM is not asked")
                && error.sentence.contains("into 1000 logical volumes, with those of devices/global_filter, have 3")
                && error.sentence.contains("where 16384 is the most"), "\(error.sentence)")
        #expect(
            error.sentence.hasSuffix(
                "set devices { scan_lvs = 0 } in lvm.conf, or leave nothing but a few reject patterns in one of "
                    + "devices/global_filter and devices/filter"), "\(error.sentence)")
    }
}
