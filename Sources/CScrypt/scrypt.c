#include "CScrypt.h"

/* BoringSSL's function (evp.h), as swift-crypto links it into every program that imports Crypto. Its Swift interface is
 * in CryptoExtras, which brings RSA, elliptic curves, ASN.1 and more with it: 1 MB of a program that wants this alone.
 * If a later swift-crypto names it otherwise, the program does not link. */
extern int CCryptoBoringSSL_EVP_PBE_scrypt(const char *password, size_t password_length, const uint8_t *salt,
                                           size_t salt_length, uint64_t n, uint64_t r, uint64_t p, size_t max_memory,
                                           uint8_t *key, size_t key_length);

enum { BLOCK_SIZE = 8, PARALLELISM = 1, ONE_ROUND = 128 * BLOCK_SIZE, SMALL_PARTS = 4096 };

int tuff_scrypt(const uint8_t *secret, size_t secret_length, const uint8_t *salt, size_t salt_length, uint64_t n,
                uint8_t *key, size_t key_length) {
    if (n > (SIZE_MAX - SMALL_PARTS) / ONE_ROUND) return 0;
    return CCryptoBoringSSL_EVP_PBE_scrypt((const char *)secret, secret_length, salt, salt_length, n, BLOCK_SIZE,
                                           PARALLELISM, n * ONE_ROUND + SMALL_PARTS, key, key_length) == 1;
}
