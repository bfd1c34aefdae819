/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the backends that can run on this CPU, best first, and behind a colon the one that is
 * taken, which must also seal and open a message. Exit 1 with the reason when none is. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <kfe/gcm.h>
#include <kfe/kfe.h>

static kfe_error use(kfe_gcm_key *key)
{
    static const uint8_t nonce[12], in[100];
    uint8_t sealed[100], opened[100], tag[16];
    kfe_gcm_op op = {.key = key, .nonce = nonce, .in = in, .out = sealed, .tag = tag, .len = 100};
    kfe_error err = kfe_gcm_seal(&op, 1);
    op.in = sealed;
    op.out = opened;
    if (!err)
        err = kfe_gcm_open(&op, 1, NULL);
    return err || memcmp(in, opened, sizeof(in)) == 0 ? err : KFE_E_BACKEND;
}

int main(void)
{
    static const uint8_t bytes[32];
    kfe_gcm_key *key = NULL;
    for (const char *const *name = kfe_backends(); *name != NULL; name++)
        printf("%s ", *name);
    kfe_error err = kfe_gcm_key_new(&key, bytes, sizeof(bytes), NULL);
    if (!err)
        err = use(key);
    if (err) {
        printf(": %s: %s\n", kfe_error_name(err), kfe_error_detail());
        return 1;
    }
    printf(": %s\n", kfe_gcm_key_backend(key));
    kfe_gcm_key_free(key);
    return 0;
}
