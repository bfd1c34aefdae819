/* SPDX-License-Identifier: Apache-2.0 */
/* Does an error's detail ever tell a key, a passphrase, a PIN or plaintext? Every error path that
 * can be reached from outside is run with known secrets, and each detail is searched for them: as
 * bytes, in hexadecimal, in base64. */
#include "tests/support/kit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN "8642097531"
#define PASSPHRASE "correct-horse-battery"
#define PLAINTEXT "very-private-plaintext"

/* 32 letters: as bytes, in hexadecimal and in base64. */
#define KEY "KeYkEyKeYkEyKeYkEyKeYkEyKeYkEyKe"
#define KEY_HEX "4b65596b45794b65596b4579"
#define KEY_BASE64 "S2VZa0V5S2VZa0V5S2VZa0V5S2VZa0V5S2VZa0V5S2U="

static const char *const secrets[] = {PIN,        PASSPHRASE,     "very-private", "KeYkEyKe",
                                      "S2VZa0V5", "4b65596b4579", "4B65596B4579"};
static unsigned looked_at;

/* `err` is one, and its detail is clean. */
static void must_fail(kfe_error err)
{
    if (err == KFE_OK)
        fail_msg("no error where one was wanted");
    const char *detail = kfe_error_detail();
    assert_true(detail[0] != '\0');
    looked_at++;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
        if (strstr(detail, secrets[i]) != NULL)
            fail_msg("the detail tells \"%s\": %s", secrets[i], detail);
    for (const char *c = detail; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            fail_msg("a control character in: %s", detail);
}

static const char *file_of(const char *name, const char *text, mode_t mode)
{
    static char path[192];
    snprintf(path, sizeof(path), "%s/%s", kit_dir(), name);
    (void)unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

/* ---- Options ------------------------------------------------------------------------------------
 */

static void secrets_in_options(void **state)
{
    (void)state;
    static const char *const names[] = {
        "encryption.keyprovider.file.passphrase", "encryption.keyprovider.file-passphrase",
        "encryption-keyprovider-file-passphrase", "encryption.keyprovider.pkcs11.pin"};
    static const char *const values[] = {PASSPHRASE, PIN, "env=" PASSPHRASE, "File:" PASSPHRASE};
    kfe_config *config = NULL;
    assert_int_equal(kfe_config_new(&config), KFE_OK);
    for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
        for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++)
            must_fail(kfe_config_set(config, names[n], values[v]));
    kfe_config_free(config);
}

static void secrets_in_a_configuration_file(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "encryption.keyprovider.file.passphrase=" PASSPHRASE "\n",
        "encryption.keyprovider.pkcs11.pin = " PIN "\n",
        "sasl.password " PASSPHRASE "\n",
        "ssl.key.password=" PASSPHRASE "\n",
        PASSPHRASE "\n",
        "=" PASSPHRASE "\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        kfe_config *config = NULL;
        assert_int_equal(kfe_config_new(&config), KFE_OK);
        must_fail(kfe_config_load(config, file_of("kfe.conf", lines[i], 0600), NULL, NULL));
        kfe_config_free(config);
    }
}

/* ---- Where a secret is fetched from
 * --------------------------------------------------------------- */

static void must_not_fetch(const char *option, size_t cap)
{
    uint8_t out[64] = {0xff};
    size_t len = 1;
    kfe_config *config = kit_config("encryption.keyprovider.file.passphrase", option, NULL);
    must_fail(kfe_config_secret(config, "encryption.keyprovider.file.passphrase", out, cap, &len));
    assert_int_equal(len, 0);
    for (size_t i = 0; i < cap; i++)
        assert_int_equal(out[i], 0);
    kfe_config_free(config);
}

static long refuse(void *arg, const char *option, uint8_t *out, size_t cap)
{
    (void)arg;
    (void)option;
    memcpy(out, PASSPHRASE, cap < sizeof(PASSPHRASE) ? cap : sizeof(PASSPHRASE));
    return -1;
}

static void secrets_that_cannot_be_fetched(void **state)
{
    (void)state;
    char option[256];
    assert_int_equal(setenv("KFE_TEST_SECRET", PASSPHRASE, 1), 0);
    must_not_fetch("env:KFE_TEST_SECRET", 8);
    must_not_fetch("env:KFE_TEST_NONE", 64);
    snprintf(option, sizeof(option), "file:%s", file_of("secret", PASSPHRASE "\n", 0600));
    must_not_fetch(option, 8);
    snprintf(option, sizeof(option), "file:%s", file_of("secret", PASSPHRASE "\n", 0644));
    must_not_fetch(option, 64);
    snprintf(option, sizeof(option), "file:%s/none", kit_dir());
    must_not_fetch(option, 64);
    snprintf(option, sizeof(option), "file:%s", kit_dir());
    must_not_fetch(option, 64);

    uint8_t out[64];
    size_t len;
    kfe_config *config = kit_config(NULL, NULL);
    must_fail(kfe_config_secret(config, "encryption.keyprovider.file.passphrase", out, 64, &len));
    kfe_config_on_secret(config, refuse, NULL);
    must_fail(kfe_config_secret(config, "encryption.keyprovider.file.passphrase", out, 64, &len));
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(out[i], 0);
    kfe_config_free(config);
}

