/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/random.h>

#include "pkcs11/id.h"

enum { VERSION_LEN = 4, DRAWN_LEN = 24 };

static void put_version(uint32_t v, kfe_p11_id *out)
{
    const CK_BYTE bytes[VERSION_LEN] = {(CK_BYTE)(v >> 24), (CK_BYTE)(v >> 16), (CK_BYTE)(v >> 8),
                                        (CK_BYTE)v};
    memcpy(out->bytes, bytes, VERSION_LEN);
    out->len = VERSION_LEN;
}

static void put_name(const char *name, kfe_p11_id *out)
{
    size_t len = strlen(name);
    memcpy(out->bytes + out->len, name, len);
    out->len += len;
}

void kfe_p11_id_of_key(const kfe_key_ref *ref, bool plain, kfe_p11_id *out)
{
    put_version(ref->version, out);
    if (!plain)
        put_name(ref->name, out);
}

void kfe_p11_id_of_state(const kfe_key_ref *ref, kfe_key_state state, kfe_p11_id *out)
{
    put_version(ref->version, out);
    out->bytes[out->len++] = (CK_BYTE)state;
    put_name(ref->name, out);
}

kfe_error kfe_p11_id_draw(kfe_p11_id *out)
{
    if (getrandom(out->bytes, DRAWN_LEN, 0) != DRAWN_LEN)
        return kfe_fail(KFE_E_RANDOM, "getrandom gives no random bytes");
    out->len = DRAWN_LEN;
    return KFE_OK;
}

kfe_p11_id_kind kfe_p11_id_parse(const kfe_p11_id *id, const char *name, uint32_t *version,
                                 kfe_key_state *state)
{
    const CK_BYTE *b = id->bytes;
    const size_t name_len = strlen(name);
    if (id->len < VERSION_LEN || id->len > sizeof(id->bytes))
        return KFE_P11_ID_FOREIGN;
    *version = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    *state = KFE_KEY_ACTIVE;
    const size_t rest = id->len - VERSION_LEN;
    if (*version == 0)
        return KFE_P11_ID_FOREIGN;
    if (rest == 0)
        return KFE_P11_ID_KEY;
    if (rest < name_len || memcmp(b + id->len - name_len, name, name_len) != 0) /* public */
        return KFE_P11_ID_FOREIGN;
    if (rest == name_len)
        return KFE_P11_ID_KEY;
    if (rest != name_len + 1 || b[VERSION_LEN] >= ' ') /* longer, or another name */
        return KFE_P11_ID_FOREIGN;
    *state = (kfe_key_state)b[VERSION_LEN];
    return *state == KFE_KEY_DECRYPT_ONLY || *state == KFE_KEY_DESTROYED ? KFE_P11_ID_MARKER
                                                                         : KFE_P11_ID_DAMAGED;
}
