import TuffModel

/// One volume's export as it should be.
struct DesiredExport {
    struct Access {
        var initiator: String
        var readOnly: Bool
        /// Which attachment this is.
        var mark: AccessMark
        var chap: CHAPCredentials?
        /// Fingerprints the written secrets will have.
        var password: SecretFingerprint?
        var mutualPassword: SecretFingerprint?
    }

    var iqn: String
    var lun: Int
    var backstore: BackstoreSpec
    /// Of the volume's device while it is there.
    var device: DeviceNumber?
    var portals: [Portal]
    var access: Access
}
