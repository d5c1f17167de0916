/// A rule of a contract suite that did not hold. Contract suites are no tests themselves: tests run them against the
/// fake machine and against the real one, so that what is proven on the fake is true.
package struct ContractViolation: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// Throws unless `holds`, with `sentence` saying what was expected.
func expect(_ holds: Bool, _ sentence: @autoclosure () -> String) throws(ContractViolation) {
    if !holds { throw ContractViolation(sentence()) }
}
