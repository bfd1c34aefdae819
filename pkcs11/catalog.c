/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "pkcs11/catalog.h"
#include "pkcs11/find.h"
#include "pkcs11/marker.h"

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

static kfe_error add_key(kfe_p11_catalog *catalog, kfe_p11_session *session,
                         CK_OBJECT_HANDLE object)
{
    CK_BYTE label[KFE_NAME_MAX], id[4];
    CK_ATTRIBUTE a[] = {{CKA_LABEL, label, sizeof(label)}, {CKA_ID, id, sizeof(id)}};
    kfe_p11_entry entry = {.state = KFE_KEY_ACTIVE, .key = object, .hits = 1};
    kfe_error err = kfe_p11_read(session, object, a, 2);
    if (err || a[1].ulValueLen != sizeof(id) || !name_of(&a[0], entry.name))
        return err;
    entry.version = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return entry.version == 0 ? KFE_OK : add(catalog, &entry);
}

static kfe_error add_marker(kfe_p11_catalog *catalog, kfe_p11_session *session,
                            CK_OBJECT_HANDLE object)
{
    CK_BYTE label[KFE_NAME_MAX], text[KFE_P11_MARKER_MAX];
    CK_ATTRIBUTE a[] = {{CKA_LABEL, label, sizeof(label)}, {CKA_VALUE, text, sizeof(text)}};
    kfe_p11_entry entry = {.key = CK_INVALID_HANDLE};
    kfe_error err = kfe_p11_read(session, object, a, 2);
    if (err || !name_of(&a[0], entry.name))
        return err;
    if (a[1].ulValueLen > sizeof(text) ||
        !kfe_p11_marker_parse(text, a[1].ulValueLen, &entry.state, &entry.version))
        return kfe_fail(KFE_E_KEY_DENIED,
                        "a state marker of key %.80s is damaged: correct or delete the data object "
                        "with that label and application \"" KFE_P11_MARKER_APPLICATION "\"",
                        entry.name);
    return add(catalog, &entry);
}

typedef kfe_error adder(kfe_p11_catalog *catalog, kfe_p11_session *session,
                        CK_OBJECT_HANDLE object);

/* `more` is one further attribute to ask for (or none, with its pValue NULL). */
static kfe_error add_all(kfe_p11_catalog *catalog, kfe_p11_session *session, CK_OBJECT_CLASS class,
                         CK_ATTRIBUTE more, const char *name, adder *one)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE wanted[5] = {{CKA_CLASS, &class, sizeof(class)},
                              {CKA_TOKEN, &yes, sizeof(yes)},
                              {CKA_PRIVATE, &yes, sizeof(yes)}};
    CK_ULONG n = 3;
    if (more.pValue)
        wanted[n++] = more;
    if (name)
        wanted[n++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)name, strlen(name)};
    kfe_p11_found found;
    kfe_error err = kfe_p11_find(session, wanted, n, &found);
    for (size_t i = 0; !err && i < found.n; i++)
        err = one(catalog, session, found.at[i]);
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

static void merge(kfe_p11_catalog *catalog)
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
        if (into->key == CK_INVALID_HANDLE)
            into->key = from->key;
    }
    catalog->n = last + 1;
}

kfe_error kfe_p11_catalog_load(kfe_p11_catalog *catalog, kfe_p11_session *session, const char *name)
{
    static const char application[] = KFE_P11_MARKER_APPLICATION;
    const CK_ATTRIBUTE marked = {CKA_APPLICATION, (void *)(uintptr_t)application,
                                 sizeof(application) - 1};
    *catalog = (kfe_p11_catalog){NULL, 0, 0};
    /* Keys before markers: a key that is destroyed meanwhile had its marker written first, so it
     * is seen as destroyed, never as unknown. */
    kfe_error err = add_all(catalog, session, CKO_SECRET_KEY, (CK_ATTRIBUTE){0}, name, add_key);
    if (!err)
        err = add_all(catalog, session, CKO_DATA, marked, name, add_marker);
    if (!err)
        err = kfe_p11_session_verify(session);
    if (err) {
        kfe_p11_catalog_wipe(catalog);
        return err;
    }
    merge(catalog);
    return KFE_OK;
}

void kfe_p11_catalog_wipe(kfe_p11_catalog *catalog)
{
    free(catalog->entries);
    *catalog = (kfe_p11_catalog){NULL, 0, 0};
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
