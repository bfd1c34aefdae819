/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/pkcs11/test_token.h"
#include "tests/pkcs11/token_kind.h"

/* ---- The real module ------------------------------------------------------------------ */

static CK_FUNCTION_LIST_PTR module_calls(void)
{
    CK_FUNCTION_LIST_PTR calls = NULL;
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    void *module = dlopen(token_kind_get()->module, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(module);
    void *symbol = dlsym(module, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof(get));
    assert_non_null(get);
    assert_int_equal(get(&calls), CKR_OK);
    return calls;
}

static bool initialise(CK_FUNCTION_LIST_PTR calls)
{
    const char *text = token_kind_get()->init_args;
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK,
                                 .pReserved = text[0] != '\0' ? (void *)(uintptr_t)text : NULL};
    CK_RV rv = calls->C_Initialize(&args);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED);
    return rv == CKR_OK;
}

/* The slot of the tests' token, or of one that is not initialised yet. */
static CK_SLOT_ID find_slot(CK_FUNCTION_LIST_PTR calls, bool initialised)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = 16;
    char label[33];
    snprintf(label, sizeof(label), "%-32s", token_kind_get()->label);
    assert_int_equal(calls->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        assert_int_equal(calls->C_GetTokenInfo(slots[i], &info), CKR_OK);
        bool ours = memcmp(info.label, label, sizeof(info.label)) == 0;
        if (initialised ? ours : !(info.flags & CKF_TOKEN_INITIALIZED))
            return slots[i];
    }
    fail_msg("no such slot");
    return 0;
}

void test_token_add(const char *label)
{
    CK_FUNCTION_LIST_PTR calls = module_calls();
    bool ours = initialise(calls);
    CK_SLOT_ID slot = find_slot(calls, false);
    CK_SESSION_HANDLE session;
    CK_BYTE so_pin[] = TOKEN_SO_PIN, pin[] = TOKEN_PIN, padded[32];
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, label, strlen(label));
    assert_int_equal(calls->C_InitToken(slot, so_pin, sizeof(so_pin) - 1, padded), CKR_OK);
    assert_int_equal(
        calls->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
        CKR_OK);
    assert_int_equal(calls->C_Login(session, CKU_SO, so_pin, sizeof(so_pin) - 1), CKR_OK);
    assert_int_equal(calls->C_InitPIN(session, pin, sizeof(pin) - 1), CKR_OK);
    assert_int_equal(calls->C_CloseSession(session), CKR_OK);
    if (ours)
        assert_int_equal(calls->C_Finalize(NULL), CKR_OK);
}

void raw_open(raw_token *raw)
{
    const char *pin = token_kind_get()->pin;
    raw->calls = module_calls();
    raw->initialised = initialise(raw->calls);
    raw->slot = find_slot(raw->calls, true);
    assert_int_equal(raw->calls->C_OpenSession(raw->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                               NULL, &raw->session),
                     CKR_OK);
    CK_RV rv =
        raw->calls->C_Login(raw->session, CKU_USER, (CK_BYTE_PTR)(uintptr_t)pin, strlen(pin));
    assert_true(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
}

void raw_close(raw_token *raw)
{
    raw->calls->C_CloseSession(raw->session);
    if (raw->initialised)
        raw->calls->C_Finalize(NULL);
}

/* ---- Objects ---------------------------------------------------------------------------- */

raw_key raw_key_good(const char *label, uint32_t version, const uint8_t value[32])
{
    return (raw_key){label, version, 4,       CKK_GENERIC_SECRET, value,
                     32,    CK_TRUE, CK_TRUE, CK_FALSE,           CK_TRUE};
}

CK_OBJECT_HANDLE raw_create(const raw_token *raw, CK_ATTRIBUTE *a, CK_ULONG n)
{
    CK_OBJECT_HANDLE made;
    assert_int_equal(raw->calls->C_CreateObject(raw->session, a, n, &made), CKR_OK);
    return made;
}

CK_OBJECT_HANDLE raw_import(const raw_token *raw, const raw_key *key)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_BYTE id[8];
    for (CK_ULONG i = 0; i < key->id_len; i++)
        id[i] = (CK_BYTE)(key->id >> (8 * (key->id_len - 1 - i)));
    raw_key k = *key;
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_KEY_TYPE, &k.type, sizeof(k.type)},
                        {CKA_TOKEN, &yes, sizeof(yes)},
                        {CKA_PRIVATE, &k.private, sizeof(k.private)},
                        {CKA_SENSITIVE, &k.sensitive, sizeof(k.sensitive)},
                        {CKA_EXTRACTABLE, &k.extractable, sizeof(k.extractable)},
                        {CKA_SIGN, &k.sign, sizeof(k.sign)},
                        {CKA_LABEL, (void *)(uintptr_t)k.label, strlen(k.label)},
                        {CKA_ID, id, k.id_len},
                        {CKA_VALUE, (void *)(uintptr_t)k.value, k.len}};
    return raw_create(raw, a, sizeof(a) / sizeof(a[0]));
}

