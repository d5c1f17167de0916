/// The path of the package without a slash at its end: the folder of `docs`, `schemas`, `Sources` and `Tests`.
package let packageRoot = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

/// The folder of the test target that a source file belongs to, in whichever room of it the file lies.
///
/// - Parameter file: the `#filePath` of the test.
package func testTarget(of file: String) -> String {
    packageRoot + file.dropFirst(packageRoot.utf8.count).split(separator: "/").prefix(2).map { "/\($0)" }.joined()
}
