/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/far_rsa.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <p11-kit/pkcs11.h>

#define LABEL "far away"
#define PATIENCE "600000" /* ms: somebody may search all memory meanwhile */
enum { PIN_LEN = 24, KEY_LEN = 32 };

static CK_FUNCTION_LIST_PTR calls;

void far_require(bool fact)
{
    if (!fact)
        _Exit(1);
}

const char *far_token_pin_file(const char *pin)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/%s.pin", kit_dir(), pin);
    return path;
}

kfe_config *far_token_config(const char *pin)
{
    char source[200];
    kfe_config *config =
        kit_config("encryption.keyprovider.class", "pkcs11", "encryption.keyprovider.pkcs11.uri",
                   "pkcs11:token=far%20away?module-path=" KFE_TEST_REMOTE,
                   "encryption.keyprovider.pkcs11.timeout.ms", PATIENCE, NULL);
    snprintf(source, sizeof(source), "file:%s", pin ? far_token_pin_file(pin) : "");
    if (pin)
        kit_set(config, "encryption.keyprovider.pkcs11.pin", source);
    return config;
}

const char *far_token_conf(const char *module, const char *pin, const char *more)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/kfe-%s.conf", kit_dir(), pin);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "encryption.keyprovider.class=pkcs11\n"
            "encryption.keyprovider.pkcs11.uri=pkcs11:token=far%%20away?module-path=%s\n"
            "encryption.keyprovider.pkcs11.timeout.ms=" PATIENCE
            "\nencryption.keyprovider.pkcs11.pin=file:%s\n%s",
            module, far_token_pin_file(pin), more);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* ---- What a child makes -----------------------------------------------------------------------
 */

static void make_pin(hunt_secret *secret, const char *name, uint8_t pin[PIN_LEN])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    far_require(getrandom(pin, PIN_LEN, 0) == PIN_LEN);
    for (int i = 0; i < PIN_LEN; i++)
        pin[i] = (uint8_t)letters[pin[i] % 64];
    hunt_set(secret, pin, PIN_LEN);
    FILE *file = fopen(far_token_pin_file(name), "w");
    far_require(file && fwrite(pin, PIN_LEN, 1, file) == 1 && fclose(file) == 0);
}

enum { SIGN, CRYPT, WRAP };

static void import(CK_SESSION_HANDLE session, const char *label, int use, hunt_secret *secret)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = use == SIGN ? CKK_GENERIC_SECRET : CKK_AES;
    CK_BBOOL yes = CK_TRUE, loose = strcmp(label, "loose") == 0;
    CK_BBOOL sign = use == SIGN, crypt = use == CRYPT, wrap = use == WRAP;
    CK_BYTE id[4] = {0, 0, 0, 1}, value[KEY_LEN];
    CK_OBJECT_HANDLE made;
    far_require(getrandom(value, KEY_LEN, 0) == KEY_LEN);
    hunt_set(secret, value, KEY_LEN);
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_KEY_TYPE, &type, sizeof(type)},
                        {CKA_TOKEN, &yes, sizeof(yes)},
                        {CKA_PRIVATE, &yes, sizeof(yes)},
                        {CKA_SENSITIVE, &yes, sizeof(yes)},
                        {CKA_EXTRACTABLE, &loose, sizeof(loose)},
                        {CKA_SIGN, &sign, sizeof(sign)},
                        {CKA_ENCRYPT, &crypt, sizeof(crypt)},
                        {CKA_DECRYPT, &crypt, sizeof(crypt)},
                        {CKA_WRAP, &wrap, sizeof(wrap)},
                        {CKA_UNWRAP, &wrap, sizeof(wrap)},
                        {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                        {CKA_ID, id, sizeof(id)},
                        {CKA_VALUE, value, sizeof(value)}};
    far_require(calls->C_CreateObject(session, a, sizeof(a) / sizeof(a[0]), &made) == CKR_OK);
}

static void make_token(void *unused)
{
    (void)unused;
    CK_BYTE so_pin[] = "for the security officer", label[33] = LABEL "                        ";
    CK_BYTE pin[PIN_LEN], wrong[PIN_LEN];
    CK_SLOT_ID slots[4];
    CK_ULONG n = 4;
    CK_SESSION_HANDLE s;
    make_pin(far_secrets[FAR_PIN], "right", pin);
    make_pin(far_secrets[FAR_WRONG_PIN], "wrong", wrong);
    far_require(calls->C_Initialize(NULL) == CKR_OK);
    far_require(calls->C_GetSlotList(CK_TRUE, slots, &n) == CKR_OK && n == 1);
    far_require(calls->C_InitToken(slots[0], so_pin, sizeof(so_pin) - 1, label) == CKR_OK);
    far_require(calls->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                     &s) == CKR_OK);
    far_require(calls->C_Login(s, CKU_SO, so_pin, sizeof(so_pin) - 1) == CKR_OK);
    far_require(calls->C_InitPIN(s, pin, PIN_LEN) == CKR_OK);
    far_require(calls->C_Logout(s) == CKR_OK);
    far_require(calls->C_Login(s, CKU_USER, pin, PIN_LEN) == CKR_OK);
    import(s, "derived", SIGN, far_secrets[FAR_MASTER]);
    import(s, "wrapped", CRYPT, far_secrets[FAR_KEK]);
    import(s, "rfc3394", WRAP, far_secrets[FAR_KEY_WRAP]);
    import(s, "direct", CRYPT, far_secrets[FAR_FIELD]);
    import(s, "loose", SIGN, far_secrets[FAR_LOOSE]);
    far_rsa_import(calls, s);
    far_require(calls->C_Finalize(NULL) == CKR_OK);
}

/* ---- The test's own process -------------------------------------------------------------------
 */

static void load(void)
{
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    void *module = dlopen(KFE_TEST_REMOTE, RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, "C_GetFunctionList") : NULL;
    memcpy(&get, &symbol, sizeof(get));
    assert_non_null(get);
    assert_int_equal(get(&calls), CKR_OK);
}

void far_token_watch(remote_watcher *watcher)
{
    remote_watch_function *watch = NULL;
    void *symbol = dlsym(dlopen(KFE_TEST_REMOTE, RTLD_NOW | RTLD_NOLOAD), REMOTE_WATCH);
    memcpy(&watch, &symbol, sizeof(watch));
    assert_non_null(watch);
    watch(watcher);
}

void far_token_reset(void)
{
    assert_int_equal(calls->C_Finalize(NULL), CKR_OK);
}

void far_token_start(void)
{
    char path[160];
    umask(077);
    snprintf(path, sizeof(path), "%s/softhsm2.conf", kit_dir());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "directories.tokendir = %s\nobjectstore.backend = file\n", kit_dir());
    assert_int_equal(fclose(file), 0);
    setenv("SOFTHSM2_CONF", path, 1);
    setenv("KFE_REMOTE_MODULE", KFE_TEST_SOFTHSM, 1);
    load();
}

void far_token_make(void)
{
    hunt_child(make_token, NULL);
}

void far_token_log_out(void)
{
    CK_SLOT_ID slots[4];
    CK_ULONG n = 4;
    CK_SESSION_HANDLE s;
    CK_TOKEN_INFO info;
    assert_int_equal(calls->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    for (CK_ULONG i = 0; i < n; i++) {
        assert_int_equal(calls->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (memcmp(info.label, LABEL, sizeof(LABEL) - 1) != 0)
            continue;
        assert_int_equal(calls->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL, &s),
                         CKR_OK);
        assert_int_equal(calls->C_Logout(s), CKR_OK);
        assert_int_equal(calls->C_CloseSession(s), CKR_OK);
    }
}