void raw_mark(const raw_token *raw, const char *label, const char *text)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    char application[] = "kfe key state";
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_TOKEN, &yes, sizeof(yes)},
                        {CKA_PRIVATE, &yes, sizeof(yes)},
                        {CKA_APPLICATION, application, sizeof(application) - 1},
                        {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                        {CKA_VALUE, (void *)(uintptr_t)text, strlen(text)}};
    raw_create(raw, a, sizeof(a) / sizeof(a[0]));
}

unsigned raw_count(const raw_token *raw, CK_OBJECT_CLASS class, const char *label,
                   CK_OBJECT_HANDLE *out)
{
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    CK_OBJECT_HANDLE found[16];
    CK_ULONG n = 0;
    assert_int_equal(raw->calls->C_FindObjectsInit(raw->session, a, 2), CKR_OK);
    assert_int_equal(raw->calls->C_FindObjects(raw->session, found, 16, &n), CKR_OK);
    assert_int_equal(raw->calls->C_FindObjectsFinal(raw->session), CKR_OK);
    if (out && n > 0)
        *out = found[0];
    return (unsigned)n;
}

/* ---- What the token can ------------------------------------------------------------------- */

static bool keeps_data(const raw_token *raw)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    CK_BYTE value[] = "value";
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)},
                        {CKA_TOKEN, &yes, sizeof(yes)},
                        {CKA_PRIVATE, &yes, sizeof(yes)},
                        {CKA_VALUE, value, sizeof(value)}};
    CK_OBJECT_HANDLE made;
    return raw->calls->C_CreateObject(raw->session, a, sizeof(a) / sizeof(a[0]), &made) == CKR_OK &&
           raw->calls->C_DestroyObject(raw->session, made) == CKR_OK;
}

static bool keeps_twins(const raw_token *raw)
{
    const uint8_t values[2][32] = {{1}, {2}};
    CK_OBJECT_HANDLE one = 0;
    for (int i = 0; i < 2; i++) {
        const raw_key key = raw_key_good("twin", 1, values[i]);
        raw_import(raw, &key);
    }
    unsigned n = raw_count(raw, CKO_SECRET_KEY, "twin", &one);
    for (unsigned left = n; left > 0; left = raw_count(raw, CKO_SECRET_KEY, "twin", &one))
        assert_int_equal(raw->calls->C_DestroyObject(raw->session, one), CKR_OK);
    return n == 2;
}

static bool has_serial(const raw_token *raw)
{
    CK_TOKEN_INFO info;
    assert_int_equal(raw->calls->C_GetTokenInfo(raw->slot, &info), CKR_OK);
    for (size_t i = 0; i < sizeof(info.serialNumber); i++)
        if (info.serialNumber[i] != '0' && info.serialNumber[i] != ' ')
            return true;
    return false;
}

void test_token_needs(test_token_ability what)
{
    static const char *const names[] = {"keeps data objects",
                                        "keeps two keys of one label and id",
                                        "has a serial number of its own",
                                        "is made for each test",
                                        "can have another beside it",
                                        "needs no initialisation string",
                                        "is lost with its folder"};
    raw_token raw;
    bool can = false;
    raw_open(&raw);
    switch (what) {
    case TOKEN_KEEPS_DATA:
        can = keeps_data(&raw);
        break;
    case TOKEN_KEEPS_TWINS:
        can = keeps_twins(&raw);
        break;
    case TOKEN_HAS_SERIAL:
        can = has_serial(&raw);
        break;
    case TOKEN_IS_FRESH:
        can = token_kind_get()->fresh;
        break;
    case TOKEN_HAS_ROOM:
        can = token_kind_get()->adds;
        break;
    case TOKEN_STARTS_BARE:
        can = token_kind_get()->init_args[0] == '\0';
        break;
    case TOKEN_IS_A_FOLDER:
        can = token_kind_get()->folder;
        break;
    }
    raw_close(&raw);
    if (can)
        return;
    print_message("skipped, as it needs a token that %s\n", names[what]);
    skip();
}

/* ---- The fixture -------------------------------------------------------------------------- */

const char *test_token_named(void)
{
    static char text[16 + 3 * 32];
    size_t len = (size_t)snprintf(text, sizeof(text), "pkcs11:token=");
    for (const char *c = token_kind_get()->label; *c != '\0' && len + 4 <= sizeof(text); c++) {
        bool plain =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        len += (size_t)snprintf(text + len, sizeof(text) - len, plain ? "%c" : "%%%02x",
                                (unsigned char)*c);
    }
    return text;
}

