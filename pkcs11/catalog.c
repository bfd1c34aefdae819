/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "pkcs11/catalog.h"
#include "pkcs11/find.h"
#include "pkcs11/id.h"
#include "pkcs11/marker.h"

/* Keys before markers: a key that is destroyed meanwhile had its marker written first, so it is
 * seen as destroyed, never as unknown. */
const CK_OBJECT_CLASS kfe_p11_catalog_classes[KFE_P11_CATALOG_CLASSES] = {
    CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_DATA};

static kfe_error add(kfe_p11_catalog *catalog, const kfe_p11_entry *entry)
{
    if (catalog->n == catalog->cap) {
        size_t cap = catalog->cap ? catalog->cap * 2 : 16;
        kfe_p11_entry *more = realloc(catalog->entries, cap * sizeof(*more));
        if (!more)
            return kfe_fail(KFE_E_MEMORY, "no memory for a list of keys");
        catalog->entries = more;
        catalog->cap = cap;
    }
    catalog->entries[catalog->n++] = *entry;
    return KFE_OK;
}

/* False for a label that no key of ours can have. */
static bool name_of(const CK_ATTRIBUTE *label, char out[KFE_NAME_MAX + 1])
{
    if (label->ulValueLen == 0 || label->ulValueLen > KFE_NAME_MAX ||
        memchr(label->pValue, 0, label->ulValueLen))
        return false;
    memcpy(out, label->pValue, label->ulValueLen);
    out[label->ulValueLen] = '\0';
    return kfe_key_name_check(out) == KFE_OK;
}

static kfe_error damaged(const char *name, const char *what)
{
    return kfe_fail(KFE_E_KEY_DENIED,
                    "a state marker of key %.80s is damaged: correct or delete the %s", name, what);
}

/* A key, or a marker that is an object like a key. */
static kfe_error add_key(kfe_p11_catalog *catalog, const kfe_p11_id *id, kfe_p11_entry *entry)
{
    entry->plain_id = id->len == sizeof(entry->version);
    switch (kfe_p11_id_parse(id, entry->name, &entry->version, &entry->state)) {
    case KFE_P11_ID_FOREIGN:
        return KFE_OK;
    case KFE_P11_ID_DAMAGED:
        return damaged(entry->name, "secret key with that label and no such state in its CKA_ID");
    case KFE_P11_ID_MARKER:
        entry->key = CK_INVALID_HANDLE;
        entry->hits = 0;
        break;
    case KFE_P11_ID_KEY:
        break;
    }
    return add(catalog, entry);
}

static kfe_error add_data(kfe_p11_catalog *catalog, kfe_p11_session *session, kfe_p11_entry *entry)
{
    static const char ours[] = KFE_P11_MARKER_APPLICATION;
    CK_BYTE application[sizeof(ours) - 1], text[KFE_P11_MARKER_MAX];
    CK_ATTRIBUTE a[] = {{CKA_APPLICATION, application, sizeof(application)},
                        {CKA_VALUE, text, sizeof(text)}};
    kfe_error err = kfe_p11_read(session, entry->key, a, 2);
    if (err || a[0].ulValueLen != sizeof(application) ||
        memcmp(application, ours, sizeof(application)) != 0) /* public */
        return err;
    if (a[1].ulValueLen > sizeof(text) ||
        !kfe_p11_marker_parse(text, a[1].ulValueLen, &entry->state, &entry->version))
        return damaged(entry->name, "data object with that label and application "
                                    "\"" KFE_P11_MARKER_APPLICATION "\"");
    entry->key = CK_INVALID_HANDLE;
    entry->hits = 0;
    return add(catalog, entry);
}

/* What every object has stands first: it is known, too, when a token ends at what one lacks. */
kfe_error kfe_p11_catalog_add(kfe_p11_catalog *catalog, kfe_p11_session *session,
                              CK_OBJECT_HANDLE object)
{
    CK_BYTE label[KFE_NAME_MAX];
    CK_KEY_TYPE type = CKK_VENDOR_DEFINED;
    kfe_p11_id id;
    kfe_p11_entry entry = {.state = KFE_KEY_ACTIVE, .key = object, .hits = 1};
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &entry.class, sizeof(entry.class)},
                        {CKA_LABEL, label, sizeof(label)},
                        {CKA_ID, id.bytes, sizeof(id.bytes)},
                        {CKA_KEY_TYPE, &type, sizeof(type)}};
    kfe_error err = kfe_p11_read(session, object, a, sizeof(a) / sizeof(a[0]));
    if (err)
        return err;
    bool gone = a[0].ulValueLen != sizeof(entry.class);
    catalog->gone |= gone;
    if (gone || !name_of(&a[1], entry.name))
        return KFE_OK;
    if (entry.class == CKO_DATA)
        return add_data(catalog, session, &entry);
    id.len = a[2].ulValueLen;
    bool key = entry.class == CKO_SECRET_KEY || (entry.class == CKO_PRIVATE_KEY && type == CKK_RSA);
    return key && id.len <= sizeof(id.bytes) ? add_key(catalog, &id, &entry) : KFE_OK;
}

