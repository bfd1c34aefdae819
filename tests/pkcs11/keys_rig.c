/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tests/pkcs11/keys_rig.h"

/* What get_key (version 0: get_current_key) says; releases the key. */
kfe_error keys_look(kfe_key_provider *p, const char *name, uint32_t version, kfe_key_state *state,
                    uint32_t *got)
{
    kfe_key *key = NULL;
    const kfe_key_ref ref = {name, version};
    kfe_error err =
        version ? p->ops->get_key(p, &ref, &key) : p->ops->get_current_key(p, name, &key);
    if (err) {
        assert_null(key);
        return err;
    }
    if (state)
        *state = key->state;
    if (got)
        *got = key->version;
    key->ops->release(key);
    return KFE_OK;
}

kfe_error keys_set_state(kfe_key_provider *p, const char *name, uint32_t version,
                         kfe_key_state state)
{
    const kfe_key_ref ref = {name, version};
    return p->ops->set_state(p, &ref, state);
}

uint32_t keys_current(kfe_key_provider *p, const char *name)
{
    uint32_t version = 0;
    assert_int_equal(keys_look(p, name, 0, NULL, &version), KFE_OK);
    return version;
}

void keys_assert_detail(const char *part)
{
    if (!strstr(kfe_error_detail(), part))
        fail_msg("\"%s\" is not in: %s", part, kfe_error_detail());
}

/* One line for each key: "name version state where". */
static kfe_error write_line(void *arg, const kfe_key_info *key)
{
    char *text = arg;
    size_t len = strlen(text);
    assert_int_equal(key->size, sizeof(*key));
    snprintf(text + len, 4096 - len, "%s %u %d %s\n", key->name, key->version, (int)key->state,
             key->where ? strstr(key->where, "id=") : "-");
    return KFE_OK;
}

void keys_assert_list(kfe_key_provider *p, const char *expected)
{
    char text[4096] = "";
    assert_int_equal(p->ops->list(p, write_line, text), KFE_OK);
    assert_string_equal(text, expected);
}

/* What the token itself holds under that label, behind the provider's back. Keys may sign; markers
 * of states are data, or keys that may not. */
static unsigned count(CK_OBJECT_CLASS class, CK_BBOOL sign, const char *label)
{
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                        {CKA_SIGN, &sign, sizeof(sign)}};
    CK_OBJECT_HANDLE found[16];
    CK_ULONG n = 0;
    raw_token raw;
    raw_open(&raw);
    assert_int_equal(raw.calls->C_FindObjectsInit(raw.session, a, class == CKO_SECRET_KEY ? 3 : 2),
                     CKR_OK);
    assert_int_equal(raw.calls->C_FindObjects(raw.session, found, 16, &n), CKR_OK);
    assert_int_equal(raw.calls->C_FindObjectsFinal(raw.session), CKR_OK);
    raw_close(&raw);
    return (unsigned)n;
}

unsigned keys_count(const char *label)
{
    return count(CKO_SECRET_KEY, CK_TRUE, label);
}

unsigned keys_markers(const char *label)
{
    return count(CKO_SECRET_KEY, CK_FALSE, label) + count(CKO_DATA, CK_FALSE, label);
}
