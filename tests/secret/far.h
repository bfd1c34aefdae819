/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SECRET_FAR_H
#define TESTS_SECRET_FAR_H

/* A token of SoftHSM in another process (remote.c), whose PIN and keys only children of the test
 * ever had, and a look at what is in this one. */

#include "tests/secret/hunt.h"
#include "tests/secret/remote.h"

enum {
    FAR_PIN,
    FAR_WRONG_PIN,
    FAR_MASTER,   /* key "derived": HMAC */
    FAR_KEK,      /* key "wrapped": AES-GCM, for sessions' secrets */
    FAR_KEY_WRAP, /* key "rfc3394": AES key wrap, for the same; wraps keys that move, too */
    FAR_FIELD,    /* key "direct": AES-GCM, for fields */
    FAR_LOOSE,    /* key "loose": may leave the token */
    FAR_RSA,      /* key "rsa": a factor of it */
    FAR_SECRET,   /* of a session; this one and those below are set by the test */
    FAR_BLOCK,    /* padded for RSA */
    FAR_MAC,
    FAR_DATA,
    FAR_MOVED,
    FAR_SALT, /* of what is remembered of refused PINs */
    FAR_SECRETS
};

extern hunt_secret *far_secrets[FAR_SECRETS];
extern uint8_t *far_safe; /* a page, locked and so on: where the test itself holds a secret */
extern uint8_t *far_told; /* a page that children write to: no secret */

/* cmocka's set-up of a group, before all else: the other process is a child of this one. */
int far_begin(void **state);

/* In a child: a fact, or the test fails. */
void far_require(bool fact);

/* ---- far_look.c ----------------------------------------------------------------------------- */

/* The one secret (or none: -1) is in protected memory `times`, and no secret anywhere else; but for
 * OpenSSL's own cipher contexts, which begin with the data key: at most `openssl` of these, and
 * `times` does not count then. */
void far_found(int secret, size_t times, size_t openssl, const char *when);
void far_nothing(const char *when);
void far_wipe(void); /* far_safe; then there is nothing */

/* Collects what was printed, logged or reported. */
void far_say(const char *text);
void far_say_error(kfe_error err); /* it is one: its detail */
/* Runs it in a shell, in kit_dir(), and collects what it prints to its standard output. It has to
 * succeed. */
void far_say_what(const char *command);
/* Is any secret in that, as it is, in hexadecimal or in base64? For a child. */
bool far_is_said(void);
void far_nothing_was_said(void); /* none is; begins anew */

/* ---- far_watch.c ----------------------------------------------------------------------------- */

/* From now on, at the begin and the end of each call of the token, every secret has to be in
 * protected memory, if it is anywhere; but `plain` (or none: -1) may be elsewhere, so often. */
void far_watch(int plain, size_t elsewhere);
void far_watch_end(void); /* was it so? */
/* During the last watch so many copies of the secret were seen in some call of that name. */
void far_watched(int secret, size_t copies, const char *call);

/* ---- far_token.c ----------------------------------------------------------------------------- */

void far_token_start(void); /* the other process; */
void far_token_make(void);  /* by far_begin(), both */

/* With `pin` "right" or "wrong", in a file; NULL: to be asked for. kfe_config_free(). */
kfe_config *far_token_config(const char *pin);
const char *far_token_pin_file(const char *pin);
/* The same for the command, in a file, by that module; `more`: further lines. Its path. */
const char *far_token_conf(const char *module, const char *pin, const char *more);

/* As another part of the application would. */
void far_token_log_out(void);
/* As if nobody had ever used the module: what a process left that died. */
void far_token_reset(void);

/* Of the module (remote.h). */
void far_token_watch(remote_watcher *watcher);

/* ---- far_made.c: but for the first, for children
 * -----------------------------------------------------------------
 */

void far_note_random(int secret); /* it becomes the next 32 bytes that this process draws */

void far_make_random(void *secret); /* 32 bytes */
/* FAR_MAC becomes the HMAC of "x" under "derived". */
void far_make_mac(void *unused);
/* These make a new secret; far_told becomes its form 1 under "rfc3394", 40 bytes without the first
 * one of a form; its form 2 under "wrapped", bound to "bound", 61 bytes; its form 3 under "rsa",
 * 257 bytes, and FAR_BLOCK what was encrypted there. */
void far_make_rfc3394(void *secret);
void far_make_gcm(void *secret);
void far_make_oaep(void *secret);

/* What docs/format.md says of a session; points into a record. */
typedef struct {
    uint8_t suite;
    unsigned kind;
    const uint8_t *name;
    size_t name_len;
    const uint8_t *wire; /* salt, or wrapped secret */
    size_t len;
} far_envelope;

far_envelope far_envelope_of(kfe_bytes header); /* a record's first one; a version of one byte */
/* FAR_DATA, and FAR_SECRET if there is one, become those of this session. */
void far_make_session(void *envelope);

#endif