/* `class` NULL: of any. The standard keeps those that it added later (hardware features,
 * mechanisms) from who does not name them. */
kfe_error kfe_p11_catalog_search(kfe_p11_session *session, const CK_OBJECT_CLASS *class,
                                 const char *name, kfe_p11_found *out)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE wanted[4] = {{CKA_TOKEN, &yes, sizeof(yes)}, {CKA_PRIVATE, &yes, sizeof(yes)}};
    CK_ULONG n = 2;
    if (class)
        wanted[n++] = (CK_ATTRIBUTE){CKA_CLASS, (void *)(uintptr_t) class, sizeof(*class)};
    if (name)
        wanted[n++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)name, strlen(name)};
    return kfe_p11_find(session, wanted, n, out);
}

static kfe_error add_all(kfe_p11_catalog *catalog, kfe_p11_session *session,
                         const CK_OBJECT_CLASS *class, const char *name)
{
    kfe_p11_found found;
    kfe_error err = kfe_p11_catalog_search(session, class, name, &found);
    for (size_t i = 0; !err && i < found.n; i++)
        err = kfe_p11_catalog_add(catalog, session, found.at[i]);
    free(found.at);
    return err;
}

static int order(const void *a, const void *b)
{
    const kfe_p11_entry *x = a, *y = b;
    int names = strcmp(x->name, y->name);
    if (names != 0)
        return names;
    return x->version < y->version ? -1 : x->version > y->version;
}

void kfe_p11_catalog_merge(kfe_p11_catalog *catalog)
{
    size_t last = 0;
    if (catalog->n == 0)
        return;
    qsort(catalog->entries, catalog->n, sizeof(catalog->entries[0]), order);
    for (size_t i = 1; i < catalog->n; i++) {
        kfe_p11_entry *into = &catalog->entries[last], *from = &catalog->entries[i];
        if (order(into, from) != 0) {
            catalog->entries[++last] = *from;
            continue;
        }
        into->hits += from->hits;
        if (from->state > into->state)
            into->state = from->state;
        if (into->key == CK_INVALID_HANDLE) {
            into->key = from->key;
            into->class = from->class;
            into->plain_id = from->plain_id;
        }
    }
    catalog->n = last + 1;
}

kfe_error kfe_p11_catalog_restless(void)
{
    return kfe_fail(KFE_E_PROVIDER, "keys are destroyed faster than the token lists them");
}

static kfe_error by_class(kfe_p11_catalog *catalog, kfe_p11_session *session, const char *name)
{
    kfe_error err = KFE_OK;
    for (size_t i = 0; !err && i < KFE_P11_CATALOG_CLASSES; i++)
        err = add_all(catalog, session, &kfe_p11_catalog_classes[i], name);
    return err;
}

static kfe_error at_once(kfe_p11_catalog *catalog, kfe_p11_session *session, const char *name)
{
    return add_all(catalog, session, NULL, name);
}

typedef kfe_error reader(kfe_p11_catalog *catalog, kfe_p11_session *session, const char *name);

static kfe_error read_all(kfe_p11_catalog *catalog, kfe_p11_session *session, const char *name,
                          reader *read)
{
    for (int tries = 0; tries < KFE_P11_CATALOG_TRIES; tries++) {
        *catalog = (kfe_p11_catalog){NULL, 0, 0, false};
        kfe_error err = read(catalog, session, name);
        if (!err)
            err = kfe_p11_session_verify(session);
        if (!err && !catalog->gone) {
            kfe_p11_catalog_merge(catalog);
            return KFE_OK;
        }
        /* The marker of what is gone may be one that the search was too early for. */
        kfe_p11_catalog_wipe(catalog);
        if (err)
            return err;
    }
    return kfe_p11_catalog_restless();
}

kfe_error kfe_p11_catalog_load(kfe_p11_catalog *catalog, kfe_p11_session *session, const char *name)
{
    return read_all(catalog, session, name, by_class);
}

kfe_error kfe_p11_catalog_glance(kfe_p11_catalog *catalog, kfe_p11_session *session,
                                 const char *name)
{
    return read_all(catalog, session, name, at_once);
}

void kfe_p11_catalog_wipe(kfe_p11_catalog *catalog)
{
    free(catalog->entries);
    *catalog = (kfe_p11_catalog){NULL, 0, 0, false};
}

const kfe_p11_entry *kfe_p11_catalog_version(const kfe_p11_catalog *catalog, uint32_t version)
{
    for (size_t i = 0; i < catalog->n; i++) {
        if (catalog->entries[i].version == version)
            return &catalog->entries[i];
    }
    return NULL;
}

const kfe_p11_entry *kfe_p11_catalog_current(const kfe_p11_catalog *catalog)
{
    for (size_t i = catalog->n; i > 0; i--) {
        const kfe_p11_entry *entry = &catalog->entries[i - 1];
        if (entry->state == KFE_KEY_ACTIVE && entry->hits > 0)
            return entry;
    }
    return NULL;
}

uint32_t kfe_p11_catalog_last(const kfe_p11_catalog *catalog)
{
    return catalog->n == 0 ? 0 : catalog->entries[catalog->n - 1].version;
}
