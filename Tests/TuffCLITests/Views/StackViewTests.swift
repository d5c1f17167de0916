import Testing
import TuffController
import TuffModel
import TuffPlanning

@testable import TuffCLI

/// Who looks at a stack sees that stack, and that there are others.
@Suite struct StackViewTests {
    private static func observed() -> ObservedState {
        var observed = World.observed()
        guard case .known(var group)? = observed.volumeGroups.entries["vg0"] else { return observed }
        for (index, stack) in ["lab", "lab", "test"].enumerated() {
            let marks = Marks(
                uid: UID(bytes: Array(repeating: UInt8(index + 7), count: UID.byteCount)),
                role: .volume("other\(index)"),
                stack: stack, iqn: "iqn.2026-01.dev.tuff:other\(index)")
            group.logicalVolumes.append(
                LogicalVolume(
                    name: "v-other\(index)", uuid: "uuid-other\(index)", size: ByteCount(1 << 30), tags: marks.tags,
                    active: true, pool: "tp0"))
        }
        // A pool in which nothing is of this stack.
        let pool = LogicalVolume(
            name: "tp1", uuid: "uuid-tp1", size: ByteCount(8 << 30), layout: .thinPool, active: true)
        group.logicalVolumes.append(pool)
        group.logicalVolumes[group.logicalVolumes.count - 2].pool = "tp1"
        observed.volumeGroups.entries["vg0"] = .known(group)
        return observed
    }

    private func survey(_ declared: Bool, all: Bool = false, stack: String = "default") -> Survey {
        var context = Examples.context
        context.stack = stack
        return Survey(
            desired: declared ? World.desired() : nil, observed: Self.observed(), context: context, allStacks: all)
    }

    @Test(arguments: [true, false]) func othersAreCountedAndNotListed(_ declared: Bool) {
        let survey = survey(declared)
        #expect(!survey.records.contains { $0.id.name.hasPrefix("other") })
        #expect(!survey.records.contains { $0.id == ResourceID(.pool, "vg0/tp1") })
        let sentence = "Other stacks have 3 more: lab (2), test (1). --all-stacks shows them, --stack NAME one of them."
        #expect(survey.othersSentence(of: .volume) == sentence)
        #expect(survey.othersSentence(of: .snapshot) == nil)
        #expect(StatusView(survey).text(Style()).contains("\n\(sentence)\n"))
        #expect(StatusView(survey).document.json.contains("\"otherStacks\": {\n    \"lab\": 2,\n    \"test\": 1\n  }"))
    }

    @Test func allOfThemAreListedWithTheirStacks() {
        let survey = survey(true, all: true)
        #expect(survey.othersSentence() == nil)
        #expect(survey.records(of: .volume).count { $0.id.name.hasPrefix("other") } == 3)
        let lines = GetView(survey.records(of: .volume), of: .volume, showsStacks: true).text(Style())
            .split(separator: "\n").map {
                $0.split(separator: " ", omittingEmptySubsequences: true).prefix(2).map(String.init)
            }
        #expect(lines.first == ["STACK", "NAME"])
        #expect(lines.contains(["lab", "other1"]) && lines.contains(["default", "web-data"]))
        // What is only declared is in none yet.
        #expect(lines.contains(["-", "db-data"]))
    }

    @Test func anotherStackIsLookedAtByItsName() {
        let survey = survey(false, stack: "lab")
        #expect(survey.records(of: .volume).map(\.id.name) == ["other0", "other1"])
        #expect(
            survey.othersSentence(of: .volume)?.hasPrefix("Other stacks have 3 more: default (2), test (1).") == true)
    }
}
