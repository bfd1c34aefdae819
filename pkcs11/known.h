/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_PKCS11_KNOWN_H
#define KFE_PKCS11_KNOWN_H

/* Some tokens say "device error" of bad data, and of good data when they cannot just now. What
 * opened before, under the same key, tells these apart: if the token opens it again and still not
 * the other, the other is bad. Kept is what stands in records anyway, no secret. Any thread. */

#include "pkcs11/gcm.h"
#include "pkcs11/object.h"

/* How far that has come; work that is run again, in another session, goes on there. */
typedef enum {
    KFE_P11_FIRST, /* not asked yet, or by no code that tells nothing */
    KFE_P11_KNOWN, /* in doubt: what is known to be good is next */
    KFE_P11_AGAIN, /* the token opens that, or there is none: what it says now is believed */
    KFE_P11_LAST,  /* the token opened neither: whatever it opens now is good, the rest is its fault
                    */
} kfe_p11_step;

/* Both: KFE_E_AUTH for what does not open, session->doubt when the code told nothing. `known` NULL:
 * there is none, and nobody asks for `call`. */
typedef struct {
    kfe_error (*ask)(kfe_p11_session *session, CK_OBJECT_HANDLE key, void *arg);
    kfe_error (*known)(kfe_p11_session *session, CK_OBJECT_HANDLE key, void *arg);
    const char *call; /* the function that opens */
} kfe_p11_opening;

/* Opens by `opening->ask`. In doubt the key's handle is looked at again, as some tokens say the
 * same of one that is gone; *key is the handle from then on. KFE_E_AUTH: it is bad, by a code that
 * says so, or by the above. KFE_E_PROVIDER: nothing opens now. A session whose operation got stuck
 * is one for the task to be run again in another one. */
kfe_error kfe_p11_open_surely(kfe_p11_session *session, kfe_p11_object *object,
                              CK_OBJECT_HANDLE *key, const kfe_p11_opening *opening, void *arg,
                              kfe_p11_step *step);

/* Keeps what opened, if it is short. */
void kfe_p11_known_message(kfe_p11_object *object, const kfe_p11_message *m);
void kfe_p11_known_wrapped(kfe_p11_object *object, kfe_bytes wrapped); /* form 1 or 3 */

/* A copy of a wrapped secret that is kept; 0: there is none. */
size_t kfe_p11_known_get(kfe_p11_object *object, uint8_t out[KFE_KEY_WRAPPED_MAX]);

/* Opens the message that is kept, or where there is none and the key may, one made on the spot.
 * KFE_OK: it opens; or there is none to be had. */
kfe_error kfe_p11_known_opens(kfe_p11_session *session, CK_OBJECT_HANDLE key,
                              kfe_p11_object *object);

#endif
