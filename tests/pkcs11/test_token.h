/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_TESTS_PKCS11_TEST_TOKEN_H
#define KFE_TESTS_PKCS11_TEST_TOKEN_H

/* A fresh token in a temporary folder, seen through the shim, for each test: SoftHSM's, or with
 * KFE_TEST_TOKEN=nss a database of NSS softokn; or an empty one of any module (token_kind.h), which
 * is emptied after each test. Everything here fails the running test when it does not succeed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <kfe/pkcs11.h>

#include "tests/pkcs11/shim.h"

/* Of tokens that are made here; see test_token_named(), test_token_pin() for any. */
#define TOKEN_LABEL "kfe test"
#define TOKEN_PIN "pin-Zq7-of-the-test"
#define TOKEN_SO_PIN "so-pin-of-the-test"

typedef struct {
    char dir[128];
    bool tells_finalised; /* C_GetInfo does, or else C_GetSlotList */
    const shim_table *shim;
    kfe_config *config; /* names the token through the shim, the PIN by env:KFE_TEST_PIN */
} test_token;

/* cmocka's setup and teardown; *state becomes a test_token. The second makes a token that is to
 * be opened anew in a child (library.reset_on_fork). */
int test_token_setup(void **state);
int test_token_setup_reset_on_fork(void **state);
int test_token_teardown(void **state);

typedef enum {
    TOKEN_KEEPS_DATA,  /* CKO_DATA, as token objects */
    TOKEN_KEEPS_TWINS, /* two secret keys with one label and id */
    TOKEN_HAS_SERIAL,
    TOKEN_IS_FRESH,    /* made for this test: whatever is done to it harms nobody */
    TOKEN_HAS_ROOM,    /* test_token_add() */
    TOKEN_STARTS_BARE, /* without an initialisation string */
    TOKEN_IS_A_FOLDER, /* test_token.dir, looked at in each call */
} test_token_ability;

/* Asks the token, and skips the running test, saying why, when it cannot. Before a provider is
 * opened. */
void test_token_needs(test_token_ability what);

/* Another token in the same folder, of a kind that TOKEN_HAS_ROOM; it may bear the same label. */
void test_token_add(const char *label);

/* Opens the provider that h->config describes. */
kfe_key_provider *test_token_open(const test_token *h);
/* True when nobody has the module initialised. */
bool test_token_is_finalised(const test_token *h);
/* A configuration with another URI or other PIN source; NULL: as h->config's; "": no source.
 * kfe_config_free(). */
kfe_config *test_token_config(const char *uri, const char *pin);
/* All in static storage: "pkcs11:token=kfe%20test", the same with "?module-path=SHIM", the token's
 * PIN, the module itself. */
const char *test_token_named(void);
const char *test_token_module(void);
const char *test_token_uri(void);
const char *test_token_pin(void);

/* The token itself, behind the provider's back and unseen by the shim, user logged in. */
typedef struct {
    CK_FUNCTION_LIST_PTR calls;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    bool initialised;
} raw_token;

void raw_open(raw_token *raw);
void raw_close(raw_token *raw);

typedef struct {
    const char *label;
    CK_ULONG id; /* written as `id_len` bytes, big endian */
    CK_ULONG id_len;
    CK_KEY_TYPE type;
    const uint8_t *value;
    size_t len;
    CK_BBOOL private, sensitive, extractable, sign;
} raw_key;

/* An object with these attributes. */
CK_OBJECT_HANDLE raw_create(const raw_token *raw, CK_ATTRIBUTE *a, CK_ULONG n);
/* A key as it should be: its first 32 bytes are `value`. */
raw_key raw_key_good(const char *label, uint32_t version, const uint8_t value[32]);
CK_OBJECT_HANDLE raw_import(const raw_token *raw, const raw_key *key);
void raw_mark(const raw_token *raw, const char *label, const char *text);
/* How many objects of that class have that label; the first one's handle to `out` unless NULL. */
unsigned raw_count(const raw_token *raw, CK_OBJECT_CLASS class, const char *label,
                   CK_OBJECT_HANDLE *out);

/* Runs `body` in a forked child and waits: its result is the child's exit status. */
int in_child(int (*body)(void *arg), void *arg);

#endif