/* ---- Key files
 * ------------------------------------------------------------------------------------ */

static kfe_error open_store(const char *text, mode_t mode, const char *passphrase)
{
    kfe_key_provider *provider = NULL;
    kfe_config *config =
        kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                   file_of("keys.json", text, mode), NULL);
    if (passphrase != NULL)
        kit_set(config, "encryption.keyprovider.file.passphrase", passphrase);
    kfe_error err = kfe_key_provider_open(&provider, config);
    kfe_key_provider_close(provider);
    kfe_config_free(config);
    return err;
}

#define ENTRY(name, version, state, key)                                                           \
    "{\"name\":\"" name "\",\"version\":" version ",\"state\":\"" state "\",\"key\":\"" key "\"}"
#define STORE(entries) "{\"version\":1,\"keys\":[" entries "]}"
#define GOOD STORE(ENTRY("orders", "1", "active", KEY_BASE64))
/* Nobody's passphrase opens this one. */
#define SEALED                                                                                     \
    "{\"version\":1,\"sealed\":{\"kdf\":\"scrypt\",\"log2_n\":14,\"r\":8,\"p\":1,\"salt\":"        \
    "\"AAAAAAAAAAAAAAAAAAAAAA==\",\"cipher\":\"A256GCM\",\"nonce\":\"AAAAAAAAAAAAAAAA\","          \
    "\"data\":\"" KEY_BASE64 "\"}}"

static void broken_key_files(void **state)
{
    (void)state;
    static const char *const texts[] = {
        STORE(ENTRY("orders", "1", "active", KEY)),
        STORE(ENTRY("orders", "1", "active", KEY_HEX)),
        STORE(ENTRY("orders", "1", "active", KEY_BASE64 "A")),
        STORE(ENTRY("orders", "1", KEY_BASE64, KEY_BASE64)),
        STORE(ENTRY("orders", KEY_BASE64, "active", KEY_BASE64)),
        STORE(ENTRY("orders", "0", "active", KEY_BASE64)),
        STORE(ENTRY("\\u0001" KEY, "1", "active", KEY_BASE64)),
        STORE(ENTRY("orders", "1", "destroyed", KEY_BASE64)),
        STORE(ENTRY("orders", "1", "active", KEY_BASE64) "," ENTRY("orders", "1", "active", KEY)),
        STORE(ENTRY("orders", "1", "active", KEY_BASE64) "," ENTRY("orders", "1", "active",
                                                                   KEY_BASE64)),
        STORE("{\"" KEY_BASE64 "\":1}"),
        "{\"version\":1,\"" KEY_BASE64 "\":[]}",
        KEY_BASE64,
        "\"" KEY_BASE64 "\"",
        "{\"version\":2,\"keys\":[" ENTRY("orders", "1", "active", KEY_BASE64) "]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        must_fail(open_store(texts[i], 0600, NULL));
    must_fail(open_store(GOOD, 0644, NULL));
    assert_int_equal(open_store(GOOD, 0600, NULL), KFE_OK);
    must_fail(open_store(GOOD, 0600, "env:KFE_TEST_SECRET"));
}

static void every_cut_of_a_key_file(void **state)
{
    (void)state;
    char text[] = GOOD;
    for (size_t len = sizeof(text) - 2; len > 0; len--) {
        text[len] = '\0';
        must_fail(open_store(text, 0600, NULL));
    }
}

static void sealed_key_files(void **state)
{
    (void)state;
    assert_int_equal(setenv("KFE_TEST_SECRET", PASSPHRASE, 1), 0);
    must_fail(open_store(SEALED, 0600, "env:KFE_TEST_SECRET"));
    must_fail(open_store(SEALED, 0600, "env:KFE_TEST_NONE"));
    must_fail(open_store(SEALED, 0600, NULL));
}

/* Whatever is wrong: that there is no such library, no such module, or a PIN in the wrong place. */
static void pins(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "pkcs11:token=kfe?module-path=/none.so&pin-value=" PIN,
        "pkcs11:token=kfe?pin-value=" PIN,
        "pkcs11:token=kfe;pin-value=" PIN,
        "pkcs11:pin-value=" PIN "?" PIN,
    };
    assert_int_equal(setenv("KFE_TEST_SECRET", PIN, 1), 0);
    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        kfe_config *config = NULL;
        kfe_key_provider *provider = NULL;
        assert_int_equal(kfe_config_new(&config), KFE_OK);
        kit_set(config, "encryption.keyprovider.class", "pkcs11");
        kit_set(config, "encryption.keyprovider.pkcs11.pin", "env:KFE_TEST_SECRET");
        if (kfe_config_set(config, "encryption.keyprovider.pkcs11.uri", uris[i]) != KFE_OK)
            must_fail(KFE_E_CONFIG);
        must_fail(kfe_key_provider_open(&provider, config));
        kfe_config_free(config);
    }
}

