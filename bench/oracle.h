/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ORACLE_H
#define BENCH_ORACLE_H

/* What AES-GCM makes of a message, by OpenSSL in the plainest way. */

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *key;
    size_t key_len;
    const uint8_t *nonce, *aad;
    size_t aad_len;
} oracle_call;

/* End the program where OpenSSL cannot. */
void oracle_seal(const oracle_call *call, const uint8_t *in, size_t len, uint8_t *out,
                 uint8_t *tag);
/* The text of which `in` is the sealed one, and the tag that belongs to it. */
void oracle_unseal(const oracle_call *call, const uint8_t *in, size_t len, uint8_t *out,
                   uint8_t *tag);

#endif