const char *test_token_uri(void)
{
    static char text[200 + sizeof(KFE_TEST_SHIM)];
    snprintf(text, sizeof(text), "%s?module-path=%s", test_token_named(), KFE_TEST_SHIM);
    return text;
}

const char *test_token_module(void)
{
    return token_kind_get()->module;
}

const char *test_token_pin(void)
{
    return token_kind_get()->pin;
}

kfe_config *test_token_config(const char *uri, const char *pin)
{
    kfe_config *config;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.class", "pkcs11"), KFE_OK);
    assert_int_equal(
        kfe_config_set(config, "encryption.keyprovider.pkcs11.uri", uri ? uri : test_token_uri()),
        KFE_OK);
    const char *args = token_kind_get()->init_args;
    if (args[0] != '\0')
        assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.init.args", args),
                         KFE_OK);
    if (pin == NULL || pin[0] != '\0')
        assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.pin",
                                        pin ? pin : "env:KFE_TEST_PIN"),
                         KFE_OK);
    return config;
}

static const shim_table *shim_load(void)
{
    setenv("KFE_SHIM_MODULE", token_kind_get()->module, 1);
    void *module = dlopen(KFE_TEST_SHIM, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(module);
    const shim_table *shim = dlsym(module, "kfe_test_shim");
    assert_non_null(shim);
    return shim;
}

/* What tests make, and look at: of a token that somebody gave us all of it is theirs. */
static const CK_OBJECT_CLASS ours[] = {CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_DATA};

static CK_ULONG find_all(const raw_token *raw, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE found[64])
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE a[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_TOKEN, &yes, sizeof(yes)}};
    CK_ULONG n = 0;
    assert_int_equal(raw->calls->C_FindObjectsInit(raw->session, a, 2), CKR_OK);
    assert_int_equal(raw->calls->C_FindObjects(raw->session, found, 64, &n), CKR_OK);
    assert_int_equal(raw->calls->C_FindObjectsFinal(raw->session), CKR_OK);
    return n;
}

static void assert_empty(void)
{
    CK_OBJECT_HANDLE found[64];
    raw_token raw;
    raw_open(&raw);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (find_all(&raw, ours[i], found) > 0)
            fail_msg("the token holds keys or data: give the tests one of their own (or delete "
                     "what tests that were killed left in it)");
    raw_close(&raw);
}

static void make_empty(void)
{
    CK_OBJECT_HANDLE found[64];
    raw_token raw;
    raw_open(&raw);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        CK_ULONG n = find_all(&raw, ours[i], found);
        for (; n > 0; n = find_all(&raw, ours[i], found))
            for (CK_ULONG j = 0; j < n; j++)
                assert_int_equal(raw.calls->C_DestroyObject(raw.session, found[j]), CKR_OK);
    }
    raw_close(&raw);
}

static int setup(void **state, const char *settings)
{
    test_token *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    const char *base = getenv("TMPDIR");
    snprintf(h->dir, sizeof(h->dir), "%s/kfe-p11-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(h->dir));
    CK_INFO info;
    h->tells_finalised = module_calls()->C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED;
    token_kind_get()->make(h->dir, settings);
    if (!token_kind_get()->fresh)
        assert_empty();
    setenv("KFE_TEST_PIN", token_kind_get()->pin, 1);
    h->shim = shim_load();
    h->shim->reset();
    h->config = test_token_config(NULL, NULL);
    *state = h;
    return 0;
}

int test_token_setup(void **state)
{
    return setup(state, "");
}

int test_token_setup_reset_on_fork(void **state)
{
    return setup(state, "library.reset_on_fork = true");
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int test_token_teardown(void **state)
{
    test_token *h = *state;
    kfe_config_free(h->config);
    if (!test_token_is_finalised(h)) /* the next one reads its own settings at its start */
        module_calls()->C_Finalize(NULL);
    if (!token_kind_get()->fresh)
        make_empty();
    nftw(h->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(h);
    return 0;
}

kfe_key_provider *test_token_open(const test_token *h)
{
    kfe_key_provider *provider = NULL;
    kfe_error err = kfe_pkcs11.open(&provider, h->config);
    if (err)
        fail_msg("open: %s: %s", kfe_error_name(err), kfe_error_detail());
    return provider;
}

bool test_token_is_finalised(const test_token *h)
{
    CK_FUNCTION_LIST_PTR calls = module_calls();
    CK_INFO info;
    CK_ULONG n = 0;
    if (h->shim->inside() > 0) /* perhaps in C_Finalize, where some modules bear nobody else */
        return false;
    if (h->tells_finalised)
        return calls->C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED;
    CK_RV rv = calls->C_GetSlotList(CK_TRUE, NULL, &n);
    return rv == CKR_CRYPTOKI_NOT_INITIALIZED || (rv == CKR_OK && n == 0);
}

int in_child(int (*body)(void *arg), void *arg)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20); /* a deadlock must not hang the suite */
        _exit(body(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
