import CScrypt
import Testing

@Suite("Keys are derived by the scrypt of RFC 7914")
struct ScryptTests {
    private func derive(_ secret: String, _ salt: String, n: UInt64, count: Int) -> [UInt8]? {
        let secret = Array(secret.utf8), salt = Array(salt.utf8)
        var key = [UInt8](repeating: 0, count: count)
        return tuff_scrypt(secret, secret.count, salt, salt.count, n, &key, count) == 1 ? key : nil
    }

    /// The one vector of section 12 with r = 8 and p = 1.
    @Test func itAgreesWithTheVectorOfTheStandard() {
        let expected: [UInt8] = [
            0x70, 0x23, 0xbd, 0xcb, 0x3a, 0xfd, 0x73, 0x48, 0x46, 0x1c, 0x06, 0xcd, 0x81, 0xfd, 0x38, 0xeb,
            0xfd, 0xa8, 0xfb, 0xba, 0x90, 0x4f, 0x8e, 0x3e, 0xa9, 0xb5, 0x43, 0xf6, 0x54, 0x5d, 0xa1, 0xf2,
            0xd5, 0x43, 0x29, 0x55, 0x61, 0x3f, 0x0f, 0xcf, 0x62, 0xd4, 0x97, 0x05, 0x24, 0x2a, 0x9a, 0xf9,
            0xe6, 0x1e, 0x85, 0xdc, 0x0d, 0x65, 0x1e, 0x40, 0xdf, 0xcf, 0x01, 0x7b, 0x45, 0x57, 0x58, 0x87,
        ]
        #expect(derive("pleaseletmein", "SodiumChloride", n: 16384, count: 64) == expected)
    }

    @Test(arguments: [0, 1, 3, 16383, UInt64.max] as [UInt64])
    func roundsThatAreNoPowerOfTwoAreRefused(n: UInt64) {
        #expect(derive("secret", "salt", n: n, count: 32) == nil)
    }
}
