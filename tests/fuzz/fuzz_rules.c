/* SPDX-License-Identifier: Apache-2.0 */
/* The small languages of option values: patterns, PATTERN=KEY rules, key templates, topic maps,
 * NAME@VERSION. The input: a byte that chooses, the option's text up to a NUL, then a subject. */
#include <stdlib.h>
#include <string.h>

#include <kfe/keys.h>

#include "engine/key_name.h"
#include "engine/pattern.h"
#include "engine/rules.h"
#include "engine/topic_map.h"
#include "tests/fuzz/fuzz.h"

static bool of_a_match(kfe_error err)
{
    return err == KFE_OK || err == KFE_E_RECORD || err == KFE_E_MEMORY;
}

static void refused(kfe_error err)
{
    fuzz_want(err == KFE_E_CONFIG, "an option refused with another error than KFE_E_CONFIG");
}

static void pattern(const char *text, kfe_bytes subject)
{
    kfe_pattern *p = NULL;
    bool matches = false, again = false;
    kfe_error err = kfe_pattern_new(&p, "fuzz", text);
    if (err) {
        refused(err);
        return;
    }
    err = kfe_pattern_match(p, subject, &matches);
    fuzz_want(of_a_match(err), "matching: another error");
    fuzz_want(err != KFE_OK || kfe_pattern_match(p, subject, &again) != KFE_OK || again == matches,
              "twice the same, two answers");
    kfe_pattern_free(p);
}

static void check_name(kfe_error err, const char *name)
{
    if (err == KFE_OK)
        fuzz_want(kfe_key_name_check(name) == KFE_OK, "a template gave a bad name");
    else
        fuzz_want(err == KFE_E_NO_KEY && name[0] == '\0', "no name, and yet something");
}

static kfe_record record_of(kfe_bytes subject, kfe_header *header)
{
    *header = (kfe_header){.name = {(const uint8_t *)"tenant", 6}, .value = subject};
    return (kfe_record){.topic = subject, .headers = header, .n_headers = 1, .partition = -1};
}

static void rules(const char *text, kfe_bytes subject)
{
    kfe_rules *r = NULL;
    kfe_header header;
    kfe_record record = record_of(subject, &header);
    kfe_error err = kfe_rules_new(&r, "fuzz", text);
    if (err) {
        refused(err);
        return;
    }
    const kfe_template *key = NULL;
    err = kfe_rules_find(r, subject, &key);
    fuzz_want(of_a_match(err), "finding: another error");
    if (err == KFE_OK && key != NULL) {
        char name[KFE_NAME_MAX + 1] = "";
        check_name(kfe_template_expand(key, &record, name), name);
    }
    kfe_rules_free(r);
}

static void template(const char *text, kfe_bytes subject)
{
    kfe_template *t = NULL;
    kfe_header header;
    kfe_record record = record_of(subject, &header);
    char name[KFE_NAME_MAX + 1] = "";
    kfe_error err = kfe_template_new(&t, "fuzz", text);
    if (err) {
        refused(err);
        return;
    }
    check_name(kfe_template_expand(t, &record, name), name);
    kfe_template_free(t);
}

/* A map that passed its check never fails on a topic but for the topic's own sake. */
static void topic_map(const char *text, kfe_bytes subject)
{
    kfe_pattern *p = NULL;
    char out[256];
    size_t len = 0;
    kfe_error err = kfe_topic_map_check("fuzz", text);
    if (err) {
        refused(err);
        return;
    }
    const char *divider = strrchr(text, '=');
    char *regex = fuzz_text((const uint8_t *)text, (size_t)(divider - text));
    fuzz_want(kfe_pattern_new(&p, "fuzz", regex) == KFE_OK, "a checked pattern does not compile");
    bool matches = false;
    bool decided = kfe_pattern_match(p, subject, &matches) == KFE_OK;
    err = kfe_pattern_replace(p, subject, divider + 1, out, sizeof(out), &len);
    fuzz_want(!decided || err == KFE_OK || err == KFE_E_ARGUMENT || err == KFE_E_SPACE,
              "a checked map fails by itself");
    fuzz_want(!decided || !matches || err != KFE_E_ARGUMENT, "it matches, but is not replaced");
    fuzz_want(err != KFE_OK || len <= sizeof(out), "longer than there is room");
    kfe_pattern_free(p);
    free(regex);
}

static void key_ref(const char *text)
{
    char name[KFE_NAME_MAX + 1] = "untouched";
    uint32_t version = 0;
    kfe_error err = kfe_key_ref_parse("fuzz", text, name, &version);
    if (err) {
        refused(err);
        fuzz_want(version == 0 && strcmp(name, "untouched") == 0, "refused, and yet written");
        return;
    }
    fuzz_want(version > 0 && kfe_key_name_check(name) == KFE_OK, "a bad key reference");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t len = strnlen((const char *)data + 1, size - 1);
    char *text = fuzz_text(data + 1, len);
    kfe_bytes subject = {(const uint8_t *)"", 0};
    if (size > len + 2)
        subject = (kfe_bytes){data + len + 2, size - len - 2};
    switch (data[0] % 5) {
    case 0:
        pattern(text, subject);
        break;
    case 1:
        rules(text, subject);
        break;
    case 2:
        template(text, subject);
        break;
    case 3:
        topic_map(text, subject);
        break;
    default:
        key_ref(text);
    }
    free(text);
    return 0;
}
