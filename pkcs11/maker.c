/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "pkcs11/catalog.h"
#include "pkcs11/ckr.h"
#include "pkcs11/find.h"
#include "pkcs11/lookup.h"
#include "pkcs11/maker.h"

/* The id for a key object: the version alone, unless another such object of the token has it. */
static kfe_error choose_id(kfe_p11_session *session, CK_OBJECT_CLASS class, const kfe_key_ref *ref,
                           kfe_p11_id *out)
{
    CK_BBOOL yes = CK_TRUE;
    kfe_p11_found others;
    kfe_p11_id_of_key(ref, true, out);
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_TOKEN, &yes, sizeof(yes)},
                             {CKA_ID, out->bytes, out->len}};
    kfe_error err = kfe_p11_find(session, wanted, sizeof(wanted) / sizeof(wanted[0]), &others);
    if (err)
        return err;
    kfe_p11_id_of_key(ref, others.n == 0, out);
    free(others.at);
    return KFE_OK;
}

/* Making a key takes a token some time, an RSA key seconds. */
static kfe_error is_free(kfe_p11_session *session, const kfe_key_ref *ref)
{
    kfe_p11_catalog catalog;
    kfe_error err = kfe_p11_catalog_load(&catalog, session, ref->name);
    if (err)
        return err;
    bool taken = kfe_p11_catalog_version(&catalog, ref->version) != NULL;
    kfe_p11_catalog_wipe(&catalog);
    return taken ? kfe_fail(KFE_E_KEY_DENIED,
                            "key %.150s@%lu was made by somebody else at this moment: look at it "
                            "with `kfe keys list`",
                            ref->name, (unsigned long)ref->version)
                 : KFE_OK;
}

struct making {
    CK_OBJECT_CLASS class;
    const kfe_key_ref *ref;
    kfe_p11_how *how;
    const void *arg;
    CK_OBJECT_HANDLE made;
};

/* Gives the object its own id. A token that lets no id be changed makes another one with that id
 * instead; it may replace one that somebody makes between our search and that. */
static kfe_error name(kfe_p11_session *session, struct making *making)
{
    kfe_p11_id id;
    kfe_error err = is_free(session, making->ref);
    if (!err)
        err = choose_id(session, making->class, making->ref, &id);
    if (err)
        return err;
    CK_ATTRIBUTE new = {CKA_ID, id.bytes, id.len};
    CK_RV rv = session->calls->C_SetAttributeValue(session->handle, making->made, &new, 1);
    if (rv == CKR_OK)
        return KFE_OK;
    if (kfe_p11_ckr_error(rv) != KFE_E_KEY_DENIED)
        return kfe_p11_session_fail(session, rv, "C_SetAttributeValue");
    session->calls->C_DestroyObject(session->handle, making->made);
    making->made = CK_INVALID_HANDLE;
    return making->how(session, &id, making->arg, &making->made);
}

kfe_error kfe_p11_make_key(kfe_p11_session *session, CK_OBJECT_CLASS class, const kfe_key_ref *ref,
                           kfe_p11_how *how, const void *arg)
{
    struct making making = {class, ref, how, arg, CK_INVALID_HANDLE};
    kfe_p11_id id;
    kfe_p11_entry entry;
    kfe_error err = kfe_p11_id_draw(&id);
    if (!err)
        err = how(session, &id, arg, &making.made);
    if (err)
        return err;
    session->changed = true;
    err = name(session, &making);
    bool destroy = err != KFE_OK;
    /* A token may take a template and do as it likes; and of two who named theirs at once and see
     * each other neither keeps its own. */
    if (!err) {
        err = kfe_p11_lookup(session, ref, true, &entry, NULL);
        destroy = err == KFE_E_KEY_DENIED || err == KFE_E_KEY_UNKNOWN;
    }
    if (destroy && making.made != CK_INVALID_HANDLE)
        session->calls->C_DestroyObject(session->handle, making.made);
    return err;
}
