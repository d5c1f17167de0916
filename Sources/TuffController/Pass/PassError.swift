package import TuffModel
import TuffPlanning

/// An error that ends a pass. Its sentence says what was done, if anything was.
package struct PassError: Error, Hashable, Sendable {
    package enum Sort: Hashable, Sendable {
        case failed
        /// The request names something that does not exist, or contradicts itself.
        case usage
        /// Another process holds the host lock.
        case locked
        /// The overseer asked the pass to stop before anything was changed.
        case interrupted
        /// The overseer has reported the reason already.
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

/// Runs `body` and turns an error of the machine into one that ends the pass.
func passing<Value>(_ body: () throws(HostError) -> Value) throws(PassError) -> Value {
    do throws(HostError) { return try body() } catch { throw PassError(error) }
}
