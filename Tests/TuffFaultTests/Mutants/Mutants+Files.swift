import TuffHost
import TuffModel
import TuffPlanning

extension Mutant {
    /// These bend what keeps a file that is not copied to its end from being taken for whole.
    static let files: [Mutant] = [
        Mutant("copies files without the mark of unfinished work") {
            $0.actions = { actions in actions.map(unmarked) }
        },
        Mutant("calls a file complete before it is copied") { mutant in
            mutant.volumeSteps = { steps in
                steps.filter {
                    if case .volume(.fill(let file, _, _)) = $0 { file.location.traits == .lvm } else { true }
                }
            }
        },
    ]

    private static func unmarked(_ action: HostAction) -> HostAction {
        guard case .replaceFile(let path, let text) = action else { return action }
        let mark = "\"tuff:op=\(Marks.copying)\","
        guard let range = text.firstRange(of: mark) else { return action }
        return .replaceFile(path, text.without(range))
    }
}

extension String {
    fileprivate func without(_ range: Range<String.Index>) -> String {
        String(self[..<range.lowerBound] + self[range.upperBound...])
    }
}
