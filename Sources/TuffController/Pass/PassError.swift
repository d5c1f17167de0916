package import TuffModel
import TuffPlanning

/// The end of a pass before its natural end: nothing more was done than is said.
package struct PassError: Error, Hashable, Sendable {
    package enum Sort: Hashable, Sendable {
        case failed
        /// Whoever asked asked for something that there is not, or that contradicts itself.
        case usage
        /// Another process is at work on this host.
        case locked
        /// Whoever oversees the pass asked it to stop, before anything was changed.
        case interrupted
        /// The overseer has said all there is to say.
        case said
    }

    package var sort: Sort
    package var sentence: String
    package var help: String?

    package init(_ sentence: String, help: String? = nil, sort: Sort = .failed) {
        self.sort = sort
        self.sentence = sentence
        self.help = help
    }

    package init(_ error: HostError) { self.init(error.description) }
    init(_ error: OrderError) { self.init(error.sentence, help: error.help) }

    static func usage(_ sentence: String, help: String? = nil) -> PassError {
        PassError(sentence, help: help, sort: .usage)
    }

    static var interrupted: PassError { PassError("interrupted; nothing was changed", sort: .interrupted) }
}

/// Runs `body` and has an error of the machine end the pass.
func passing<Value>(_ body: () throws(HostError) -> Value) throws(PassError) -> Value {
    do throws(HostError) { return try body() } catch { throw PassError(error) }
}
