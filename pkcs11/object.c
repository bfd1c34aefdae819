/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/ckr.h"
#include "pkcs11/find.h"
#include "pkcs11/id.h"
#include "pkcs11/lookup.h"
#include "pkcs11/object.h"

enum { OBJECTS_KEPT = 1024, COPIES_MAX = 8 };

void kfe_p11_objects_init(kfe_p11_objects *objects)
{
    pthread_mutex_init(&objects->lock, NULL);
    objects->first = NULL;
}

kfe_p11_object *kfe_p11_object_ref(kfe_p11_object *object)
{
    atomic_fetch_add(&object->refs, 1);
    return object;
}

void kfe_p11_object_put(kfe_p11_object *object)
{
    if (!object || atomic_fetch_sub(&object->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&object->lock);
    free(object);
}

void kfe_p11_objects_wipe(kfe_p11_objects *objects)
{
    while (objects->first) {
        kfe_p11_object *object = objects->first;
        objects->first = object->next;
        kfe_p11_object_put(object);
    }
    pthread_mutex_destroy(&objects->lock);
}

/* The oldest ones that nobody has stand last. */
static void drop_surplus(kfe_p11_objects *objects)
{
    size_t n = 0;
    kfe_p11_object **last = NULL;
    for (kfe_p11_object **at = &objects->first; *at; at = &(*at)->next, n++)
        if (atomic_load(&(*at)->refs) == 1)
            last = at;
    if (n < OBJECTS_KEPT || !last)
        return;
    kfe_p11_object *object = *last;
    *last = object->next;
    kfe_p11_object_put(object);
}

static kfe_p11_object *add(kfe_p11_objects *objects, const char *name, uint32_t version)
{
    kfe_p11_object *object = calloc(1, sizeof(*object));
    if (!object)
        return NULL;
    drop_surplus(objects);
    snprintf(object->name, sizeof(object->name), "%s", name);
    object->version = version;
    atomic_init(&object->refs, 1);
    pthread_mutex_init(&object->lock, NULL);
    object->handle = object->copy = CK_INVALID_HANDLE;
    object->next = objects->first;
    objects->first = object;
    return object;
}

static kfe_p11_object *get(kfe_p11_objects *objects, const char *name, uint32_t version, bool make)
{
    pthread_mutex_lock(&objects->lock);
    kfe_p11_object *object = objects->first;
    while (object && !(object->version == version && strcmp(object->name, name) == 0))
        object = object->next;
    if (!object && make)
        object = add(objects, name, version);
    if (object)
        kfe_p11_object_ref(object);
    pthread_mutex_unlock(&objects->lock);
    return object;
}

kfe_p11_object *kfe_p11_object_get(kfe_p11_objects *objects, const char *name, uint32_t version)
{
    return get(objects, name, version, true);
}

kfe_p11_object *kfe_p11_object_find(kfe_p11_objects *objects, const char *name, uint32_t version)
{
    return get(objects, name, version, false);
}

static void forget(kfe_p11_object *object)
{
    object->handle = object->copy = CK_INVALID_HANDLE;
    object->no_copy = false;
    object->iv_size = 0;
    object->form = KFE_P11_FORM_OPEN;
    object->raw_rsa = false;
}

void kfe_p11_object_found(kfe_p11_object *object, uint64_t logins, CK_OBJECT_HANDLE handle)
{
    pthread_mutex_lock(&object->lock);
    if (object->handle != handle && object->logins == logins)
        object->known.len = object->known.wrapped_len = 0; /* that was another one */
    if (object->handle != handle || object->logins != logins)
        forget(object);
    if (object->logins != logins)
        object->copies = 0;
    object->handle = handle;
    object->logins = logins;
    pthread_mutex_unlock(&object->lock);
}

kfe_error kfe_p11_object_end(kfe_p11_object *object, const kfe_p11_session *session, kfe_error err)
{
    if (!err || kfe_p11_ckr_cure(session->rv) != KFE_P11_OBJECT_LOST)
        return err;
    pthread_mutex_lock(&object->lock);
    if (session->used == object->handle || session->used == object->copy)
        forget(object);
    pthread_mutex_unlock(&object->lock);
    return err;
}

/* ---- Handles ------------------------------------------------------------------------------ */

/* CK_INVALID_HANDLE: none that may be tried in that session. */
static CK_OBJECT_HANDLE known(kfe_p11_object *object, const kfe_p11_session *session, bool copy)
{
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    pthread_mutex_lock(&object->lock);
    if (session->sure && object->logins == session->logins)
        handle = copy ? object->copy : object->handle;
    pthread_mutex_unlock(&object->lock);
    return handle;
}

/* Not private, it would be one that anybody may have put there. */
static kfe_error look_at(const kfe_p11_object *object, kfe_p11_session *session,
                         CK_OBJECT_HANDLE handle, bool *is_it)
{
    CK_BYTE label[KFE_NAME_MAX];
    CK_BBOOL private = CK_FALSE;
    kfe_p11_id id;
    kfe_key_state state;
    uint32_t version = 0;
    const size_t len = strlen(object->name);
    CK_ATTRIBUTE a[] = {{CKA_LABEL, label, sizeof(label)},
                        {CKA_ID, id.bytes, sizeof(id.bytes)},
                        {CKA_PRIVATE, &private, sizeof(private)}};
    kfe_error err = kfe_p11_read(session, handle, a, 3);
    id.len = a[1].ulValueLen;
    *is_it = !err && a[0].ulValueLen == len && memcmp(label, object->name, len) == 0 && /* public */
             kfe_p11_id_parse(&id, object->name, &version, &state) == KFE_P11_ID_KEY &&
             version == object->version && a[2].ulValueLen == sizeof(private) && private;
    return err;
}

static kfe_error find(kfe_p11_object *object, kfe_p11_session *session, CK_OBJECT_HANDLE *out)
{
    const kfe_key_ref ref = {object->name, object->version};
    kfe_p11_entry entry;
    kfe_error err = kfe_p11_lookup(session, &ref, true, &entry, NULL);
    if (err)
        return err;
    kfe_p11_object_found(object, session->logins, entry.key);
    *out = session->used = entry.key;
    return KFE_OK;
}

kfe_error kfe_p11_object_handle(kfe_p11_object *object, kfe_p11_session *session,
                                CK_OBJECT_HANDLE *out)
{
    bool is_it = false;
    *out = session->used = known(object, session, false);
    if (*out != CK_INVALID_HANDLE) {
        kfe_error err = look_at(object, session, *out, &is_it);
        if (err)
            return err;
    }
    return is_it ? KFE_OK : find(object, session, out);
}

static void forget_copy(kfe_p11_object *object, CK_OBJECT_HANDLE copy)
{
    pthread_mutex_lock(&object->lock);
    if (object->copy == copy)
        object->copy = CK_INVALID_HANDLE;
    pthread_mutex_unlock(&object->lock);
}

kfe_error kfe_p11_object_fast(kfe_p11_object *object, kfe_p11_session *session,
                              CK_OBJECT_HANDLE *out)
{
    bool is_it;
    *out = session->used = known(object, session, true);
    if (*out == CK_INVALID_HANDLE)
        return kfe_p11_object_handle(object, session, out);
    kfe_error err = look_at(object, session, *out, &is_it);
    if (err || is_it)
        return err;
    forget_copy(object, *out);
    return kfe_p11_object_handle(object, session, out);
}

/* ---- The session copy --------------------------------------------------------------------- */

bool kfe_p11_object_wants_copy(kfe_p11_object *object)
{
    pthread_mutex_lock(&object->lock);
    bool wants =
        object->copy == CK_INVALID_HANDLE && !object->no_copy && object->copies < COPIES_MAX;
    pthread_mutex_unlock(&object->lock);
    return wants;
}

/* A copy that could be read out would be a way out of the token. That it is one of that key,
 * whoever uses it looks at. */
static bool is_as_safe(kfe_p11_session *session, CK_OBJECT_HANDLE copy)
{
    CK_BBOOL sensitive = CK_FALSE, extractable = CK_TRUE;
    CK_ATTRIBUTE a[] = {{CKA_SENSITIVE, &sensitive, sizeof(sensitive)},
                        {CKA_EXTRACTABLE, &extractable, sizeof(extractable)}};
    return kfe_p11_read(session, copy, a, 2) == KFE_OK && a[0].ulValueLen == sizeof(sensitive) &&
           a[1].ulValueLen == sizeof(extractable) && sensitive && !extractable;
}

static CK_OBJECT_HANDLE make_copy(kfe_p11_session *session, CK_OBJECT_HANDLE handle)
{
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE a[] = {{CKA_TOKEN, &no, sizeof(no)}};
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    if (session->calls->C_CopyObject(session->anchor, handle, a, 1, &copy) != CKR_OK)
        return CK_INVALID_HANDLE;
    if (is_as_safe(session, copy))
        return copy;
    session->calls->C_DestroyObject(session->handle, copy);
    return CK_INVALID_HANDLE;
}

kfe_error kfe_p11_object_copy(kfe_p11_object *object, kfe_p11_session *session)
{
    CK_OBJECT_HANDLE handle;
    kfe_error err = kfe_p11_object_handle(object, session, &handle);
    if (err || !kfe_p11_object_wants_copy(object)) /* others wanted it too, and came first */
        return err;
    CK_OBJECT_HANDLE copy = session->sure ? make_copy(session, handle) : CK_INVALID_HANDLE;
    pthread_mutex_lock(&object->lock);
    object->copy = copy;
    object->no_copy = copy == CK_INVALID_HANDLE;
    object->copies++;
    pthread_mutex_unlock(&object->lock);
    return KFE_OK;
}

void kfe_p11_object_destroy_copy(kfe_p11_object *object, kfe_p11_session *session)
{
    pthread_mutex_lock(&object->lock);
    CK_OBJECT_HANDLE copy = object->logins == session->logins ? object->copy : CK_INVALID_HANDLE;
    forget(object);
    object->known.len = object->known.wrapped_len = 0;
    pthread_mutex_unlock(&object->lock);
    if (copy != CK_INVALID_HANDLE)
        session->calls->C_DestroyObject(session->handle, copy);
}
