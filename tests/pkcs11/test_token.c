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

/* ---- The real module ------------------------------------------------------------------ */

/* KFE_TEST_TOKEN says which: softhsm (or nothing), or nss. */
static bool is_nss(void)
{
    const char *kind = getenv("KFE_TEST_TOKEN");
    return kind != NULL && strcmp(kind, "nss") == 0;
}

static const char *module_path(void)
{
    return is_nss() ? KFE_TEST_NSS : KFE_TEST_SOFTHSM;
}

void test_token_softhsm_only(const char *why)
{
    if (!is_nss())
        return;
    print_message("not on this token: %s\n", why);
    skip();
}

static char init_args[400]; /* "": none */

static CK_FUNCTION_LIST_PTR module_calls(void)
{
    CK_FUNCTION_LIST_PTR calls = NULL;
    CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = NULL;
    void *module = dlopen(module_path(), RTLD_NOW | RTLD_LOCAL);
    assert_non_null(module);
    void *symbol = dlsym(module, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof(get));
    assert_non_null(get);
    assert_int_equal(get(&calls), CKR_OK);
    return calls;
}

static bool initialise(CK_FUNCTION_LIST_PTR calls)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK,
                                 .pReserved = init_args[0] != '\0' ? init_args : NULL};
    CK_RV rv = calls->C_Initialize(&args);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED);
    return rv == CKR_OK;
}

/* The slot whose token is initialised (or not). */
static CK_SLOT_ID find_slot(CK_FUNCTION_LIST_PTR calls, bool initialised)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = 16;
    assert_int_equal(calls->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        assert_int_equal(calls->C_GetTokenInfo(slots[i], &info), CKR_OK);
        bool ours = memcmp(info.label, "kfe ", 4) == 0;
        if (initialised ? ours : !(info.flags & CKF_TOKEN_INITIALIZED))
            return slots[i];
    }
    fail_msg("no such slot");
    return 0;
}

void test_token_add(const char *label)
{
    test_token_softhsm_only("a database is one token");
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
    CK_BYTE pin[] = TOKEN_PIN;
    raw->calls = module_calls();
    raw->initialised = initialise(raw->calls);
    raw->slot = find_slot(raw->calls, true);
    assert_int_equal(raw->calls->C_OpenSession(raw->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                               NULL, &raw->session),
                     CKR_OK);
    CK_RV rv = raw->calls->C_Login(raw->session, CKU_USER, pin, sizeof(pin) - 1);
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
    CK_OBJECT_HANDLE made;
    assert_int_equal(raw->calls->C_CreateObject(raw->session, a, sizeof(a) / sizeof(a[0]), &made),
                     CKR_OK);
    return made;
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
    CK_OBJECT_HANDLE made;
    assert_int_equal(raw->calls->C_CreateObject(raw->session, a, sizeof(a) / sizeof(a[0]), &made),
                     CKR_OK);
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

/* ---- The fixture -------------------------------------------------------------------------- */

const char *test_token_uri(void)
{
    return "pkcs11:token=kfe%20test?module-path=" KFE_TEST_SHIM;
}

kfe_config *test_token_config(const char *uri, const char *pin)
{
    kfe_config *config;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.class", "pkcs11"), KFE_OK);
    assert_int_equal(
        kfe_config_set(config, "encryption.keyprovider.pkcs11.uri", uri ? uri : test_token_uri()),
        KFE_OK);
    if (init_args[0] != '\0')
        assert_int_equal(
            kfe_config_set(config, "encryption.keyprovider.pkcs11.init.args", init_args), KFE_OK);
    if (pin == NULL || pin[0] != '\0')
        assert_int_equal(kfe_config_set(config, "encryption.keyprovider.pkcs11.pin",
                                        pin ? pin : "env:KFE_TEST_PIN"),
                         KFE_OK);
    return config;
}

static const shim_table *shim_load(void)
{
    setenv("KFE_SHIM_MODULE", module_path(), 1);
    void *module = dlopen(KFE_TEST_SHIM, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(module);
    const shim_table *shim = dlsym(module, "kfe_test_shim");
    assert_non_null(shim);
    return shim;
}

/* A folder with its configuration, and a fresh token in it. */
static void make_softhsm(const char *dir, const char *settings)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/softhsm2.conf", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n%s\n",
            dir, settings);
    assert_int_equal(fclose(file), 0);
    setenv("SOFTHSM2_CONF", path, 1);
    test_token_add(TOKEN_LABEL);
}

/* A database, made by NSS's own tool. */
static void make_nss(const char *dir)
{
    char path[160], database[160];
    snprintf(path, sizeof(path), "%s/pin", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", TOKEN_PIN);
    assert_int_equal(fclose(file), 0);
    setenv("NSS_MAX_MP_PBE_ITERATION_COUNT", "1", 1); /* else 10,000 for every object */
    snprintf(database, sizeof(database), "sql:%s", dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("certutil", "certutil", "-N", "-d", database, "-f", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    snprintf(init_args, sizeof(init_args),
             "configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags= "
             "dbTokenDescription='%s'",
             dir, TOKEN_LABEL);
}

static int setup(void **state, const char *settings)
{
    test_token *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    const char *base = getenv("TMPDIR");
    snprintf(h->dir, sizeof(h->dir), "%s/kfe-p11-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(h->dir));
    if (is_nss())
        make_nss(h->dir);
    else
        make_softhsm(h->dir, settings);
    setenv("KFE_TEST_PIN", TOKEN_PIN, 1);
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
    CK_INFO info;
    (void)h;
    return module_calls()->C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED;
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