/* ---- Records
 * -------------------------------------------------------------------------------------- */

static const char *good_store(void)
{
    static char path[192];
    if (path[0] == '\0') {
        snprintf(path, sizeof(path), "%s/good.json", kit_dir());
        file_of("good.json", GOOD, 0600);
    }
    return path;
}

static kfe_config *config_of(const char *key)
{
    return kit_config("encryption.keyprovider.class", "file", "encryption.keyprovider.file.path",
                      good_store(), "encryption.keymanager.class", "topic",
                      "encryption.keymanager.default.key", key, NULL);
}

static kfe_record plain(const kfe_header *headers, size_t n)
{
    return (kfe_record){.topic = kit_text("topic"),
                        .key = kit_text(PLAINTEXT),
                        .value = kit_text(PLAINTEXT),
                        .headers = headers,
                        .n_headers = n,
                        .partition = -1};
}

static void must_not_seal(kfe_engine *engine, const kfe_record *record)
{
    kit_record out;
    must_fail(kit_seal(engine, record, &out));
    assert_null(out.r.key.data);
    assert_null(out.r.value.data);
    assert_int_equal(out.r.n_headers, 0);
    kit_free(&out);
}

static void records_that_cannot_be_sealed(void **state)
{
    (void)state;
    static const char *const names[] = {"${header:tenant}", "x-${header:tenant}", "${header:none}"};
    const kfe_header bad[] = {
        {.name = kit_text("tenant"), .value = kit_text(PLAINTEXT "\x01")},
        {.name = kit_text("tenant"), .value = kit_text(PLAINTEXT)},
        {.name = kit_text("kfe"), .value = kit_text(PLAINTEXT)},
        {.name = kit_text("tenant"), .value = kit_text("\xff\xfe" PLAINTEXT)},
    };
    for (size_t n = 0; n < 3; n++) {
        kfe_config *config = config_of(names[n]);
        kfe_engine *engine = kit_engine(config);
        for (size_t i = 0; i < 4; i++) {
            /* A header that names a key tells its value to whoever runs the keys: not to the log.
             */
            if (i == 1 && n < 2)
                continue;
            kfe_record record = plain(&bad[i], 1);
            must_not_seal(engine, &record);
        }
        kfe_engine_free(engine);
        kfe_config_free(config);
    }
}

static void forgeries(void **state)
{
    (void)state;
    kfe_config *config = config_of("orders");
    kfe_engine *engine = kit_engine(config);
    const kfe_header header = {.name = kit_text("h"), .value = kit_text(PLAINTEXT)};
    kfe_record record = plain(&header, 1);
    kit_record sealed, opened;
    assert_int_equal(kit_seal(engine, &record, &sealed), KFE_OK);
    kfe_record stored = kit_copy(&sealed.r);
    kit_free(&sealed);
    uint8_t *envelope = (uint8_t *)(uintptr_t)stored.headers[0].value.data;
    size_t len = stored.headers[0].value.len;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        envelope[bit / 8] ^= (uint8_t)(1u << bit % 8);
        must_fail(kit_open(engine, &stored, &opened));
        kit_free(&opened);
        envelope[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(kit_open(engine, &stored, &opened), KFE_OK);
    kit_free(&opened);
    must_fail(kit_open(engine, &record, &opened)); /* in clear */
    kit_free(&opened);
    kit_drop(&stored);
    kfe_engine_free(engine);
    kfe_config_free(config);
}

static int enough(void **state)
{
    (void)state;
    print_message("%u details looked at\n", looked_at);
    return looked_at > 500 ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_in_options),
        cmocka_unit_test(secrets_in_a_configuration_file),
        cmocka_unit_test(secrets_that_cannot_be_fetched),
        cmocka_unit_test(broken_key_files),
        cmocka_unit_test(every_cut_of_a_key_file),
        cmocka_unit_test(sealed_key_files),
        cmocka_unit_test(pins),
        cmocka_unit_test(records_that_cannot_be_sealed),
        cmocka_unit_test(forgeries),
    };
    return cmocka_run_group_tests(tests, NULL, enough);
}
