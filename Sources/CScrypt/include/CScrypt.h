#ifndef CSCRYPT_H
#define CSCRYPT_H

#include <stddef.h>
#include <stdint.h>

/* scrypt (RFC 7914) with r = 8 and p = 1: fills KEY from a secret and a salt by N rounds, a power of two, within
 * 1 KiB of memory for each round. Returns 1, or 0 where memory is short or N is none that scrypt has. */
int tuff_scrypt(const uint8_t *secret, size_t secret_length, const uint8_t *salt, size_t salt_length, uint64_t n,
                uint8_t *key, size_t key_length);

#endif
