package import TuffController
package import TuffReconcile

/// Exit codes of the command line's contract. A name for each, so that no number stands alone in code.
package enum ExitStatus {
    package static let done: Int32 = 0
    package static let failed: Int32 = 1
    package static let changesPending: Int32 = 2
    package static let partly: Int32 = 3
    package static let repositoryMissing: Int32 = 10
    package static let locked: Int32 = 11
    package static let wrongKey: Int32 = 12
    package static let usage: Int32 = 64
    package static let interrupted: Int32 = 130
}

/// The end of a command before its natural end: an exit code and what is said about it on standard error.
package struct Failure: Error, Equatable {
    package var code: Int32
    /// Nil: everything has been said already.
    package var message: String?
    package var help: String?

    package init(_ message: String?, help: String? = nil, code: Int32 = ExitStatus.failed) {
        self.message = message
        self.help = help
        self.code = code
    }

    package static func usage(_ message: String, help: String? = nil) -> Failure {
        Failure(message, help: help, code: ExitStatus.usage)
    }

    package func text(_ style: Style) -> String {
        guard let message else { return "" }
        return style.paint("error:", .red) + " \(message)\n" + (help.map { "  help: \($0)\n" } ?? "")
    }
}

extension ExitStatus {
    package static func of(_ outcome: ApplyReport.Outcome) -> Int32 {
        switch outcome {
        case .converged: done
        case .failed: failed
        case .partly: partly
        case .interrupted: interrupted
        }
    }
}

extension Failure {
    package init(_ error: PassError) {
        switch error.sort {
        case .failed: self.init(error.sentence, help: error.help)
        case .usage: self.init(error.sentence, help: error.help, code: ExitStatus.usage)
        case .locked: self.init(error.sentence, help: error.help, code: ExitStatus.locked)
        case .interrupted: self.init(error.sentence, help: error.help, code: ExitStatus.interrupted)
        case .said: self.init(nil)
        }
    }
}

extension Failure {
    package init(_ error: BackupError) {
        let code =
            switch error.sort {
            case .failed: ExitStatus.failed
            case .usage: ExitStatus.usage
            case .missing: ExitStatus.repositoryMissing
            case .wrongKey: ExitStatus.wrongKey
            case .locked: ExitStatus.locked
            case .interrupted: ExitStatus.interrupted
            }
        self.init(error.sentence, help: error.help, code: code)
    }
}
