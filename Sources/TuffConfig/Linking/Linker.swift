import TuffModel

/// What must hold between documents.
enum Linker {
    static func check(_ set: DocumentSet) -> [Diagnostic] { [] }
}
