/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11/lookup.h"

kfe_error kfe_p11_ambiguous(const kfe_p11_entry *entry)
{
    return kfe_fail(KFE_E_KEY_DENIED,
                    "key %.80s@%lu is ambiguous: %u key objects have CKA_LABEL %.80s and that "
                    "version in CKA_ID, delete all but the right one",
                    entry->name, (unsigned long)entry->version, entry->hits, entry->name);
}

static kfe_error choose_current(const kfe_p11_catalog *catalog, const char *name,
                                const kfe_p11_entry **out)
{
    *out = kfe_p11_catalog_current(catalog);
    if (*out)
        return KFE_OK;
    if (catalog->n == 0)
        return kfe_fail(
            KFE_E_KEY_UNKNOWN,
            "the token has no private key object with label %.100s: make it by `kfe keys "
            "create`, or look for its name in `kfe keys list`",
            name);
    for (size_t i = 0; i < catalog->n; i++) {
        if (catalog->entries[i].state != KFE_KEY_DESTROYED)
            return kfe_fail(KFE_E_KEY_DENIED,
                            "every version of key %.150s is retired: make a new "
                            "one by `kfe keys rotate`",
                            name);
    }
    return kfe_fail(
        KFE_E_KEY_DESTROYED,
        "every version of key %.150s was destroyed: make a new one by `kfe keys rotate`", name);
}

static kfe_error choose_version(const kfe_p11_catalog *catalog, const kfe_key_ref *ref,
                                const kfe_p11_entry **out)
{
    unsigned long version = ref->version;
    *out = kfe_p11_catalog_version(catalog, ref->version);
    if (*out && (*out)->state == KFE_KEY_DESTROYED)
        return kfe_fail(KFE_E_KEY_DESTROYED, "key %.150s@%lu was destroyed", ref->name, version);
    if (!*out || (*out)->hits == 0)
        return kfe_fail(KFE_E_KEY_UNKNOWN,
                        "the token has no private key object with label %.150s and id %08lx",
                        ref->name, version);
    return KFE_OK;
}

/* Among the versions of ref->name. */
static kfe_error choose(const kfe_p11_catalog *catalog, const kfe_key_ref *ref, kfe_p11_entry *out)
{
    const kfe_p11_entry *entry = NULL;
    kfe_error err = ref->version == 0 ? choose_current(catalog, ref->name, &entry)
                                      : choose_version(catalog, ref, &entry);
    if (!err && entry->hits > 1)
        err = kfe_p11_ambiguous(entry);
    if (!err)
        *out = *entry;
    return err;
}

typedef kfe_error loader(kfe_p11_catalog *catalog, kfe_p11_session *session, const char *name);

static kfe_error look(kfe_p11_session *session, const kfe_key_ref *ref, loader *load,
                      kfe_p11_entry *out)
{
    kfe_p11_catalog catalog;
    kfe_error err = load(&catalog, session, ref->name);
    if (err)
        return err;
    err = choose(&catalog, ref, out);
    kfe_p11_catalog_wipe(&catalog);
    return err;
}

kfe_error kfe_p11_lookup(kfe_p11_session *session, const kfe_key_ref *ref, bool expected,
                         kfe_p11_entry *out, kfe_p11_use *use)
{
    kfe_error err = look(session, ref, kfe_p11_catalog_glance, out);
    if (err == KFE_E_KEY_UNKNOWN && expected)
        err = look(session, ref, kfe_p11_catalog_load, out);
    if (err)
        return err;
    const kfe_key_ref exact = {out->name, out->version};
    return kfe_p11_secretkey_look(session, out->key, &exact, use);
}
