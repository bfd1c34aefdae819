/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_CATALOG_H
#define KFE_PKCS11_CATALOG_H

/* What a token holds under the names that kfe uses: key objects (secret keys, and the private
 * halves of RSA) and state markers together.
 * Only private token objects count: anybody may add public ones. */

#include <kfe/keys.h>

#include "pkcs11/find.h"
#include "pkcs11/session.h"

typedef struct {
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    kfe_key_state state;   /* as the markers say */
    bool plain_id;         /* CKA_ID is the version alone (id.h) */
    CK_OBJECT_CLASS class; /* of that object */
    CK_OBJECT_HANDLE key;  /* CK_INVALID_HANDLE when there is no object */
    unsigned hits;         /* key objects for this name and version: more than 1 is ambiguous */
    char wrong[120];       /* not written here: for who looks closer; "" */
} kfe_p11_entry;

typedef struct {
    kfe_p11_entry *entries; /* by name, then version; one for each (name, version) */
    size_t n, cap;
    bool gone; /* an object was destroyed between being found and being read */
} kfe_p11_catalog;

/* Reads the entries of `name`. Objects that carry no version are
 * not ours and left out. KFE_E_KEY_DENIED: a marker that does not parse. KFE_E_PROVIDER: objects
 * came and went all the time. */
kfe_error kfe_p11_catalog_load(kfe_p11_catalog *catalog, kfe_p11_session *session,
                               const char *name);
/* The same of one name by a single search. A version that is destroyed at that very moment may be
 * missing: no token has to search a snapshot, so it may have passed the marker's place before that
 * was written, and come to the key's when it was gone. Nothing that is there is. */
kfe_error kfe_p11_catalog_glance(kfe_p11_catalog *catalog, kfe_p11_session *session,
                                 const char *name);

/* The parts of it, for who reads all in pieces (survey.h): the classes, in their order; one search,
 * by class and by name unless they are NULL; one object; in the end, entries in order, one for each
 * version. And the error when an object was gone each time: at the KFE_P11_CATALOG_TRIES-th. */
enum { KFE_P11_CATALOG_CLASSES = 3, KFE_P11_CATALOG_TRIES = 8 };
extern const CK_OBJECT_CLASS kfe_p11_catalog_classes[KFE_P11_CATALOG_CLASSES];
kfe_error kfe_p11_catalog_search(kfe_p11_session *session, const CK_OBJECT_CLASS *class,
                                 const char *name, kfe_p11_found *out);
kfe_error kfe_p11_catalog_add(kfe_p11_catalog *catalog, kfe_p11_session *session,
                              CK_OBJECT_HANDLE object);
void kfe_p11_catalog_merge(kfe_p11_catalog *catalog);
kfe_error kfe_p11_catalog_restless(void); /* KFE_E_PROVIDER */

void kfe_p11_catalog_wipe(kfe_p11_catalog *catalog);

/* For a catalog of one name. NULL: no such version. */
const kfe_p11_entry *kfe_p11_catalog_version(const kfe_p11_catalog *catalog, uint32_t version);
/* The highest version that is active and has a key; NULL: none. */
const kfe_p11_entry *kfe_p11_catalog_current(const kfe_p11_catalog *catalog);
/* The highest version ever used, destroyed ones included; 0: none. */
uint32_t kfe_p11_catalog_last(const kfe_p11_catalog *catalog);

#endif
