import TuffModel

/// Which secrets prove initiators, and which prove targets. One that does both proves nothing: whoever may be asked for
/// it hands out the answer to the other's challenge (RFC 7143 section 9.2.1), and initiators refuse to log in.
/// Fingerprints tell that two files hold the same.
struct SecretUses {
    /// The attachment that comes first, by fingerprint.
    private var initiators: [SecretFingerprint: String] = [:]
    private var targets: [SecretFingerprint: String] = [:]

    init() {}

    init(_ desired: DesiredState, _ observed: ObservedState) {
        let names = desired.attachments.filter { $0.value.spec.chap != nil }.keys.sorted()
        for name in names {
            guard let chap = desired.attachments[name]?.spec.chap else { continue }
            func note(_ secret: SecretReference, _ uses: inout [SecretFingerprint: String]) {
                guard case .known(let fingerprint?) = observed.secrets[secret.file], uses[fingerprint] == nil else {
                    return
                }
                uses[fingerprint] = name
            }
            note(chap.initiator.password, &initiators)
            if let mutual = chap.mutual { note(mutual.password, &targets) }
        }
    }

    /// Why an attachment's secrets cannot be used, and which of its fields says so.
    func obstacle(
        _ name: String, chap: CHAPSpec, password: SecretFingerprint, mutual: SecretFingerprint?
    ) -> (sentence: String, isMutual: Bool)? {
        // Nothing is declared at boot, where what was accepted is served.
        guard !initiators.isEmpty else { return nil }
        if let mutual {
            if mutual == password {
                return (
                    "\(chap.mutual?.password.file ?? "") and \(chap.initiator.password.file) hold the same secret: \(Self.rule)",
                    true
                )
            }
            if let other = initiators[mutual] {
                return (
                    "\(chap.mutual?.password.file ?? "") holds the secret by which attachment '\(other)' lets its initiator in: "
                        + Self.rule, true
                )
            }
        }
        guard let other = targets[password], other != name else { return nil }
        return (
            "\(chap.initiator.password.file) holds the secret by which attachment '\(other)' lets the target prove itself: "
                + Self.rule, false
        )
    }

    private static let rule =
        "a secret proves the initiator or the target and never both (RFC 7143 9.2.1), and initiators refuse that; put "
        + "another secret into one of the files"

    /// Warnings about a secret that is used all the same.
    static func notes(_ credential: CHAPCredential, _ fingerprint: SecretFingerprint) -> [String] {
        var notes: [String] = []
        let file = credential.password.file
        if fingerprint.traits.contains(.short) {
            notes.append(
                "the secret in \(file) has less than 12 bytes, which can be guessed from one login that somebody listened to "
                    + "(RFC 7143 9.2.1), and some initiators refuse it")
        }
        if fingerprint.traits.contains(.endsWithBlank) {
            notes.append(
                "the secret in \(file) ends with a blank, which initiators' configuration files cut off: they will not log in "
                    + "unless it is in quotes there")
        }
        return notes
    }

    /// Why the kernel does not take a secret; nil: it does.
    static func fault(_ credential: CHAPCredential, _ fingerprint: SecretFingerprint) -> String? {
        fingerprint.traits.contains(.tooLong)
            ? "the secret in \(credential.password.file) has more than 255 bytes, the most that the kernel's target takes"
            : nil
    }
}
