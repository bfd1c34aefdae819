/* SPDX-License-Identifier: Apache-2.0 */

/* Needs libkfe alone: seals a message by <kfe/gcm.h> and opens it. */

#include <string.h>

#include <kfe/gcm.h>
#include <kfe/kfe.h>

int main(void)
{
    static const uint8_t raw[16] = {1, 2, 3}, nonce[12] = {4, 5, 6};
    uint8_t text[] = "two teapots", tag[16];
    kfe_gcm_key *key = NULL;
    if (kfe_version()[0] == '\0' || kfe_gcm_key_new(&key, raw, sizeof(raw), NULL))
        return 1;
    const kfe_gcm_op op = {
        .key = key, .nonce = nonce, .in = text, .out = text, .len = sizeof(text), .tag = tag};
    int failed = kfe_gcm_seal(&op, 1) || memcmp(text, "two teapots", sizeof(text)) == 0 ||
                 kfe_gcm_open(&op, 1, NULL) || memcmp(text, "two teapots", sizeof(text)) != 0;
    kfe_gcm_key_free(key);
    return failed;
}
