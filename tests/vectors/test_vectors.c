/* SPDX-License-Identifier: Apache-2.0 */
/* Does the engine open every stored record of format-v1.json, and refuse what it must: by keys that
 * derive, no more, and by keys that do every kind of session? The vectors come from an
 * implementation of docs/format.md in Python. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tests/support/example_provider.h"
#include "tests/support/kit.h"

static const char *keystore;
static bool all_kinds; /* of session */
static cJSON *vectors;

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static kfe_bytes bytes_of(const cJSON *hex)
{
    if (!cJSON_IsString(hex))
        return (kfe_bytes){NULL, 0};
    size_t len = strlen(hex->valuestring) / 2;
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(sscanf(hex->valuestring + 2 * i, "%2hhx", &bytes[i]), 1);
    return (kfe_bytes){bytes, len};
}

static kfe_record record_of(const cJSON *json, const char *topic)
{
    const cJSON *list = cJSON_GetObjectItem(json, "headers");
    kfe_record r = {.topic = kit_text(strdup(topic)), .partition = -1};
    r.key = bytes_of(cJSON_GetObjectItem(json, "key"));
    r.value = bytes_of(cJSON_GetObjectItem(json, "value"));
    r.n_headers = (size_t)cJSON_GetArraySize(list);
    kfe_header *headers = calloc(r.n_headers + 1, sizeof(*headers));
    assert_non_null(headers);
    size_t i = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list)
    {
        headers[i].name = kit_text(strdup(cJSON_GetArrayItem(item, 0)->valuestring));
        headers[i++].value = bytes_of(cJSON_GetArrayItem(item, 1));
    }
    r.headers = headers;
    return r;
}

static kfe_engine *engine_for(const cJSON *vector, kfe_config **config)
{
    *config = all_kinds ? kit_config("encryption.keyprovider.class",
                                     EXAMPLE_PROVIDER ":kfe_example_provider", NULL)
                        : kit_config("encryption.keyprovider.class", "file",
                                     "encryption.keyprovider.file.path", keystore, NULL);
    const cJSON *option = NULL;
    bool suites = false;
    cJSON_ArrayForEach(option, cJSON_GetObjectItem(vector, "options"))
    {
        suites = suites || strcmp(option->string, "encryption.algorithms") == 0;
        kit_set(*config, option->string, option->valuestring);
    }
    if (!suites)
        kit_set(*config, "encryption.algorithms", "A256GCM,A128GCM,C20P1305");
    const char *label = text_of(vector, "topic_label"), *topic = text_of(vector, "topic");
    if (label != NULL && label[0] == '\0') {
        kit_set(*config, "encryption.aad.topic", "none");
    } else if (label != NULL && strcmp(label, topic) != 0) {
        char value[300];
        snprintf(value, sizeof(value), "label:%s", label);
        kit_set(*config, "encryption.aad.topic", value);
    }
    return kit_engine(*config);
}

static bool is_derived(const kfe_record *stored)
{
    kfe_envelope_info info[KFE_GROUPS_MAX];
    size_t n = 0;
    assert_int_equal(kfe_inspect(stored, info, &n), KFE_OK);
    return n == 0 || info[0].session_kind == 0;
}

static void opens(void **unused)
{
    (void)unused;
    int n = 0;
    const cJSON *vector = NULL;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(vectors, "records"))
    {
        kfe_config *config = NULL;
        kfe_engine *engine = engine_for(vector, &config);
        const char *topic = text_of(vector, "topic");
        kfe_record stored = record_of(cJSON_GetObjectItem(vector, "stored"), topic);
        kfe_record plain = record_of(cJSON_GetObjectItem(vector, "plain"), topic);
        kit_record got;
        kfe_error err = kit_open(engine, &stored, &got);
        if (!all_kinds && !is_derived(&stored))
            assert_true(err == KFE_E_KEY_DENIED || err == KFE_E_KEY_UNKNOWN); /* of 16 bytes */
        else if (err || !kit_same(&got.r, &plain))
            fail_msg("%s: %s %s", text_of(vector, "comment"), kfe_error_name(err),
                     kfe_error_detail());
        n++;
        kit_free(&got);
        kit_drop(&stored);
        kit_drop(&plain);
        kfe_engine_free(engine);
        kfe_config_free(config);
    }
    print_message("%d records\n", n);
    assert_true(n >= 60);
}

/* "kind": a refusal that only an opener with that kind of session comes to. */
static const char *error_of(const cJSON *vector)
{
    return !all_kinds && cJSON_HasObjectItem(vector, "kind") ? "KFE_E_KEY_DENIED"
                                                             : text_of(vector, "error");
}

static void refuses(void **unused)
{
    (void)unused;
    int n = 0;
    const cJSON *vector = NULL;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(vectors, "refused"))
    {
        kfe_config *config = NULL;
        kfe_engine *engine = engine_for(vector, &config);
        kfe_record stored =
            record_of(cJSON_GetObjectItem(vector, "stored"), text_of(vector, "topic"));
        kit_record got;
        kfe_error err = kit_open(engine, &stored, &got);
        if (strcmp(kfe_error_name(err), error_of(vector)) != 0)
            fail_msg("%s: %s, not %s", text_of(vector, "comment"), kfe_error_name(err),
                     error_of(vector));
        assert_null(got.r.key.data);
        assert_null(got.r.value.data);
        assert_int_equal(got.r.n_headers, 0);
        n++;
        kit_free(&got);
        kit_drop(&stored);
        kfe_engine_free(engine);
        kfe_config_free(config);
    }
    print_message("%d refused\n", n);
    assert_true(n >= 150);
}

static int load(void **unused)
{
    (void)unused;
    static char text[1 << 20];
    FILE *f = fopen(FORMAT_V1, "r");
    if (f == NULL || fread(text, 1, sizeof(text) - 1, f) == 0)
        return -1;
    fclose(f);
    vectors = cJSON_Parse(text);
    kit_key keys[16];
    size_t n = 0;
    const cJSON *key = NULL;
    cJSON_ArrayForEach(key, cJSON_GetObjectItem(vectors, "keys"))
    {
        kfe_bytes raw = bytes_of(cJSON_GetObjectItem(key, "key"));
        double version = cJSON_GetObjectItem(key, "version")->valuedouble;
        if (kfe_example_put(text_of(key, "name"), (uint32_t)version, raw.data, (unsigned)raw.len))
            return -1;
        if (raw.len == 32) { /* a file has no keys for the direct mode */
            keys[n] = (kit_key){.name = text_of(key, "name"), .version = (uint32_t)version};
            memcpy(keys[n++].key, raw.data, 32);
        }
        free((void *)(uintptr_t)raw.data);
    }
    keystore = kit_keystore("keys.json", keys, n);
    return 0;
}

static int unload(void **unused)
{
    (void)unused;
    cJSON_Delete(vectors);
    return 0;
}

static int do_all(void **unused)
{
    (void)unused;
    all_kinds = true;
    kfe_example_kinds(7, KFE_DERIVED, 0, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(opens), cmocka_unit_test(refuses),
                                       cmocka_unit_test_setup(opens, do_all),
                                       cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, load, unload);
}
