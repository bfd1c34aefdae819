/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a key file. What is read is written, read again and written again: the two texts must
 * be the same. The `sealed` part of a key file is read too, but not opened: scrypt is slow. */
#include <stdlib.h>
#include <string.h>

#include "engine/keystore.h"
#include "engine/secret.h"
#include "tests/fuzz/fuzz.h"

static void check(const kfe_keystore *store)
{
    for (size_t i = 0; i < store->n; i++) {
        const kfe_keystore_key *key = &store->keys[i];
        fuzz_want(kfe_key_name_check(key->name) == KFE_OK && key->version > 0, "a bad name");
        fuzz_want((key->state == KFE_KEY_DESTROYED) == (key->master == NULL),
                  "a destroyed key that is there, or one missing");
        fuzz_want(key->master == NULL || kfe_master_alive(key->master), "a dead master key");
        fuzz_want(kfe_keystore_find(store, key->name, key->version) == key, "not found again");
    }
}

static void write_again(const kfe_keystore *store)
{
    char *first = NULL, *second = NULL;
    size_t first_len = 0, second_len = 0;
    kfe_keystore *again = NULL;
    fuzz_want(kfe_keystore_write(store, &first, &first_len) == KFE_OK, "cannot be written");
    fuzz_want(kfe_keystore_read(&again, first, first_len) == KFE_OK, "cannot be read again");
    fuzz_want(kfe_keystore_write(again, &second, &second_len) == KFE_OK, "cannot be written again");
    fuzz_want(first_len == second_len && memcmp(first, second, first_len) == 0,
              "written again, it is another text");
    kfe_keystore_free(again);
    kfe_secret_text_free(first);
    kfe_secret_text_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    static const char nothing[1];
    if (size == 0)
        text = nothing;
    kfe_keystore *store = NULL;
    kfe_error err = kfe_keystore_read(&store, text, size);
    if (err == KFE_OK) {
        check(store);
        write_again(store);
        kfe_keystore_free(store);
    } else {
        fuzz_want(err == KFE_E_CONFIG, "an error that is not KFE_E_CONFIG");
    }
    kfe_json json = kfe_json_begin(text, size);
    kfe_keyseal_box box;
    err = kfe_keyseal_read(&json, &box);
    fuzz_want(err == KFE_OK || err == KFE_E_CONFIG, "a sealed part: another error");
    if (err == KFE_OK)
        fuzz_want(box.params.log2_n <= 20 && box.params.r <= 32 && box.params.p <= 16 &&
                      ((uint64_t)box.params.r << box.params.log2_n) * 128 <= 256u << 20,
                  "scrypt parameters out of bounds");
    return 0;
}
