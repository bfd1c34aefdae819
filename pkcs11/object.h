/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_OBJECT_H
#define KFE_PKCS11_OBJECT_H

/* What is known of one key object, (name, version), for all who hold that key: its handle, the
 * session copy that works faster, the IVs that the token makes. Handles belong to the login that
 * they were found under: an older one may name another object by now, and is never tried. Nor is
 * one of this login used unseen: a token may give the number of an object that is gone to the next
 * one. Any thread. */

#include <pthread.h>
#include <stdatomic.h>

#include <kfe/keys.h>

#include "pkcs11/session.h"

/* How session secrets are wrapped: not known yet, or in form 2, 1 or 3 of docs/format.md. */
typedef enum {
    KFE_P11_FORM_OPEN,
    KFE_P11_FORM_GCM,
    KFE_P11_FORM_RFC3394,
    KFE_P11_FORM_RSA,
} kfe_p11_form;

enum { KFE_P11_KNOWN_MAX = 320 };

/* What opened under the key (known.h), as it stands in records: a message of AES-GCM and a secret
 * that was wrapped in form 1 or 3. Lengths of 0: none yet. */
typedef struct {
    uint8_t message[KFE_P11_KNOWN_MAX]; /* what is bound to it, then the text */
    uint8_t iv[16], tag[16];
    unsigned iv_size;
    size_t aad_size, len;
    uint8_t wrapped[KFE_KEY_WRAPPED_MAX];
    size_t wrapped_len;
} kfe_p11_known;

typedef struct kfe_p11_object {
    struct kfe_p11_object *next; /* under the list's lock */
    atomic_uint refs;            /* the list's own is one of them */
    char name[KFE_NAME_MAX + 1];
    uint32_t version;
    /* What was found out by use: 0 until then, and again for another object. Each by itself. */
    atomic_uint iv_size;
    _Atomic kfe_p11_form form;
    atomic_bool may_encrypt;
    atomic_bool raw_rsa;  /* the token's RSA-OAEP does not do SHA-256 (rsa.h) */
    pthread_mutex_t lock; /* over what follows; not held in a call of the module */
    uint64_t logins;
    CK_OBJECT_HANDLE handle; /* CK_INVALID_HANDLE: to be found */
    CK_OBJECT_HANDLE copy;   /* CK_INVALID_HANDLE: none yet */
    bool no_copy;            /* the token makes none, or none that is as safe */
    unsigned copies;         /* made under this login */
    kfe_p11_known known;     /* outlives a login, as it does no harm to ask for it in vain */
} kfe_p11_object;

typedef struct {
    pthread_mutex_t lock;
    kfe_p11_object *first;
} kfe_p11_objects;

void kfe_p11_objects_init(kfe_p11_objects *objects);
void kfe_p11_objects_wipe(kfe_p11_objects *objects); /* what is in use lives on */

/* The object of that key, with a reference for the caller; NULL: out of memory. */
kfe_p11_object *kfe_p11_object_get(kfe_p11_objects *objects, const char *name, uint32_t version);
/* The same, if it is there; NULL: it is not. */
kfe_p11_object *kfe_p11_object_find(kfe_p11_objects *objects, const char *name, uint32_t version);
kfe_p11_object *kfe_p11_object_ref(kfe_p11_object *object);
void kfe_p11_object_put(kfe_p11_object *object); /* makes no call of the module; NULL is fine */

/* Notes what a search found under that login. Another object than before: what was known is void.
 */
void kfe_p11_object_found(kfe_p11_object *object, uint64_t logins, CK_OBJECT_HANDLE handle);
/* Ends a piece of work that came to `err`, which is returned: a handle that it found to be stale is
 * not used again, one that somebody has found since stays. */
kfe_error kfe_p11_object_end(kfe_p11_object *object, const kfe_p11_session *session, kfe_error err);

/* The handle: one that is known under this login if it still is that key's, by its label and id,
 * which costs a C_GetAttributeValue; else searched for (lookup.h). */
kfe_error kfe_p11_object_handle(kfe_p11_object *object, kfe_p11_session *session,
                                CK_OBJECT_HANDLE *out);
/* The same, or that of a session copy, if there is one. */
kfe_error kfe_p11_object_fast(kfe_p11_object *object, kfe_p11_session *session,
                              CK_OBJECT_HANDLE *out);
/* A session copy is one that C_CopyObject makes with CKA_TOKEN false, as sensitive and as little
 * extractable as the key. It ends with the session that it was made in, under the hands of whoever
 * uses it, so the anchor has it: kfe_p11_object_copy() is work for the control thread. An object
 * that gets none, by the token's word or as the copies of this login were lost, is not one of
 * those that want it. */
bool kfe_p11_object_wants_copy(kfe_p11_object *object);
kfe_error kfe_p11_object_copy(kfe_p11_object *object, kfe_p11_session *session);
/* The token says that the key is gone: so is the copy. */
void kfe_p11_object_destroy_copy(kfe_p11_object *object, kfe_p11_session *session);

#endif
